"""What the review page is answered: samples, late ones, verdicts, alarms and files, from either store."""

import json
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray
from sqlalchemy import Engine

from dashboard.past import Past
from dashboard.review_export import data_file
from dashboard.review_routes import add_review_routes
from dashboard.review_source import ReviewSource
from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.records import save_alarms
from inference.records import save_verdicts
from inference.verdict import Finding, Presence, Superclass, Verdict
from ingest.chunk import NO_FLAGS, Chunk, ChunkFlag, Lead
from ingest.store.archive import Archive
from ingest.store.rows import ReceivedChunk
from ingest.store.schema import open_store
from ingest.window import Window
from ingest.wire import decode, encode_binary
from tests.dashboard.test_data_routes import answer_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # wfdb's own, of pandas, at import
    import wfdb

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # same

BED = "ward/bed-1"
S = 1_000_000
START_US = 1_790_000_040_000_000  # a minute begins
FS, CHUNK = 100.0, 50
DELAY_US = 120_000
LIVE, LATE = 7, 8  # sessions
RNG = np.random.default_rng(5)
SENT_UV = RNG.integers(-900, 900, 12_000)
GAP = range(3000, 3500)  # never came
FILLED = range(4000, 4500)  # came late


def received(session: int, first: int, at_us: int, flags: ChunkFlag = NO_FLAGS) -> ReceivedChunk:
    samples_mv = SENT_UV[first : first + CHUNK, None].astype(np.float32) / np.float32(1000)
    wall_us = START_US - 3600 * S + round(first / FS * S)  # its clock is an hour behind
    chunk = Chunk(BED, session, first // CHUNK, first, wall_us, 0, FS, (Lead.II,), samples_mv, flags)
    payload = encode_binary(chunk)
    return ReceivedChunk(decode(payload, BED), payload, at_us)


def moment_us(sample: int) -> int:
    return START_US + round(sample / FS * S) + DELAY_US


def fill(engine: Engine) -> None:
    """Two minutes live with a gap and a part that came later; and an older session that came late."""
    archive = Archive(engine)
    firsts = [first for first in range(0, 12_000, CHUNK) if first not in GAP]
    live = [received(LIVE, first, moment_us(first + CHUNK)) for first in firsts if first not in FILLED]
    filled = [received(LIVE, first, moment_us(90_000), ChunkFlag.HISTORIC) for first in FILLED[::CHUNK]]
    late = [received(LATE, first, moment_us(95_000), ChunkFlag.HISTORIC) for first in range(0, 3000, CHUNK)]
    window = Window(
        device=BED, session=LATE, first_sample=0, wall_time_us=START_US - 3600 * S, fs=FS, lead=Lead.II,
        samples_mv=np.zeros(1000, np.float32), coverage=1.0, lead_off=0.0, clipped=0.0, historic=True,
        closed_us=moment_us(95_100),
    )  # fmt: skip
    archive.commit([*live, *filled, *late], [window])
    findings = tuple(Finding(each, 0.9, 0.4, Presence.PRESENT) for each in Superclass)
    verdict = Verdict(BED, LIVE, 2000, 5, "m1", moment_us(3300), historic=False, findings=findings)
    save_verdicts(engine, [verdict, replace(verdict, session=LATE, first_sample=1000, historic=True)])
    on = Alarm(
        BED, AlarmKind.ASYSTOLE, AlarmQueue.PHYSIOLOGICAL, AlarmPriority.HIGH, AlarmState.ON, "ASYSTOLE 4 s",
        moment_us(1000), moment_us(1000),
    )  # fmt: skip
    later = replace(
        on,
        kind=AlarmKind.RATE_LIMIT,
        text="HR 134 > 120",
        since_us=moment_us(11_000),
        at_us=moment_us(11_000),
    )
    save_alarms(engine, [on, replace(on, state=AlarmState.OFF, at_us=moment_us(1500)), later], {})


@pytest.fixture
def past(store_url: str) -> Iterator[Past]:
    engine = open_store(store_url)
    fill(engine)
    engine.dispose()
    past = Past(store_url)
    yield past
    past.close()


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Past]:
    """The same in files alone, for what no database answers otherwise."""
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    engine = open_store(url)
    fill(engine)
    engine.dispose()
    past = Past(url)
    yield past
    past.close()


