"""How intervals wait, are forgotten and are counted; what is made of them has tests of its own."""

import numpy as np
import pytest

from ingest.rhythm import NOISE_SPAN_S, UNKNOWN_RHYTHM, RhythmFollower, RhythmNumbers

FS = 500.0


def followed(rr: list[int], follower: RhythmFollower, at: int = 0) -> int:
    for each in rr:
        at += each
        follower.push(at, each)
    return at


def steady(seconds: float, rng: np.random.Generator) -> list[int]:
    return [int(each) for each in rng.integers(390, 411, round(seconds / 0.8))]


@pytest.mark.parametrize("seed", range(10))
def test_it_does_not_depend_on_when_it_is_asked(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rr = np.where(rng.random(800) < 0.1, 250, rng.integers(380, 420, 800)).tolist()
    quiet, asked, at = RhythmFollower(FS), RhythmFollower(FS), 0
    for each in rr:
        at += each
        quiet.push(at, each)
        asked.push(at, each)
        if rng.random() < 0.3:
            asked.snapshot(at)
    assert asked.snapshot(at) == quiet.snapshot(at) != UNKNOWN_RHYTHM


def test_intervals_measured_in_noise_leave_no_trace() -> None:
    rng = np.random.default_rng(0)
    clean, noisy = RhythmFollower(FS), RhythmFollower(FS)
    rr = steady(400, rng)
    at = followed(rr, clean)
    followed(rr, noisy)
    noise = [111, 77, 301, 95, 133]
    assert sum(noise) < NOISE_SPAN_S * FS
    end = followed(noise, noisy, at)
    noisy.forget_after(at)
    a, b = clean.snapshot(end), noisy.snapshot(end)
    assert (a.rmssd_ms, a.sdnn_ms, a.ectopic_per_min) == (b.rmssd_ms, b.sdnn_ms, b.ectopic_per_min)
    assert a.rmssd_ms is not None


def test_the_interval_behind_a_hole_is_not_normal_to_normal() -> None:
    """It may be the pause of an early beat that nobody saw."""
    rng = np.random.default_rng(0)
    follower = RhythmFollower(FS)
    at = followed(steady(400, rng), follower)
    follower.push(at + 1000, 600)  # 2 s later, long
    at = followed(steady(10, rng), follower, at + 1000)
    told = follower.snapshot(at)
    assert told.sdnn_ms is not None
    assert told.sdnn_ms < 20
    assert told.rmssd_ms is not None
    assert told.rmssd_ms < 30


def test_an_interval_with_a_missed_beat_is_not_normal_to_normal() -> None:
    rng = np.random.default_rng(0)
    follower = RhythmFollower(FS)
    at = followed([*steady(390, rng), 805, *steady(10, rng)], follower)
    told = follower.snapshot(at)
    assert told.sdnn_ms is not None
    assert told.sdnn_ms < 20


def test_the_newest_beat_is_told_at_once() -> None:
    follower = RhythmFollower(FS)
    at = followed([400] * 20, follower)
    assert follower.snapshot(at).newest_is_ectopic is False
    follower.push(at + 250, 250)
    assert follower.snapshot(at + 250).newest_is_ectopic is True
    follower.push(at + 800, 550)
    assert follower.snapshot(at + 800).newest_is_ectopic is False


def test_all_is_unknown_before_intervals_and_after_a_long_silence() -> None:
    follower = RhythmFollower(FS)
    assert follower.snapshot(0) == UNKNOWN_RHYTHM == RhythmNumbers()
    rng = np.random.default_rng(0)
    at = followed(steady(400, rng), follower)
    assert None not in follower.snapshot(at)[:5]
    assert follower.snapshot(at + round(16 * FS)).irregular is None
    assert follower.snapshot(at + round(61 * FS)).ectopic_per_min is None
    assert follower.snapshot(at + round(400 * FS))[:3] == (None, None, None)
    at = followed(steady(8, rng), follower, at + round(400 * FS))
    assert follower.snapshot(at).irregular is None


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [0.02, 0.25])
def test_ten_minutes_of_intervals_tell_what_a_whole_day_does(seed: int, spread: float) -> None:
    """What ingest replays after a restart; only since when a rhythm is irregular may be longer ago."""
    rng = np.random.default_rng(seed)
    rr = np.maximum(150, rng.normal(400, spread * 400, 4000)).astype(int)
    rr[rng.random(4000) < 0.02] = 250
    ends = np.cumsum(rr)
    whole, after = RhythmFollower(FS), RhythmFollower(FS)
    restart = int(np.searchsorted(ends, ends[-1] - 600 * FS))
    for k, (end, each) in enumerate(zip(ends.tolist(), rr.tolist(), strict=True)):
        whole.push(end, each)
        whole.snapshot(end)
        if k > restart:
            after.push(end, each)
    now = int(ends[-1])
    a, b = whole.snapshot(now), after.snapshot(now)
    assert a[:5] == b[:5]
    assert a.irregular is (spread > 0.1)
