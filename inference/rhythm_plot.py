"""A prepared window -> the two plots of the rhythm network; for people to look at, without torch.

    lag plot       D[k, t] = x_t - x_{t-k} of the ECG at 100 Hz, lags 10 ms to 1.6 s                   (mV)
    rhythm plot    R[k, t] = r_t - r_{t-k} of the QRS energy r at 25 Hz, lags 80 ms to 2.4 s

0 where t < k. What r is stands in `rhythm_model`, whose twins inside the graph take these numbers from here.
"""

import numpy as np
from numpy.typing import NDArray

LAGS = (1, 2, 3, 5, 9, 16, 28, 50, 90, 160)  # samples at 100 Hz
SLOPE_LAGS = (2, 3)  # samples at 100 Hz: slopes of a QRS, slower than mains and muscle
RHYTHM_STRIDE = 4  # 25 Hz
ENERGY_SPAN, ENERGY_LEAD = 12, 4  # samples: a point of energy averages 120 ms, from 40 ms before it
RHYTHM_LAGS = tuple(range(2, 61))  # samples at 25 Hz: 80 ms to 2.4 s, 25 to 750 beats a minute
SILENCE_MV = 1e-3  # keeps an empty window from dividing by nothing


def rhythm_plot(ecg_mv: NDArray[np.floating]) -> NDArray[np.float32]:
    """(1000,) mV at 100 Hz -> (59, 250) float32, -1 to 1: at a beat, the row of its RR interval is near 0."""
    slope = np.abs(diagonals(ecg_mv, SLOPE_LAGS)).sum(axis=0)
    n_points = (len(slope) + 2 * ENERGY_LEAD - ENERGY_SPAN) // RHYTHM_STRIDE + 1
    padded = np.pad(slope, ENERGY_LEAD)
    energy = np.array(
        [padded[RHYTHM_STRIDE * p : RHYTHM_STRIDE * p + ENERGY_SPAN].mean() for p in range(n_points)]
    )
    return diagonals(energy / (energy + energy.mean() + SILENCE_MV), RHYTHM_LAGS)


def diagonals(signal: NDArray[np.floating], lags: tuple[int, ...]) -> NDArray[np.float32]:
    """(n,) -> (lags, n) float32 of the signed plot; 0 in the first k samples of lag k."""
    plot = np.zeros((len(lags), len(signal)), dtype=np.float32)
    for row, lag in zip(plot, lags, strict=True):
        row[lag:] = signal[lag:] - signal[:-lag]
    return plot
