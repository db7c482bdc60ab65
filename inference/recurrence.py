"""An ECG becomes its recurrence plot: which moments come back to which, by how much and which way.

The unthresholded, signed recurrence plot of a signal x (after Eckmann, Kamphorst & Ruelle 1987) is

    D[i, j] = x_i - x_j                                                  (mV)

It fixes the signal up to its mean. What is usually done next loses the ECG: |D| hides an inverted lead,
scaling to 0..1 hides amplitude, a threshold hides morphology, and pooling 10 s to some 70 points leaves
about a fifth of an R wave. Here nothing of that is done. The network reads the plot in its close-returns
form (Lathrop & Kostelich 1989; Mindlin & Gilmore 1992), the diagonals of D at full rate:

    D[k, t] = x_t - x_{t - k},  k in LAGS                                (mV; 0 where t < k: no partner yet)

and each diagonal is drawn three times:

    signed     clip(D, -2 mV, +2 mV)                                     polarity and amplitude
    soft, e    |D| / (|D| + e),  e = 0.05 mV and 0.25 mV                 recurrence without a hard threshold:
                                                                         0 has come back, 1 is far away

How we differ: no embedding dimension and no threshold. Short lags (10 to 80 ms) carry QRS and ST slopes, long
ones (0.4 to 1.3 s) compare a beat with the one before it. Twelve diagonals cost a hundredth of the full plot.
"""

import numpy as np
from numpy.typing import NDArray

LAGS = (1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 130)  # samples at 100 Hz: 10 ms to 1.3 s, about x1.5 each
CLIP_MV = 2.0  # differences beyond it carry no more: an R wave in lead I is rarely above 2 mV
SOFT_SCALES_MV = (0.05, 0.25)  # half of full scale at half a small square, and at a T wave
N_CHANNELS = len(LAGS) * (1 + len(SOFT_SCALES_MV))
PICTURE_POINTS = 250  # a 10 s plot at 40 ms a point fits a phone's width


def lag_differences(ecg_mv: NDArray[np.floating]) -> NDArray[np.float32]:
    """The chosen diagonals of the signed recurrence plot.

    Args:
        ecg_mv: (n_samples,) at 100 Hz, mV.

    Returns:
        (len(LAGS), n_samples) float32, mV; 0 in the first k samples of lag k.
    """
    ecg = np.asarray(ecg_mv, dtype=np.float32)
    plot = np.zeros((len(LAGS), len(ecg)), dtype=np.float32)
    for row, lag in zip(plot, LAGS, strict=True):
        row[lag:] = ecg[lag:] - ecg[:-lag]
    return plot


def soft_recurrence(difference_mv: NDArray[np.float32], scale_mv: float) -> NDArray[np.float32]:
    """Differences of any shape in mV -> 0 (has come back) to 1 (far away), one half at `scale_mv`."""
    size = np.abs(difference_mv)
    return np.asarray(size / (size + np.float32(scale_mv)), dtype=np.float32)


def lag_plot(ecg_mv: NDArray[np.floating]) -> NDArray[np.float32]:
    """Everything the network sees of a window; its twin inside the graph is `model.LagPlot`.

    Args:
        ecg_mv: (n_samples,) at 100 Hz, mV.

    Returns:
        (N_CHANNELS, n_samples) float32: signed lags in mV, then soft ones for each scale, in LAGS order.
    """
    difference = lag_differences(ecg_mv)
    signed = np.clip(difference, -CLIP_MV, CLIP_MV)
    return np.concatenate([signed, *(soft_recurrence(difference, scale) for scale in SOFT_SCALES_MV)])
