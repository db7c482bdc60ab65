"""Tables and JSON of unknown tools: what is told is used, a guess is named, what is unclear is asked."""

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmarks.recording_files import ecg_uv, table_csv
from ingest.chunk import Lead
from ingest.recordings import About, Format, Hints, RecordingError
from tests.ingest.recordings.reading import in_uv, read_one

UV = ecg_uv(4, 500)


def text(rows: list[str], *above: str) -> bytes:
    return "\n".join([*above, *rows, ""]).encode()


@given(
    fs=st.sampled_from([125.0, 250.0, 256.0, 300.0, 500.0, 512.0, 1000.0]),
    time=st.sampled_from([("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)]),
    unit=st.sampled_from([("mV", 1e-3), ("uV", 1.0), ("V", 1e-6), ("\u00b5V", 1.0), ("\u03bcV", 1.0)]),
    delimiter=st.sampled_from([",", ";", "\t"]),
    is_named=st.booleans(),
    is_first=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_the_time_column_gives_the_rate_and_is_never_the_signal(
    *,
    fs: float,
    time: tuple[str, float],
    unit: tuple[str, float],
    delimiter: str,
    is_named: bool,
    is_first: bool,
) -> None:
    few = UV[:800]
    assume(is_named or time[1] / fs != 1)  # a nameless 0, 1, 2 is a counter
    columns = [
        [f"{i * time[1] / fs:.6f}" for i in range(len(few))],
        [f"{v * unit[1]:.9f}" for v in few.tolist()],
    ]
    names = [f"time [{time[0]}]", f"ECG ({unit[0]})"]
    order = (0, 1) if is_first else (1, 0)
    rows = [delimiter.join(columns[k][i] for k in order) for i in range(len(few))]
    above = [delimiter.join(names[k] for k in order)] if is_named else []
    found = read_one(text(rows, *above))
    assert found.fs == pytest.approx(fs, rel=1e-4)
    np.testing.assert_allclose(found.samples_mv, few / 1000, atol=1e-6)
    guessed = {note.about for note in found.notes if note.is_guess}
    assert (About.UNIT in guessed) == (not is_named)
    assert {About.COLUMN, About.RATE} <= guessed


def test_the_two_columns_of_the_starting_project_are_read_right() -> None:
    found = read_one(table_csv(UV))
    assert (found.format, found.fs, in_uv(found)) == (Format.CSV, 500.0, UV.tolist())


@pytest.mark.parametrize(
    "above", [["ecg"], [], ["# Sampling rate: 500 Hz"], ["Sample rate,500 Hz", "", "ecg_mV"]]
)
@pytest.mark.parametrize("decimal", [".", ","])
def test_one_column_needs_a_rate_and_may_have_decimal_commas(above: list[str], decimal: str) -> None:
    rows = [f"{v / 1000:.3f}".replace(".", decimal) for v in UV.tolist()]
    is_told = any("500" in line for line in above)
    hints = Hints() if is_told else Hints(fs=500)
    found = read_one(text(rows, *above), hints)
    assert (found.fs, in_uv(found), found.lead) == (500, UV.tolist(), Lead.UNKNOWN)
    if not is_told:
        with pytest.raises(
            RecordingError, match="rate is not told and no time column gives it: say it with --fs"
        ):
            read_one(text(rows, *above))


def test_a_time_that_may_count_samples_is_asked_about() -> None:
    rows = [f"{i},{v}" for i, v in enumerate(UV.tolist())]
    with pytest.raises(
        RecordingError, match="'time' may count samples or milliseconds: say the rate with --fs"
    ):
        read_one(text(rows, "time,ecg_uV"))
    assert read_one(text(rows, "time,ecg_uV"), Hints(fs=250)).fs == 250
    quoted = read_one(
        text([f"{row},0" for row in rows], "'sample #','MLII','V5'"), Hints(fs=360, unit="5 uV")
    )
    assert (quoted.lead, in_uv(quoted)) == (Lead.II, (5 * UV).tolist())


def test_what_wristlead_exports_is_read_again() -> None:
    rows = [f"{i},{1_790_000_000_000_000 + 2000 * i},{v}" for i, v in enumerate(UV.tolist())]
    found = read_one(text(rows, "sample,device_time_us,I (1000 nV)"))
    assert (found.fs, found.lead, in_uv(found)) == (500.0, Lead.I, UV.tolist())
    assert found.start is not None
    assert found.start.timestamp() == 1_790_000_000


def test_dates_give_rate_and_start() -> None:
    rows = [f"2026-07-26T21:56:{i // 250:02}.{i % 250 * 4:03},{v}" for i, v in enumerate(UV.tolist())]
    found = read_one(text(rows, "timestamp,ecg_uV"))
    assert (found.fs, in_uv(found)) == (250.0, UV.tolist())
    assert str(found.local_start) == "2026-07-26 21:56:26" or str(found.local_start).startswith(
        "2026-07-26 21:56"
    )


def test_a_jump_of_the_clock_is_a_hole() -> None:
    rows = [f"{i + (500 if i >= 1000 else 0)},{v}" for i, v in enumerate(UV.tolist())]
    found = read_one(text(rows, "time_ms,ecg_uV"))
    assert found.fs == 1000.0
    assert np.flatnonzero(np.isnan(found.samples_mv)).tolist() == list(range(1000, 1500))


def test_of_several_columns_the_one_that_is_named_a_lead_is_taken_or_asked_for() -> None:
    rows = [f"{i * 2},{v},{2 * v},{v % 7}" for i, v in enumerate(UV.tolist())]
    named = text(rows, "time_ms,II (uV),I (uV),heart rate")
    found = read_one(named)
    assert (found.lead, in_uv(found), found.other_leads) == (Lead.I, (2 * UV).tolist(), ("II (uV)",))
    assert in_uv(read_one(named, Hints(lead=Lead.II))) == UV.tolist()
    with pytest.raises(RecordingError, match=r"none of .* is named lead V1"):
        read_one(named, Hints(lead=Lead.V1))
    nameless = text(rows, "time_ms,left,right,other")
    with pytest.raises(
        RecordingError, match="none of left, right, other is named lead I or II: say --column"
    ):
        read_one(nameless)
    assert in_uv(read_one(nameless, Hints(column="left"))) == UV.tolist()
    assert in_uv(read_one(nameless, Hints(column="2", unit="uV"))) == UV.tolist()
    with pytest.raises(RecordingError, match="no column 'up', there are 'time_ms', 'left'"):
        read_one(nameless, Hints(column="up"))


def test_steps_of_a_converter_and_waves_of_no_size_are_asked_about() -> None:
    steps = text([str(v) for v in (UV // 3 + 512).tolist()], "ecg")
    with pytest.raises(RecordingError, match=r"look like steps of a converter.*--unit, such as '2.5 uV'"):
        read_one(steps, Hints(fs=500))
    found = read_one(steps, Hints(fs=500, unit="3 uV"))
    np.testing.assert_allclose(found.samples_mv, (UV // 3 + 512) * 0.003, rtol=1e-6)
    with pytest.raises(RecordingError, match="no unit makes these values an ECG"):
        read_one(text([f"{v / 17:.6f}" for v in UV.tolist()], "ecg"), Hints(fs=500))
    with pytest.raises(RecordingError, match="unit 'furlong', want mV"):
        read_one(steps, Hints(fs=500, unit="furlong"))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["0,1", "2,2", "4,3", "6,x", "8,5"], "line 5: 'x' in 'b' is no number"),
        (["0,1", "2,2", "4,3", "6,4,4", "8,5"], "line 5: 3 cells, want 2 as above"),
        (["hello", "world"], "no table of numbers begins"),
        (["0,1", "1,2", "2,3", "1,4", "0,5", "1,6"], "a.*times|lead|rate|unit"),
    ],
)
def test_a_table_that_is_none_is_refused_with_the_line(rows: list[str], expected: str) -> None:
    with pytest.raises(RecordingError, match=expected):
        read_one(text(rows, "a,b"), Hints(format=Format.CSV))


def test_a_list_of_a_json_with_its_rate_and_unit_around_it_is_read() -> None:
    uv = UV.tolist()
    documents = [
        ({"ecg": uv, "fs": 500, "unit": "uV"}, Hints()),
        ({"meta": {"sampling_rate": 500, "units": "mV"}, "data": {"ecg": [v / 1000 for v in uv]}}, Hints()),
        ({"patient_id": "x", "window": 1, "ecg": uv, "fs": 500, "units": "uV", "lead": "I"}, Hints()),
        ({"points": [{"t_ms": 2 * i, "ecg_uV": v} for i, v in enumerate(uv)]}, Hints()),
        (uv, Hints(fs=500)),
        ({"a": {"b": uv}, "other": list(range(len(uv)))}, Hints(fs=500, unit="uV", column="a.b")),
        ({"time": [i / 500 for i in range(len(uv))], "values": uv}, Hints()),
    ]
    for document, hints in documents:
        found = read_one(json.dumps(document).encode(), hints)
        assert (found.format, found.fs, in_uv(found)) == (Format.JSON, 500, uv), str(document)[:60]


def test_each_ecg_of_a_json_is_told_apart_and_none_is_refused() -> None:
    with pytest.raises(RecordingError, match="no list of at least 100 numbers"):
        read_one(b'{"ecg": [1, 2, 3]}')
    with pytest.raises(RecordingError, match="no JSON"):
        read_one(b'{"ecg": [1, 2, 3}')
    with pytest.raises(RecordingError, match="is not in"):
        read_one(b'{"ecg": [1, 2, 3]}', Hints(column="data.ecg"))
