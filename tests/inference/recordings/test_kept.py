"""A recording that is kept comes back as it was read, and so does what is said of it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import numpy as np
import pytest
from fhir.resources.R4B.observation import Observation
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.recording_files import ecg_uv
from inference.alarms.messages import decode_message
from inference.classifier import Classifier
from inference.recordings.judge import judge
from inference.recordings.kept import (
    MAX_CHUNKS,
    NO_START,
    KeptRecording,
    chunks_of,
    decode_kept,
    id_of,
    kept_of,
    nameless,
    recording_of,
)
from inference.recordings.replay import live_chunks
from inference.recordings.summary import Summary, summary_of
from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.export.fhir_observation import observation_of
from ingest.mappers.exact import encode_exactly
from ingest.recordings import Format, Hints, Recording, RecordingError
from ingest.recordings.reader import read_source
from ingest.recordings.recording import Source
from ingest.topics import verdict_topic
from ingest.wire import decode

START = datetime(2026, 7, 26, 21, 56, 26, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summary_of(judge(recording(ecg_uv(12, 300) / 1000, fs=300.0), Classifier.load()))


def recording(samples_mv: NDArray[np.floating], fs: float = 511.422, **more: object) -> Recording:
    plain = Recording(
        samples_mv.astype(np.float32), fs, Lead.I, Format.APPLE, "export.zip: Jane Roe ecg_7.csv"
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def kept(one: Recording, summary: Summary) -> KeptRecording:
    told = replace(
        summary, fs=one.fs, identity=one.identity, lead_told=one.lead.name,
        start=iso(one.start), local_start=iso(one.local_start),
    )  # fmt: skip
    return kept_of(one, told, added_us=1, who="A. B.")


def over_the_wire(chunks: Iterator[Chunk], device: str) -> list[Chunk]:
    return [decode(encode_exactly(each), device) for each in chunks]


@given(st.integers(1, 40_000), st.sampled_from([130.0, 511.422, 1000.0]), st.integers(0, 2**32 - 1))
def test_samples_holes_and_clipping_come_back_bit_by_bit(
    summary: Summary, n: int, fs: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    samples_mv = rng.normal(size=n)
    samples_mv[np.repeat(rng.random(n // 500 + 1) < 0.3, 500)[:n]] = np.nan
    samples_mv[0] = 1.0
    clipped = np.repeat(rng.random(n // 300 + 1) < 0.2, 300)[:n] & ~np.isnan(samples_mv)
    one = recording(samples_mv, fs, start=START, clipped=clipped if clipped.any() else np.zeros(0, bool))
    about = decode_kept(msgspec.json.encode(kept(one, summary)))
    chunks = over_the_wire(chunks_of(one, about), about.device)
    rng.shuffle(chunks)
    back = recording_of(about, chunks)
    np.testing.assert_array_equal(back.samples_mv, one.samples_mv)
    np.testing.assert_array_equal(back.clipped, one.clipped)
    assert (back.identity, id_of(back), back.fs, back.start) == (one.identity, about.id, one.fs, START)
    assert all(ChunkFlag.HISTORIC in each.flags for each in chunks)  # nothing of it is ever live
    assert all(each.n_samples <= 10 * fs + 1 for each in chunks)


@pytest.mark.parametrize(
    ("start", "local_start", "expected"),
    [
        (START, None, START),
        (None, datetime(2026, 7, 26, 21, 56), datetime(2026, 7, 26, 21, 56, tzinfo=UTC)),  # noqa: DTZ001
        (None, None, NO_START),
    ],
)
def test_the_clock_is_the_same_each_time_the_file_is_read(
    summary: Summary, start: datetime | None, local_start: datetime | None, expected: datetime
) -> None:
    one = recording(np.ones(9000), start=start, local_start=local_start)
    about = kept(one, summary)
    assert about.start_us == round(expected.timestamp() * 1e6)
    assert about.is_start_known == (start is not None)
    first, *_, last = chunks_of(one, about)
    assert first.wall_time_us == about.start_us
    assert last.wall_time_us == about.start_us + round(last.first_sample * 1e6 / one.fs)


def test_another_lead_is_another_recording() -> None:
    one = recording(np.ones(500))
    assert id_of(one) == id_of(replace(one, file="b.csv", device="Watch"))
    assert id_of(one) != id_of(replace(one, lead=Lead.II))


def test_what_is_torn_into_too_many_pieces_is_refused(summary: Summary) -> None:
    torn = np.where(np.arange(3 * MAX_CHUNKS) % 2, np.nan, 1.0)
    with pytest.raises(RecordingError, match=r"gaps, want at most 100000"):
        kept(recording(torn), summary)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("ecg_2026-07-26.csv", "ecg_2026_07_26.csv"),
        ("export.zip: electrocardiograms/ecg_2024-01-02_1.csv", "ecg_2024_01_02_1.csv"),
        ("Jane Roe ECG.csv", "ECG.csv"),
        ("roe.jane", "recording"),
        ("roe.edf", "recording.edf"),
        ("../../etc/passwd", "recording"),
        ("", "recording"),
        ("7" * 300, "7" * 60),
    ],
)
def test_no_name_is_kept(file: str, expected: str) -> None:
    assert nameless(file) == expected


def test_a_finished_recording_is_nobody_to_watch() -> None:
    (verdict,) = judge(recording(ecg_uv(10, 300) / 1000, fs=300.0), Classifier.load()).windows
    for device, n_events in (("recordings/a1", 0), ("ward/bed-1", 1)):
        payload = msgspec.json.encode(replace(verdict, device=device, decided_us=1, historic=True))
        decoded = decode_message(verdict_topic(device), payload, 1)
        assert (len(decoded.events), decoded.refused) == (n_events, [])


@given(st.integers(1, 3000), st.sampled_from([0.001, 0.000001, None]), st.integers(0, 2**32 - 1))
def test_fhir_gives_back_what_was_read(n: int, step_mv: float | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    if step_mv is None:
        samples_mv = rng.normal(size=n).astype(np.float32)
    else:  # as readers make them of whole microvolts or nanovolts
        samples_mv = rng.integers(-9000, 9000, n).astype(np.float32) * np.float32(step_mv)
    samples_mv[rng.random(n) < 0.1] = np.nan
    samples_mv[0] = np.float32(0.0)
    document = observation_of(samples_mv, 130.0, Lead.II, START, "Watch6,2")
    assert len(document["component"]) == -(-n // 1300)  # 10 s each
    Observation.model_validate(document)  # as HL7 defines R4B, not as we read it
    (back,) = read_source(Source("fhir.json", msgspec.json.encode(document)), Hints())
    assert isinstance(back, Recording)
    np.testing.assert_array_equal(back.samples_mv, samples_mv)
    assert (back.lead, back.start) == (Lead.II, START)
    assert back.fs == pytest.approx(130.0, rel=1e-12)


def test_a_replay_says_every_sample_once_and_in_its_time() -> None:
    samples_mv = ecg_uv(9, 300) / 1000
    samples_mv[700:1000] = np.nan
    one = recording(samples_mv, 300.0)
    back = np.full(len(samples_mv), np.nan, np.float32)
    for chunk in live_chunks(one, "replay/a", 7, 1_000_000):
        assert chunk.wall_time_us == 1_000_000 + round(chunk.first_sample * 1e6 / 300)
        assert not chunk.flags
        assert np.isnan(back[chunk.first_sample : chunk.end_sample]).all()
        back[chunk.first_sample : chunk.end_sample] = chunk.samples_mv[:, 0]
    np.testing.assert_array_equal(back, one.samples_mv)
