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
    rows, places = np.nonzero(np.abs(np.diff(samples_mv)) > STEP_MV)
    if not len(rows):
        return inner
    is_near = np.zeros(inner.shape, bool)
    for shift in range(-2 * reach, 2):  # both samples of the step, and what is as near as a spike is wide
        at = places + shift
        is_inside = (at >= 0) & (at < inner.shape[1])
        is_near[rows[is_inside], at[is_inside]] = True
    rows, places = np.nonzero(is_near)
    around_mv = np.sort(samples_mv[rows[:, None], places[:, None] + np.arange(2 * reach + 1)], axis=1)
    usual_mv = around_mv[:, reach]
    cleaned = inner.copy()
    is_spike = np.abs(inner[rows, places] - usual_mv) > STANDS_OUT_MV
    cleaned[rows[is_spike], places[is_spike]] = usual_mv[is_spike]
    return cleaned
