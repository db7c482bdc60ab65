import csv
import json
import re
import runpy
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sqlalchemy import insert

from ingest.chunk import ChunkFlag, Lead
from ingest.encoding import _encode_varint
from ingest.export.edf_file import physical_range, record_shape
from ingest.export.export import END_OF_TIME_US, Job, Span, describe, export
from ingest.export.part import ExportError
from ingest.export.reader import Reader
from ingest.store.archive import Archive
from ingest.store.rows import ReceivedChunk
from ingest.store.schema import alarm_transition_table, open_store, verdict_table
from ingest.wire import HEADER, MAGIC, decode

GUIDE = Path(__file__).parents[3] / "docs" / "export.md"
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # wfdb's own, of pandas
DEVICE = "ward/bed-1"
SESSION = 0x9F3C21D0
START_US = 1_790_000_000_123_456


@dataclass
class Stream:
    """Chunks as a device sends them, and what it sent by sample."""

    fs: float = 512.0
    nv_per_unit: int = 1000
    n_leads: int = 1
    encoding: int = 0
    session: int = SESSION
    messages: list[ReceivedChunk] = field(default_factory=list)

    def send(self, first: int, units: NDArray[Any], flags: int = 0, t0_us: int | None = None) -> None:
        wall_us = START_US + round(first * 1e6 / self.fs) if t0_us is None else t0_us
        header = HEADER.pack(
            MAGIC, 1, flags, self.encoding, self.n_leads, 1, 0, self.session, 0, first, wall_us, 0,
            round(self.fs * 1000), len(units), self.nv_per_unit,
        )  # fmt: skip
        self.keep(header + self.body(units), wall_us + round(len(units) * 1e6 / self.fs))

    def body(self, units: NDArray[Any]) -> bytes:
        if self.encoding == 1:
            return _encode_varint(
                np.concatenate([units[:1], units[1:] - units[:-1]]).astype(np.int64).ravel()
            )
        return units.astype({0: "<i2", 2: "<i4", 3: "<f4"}[self.encoding]).tobytes()

    def send_json(self, first: int, numbers: list[float], unit: str) -> None:
        at_us = START_US + round(first * 1e6 / self.fs)
        message = {
            "v": 1, "sess": f"{self.session:08x}", "seq": 0, "i0": first, "t0_us": at_us, "fs": self.fs,
            "lead": "I", "unit": unit, "y": numbers,
        }  # fmt: skip
        self.keep(json.dumps(message).encode(), at_us + 1_000_000)

    def keep(self, payload: bytes, received_us: int) -> None:
        self.messages.append(ReceivedChunk(decode(payload, DEVICE), payload, received_us))


@dataclass
class House:
    folder: Path
    said: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'wristlead.sqlite'}"

    def store(self, *streams: Stream) -> None:
        archive = Archive.open(self.url)
        archive.commit([message for stream in streams for message in stream.messages])

    def export(
        self, format_name: str, span: Span | None = None, *, rescale: bool = False, force: bool = False
    ) -> Path:
        reader = Reader(self.url)
        job = Job(reader, DEVICE, span or Span(), format_name, rescale, self.said.append)
        try:
            return export(job, self.folder / "out", force=force)
        finally:
            reader.close()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def houses(tmp_path: Path) -> Iterator[House]:
    """A new one for each example of a property."""
    return (House(tmp_path / str(number)) for number in range(10_000))


def wfdb_parts(folder: Path) -> dict[int, Any]:
    """First sample -> record with integers, by the wfdb package."""
    entries = json.loads((folder / "export.json").read_text())["parts"]
    records = {}
    for each in entries:
        name = each["files"][0].removesuffix(".hea")
        records[each["first_sample"]] = wfdb.rdrecord(str(folder / name), physical=False)
    return records


def edf_parts(folder: Path) -> dict[int, tuple[Any, NDArray[np.int16]]]:
    """First sample -> (file, integers without padding), by an EDF library that is not ours."""
    entries = json.loads((folder / "export.json").read_text())["parts"]
    found = {}
    for each in entries:
        edf = edfio.read_edf(folder / each["files"][0])
        digital = np.stack([signal.digital for signal in edf.signals], axis=1)
        found[each["first_sample"]] = (edf, digital[: each["n_samples"]])
    return found


def notes_in(folder: Path) -> list[tuple[int, int, str]]:
    with (folder / "events.csv").open() as file:
        return [(int(r["sample"]), int(r["n_samples"]), r["text"]) for r in csv.DictReader(file)]


