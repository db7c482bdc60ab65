"""What a method returns: one window's logit, shared out over its moments and over its plot."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMOOTHING = 9  # samples of a Hann window: 50 ms wide at half height, less than a QRS


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """All values are logits of one superclass, or log odds of one rhythm; positive speaks for it."""

    to_time: NDArray[np.float32]  # (1000,) at 100 Hz
    to_plot: NDArray[np.float32] | None  # (lags, 1000) in the rows' order of the network's LAGS
    effect: float  # what `to_time` should add up to
    completeness_error: float  # |sum of to_time - effect|
    to_beat_plot: NDArray[np.float32] | None = None  # (64, 64), of a superclass
    to_rhythm_plot: NDArray[np.float32] | None = None  # (RHYTHM_LAGS, 250), of a rhythm


def smoothed(to_time: NDArray[np.float64], width: int = SMOOTHING) -> NDArray[np.float64]:
    """(samples,) -> (samples,) with the same total: a Hann window that is folded back at both ends."""
    kernel = np.hanning(width + 2)[1:-1] / np.hanning(width + 2).sum()
    edge = width // 2
    full = np.convolve(to_time, kernel)  # (samples + 2 * edge,)
    inside = full[edge:-edge].copy()
    inside[:edge] += full[:edge][::-1]
    inside[-edge:] += full[-edge:][::-1]
    return inside
