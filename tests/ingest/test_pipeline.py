from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from ingest.backfill import LIVE_FIRST_US, QUIET_US
from ingest.chunk import NO_FLAGS, Chunk, ChunkFlag, Lead
from ingest.pipeline import DevicePipeline
from ingest.plausibility import BROKEN
from ingest.vitals import SignalState
from ingest.window import NextWindow, Window

FS = 100.0
N = 50
START_US = 1_790_000_000_000_000
LEAD_IN_US = 60_000_000
Arrival = tuple[Chunk, int]


def signal(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    t = np.arange(round(seconds * FS)) / FS
    beats = np.exp(-0.5 * (((t % 0.8) - 0.4) / 0.015) ** 2)
    return (beats + np.random.default_rng(seed).normal(0, 0.01, len(t))).astype(np.float32)


def stream(seconds: float, session: int = 1, start_s: float = 0.0, n: int = N) -> list[Arrival]:
    """Chunks of one session, each arriving 100 ms after its last sample."""
    x = signal(seconds, session)
    chunks = []
    for first in range(0, len(x), n):
        part = x[first : first + n, None].copy()
        wall_us = START_US + round((start_s + first / FS) * 1e6)
        received_us = wall_us + round(len(part) / FS * 1e6) + 100_000
        chunk = Chunk("s/d", session, first // n, first, wall_us, 0, FS, (Lead.I,), part, NO_FLAGS)
        chunks.append((chunk, received_us))
    return chunks


def bad_network(arrivals: Iterable[Arrival], seed: int) -> list[Arrival]:
    """Some chunks lost, some twice, some up to 5 s late, some historic."""
    rng = np.random.default_rng(seed)
    came = []
    for chunk, received_us in arrivals:
        fate = rng.random()
        late_us = round(rng.uniform(0, 5e6)) if fate < 0.15 else 0
        if fate < 0.95:
            came.append((chunk, received_us + late_us))
        if fate > 0.85:
            came.append((chunk, received_us + round(rng.uniform(0, 5e6))))
        if 0.3 < fate < 0.5:
            came.append((replace(chunk, flags=ChunkFlag.HISTORIC), received_us + 20_000_000))
    return sorted(came, key=lambda arrival: arrival[1])


def drive(pipeline: DevicePipeline, arrivals: Iterable[Arrival], from_us: int) -> Iterator[Window]:
    """Push in order of arrival, with a tick each second of time that passes."""
    tick_us = from_us
    for chunk, received_us in arrivals:
        while tick_us + 1_000_000 <= received_us:
            tick_us += 1_000_000
            yield from pipeline.tick(tick_us)
        yield from pipeline.push(chunk, received_us)


def finish(pipeline: DevicePipeline) -> list[Window]:
    return pipeline.tick(START_US + 10**10)


def keys(windows: Iterable[Window]) -> list[tuple[bool, int, int, float, bytes]]:
    return sorted(
        (w.historic, w.session, w.first_sample, w.coverage, w.samples_mv.tobytes()) for w in windows
    )


def stored(arrivals: Iterable[Arrival]) -> list[Arrival]:
    """What the store keeps: the first of each place."""
    kept: dict[tuple[int, int, bool], Arrival] = {}
    for chunk, received_us in arrivals:
        place = (chunk.session, chunk.first_sample, ChunkFlag.HISTORIC in chunk.flags)
        kept.setdefault(place, (chunk, received_us))
    return sorted(kept.values(), key=lambda arrival: arrival[1])


def after_newest(windows: list[Window]) -> NextWindow | None:
    return NextWindow(windows[-1].session, windows[-1].first_sample + round(5.0 * FS)) if windows else None


@pytest.mark.parametrize("seed", range(8))
def test_killed_anywhere_and_replayed_from_the_store_the_same_windows_follow(seed: int) -> None:
    arrivals = bad_network([*stream(70.0), *stream(50.0, session=2, start_s=75.0)], seed)
    options = {"reorder_wait_s": 2.5, "hop_s": 5.0}
    whole = DevicePipeline("s/d", **options)
    expected = [*drive(whole, arrivals, START_US), *finish(whole)]
    assert {(w.session, w.historic) for w in expected} == {(1, False), (2, False)}
    rng = np.random.default_rng(seed)
    for at in rng.integers(1, len(arrivals), 12):
        killed = DevicePipeline("s/d", **options)
        before = list(drive(killed, arrivals[:at], START_US))
        rebuilt = DevicePipeline("s/d", **options)
        replayed = rebuilt.replay(stored(arrivals[:at]), after_newest(before))
        rest = [*drive(rebuilt, arrivals[at:], arrivals[at - 1][1]), *finish(rebuilt)]
        assert keys([*before, *replayed, *rest]) == keys(expected), at


def test_a_minute_of_lead_in_is_enough_to_go_on_identically() -> None:
    arrivals = bad_network(stream(300.0), seed=3)
    arrivals = [(chunk, at_us) for chunk, at_us in arrivals if ChunkFlag.HISTORIC not in chunk.flags]
    whole = DevicePipeline("s/d")
    expected = [*drive(whole, arrivals, START_US), *finish(whole)]
    for at in range(300, len(arrivals), 40):
        before = list(drive(DevicePipeline("s/d"), arrivals[:at], START_US))
        next_first = before[-1].first_sample + 1000
        since_us = START_US + round(next_first / FS * 1e6) - LEAD_IN_US
        rebuilt = DevicePipeline("s/d")
        kept = [arrival for arrival in stored(arrivals[:at]) if arrival[1] >= since_us]
        assert len(kept) < at
        replayed = rebuilt.replay(kept, NextWindow(1, next_first))
        rest = [*drive(rebuilt, arrivals[at:], arrivals[at - 1][1]), *finish(rebuilt)]
        assert keys([*before, *replayed, *rest]) == keys(expected), at


def test_a_session_that_the_store_no_longer_holds_stops_nothing() -> None:
    arrivals = stream(30.0, session=2)
    pipeline = DevicePipeline("s/d")
    assert [w.first_sample for w in pipeline.replay(arrivals, NextWindow(1, 4000))] == [0, 1000, 2000]


@pytest.mark.parametrize("seed", range(10))
def test_windows_and_vitals_do_not_depend_on_chunks_duplicates_or_order_within_the_wait(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plain = DevicePipeline("s/d")
    expected = list(drive(plain, stream(45.0), START_US))
    arrivals = stream(45.0, n=int(rng.integers(10, 120)))
    shaken = [(chunk, at_us + round(rng.uniform(0, 1.2e6))) for chunk, at_us in arrivals]
    shaken += [
        (chunk, at_us + round(rng.uniform(0, 1.2e6))) for chunk, at_us in arrivals if rng.random() < 0.3
    ]
    pipeline = DevicePipeline("s/d")
    got = [
        *drive(pipeline, sorted(shaken, key=lambda a: a[1]), START_US),
        *pipeline.tick(START_US + 49_000_000),
    ]
    assert keys(got) == keys(expected)
    now_us = START_US + 46_000_000
    mine, theirs = pipeline.vitals(now_us), plain.vitals(now_us)
    assert mine is not None
    assert theirs is not None
    assert (mine.heart_rate_bpm, mine.rr_s) == (theirs.heart_rate_bpm, theirs.rr_s)
    assert mine.heart_rate_bpm == pytest.approx(75, abs=1)
    assert mine.duplicates > 0


def test_how_often_time_is_told_changes_no_window() -> None:
    arrivals = bad_network(stream(120.0), seed=1)
    ticked, silent = DevicePipeline("s/d"), DevicePipeline("s/d")
    often = [*drive(ticked, arrivals, START_US), *finish(ticked)]
    never = [w for chunk, at_us in arrivals for w in silent.push(chunk, at_us)] + finish(silent)
    assert keys(often) == keys(never)


def test_historic_chunks_are_told_as_late_and_touch_neither_vitals_nor_live_windows() -> None:
    alone = DevicePipeline("s/d")
    assert [w for chunk, at_us in stream(30.0) for w in alone.push(historic(chunk), at_us)] == []
    assert alone.vitals(START_US + 31_000_000) is None
    assert [late.first_sample for late in alone.take_late()] == list(range(0, 3000, N))
    assert alone.take_late() == []

    plain, beside = DevicePipeline("s/d"), DevicePipeline("s/d")
    expected = list(drive(plain, stream(45.0), START_US))
    backfill = [(historic(c), at_us + 7_000_000) for c, at_us in [*stream(20.0), *stream(20.0, session=8)]]
    got = list(drive(beside, sorted([*stream(45.0), *backfill], key=lambda a: a[1]), START_US))
    assert keys(got) == keys(expected)
    now_us = START_US + 45_000_000
    assert beside.vitals(now_us) == plain.vitals(now_us)


def historic(chunk: Chunk) -> Chunk:
    return replace(chunk, flags=ChunkFlag.HISTORIC)


def test_late_samples_that_the_live_stream_may_still_cut_itself_wait_for_it() -> None:
    pipeline, (*live, ahead, far) = DevicePipeline("s/d"), stream(16.0)
    list(drive(pipeline, live, START_US))
    at_us = live[-1][1]
    for chunk, due_us in ((live[3][0], QUIET_US), (ahead[0], LIVE_FIRST_US), (far[0], LIVE_FIRST_US)):
        pipeline.push(historic(chunk), at_us)
        assert [late.due_us - at_us for late in pipeline.take_late()] == [due_us]


def test_a_live_chunk_too_late_for_its_place_is_told_as_late_and_a_repetition_is_not() -> None:
    pipeline, arrivals = DevicePipeline("s/d"), stream(20.0)
    lost = arrivals.pop(20)
    list(drive(pipeline, arrivals, START_US))
    at_us = arrivals[-1][1]
    pipeline.push(arrivals[-1][0], at_us)
    assert pipeline.take_late() == []
    pipeline.push(lost[0], at_us)
    assert [(late.first_sample, late.n_samples) for late in pipeline.take_late()] == [(20 * N, N)]


def test_losses_duplicates_and_late_chunks_are_in_the_vitals() -> None:
    pipeline = DevicePipeline("s/d")
    arrivals = stream(20.0)
    lost = arrivals.pop(20)
    list(drive(pipeline, [*arrivals, arrivals[-1], (lost[0], arrivals[-1][1])], START_US))
    vitals = pipeline.vitals(arrivals[-1][1] + 100_000)
    assert vitals is not None
    assert (vitals.lost_samples, vitals.duplicates, vitals.late) == (N, 1, 1)
    assert vitals.signal is SignalState.GOOD


def test_the_measured_rate_and_clock_offset_are_in_the_vitals() -> None:
    pipeline = DevicePipeline("s/d")
    list(drive(pipeline, stream(60.0), START_US))
    vitals = pipeline.vitals(START_US + 60_200_000)
    assert vitals is not None
    assert vitals.fs_measured == pytest.approx(FS, rel=1e-3)
    assert vitals.clock_offset_s == pytest.approx(-0.1, abs=0.01)


def test_a_restarted_device_starts_its_vitals_anew() -> None:
    pipeline = DevicePipeline("s/d")
    list(drive(pipeline, [*stream(30.0), *stream(1.0, session=2, start_s=32.0)], START_US))
    vitals = pipeline.vitals(START_US + 33_200_000)
    assert vitals is not None
    assert (vitals.session, vitals.heart_rate_bpm, vitals.rr_s, vitals.last_sample) == (2, None, (), 100)


def test_a_stream_that_begins_anew_with_each_message_is_doubted_and_one_that_restarts_is_not() -> None:
    broken, restarted = DevicePipeline("s/d"), DevicePipeline("s/d")
    for k in range(8):
        (arrival,) = stream(0.5, session=k + 1, start_s=float(k))
        broken.push(*arrival)
    for k in range(3):
        for arrival in stream(10.0, session=k + 1, start_s=10.0 * k):
            restarted.push(*arrival)
    doubtful, sound = broken.vitals(START_US + 8_000_000), restarted.vitals(START_US + 31_000_000)
    assert doubtful is not None
    assert doubtful.doubts == (BROKEN,)
    assert sound is not None
    assert sound.doubts == ()
    later = broken.vitals(START_US + 60_000_000)
    assert later is not None
    assert later.doubts == ()


def test_a_device_that_only_repeats_itself_is_no_live_device() -> None:
    pipeline, arrivals = DevicePipeline("s/d"), stream(10)
    list(drive(pipeline, arrivals, START_US))
    again_us = START_US + 10_000_000
    for second in range(15):
        pipeline.push(arrivals[3][0], again_us + second * 1_000_000)
    vitals = pipeline.vitals(again_us + 15_000_000)
    assert vitals is not None
    assert vitals.signal is SignalState.NO_DATA
    assert vitals.data_age_s > 14
