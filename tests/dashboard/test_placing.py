"""Samples in time: lateness only adds, a rate that is not quite as claimed is followed, and back again."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dashboard.placing import MAX_DRIFT, placed_by_arrival, placed_by_clock, sessions_of
from ingest.store.waveforms import PLACE

S = 1_000_000
START_US = 1_790_000_000_000_000
FS = 500.0
CHUNK = 125


def places_of(n: int, true_fs: float, delay_us: NDArray[Any], session: int = 7) -> NDArray[Any]:
    """n chunks of a device that really samples at `true_fs`, each under way for `delay_us`."""
    places = np.zeros(n, PLACE)
    places["session"] = session
    places["first_sample"] = np.arange(n) * CHUNK
    places["n_samples"] = CHUNK
    places["received_us"] = START_US + (np.arange(n) + 1) * CHUNK / true_fs * S + delay_us
    return np.sort(places, order="received_us", kind="stable")


@pytest.mark.parametrize("seed", range(10))
def test_samples_are_placed_no_later_than_the_quickest_chunk_of_each_minute_tells(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true_fs = FS * (1 + rng.uniform(-0.01, 0.01))
    delay_us = 40_000 + rng.exponential(200_000, 2400)
    placement = placed_by_arrival(places_of(2400, true_fs, delay_us), FS, "I")
    samples = np.arange(0, 2400 * CHUNK, 777)
    error_us = placement.times_us(samples) - (START_US + samples / true_fs * S)
    inner = slice(len(samples) // 8, -len(samples) // 8)
    assert error_us[inner].min() > 0  # lateness only adds
    assert error_us[inner].max() < 40_000 + 60_000  # 480 chunks a minute: one of them was quick
    np.testing.assert_array_equal(placement.samples_at(placement.times_us(samples)), samples)
    assert (np.diff(placement.times_us(np.arange(0, 2400 * CHUNK))) > 0).all()


def test_a_burst_after_a_broken_connection_is_not_taken_for_the_time_of_its_samples() -> None:
    delay_us = np.full(2400, 50_000.0)
    held = np.arange(800, 1300)  # two minutes that all come at once
    delay_us[held] += (1300 - held) * CHUNK / FS * S
    placement = placed_by_arrival(places_of(2400, FS, delay_us), FS, "I")
    samples = np.arange(0, 2400 * CHUNK, 500)
    error_us = placement.times_us(samples) - (START_US + samples / FS * S)
    assert error_us.min() >= 50_000 - 1
    assert error_us.max() <= 50_000 + MAX_DRIFT * 125 * S  # as far as a clock may be wrong in that time
    assert (np.diff(placement.times_us(np.arange(0, 2400 * CHUNK))) > 0).all()


def test_what_came_late_counts_for_no_placement_and_sessions_are_told_apart() -> None:
    live, other = places_of(40, FS, np.zeros(40)), places_of(90, FS, np.zeros(90), session=8)
    late = places_of(10, FS, np.full(10, 1e9))
    late["historic"] = True
    found = list(sessions_of(np.concatenate([live, late, other]), 5))
    assert [(int(each["session"][0]), len(each)) for each in found] == [(8, 90), (7, 40)]
    assert len(list(sessions_of(np.concatenate([live, other]), 1))) == 1


def test_a_late_session_is_placed_by_the_clock_of_its_windows() -> None:
    first = np.array([5000, 0, 10_000])
    placement = placed_by_clock(7, FS, "II", first, START_US + first / FS * S)
    assert placement.is_late
    assert placement.times_us(np.array([0, 2500, 12_345])).tolist() == [
        START_US, START_US + 5 * S, START_US + 24.69 * S,
    ]  # fmt: skip
