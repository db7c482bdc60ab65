"""Frames become places: exact gaps where the clock is certain, new sessions where it is not."""

import itertools
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from ingest.gateways.polar.clock import Placed, StrapClock, StrapState
from ingest.gateways.polar.decoder import Frame
from tests.ingest.gateways.polar.simulated_strap import BEGAN_NS, BEGAN_US, N

RATES = (128.0, 129.37, 130.0, 130.9)


def frame(k: int, fs: float, set_s: float = 0.0, n: int = N) -> tuple[Frame, int]:
    """Frame k, whose samples say which they are, and when it arrives."""
    last = (k + 1) * n - 1
    first = k * n
    samples = np.arange(first, first + n, dtype=np.int32)
    ns = BEGAN_NS + round((last / fs + set_s) * 1e9)
    return Frame(ns, samples), BEGAN_US + round((last / fs + 0.05) * 1e6)


def new_clock(state: StrapState | None = None) -> StrapClock:
    return StrapClock(itertools.count(1).__next__, state)


def placed_of(clock: StrapClock, frames: list[tuple[Frame, int]]) -> list[Placed]:
    return [placed for each, at_us in frames for placed in clock.push(each, at_us)] + clock.flush()


def shifts(placed: list[Placed]) -> list[tuple[int, int]]:
    """(session, index less the sample that stands there): one a session where all gaps are exact."""
    seen = {(p.session, p.first_sample - int(np.frombuffer(p.samples, np.int32)[0])): None for p in placed}
    return list(seen)


@pytest.mark.parametrize("fs", RATES)
def test_a_whole_stream_is_one_session_without_a_gap_at_its_own_rate(fs: float) -> None:
    placed = placed_of(new_clock(), [frame(k, fs) for k in range(200)])
    assert shifts(placed) == [(1, 0)]
    assert not any(p.is_after_gap for p in placed)
    assert {round(p.fs, 2) for p in placed} == {round(fs, 2)}
    assert [p.seq for p in placed] == list(range(200))


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("lost", [1, 2, 10, 60])
def test_lost_frames_are_a_gap_exact_to_the_sample(fs: float, lost: int) -> None:
    clock = new_clock()
    placed = placed_of(clock, [frame(k, fs) for k in range(150 + lost) if not 100 <= k < 100 + lost])
    assert shifts(placed) == [(1, 0)]
    assert [p.first_sample for p in placed if p.is_after_gap] == [(100 + lost) * N]
    assert (clock.state.gaps, clock.state.lost_samples) == (1, lost * N)


def test_a_lost_frame_does_not_hide_as_slow_samples_even_at_the_start() -> None:
    placed = placed_of(new_clock(), [frame(k, 128.3) for k in range(50) if k != 1])
    assert {session for session, _ in shifts(placed)} == {1, 2}
    assert {round(p.fs, 1) for p in placed if p.session == 2} == {128.3}
    assert sum(len(p.samples) for p in placed) == 49 * N * 4


def test_a_stamp_that_strays_by_three_milliseconds_is_no_gap() -> None:
    rng = np.random.default_rng(1)
    frames = [(Frame(f.last_ns + int(rng.integers(-3_000_000, 3_000_000)), f.samples_uv), at_us)
              for f, at_us in (frame(k, 129.37) for k in range(300))]  # fmt: skip
    assert shifts(placed_of(new_clock(), frames)) == [(1, 0)]


def test_a_gap_that_the_clock_cannot_count_begins_a_new_session() -> None:
    placed = placed_of(new_clock(), [frame(k, 129.37) for k in range(2000) if not 100 <= k < 1500])
    assert [session for session, _ in shifts(placed)] == [1, 2]
    assert next(p for p in placed if p.session == 2).first_sample == 0


@pytest.mark.parametrize("set_s", [-3600.0, -0.2, 0.2, 30.0, 7 * 365 * 86_400.0])
def test_a_clock_that_is_set_begins_a_new_session_and_loses_nothing(set_s: float) -> None:
    frames = [frame(k, 129.37) for k in range(100)] + [frame(k, 129.37, set_s) for k in range(100, 200)]
    placed = placed_of(new_clock(), frames)
    assert [session for session, _ in shifts(placed)] == [1, 2]
    assert sum(len(p.samples) for p in placed) == 200 * N * 4
    assert [p.first_sample for p in placed if p.session == 2] == [k * N for k in range(100)]


def test_a_repeated_frame_is_dropped_and_counted() -> None:
    clock = new_clock()
    frames = [frame(k, 129.37) for k in range(50)]
    placed = placed_of(clock, [each for pair in zip(frames, frames, strict=True) for each in pair])
    assert shifts(placed) == [(1, 0)]
    assert (len(placed), clock.state.duplicates) == (50, 50)


def test_our_time_is_that_of_the_least_delayed_arrival() -> None:
    rng = np.random.default_rng(2)
    frames = [
        (f, at_us + int(rng.integers(0, 400_000))) for f, at_us in (frame(k, 130.0) for k in range(200))
    ]
    placed = placed_of(new_clock(), frames)[20:]
    off_us = [p.wall_time_us - (BEGAN_US + round(p.first_sample / 130.0 * 1e6)) for p in placed]
    assert min(off_us) >= 49_000
    assert max(off_us) < 400_000
    assert np.median(off_us) < 100_000


def life(cut_at: Callable[[int], bool]) -> list[Placed]:
    """A stream with losses, repetitions and a set clock; the state goes through its bytes where `cut_at`."""
    frames = [frame(k, 128.9, 50.0 * (k >= 120)) for k in range(200) if k % 37 != 5]
    numbers = itertools.count(1)
    clock = StrapClock(numbers.__next__)
    placed = list[Placed]()
    for at, (each, at_us) in enumerate(frames):
        placed += clock.push(each, at_us)
        if cut_at(at):
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(clock.state), type=StrapState)
            clock = StrapClock(numbers.__next__, state)
    return placed + clock.flush()


@pytest.mark.parametrize("every", [1, 3, 50])
def test_a_clock_restored_from_its_state_goes_on_as_if_nothing_had_been(every: int) -> None:
    assert life(lambda at: at % every == 0) == life(lambda _: False)


def test_another_strap_has_another_rate() -> None:
    clock = new_clock()
    clock.wear("one")
    first = [p for k in range(50) for p in clock.push(*frame(k, 131.0))]
    first += clock.wear("other")
    assert clock.wear("other") == []
    second = [p for k in range(50, 99) for p in clock.push(*frame(k, 128.2))] + clock.flush()
    assert {round(p.fs, 1) for p in first} == {131.0}
    assert {round(p.fs, 1) for p in second} == {128.2}
