"""The 0.5-40 Hz monitor filter of the live trace (assets/monitor_filter.mjs) for stored samples."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

HIGH_PASS_HZ, LOW_PASS_HZ = 0.5, 40.0
SETTLE_S = 0.5  # the mean of so much stands before the first sample
RUN_IN_S = 4.0  # to be read before what is shown: after it less than 2 % of a wrong start is left


def filtered(samples_mv: NDArray[np.float32], fs: float) -> NDArray[np.float32]:
    """Samples (n,) in mV, NaN where none came -> the same, filtered from start to end.

    Over a hole the filter sees the last value, and the hole stays one.
    """
    is_known = ~np.isnan(samples_mv)
    if not is_known.any():
        return samples_mv
    first = samples_mv[is_known][: max(1, round(SETTLE_S * fs))].mean()
    place = np.maximum.accumulate(np.where(is_known, np.arange(len(samples_mv)), -1))
    held = np.where(place < 0, first, samples_mv[place]) - first  # settled: starts from its own level
    smooth = sosfilt(_sections(fs), held)
    return np.where(is_known, smooth, np.nan).astype(np.float32)


@lru_cache(maxsize=32)
def _sections(fs: float) -> NDArray[Any]:
    """Second-order Butterworth sections; no low-pass where the rate leaves it no room."""
    sections = [butter(2, HIGH_PASS_HZ, "highpass", fs=fs, output="sos")]
    if fs > 2.5 * LOW_PASS_HZ:
        sections.append(butter(2, LOW_PASS_HZ, "lowpass", fs=fs, output="sos"))
    return np.concatenate(sections)
