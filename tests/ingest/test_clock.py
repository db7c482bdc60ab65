from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest import clock as clocks
from ingest.clock import ClockFit

FS = 512.0
TRUE_FS = 512.4
EPOCH_S = 1_790_000_000.0


def arrivals(seconds: float, seed: int = 0, first: int = 10**12) -> NDArray[np.float64]:
    """Rows of (end sample, device wall seconds, received seconds): 250 ms chunks, one-sided jitter."""
    rng = np.random.default_rng(seed)
    taken_s = np.arange(0.25, seconds, 0.25)
    delay_s = 0.02 + rng.exponential(0.03, len(taken_s))
    return np.column_stack(
        [first + np.round(taken_s * TRUE_FS), EPOCH_S + taken_s + 3.0, EPOCH_S + taken_s + delay_s]
    )


def fitted(rows: NDArray[np.float64]) -> ClockFit:
    clock = ClockFit()
    for end_sample, wall_s, received_s in rows[np.argsort(rows[:, 2], kind="stable")]:
        clock.push(int(end_sample), round(wall_s * 1e6), float(received_s), FS)
    return clock


def test_rate_and_offset_are_found_within_a_hundredth_of_a_percent_in_ten_minutes() -> None:
    clock = fitted(arrivals(600))
    assert clock.fs_measured == pytest.approx(TRUE_FS, rel=1e-4)
    assert clock.offset_s == pytest.approx(3.0, abs=0.05)


def test_the_rate_is_unknown_before_thirty_seconds_and_near_after() -> None:
    assert ClockFit().offset_s is None
    assert fitted(arrivals(29)).fs_measured is None
    assert fitted(arrivals(36)).fs_measured == pytest.approx(TRUE_FS, rel=2e-3)


@pytest.mark.parametrize("outage", [(100, 160), (0, 100), (500, 600)])
def test_a_backlog_that_arrives_at_once_does_not_bend_the_rate(outage: tuple[int, int]) -> None:
    rows = arrivals(601)
    is_held = (rows[:, 2] > EPOCH_S + outage[0]) & (rows[:, 2] < EPOCH_S + outage[1])
    rows[is_held, 2] = EPOCH_S + outage[1] + np.arange(is_held.sum()) * 1e-3
    assert fitted(rows).fs_measured == pytest.approx(TRUE_FS, rel=2e-4)


@pytest.mark.parametrize("step_s", [-3600.0, -2.0, 2.0, 3600.0])
def test_a_step_of_the_arrival_clock_does_not_bend_the_rate(step_s: float) -> None:
    rows = arrivals(600)
    clock = ClockFit()
    for k, (end_sample, wall_s, received_s) in enumerate(rows):
        shift = step_s if k > 1200 else 0.0
        clock.push(int(end_sample), round(wall_s * 1e6), float(received_s + shift), FS)
    assert clock.fs_measured == pytest.approx(TRUE_FS, rel=2e-4)


def test_a_step_of_the_device_clock_is_followed_within_a_minute() -> None:
    rows = arrivals(600)
    rows[rows[:, 2] > EPOCH_S + 500, 1] += 7.0
    assert fitted(rows).offset_s == pytest.approx(10.0, abs=0.05)


def fitted_anew(clock: ClockFit) -> tuple[float | None, tuple[float, float] | None, float | None]:
    """Rate, its spread and the clock's offset, from all bins at once."""
    bins = list(clock._bins)
    offset_s = median(each.wall_s - each.received_s for each in bins[-clocks.OFFSET_BINS :])
    if len(bins) < clocks.MIN_BINS:
        return None, None, offset_s
    lag = max(1, min(clocks.MAX_LAG, len(bins) // 2))
    steps = [
        (b.end_sample - a.end_sample, b.received_s - a.received_s)
        for a, b in zip(bins[:-lag], bins[lag:], strict=True)
    ]
    rates = sorted(samples / seconds for samples, seconds in steps if samples > 0 and seconds > 0)
    if not rates:
        return None, None, offset_s
    few = len(rates) // 10
    between = (rates[few], rates[-1 - few]) if len(bins) >= clocks.SURE_BINS else None
    return median(rates), between, offset_s


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.2))
def test_a_clock_is_fitted_as_if_from_all_bins_each_time(seed: int, trouble: float) -> None:
    rng = np.random.default_rng(seed)
    clock, end_sample, received_s = ClockFit(), 10**12, 1_790_000_000.0
    for _ in range(400):  # beyond the 121 bins that are kept
        end_sample += 1024
        received_s += 2.0 + rng.exponential(0.05)
        if rng.random() < trouble:
            end_sample += int(rng.choice([-5_000, 0, 5_000]))
            received_s += float(rng.choice([-600.0, -3.0, 40.0]))
        clock.push(end_sample, round(received_s * 1e6 + rng.normal(0, 1e4)), received_s, 512.0)
        rate_hz, between_hz, offset_s = fitted_anew(clock)
        assert (clock.fs_measured, clock.offset_s) == (rate_hz, offset_s)
        assert rate_hz is None or clock.fs_between == between_hz
    assert len(clock._bins) == clocks.MAX_BINS or trouble > 0.0