def noise(n: int, n_leads: int = 1, reach: int = 3000, seed: int = 1) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(-reach, reach + 1, (n, n_leads))


streams: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "fs": st.sampled_from([512.0, 511.422, 130.0, 127.877, 250.0, 500.0]),
        "nv_per_unit": st.one_of(st.sampled_from([1, 125, 977, 1000, 2861, 65535]), st.integers(1, 65535)),
        "n_leads": st.integers(1, 3),
        "encoding": st.sampled_from([0, 1, 2]),
    }
)
pieces = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 300), st.integers(0, 1 << 31)), min_size=1, max_size=6
)  # chunks: hole before (in 50 samples), length, seed


@given(kind=streams, chunks=pieces, is_shuffled=st.booleans(), is_loud=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_format_gives_back_the_integers_that_were_sent(
    houses: Iterator[House], kind: dict[str, Any], chunks: list[Any], *, is_shuffled: bool, is_loud: bool
) -> None:
    house, stream = next(houses), Stream(**kind)
    house.folder.mkdir()
    sent: dict[int, NDArray[np.int64]] = {}
    at = 100
    for n_holes, length, seed in chunks:
        at += 50 * n_holes
        units = noise(length, stream.n_leads, 0x7FFF if is_loud else 900, seed)
        stream.send(at, units)
        sent |= dict(enumerate(units, start=at))
        at += length
    if is_shuffled:
        stream.messages.reverse()
    house.store(stream)

    assert_same(sent, {
        first + i: row
        for first, record in wfdb_parts(house.export("wfdb")).items()
        for i, row in enumerate(record.d_signal)
        if not np.all(row == {"16": -(1 << 15), "32": -(1 << 31)}[record.fmt[0]])
    })  # fmt: skip
    edf = edf_parts(house.export("edf"))
    assert_same(sent, {first + i: row for first, (_, rows) in edf.items() for i, row in enumerate(rows)})
    with_csv: dict[int, Any] = {}
    for path in house.export("csv").glob("s*.csv"):
        rows = csv.reader(path.read_text().splitlines())
        next(rows)
        with_csv |= {int(row[0]): np.array([int(x) for x in row[2:]]) for row in rows}
    assert_same(sent, with_csv)
    for file, _ in edf.values():
        signal = file.signals[0]
        assert signal.sampling_frequency == pytest.approx(stream.fs, rel=2e-6)
        nv = 1e6 if signal.physical_dimension == "mV" else 1e3
        gain = (signal.physical_max - signal.physical_min) * nv / (signal.digital_max - signal.digital_min)
        assert gain == pytest.approx(stream.nv_per_unit, rel=1e-5)


def assert_same(sent: dict[int, Any], found: dict[int, Any]) -> None:
    assert sorted(sent) == sorted(found)
    assert all(np.array_equal(sent[i], found[i]) for i in sent)


def test_gains_and_names_are_those_of_the_device(house: House) -> None:
    stream = Stream(fs=511.422, nv_per_unit=2861, n_leads=2)
    stream.send(0, noise(600, 2))
    house.store(stream)
    record = wfdb_parts(house.export("wfdb"))[0]
    assert record.fs == 511.422
    assert record.adc_gain == [1e6 / 2861] * 2
    assert record.sig_name == ["I", "II"]
    assert record.base_datetime.isoformat() == "2026-09-21T14:13:20.123456"
    assert DEVICE in record.comments[0]


@pytest.mark.parametrize("nv_per_unit", [1, 7, 125, 305, 977, 1000, 2861, 4883, 65535])
def test_an_edf_gain_is_exact_wherever_eight_characters_tell_it(nv_per_unit: int) -> None:
    low, high, physical_low, physical_high, unit = physical_range(nv_per_unit, -5000, 5000)
    assert max(len(physical_low), len(physical_high)) <= 8
    nv = {"uV": 1000, "mV": 1_000_000}[unit]
    assert (float(physical_high) - float(physical_low)) * nv == pytest.approx(nv_per_unit * (high - low))


@pytest.mark.parametrize("fs", [1.0, 25.0, 125.0, 127.877, 130.0, 250.0, 511.422, 512.844, 1000.0, 9999.999])
def test_an_edf_file_tells_the_rate_to_one_millionth(fs: float) -> None:
    shape = record_shape(fs, 1_000_003, 12)
    assert shape.fs == pytest.approx(fs, rel=1e-6)
    assert 2 * 12 * shape.n_samples <= 61_440


def test_whole_records_need_no_padding(house: House) -> None:
    stream = Stream(fs=130.0)
    for k in range(40):
        stream.send(73 * k, noise(73, seed=k))
    house.store(stream)
    edf, _ = edf_parts(house.export("edf"))[0]
    assert len(edf.signals[0].digital) == 40 * 73


def test_16_bits_that_use_the_value_for_no_sample_become_32(house: House) -> None:
    stream = Stream()
    stream.send(0, np.array([[-32768], [5]]))
    stream.send(10, np.array([[7]]))
    house.store(stream)
    record = wfdb_parts(house.export("wfdb"))[0]
    assert record.fmt == ["32"]
    assert record.d_signal[[0, 1, 10], 0].tolist() == [-32768, 5, 7]
    assert set(record.d_signal[2:10, 0]) == {-(1 << 31)}


def test_the_lowest_32_bit_value_is_never_mistaken_for_a_hole(house: House) -> None:
    stream = Stream(encoding=2)
    stream.send(0, np.array([[-(1 << 31)], [(1 << 31) - 1]]))
    stream.send(10, np.array([[7]]))
    house.store(stream)
    records = wfdb_parts(house.export("wfdb"))
    assert [list(r.d_signal[:, 0]) for r in records.values()] == [[-(1 << 31), (1 << 31) - 1], [7]]


def test_a_recording_beyond_16_bits_is_refused_as_edf_or_scaled_with_its_loss_told(house: House) -> None:
    stream = Stream(encoding=2)
    units = noise(600, reach=100_000)
    stream.send(0, units)
    house.store(stream)
    assert np.array_equal(wfdb_parts(house.export("wfdb"))[0].d_signal, units)
    with pytest.raises(ExportError, match=r"do not fit integers up to 32767: choose .* or --rescale"):
        house.export("edf")
    folder = house.export("edf", rescale=True)
    entry = json.loads((folder / "export.json").read_text())["parts"][0]
    edf, digital = edf_parts(folder)[0]
    error_nv = np.abs(digital[:, 0].astype(np.int64) * entry["nv_per_unit"] - units[:, 0] * 1000)
    assert 0 < error_nv.max() <= entry["largest_error_nv"] == entry["nv_per_unit"] / 2
    assert any("rounded by at most" in note.text for note in edf.annotations)


def test_json_in_microvolts_is_exact_at_its_own_unit(house: House) -> None:
    stream = Stream()
    stream.send_json(0, [-12, 3, 400], "uV")
    stream.send_json(3, [5, 6, 7], "uV")
    house.store(stream)
    record = wfdb_parts(house.export("wfdb"))[0]
    assert record.d_signal[:, 0].tolist() == [-12, 3, 400, 5, 6, 7]
    assert record.adc_gain == [1000.0]
    assert edf_parts(house.export("edf"))[0][1][:, 0].tolist() == [-12, 3, 400, 5, 6, 7]


def test_json_with_decimals_is_exact_down_to_a_nanovolt(house: House) -> None:
    stream = Stream()
    stream.send_json(0, [0.1234, -1.5, 0.25], "mV")
    house.store(stream)
    record = wfdb_parts(house.export("wfdb"))[0]
    assert record.adc_gain == [10_000.0]
    assert record.d_signal[:, 0].tolist() == [1234, -15000, 2500]
    lines = next(house.export("csv").glob("s*.csv")).read_text().splitlines()
    assert [line.split(",")[2] for line in lines[1:]] == ["0.1234", "-1.5", "0.25"]


def test_float32_is_exact_as_csv_and_its_rounding_told_elsewhere(house: House) -> None:
    stream = Stream(encoding=3)
    numbers = np.random.default_rng(2).normal(0, 0.4, (600, 1)).astype(np.float32)
    stream.send(0, numbers)
    house.store(stream)
    lines = next(house.export("csv").glob("s*.csv")).read_text().splitlines()[1:]
    assert np.array_equal(np.array([line.split(",")[2] for line in lines], np.float32), numbers[:, 0])
    folder = house.export("wfdb")
    loss_nv = json.loads((folder / "export.json").read_text())["parts"][0]["largest_error_nv"]
    found = wfdb_parts(folder)[0]
    assert 0 < loss_nv <= 0.5
    assert np.abs(found.d_signal[:, 0] - 1e6 * numbers[:, 0].astype(np.float64)).max() <= loss_nv
    assert any("rounded by at most" in comment for comment in found.comments)


def test_float32_that_was_whole_microvolts_is_exact_everywhere(house: House) -> None:
    stream, units = Stream(encoding=3), noise(600)
    stream.send(0, units * np.float32(0.001))
    house.store(stream)
    assert np.array_equal(wfdb_parts(house.export("wfdb"))[0].d_signal, units)
    assert np.array_equal(edf_parts(house.export("edf"))[0][1], units)


def test_sessions_are_never_joined_and_long_holes_begin_a_new_record(house: House) -> None:
    first, second = Stream(), Stream(session=7)
    first.send(0, noise(512))
    first.send(512 + 60 * 512, noise(512))
    first.send(200_000, noise(512))
    second.send(0, noise(512))
    house.store(first, second)
    folder = house.export("wfdb")
    entries = json.loads((folder / "export.json").read_text())["parts"]
    assert [(e["session"], e["first_sample"], e["n_samples"]) for e in entries] == [
        ("9f3c21d0", 0, 62 * 512),
        ("9f3c21d0", 200_000, 512),
        ("00000007", 0, 512),
    ]
    assert entries[0]["missing"] == [[512, 60 * 512]]
    physical = wfdb.rdrecord(str(folder / "s9f3c21d0_0")).p_signal
    assert np.isnan(physical[512 : 61 * 512]).all()
    assert not np.isnan(physical[:512]).any()


def test_where_chunks_overlap_the_first_to_arrive_counts(house: House) -> None:
    stream = Stream()
    stream.send(10, np.full((20, 1), 1))
    stream.send(0, np.full((40, 1), 2))
    with open_store(house.url).begin() as connection:  # a commit would refuse what contradicts
        Archive.open(house.url).waveforms.append(stream.messages, [], connection)
    stream.messages.sort(key=lambda m: m.received_us)
    first = stream.messages[0].chunk.samples_mv[0, 0] * 1000
    found = wfdb_parts(house.export("wfdb"))[0].d_signal[:, 0]
    assert found[:10].tolist() == [2] * 10
    assert set(found[10:30]) == {round(float(first))}


def test_what_the_device_and_the_services_said_stands_at_its_sample(house: House) -> None:
    stream = Stream()
    for k in range(4):
        stream.send(512 * k, noise(512, seed=k), flags=ChunkFlag.LEAD_OFF if k in {1, 2} else 0)
    stream.send(6 * 512, noise(512), flags=ChunkFlag.CLIPPED)
    stream.send(7 * 512, noise(512), t0_us=START_US)
    house.store(stream)
    engine = open_store(house.url)
    with engine.begin() as connection:
        connection.execute(insert(verdict_table), {
            "device": DEVICE, "session": SESSION, "first_sample": 600, "wall_time_us": 0, "model": "m",
            "decided_us": 1, "historic": False, "findings": '[{"superclass":"MI","presence":"present"}]',
        })  # fmt: skip
        connection.execute(insert(alarm_transition_table), {
            "device": DEVICE, "kind": "asystole", "at_us": stream.messages[2].received_us, "state": "active",
            "priority": "high", "text": "t", "since_us": 0,
        })  # fmt: skip
    engine.dispose()
    folder = house.export("wfdb")
    notes = notes_in(folder)
    assert (512, 1024, "lead off") in notes
    assert (6 * 512, 512, "clipped") in notes
    assert (4 * 512, 1024, "missing") in notes
    assert (7 * 512, 0, "device clock -7.000 s") in notes
    assert (600, 0, "verdict MI") in notes
    assert (3 * 512, 0, "alarm asystole active high") in notes
    annotations = wfdb.rdann(str(folder / "s9f3c21d0_0"), "atr")
    told = set(zip(annotations.sample, annotations.aux_note, strict=True))
    assert {(512, "lead off (1024 samples)"), (600, "verdict MI"), (0, "session 9f3c21d0 sample 0")} <= told
    edf, _ = edf_parts(house.export("edf"))[0]
    assert ("lead off", 1.0, 2.0) in {(a.text, a.onset, a.duration) for a in edf.annotations}


def test_a_span_takes_whole_messages_by_arrival_or_by_the_devices_clock(house: House) -> None:
    stream = Stream()
    for k in range(10):
        stream.send(512 * k, noise(512, seed=k))
    house.store(stream)
    from_us, to_us = stream.messages[3].received_us, stream.messages[6].received_us
    assert [*wfdb_parts(house.export("wfdb", Span(from_us, to_us)))] == [3 * 512]
    folder = house.export("wfdb", Span(from_us, to_us, by_device_clock=True), force=True)
    assert [*wfdb_parts(folder)] == [4 * 512]
    with pytest.raises(ExportError, match="nothing of ward/bed-1 is stored in that span"):
        house.export("csv", Span(0, 5))


def test_nothing_is_overwritten_without_force_and_nothing_half_is_left(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream()
    stream.send(0, noise(512))
    house.store(stream)
    folder = house.export("csv")
    before = sorted((p.name, p.read_bytes()) for p in folder.iterdir())
    with pytest.raises(ExportError, match="exists: choose another --out, or --force"):
        house.export("csv")
    monkeypatch.setattr("ingest.export.export.write_events", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        house.export("csv", force=True)
    assert sorted((p.name, p.read_bytes()) for p in folder.iterdir()) == before
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]
    monkeypatch.undo()
    assert house.export("csv", force=True) == folder


def test_the_list_tells_sessions_lengths_and_gaps(house: House) -> None:
    stream = Stream(fs=100.0)
    stream.send(0, noise(18_000))
    stream.send(20_000, noise(18_000))
    house.store(stream)
    reader = Reader(house.url)
    (line,) = describe(reader, DEVICE, Span(0, END_OF_TIME_US), house.said.append)
    reader.close()
    assert "session 9f3c21d0  I 100 Hz  360.0 s  36000 samples, 2000 missing in 1 gap  arrived 2026-" in line
    assert "device clock 2026-09-21T14:13:20Z to 2026-09-21T14:19:40Z" in line
    assert house.said


@pytest.mark.parametrize(
    ("nv_per_unit", "n_leads", "header"),
    [(1000, 1, "I (1000 nV)"), (2861, 2, "I (2861 nV),II (2861 nV)")],
)
def test_a_table_says_what_its_integers_count(
    house: House, nv_per_unit: int, n_leads: int, header: str
) -> None:
    stream = Stream(nv_per_unit=nv_per_unit, n_leads=n_leads)
    stream.send(0, noise(4, n_leads))
    house.store(stream)
    lines = next(house.export("csv").glob("s*.csv")).read_text().splitlines()
    assert lines[0] == f"sample,device_time_us,{header}"


@pytest.mark.parametrize(("unit", "nv"), [("uV", 1000), ("mV", 1_000_000)])
def test_a_table_says_what_its_decimals_count(house: House, unit: str, nv: int) -> None:
    stream = Stream()
    stream.send_json(0, [1.5, 2.25], unit)
    house.store(stream)
    lines = next(house.export("csv").glob("s*.csv")).read_text().splitlines()
    assert lines[0] == f"sample,device_time_us,I ({nv} nV)"


def test_the_documented_ways_to_open_an_export_give_what_was_sent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, units = Stream(), noise(2048)[:, 0]
    stream.send(0, units[:700, None])
    stream.send(1000, units[1000:, None])
    house.store(stream)
    for format_name in ("wfdb", "edf", "csv"):
        house.export(format_name)
    (house.folder / "out").rename(house.folder / "exports")
    monkeypatch.chdir(house.folder)
    found = []
    for number, snippet in enumerate(re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)):
        path = house.folder / f"snippet_{number}.py"
        path.write_text(snippet)
        found.append(runpy.run_path(str(path)))
    by_wfdb, by_edfio, by_pyedflib, by_pandas = found
    assert np.array_equal(by_wfdb["integers"][:700, 0], units[:700])
    assert np.isnan(by_wfdb["millivolts"][700:1000]).all()
    assert np.allclose(by_wfdb["millivolts"][1000:, 0], units[1000:] / 1000)
    assert "missing (300 samples)" in by_wfdb["notes"].aux_note
    for each in (by_edfio, by_pyedflib):
        assert np.array_equal(each["integers"], units[:700])
    assert by_pandas["table"].dtypes.tolist() == [np.int64] * 2
    assert np.allclose(by_pandas["millivolts"], np.delete(units, range(700, 1000)) / 1000)
    assert by_pandas["with_holes"].isna().sum() == 300


def test_the_list_calls_a_lead_that_nobody_told_unknown(house: House) -> None:
    stream = Stream()
    stream.send(0, noise(512))
    payload = bytearray(stream.messages.pop().payload)
    payload[6] = Lead.UNKNOWN
    stream.keep(bytes(payload), START_US)
    house.store(stream)
    reader = Reader(house.url)
    (line,) = describe(reader, DEVICE, Span(0, END_OF_TIME_US), house.said.append)
    reader.close()
    assert "  unknown 512 Hz  1.0 s  512 samples, 0 missing in 0 gaps  " in line


def test_headers_are_those_of_the_wire() -> None:
    assert HEADER.size == struct.calcsize("<2sBBBBBBIIQqqIHH")
