"""Spikes of pacemakers, up to 2 ms, are taken out of the samples of a lead before beats are looked for.

A spike of 2 to 700 mV is larger than any beat, and one that the heart does not answer must not pass for one:
behind it asystole would go unseen. What is as narrow as a spike and stands out from the median of its
surroundings is replaced by that median (EC13 4.1.4 describes the spikes); slopes of a QRS complex pass.
"""

import numpy as np
from numpy.typing import NDArray

SPIKE_S = 0.002
STEP_MV = 0.15  # between neighbouring samples; smaller ones are not looked at
STANDS_OUT_MV = 0.15  # as much as the sharpest R peak of 2.5 mV at 360 Hz, which loses its tip and no more


def reach_of(fs: float) -> int:
    """Samples to each side that decide about one; a spike covers at most as many."""
    return int(SPIKE_S * fs) + 1


def without_spikes(samples_mv: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Samples with `reach` others on both sides (n_streams, n_samples - 2 * reach), freed of spikes."""
    inner = samples_mv[:, reach : samples_mv.shape[1] - reach]
    steps_mv = samples_mv[:, 1:] - samples_mv[:, :-1]
    is_up, is_down = steps_mv > STEP_MV, steps_mv < -STEP_MV
    is_near = np.zeros(inner.shape, bool)
    for width in range(1, reach + 1):  # up and down again, or down and up
        back, forth = is_down[:, width:], is_up[:, width:]
        is_spike = (is_up[:, :-width] & back) | (is_down[:, :-width] & forth)
        if is_spike.any():
            rows, places = np.nonzero(is_spike)
            for place in range(1, width + 1):  # the samples between the two steps
                at = places + place - reach
                is_inside = (at >= 0) & (at < inner.shape[1])
                is_near[rows[is_inside], at[is_inside]] = True
    return _with_medians(samples_mv, is_near, reach) if is_near.any() else inner


def _with_medians(
    samples_mv: NDArray[np.float32], is_near: NDArray[np.bool_], reach: int
) -> NDArray[np.float32]:
    """Where `is_near`, the median of the `reach` samples on both sides, if the sample stands out from it."""
    cleaned = samples_mv[:, reach : samples_mv.shape[1] - reach].copy()
    rows, places = np.nonzero(is_near)
    around_mv = np.sort(samples_mv[rows[:, None], places[:, None] + np.arange(2 * reach + 1)], axis=1)
    usual_mv = around_mv[:, reach]
    stands_out = np.abs(cleaned[rows, places] - usual_mv) > STANDS_OUT_MV
    cleaned[rows[stands_out], places[stands_out]] = usual_mv[stands_out]
    return cleaned
