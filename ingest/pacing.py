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
    steep = np.flatnonzero(np.abs(steps_mv) > STEP_MV)
    if len(steep) < 2:
        return inner
    rows, places = _between_opposite(steps_mv, steep, reach)
    places = places - (reach - 1)
    is_inner = (places >= 0) & (places < inner.shape[1])
    return _with_medians(samples_mv, rows[is_inner], places[is_inner], reach) if is_inner.any() else inner


def _between_opposite(
    steps_mv: NDArray[np.float32], steep: NDArray[np.int64], reach: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the steps behind which a sample lies between a step up and a step down.

    The two are at most `reach` steps apart. `steep` are the large steps, counted row by row: only these few
    are looked at.
    """
    n = steps_mv.shape[1]
    rows, is_up, is_between = steep // n, steps_mv.reshape(-1)[steep] > 0.0, np.zeros(steps_mv.size, bool)
    for other in range(1, min(reach, len(steep) - 1) + 1):  # up and down again, or down and up
        is_pair = (steep[other:] - steep[:-other] <= reach) & (is_up[other:] != is_up[:-other])
        pairs = np.flatnonzero(is_pair & (rows[other:] == rows[:-other]))
        begin, end = steep[pairs], steep[pairs + other]
        for place in range(reach):
            is_between[(begin + place)[begin + place < end]] = True
    return np.divmod(np.flatnonzero(is_between), n)


def _with_medians(
    samples_mv: NDArray[np.float32], rows: NDArray[np.int64], places: NDArray[np.int64], reach: int
) -> NDArray[np.float32]:
    """At these places the median of the `reach` samples on both sides, if the sample stands out from it."""
    cleaned = samples_mv[:, reach : samples_mv.shape[1] - reach].copy()
    around_mv = np.sort(samples_mv[rows[:, None], places[:, None] + np.arange(2 * reach + 1)], axis=1)
    usual_mv = around_mv[:, reach]
    stands_out = np.abs(cleaned[rows, places] - usual_mv) > STANDS_OUT_MV
    cleaned[rows[stands_out], places[stands_out]] = usual_mv[stands_out]
    return cleaned