def get(past: Past, path: str, **query: object) -> tuple[int, Any]:
    status, body = answer_bytes(past, path, **query)
    return status, json.loads(body)


def answer_bytes(past: Past, path: str, **query: object) -> tuple[int, bytes]:
    server = FastAPI()
    add_review_routes(server, past, ReviewSource(past), lambda: {BED: "Bed one"})
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return answer_of(server, f"/data/{path}?{asked}")


def span(first: int, end: int) -> dict[str, object]:
    return {"from_us": moment_us(first), "to_us": moment_us(end)}


def test_samples_stand_at_their_moments_gaps_are_open_and_what_came_late_is_marked(past: Past) -> None:
    status, picture = get(past, f"picture/{BED}", **span(2900, 4600), points=4000, filter=0)
    assert status == 200
    [piece] = picture["pieces"]
    wanted = [None if i in GAP else int(SENT_UV[i]) for i in range(2900, 4600)]
    assert piece["uv"] == wanted
    assert piece["at_us"] == pytest.approx(moment_us(2900), abs=5)
    assert piece["step_us"] == pytest.approx(S / FS, rel=1e-4)
    assert picture["leads"] == ["II"]
    [late] = picture["late"]
    assert late == pytest.approx([moment_us(4000), moment_us(4500)], abs=5)


def test_a_session_that_came_late_is_shown_at_its_own_time(past: Past) -> None:
    from_us = START_US - 3600 * S + 10 * S
    _, picture = get(past, f"picture/{BED}", from_us=from_us, to_us=from_us + S, points=4000, filter=0)
    assert picture["pieces"][0]["uv"] == SENT_UV[1000:1100].tolist()
    assert picture["late"] == [pytest.approx([from_us, from_us + S], abs=11_000)]
    _, found = get(past, f"happened/{BED}", from_us=from_us, to_us=from_us + S, points=10)
    assert [each["verdict"]["session"] for each in found["verdicts"]] == [LATE]


def test_the_filter_has_settled_before_what_is_shown(files: Past) -> None:
    _, whole = get(files, f"picture/{BED}", **span(0, 2900), points=4000)
    _, part = get(files, f"picture/{BED}", **span(2000, 2900), points=4000)
    shown, wanted = part["pieces"][0]["uv"], whole["pieces"][0]["uv"][2000:]
    assert len(shown) == 900
    assert np.abs(np.array(shown) - np.array(wanted)).max() <= 12
    assert np.abs(np.array(shown) - SENT_UV[2000:2900]).max() > 100


def test_alarms_that_were_on_and_verdicts_are_told_of_the_span_alone(past: Past) -> None:
    _, found = get(past, f"happened/{BED}", **span(1200, 4000), points=28)
    assert [(each["kind"], each["ended_us"]) for each in found["alarms"]] == [("asystole", moment_us(1500))]
    [placed] = found["verdicts"]
    assert placed["at_us"] == pytest.approx(moment_us(2000), abs=5)
    assert [k for k, each in enumerate(found["columns"]["findings"]) if each] in ([7], [8])
    _, found = get(past, f"happened/{BED}", **span(1600, 1900), points=5)
    assert (found["alarms"], found["verdicts"]) == ([], [])


def test_the_stored_devices_and_their_extent(past: Past) -> None:
    assert get(past, "stored") == (200, {"devices": [{"device": BED, "last_us": moment_us(95_000)}]})
    assert get(past, f"extent/{BED}")[1] == {"first_us": moment_us(50), "last_us": moment_us(95_000)}
    assert get(past, "extent/no/body") == (200, {"first_us": None, "last_us": None})


def files_of(past: Past, kind: str, folder: Path, **query: object) -> Path:
    status, body = answer_bytes(past, f"export/{kind}/{BED}", **query)
    assert status == 200
    with zipfile.ZipFile(BytesIO(body)) as archive:
        archive.extractall(folder)
    [made] = folder.iterdir()
    return made


