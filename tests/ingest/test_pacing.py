"""What is looked for only at large steps is what a look at every sample finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.pacing import STANDS_OUT_MV, STEP_MV, reach_of, without_spikes

VALUES_MV = st.sampled_from([0.0, 0.05, 0.14, 0.16, 0.3, -0.3, 5.0, float("nan")])


def by_every_sample(samples_mv: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """The definition, sample by sample, of one stream."""
    steps_mv = np.diff(samples_mv)
    freed = []
    for at in range(reach, len(samples_mv) - reach):
        pairs = [
            (steps_mv[first], steps_mv[last])
            for first in range(at - reach, at)
            for last in range(at, first + reach + 1)
        ]
        is_between = any(min(pair) < -STEP_MV and max(pair) > STEP_MV for pair in pairs)
        usual_mv = np.sort(samples_mv[at - reach : at + reach + 1])[reach]
        is_spike = is_between and abs(samples_mv[at] - usual_mv) > STANDS_OUT_MV
        freed.append(usual_mv if is_spike else samples_mv[at])
    return np.array(freed, np.float32)


@given(
    reach=st.integers(1, 3),
    streams=st.integers(6, 30).flatmap(
        lambda n: st.lists(st.lists(VALUES_MV, min_size=n, max_size=n), min_size=1, max_size=3)
    ),
)
@settings(max_examples=200, deadline=None)
def test_large_steps_tell_all(reach: int, streams: list[list[float]]) -> None:
    samples_mv = np.array(streams, np.float32)
    expected = [by_every_sample(row_mv, reach) for row_mv in samples_mv]
    np.testing.assert_array_equal(without_spikes(samples_mv, reach), expected)


@pytest.mark.parametrize("fs", [250.0, 512.0, 1000.0])
def test_a_spike_is_taken_out_and_a_quiet_lead_is_left_alone(fs: float) -> None:
    quiet_mv = np.random.default_rng(0).normal(0, 0.02, (2, 300)).astype(np.float32)
    reach = reach_of(fs)
    np.testing.assert_array_equal(without_spikes(quiet_mv, reach), quiet_mv[:, reach:-reach])
    paced_mv = quiet_mv.copy()
    paced_mv[1, 100] += 20.0
    freed_mv = without_spikes(paced_mv, reach)
    assert np.abs(freed_mv).max() < 0.15
    np.testing.assert_array_equal(freed_mv[0], quiet_mv[0, reach:-reach])