def of_arrivals(first: int, end: int) -> dict[str, object]:
    """The messages first <= i < end, by when they came."""
    return {"from_us": moment_us(first + CHUNK), "to_us": moment_us(end + CHUNK)}


def test_files_hold_the_integers_that_were_sent(past: Past, tmp_path: Path) -> None:
    def close(found: NDArray[Any]) -> None:
        np.testing.assert_array_equal(np.asarray(found).astype(int), SENT_UV[1000:2000])

    folder = files_of(past, "wfdb", tmp_path / "wfdb", **of_arrivals(1000, 2000))
    [header] = folder.glob("*.hea")
    close(wfdb.rdrecord(str(header.with_suffix("")), physical=False).d_signal[:, 0])
    folder = files_of(past, "edf", tmp_path / "edf", **of_arrivals(1000, 2000))
    [path] = folder.glob("*.edf")
    close(edfio.read_edf(path).signals[0].digital)
    folder = files_of(past, "csv", tmp_path / "csv", **of_arrivals(1000, 2000))
    rows = [path.read_text().splitlines() for path in folder.glob("s*.csv")]
    close(np.array([int(line.split(",")[-1]) for line in rows[0][1:]]))


def test_an_export_that_nobody_reads_leaves_nothing_on_the_disk(
    files: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "made"))
    asked = {name: str(value) for name, value in of_arrivals(1000, 2000).items()}
    pieces = data_file(files.address, "csv", BED, asked)
    assert list((tmp_path / "made").iterdir())
    del pieces  # whoever asked has left before the first piece
    assert not list((tmp_path / "made").iterdir())
    assert b"".join(data_file(files.address, "csv", BED, asked)).startswith(b"PK")
    assert not list((tmp_path / "made").iterdir())


def test_a_session_takes_the_memory_of_its_own_samples_however_wide_the_view_is(files: Past) -> None:
    runs = ReviewSource(files).runs(BED, START_US, START_US + 7200 * S, is_filtered=True)
    assert [(run.first_sample, len(run.samples_mv)) for run in runs] == [(0, 12_000)]
    assert all(run.samples_mv.base is None for run in runs)


def test_pictures_are_made_with_the_name_only_when_asked(files: Past) -> None:
    status, png = answer_bytes(files, f"export/png/{BED}", **span(1000, 2000))
    assert (status, png[:4]) == (200, b"\x89PNG")
    status, pdf = answer_bytes(files, f"export/pdf/{BED}", **span(1000, 2000), paper="letter")
    assert (status, pdf[:4]) == (200, b"%PDF")
    _, named = answer_bytes(files, f"export/pdf/{BED}", **span(1000, 2000), paper="letter", name=1)
    assert b"(Bed one)" in named
    assert b"Bed one" not in pdf


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("picture", {"from_us": 0, "to_us": 7_200_000_001, "points": 9}, "at most 7200 s"),
        ("happened", {"from_us": 0, "to_us": 9}, "points is missing"),
        ("export/png", {"from_us": START_US, "to_us": START_US + 61 * S}, "a PNG holds at most 1 min"),
        ("export/pdf", {"from_us": START_US, "to_us": START_US + 601 * S}, "a PDF holds at most 10 min"),
        ("export/csv", {"from_us": 0, "to_us": 90_000 * S}, "a CSV holds at most 1440 min"),
        ("export/exe", {"from_us": 0, "to_us": 9}, "want png, pdf"),
        ("export/png", {"from_us": 0, "to_us": 9}, "no samples"),
        ("export/wfdb", {"from_us": 0, "to_us": 9}, "nothing of"),
        ("export/pdf", {"from_us": START_US, "to_us": START_US + S, "paper": "a5"}, "want a4 or letter"),
    ],
)
def test_what_cannot_be_answered_is_said_in_words(
    files: Past, path: str, query: dict[str, object], words: str
) -> None:
    status, answer = get(files, f"{path}/{BED}", **query)
    assert status == 400
    assert words in answer["error"]
