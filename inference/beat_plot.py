"""A prepared window -> its beat plot, as the network on it sees it; for people to look at, without torch.

    B[i, j] = b_i - b_j,  b the mean beat from -0.24 to +0.40 s about R, 64 x 64            (mV)

A beat is found at each peak of QRS energy, the size of the signal's 6 to 20 Hz band averaged over 0.11 s,
that is the highest within +-0.25 s and at least 0.4 of the usual. The twin inside the graph is
`beat_model.BeatPlot`, which takes these numbers from here.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from scipy.signal import firwin

from inference.preprocess import MODEL_FS

QRS_BAND_HZ = (6.0, 20.0)
QRS_TAPS = 41
SMOOTH = 11  # samples, 0.11 s: a QRS becomes one hill
REFRACTORY = 51  # samples, the hill must be highest within +-0.25 s
PEAK_SHARE = 0.4  # of the mean highest hill in 2 s
USUAL_SPAN = 200  # samples
BEFORE, AFTER = 24, 40  # samples about the peak: -0.24 to +0.40 s


def beat_plot(ecg_mv: NDArray[np.floating]) -> NDArray[np.float32]:
    """The signed plot of the mean beat.

    Args:
        ecg_mv: (1000,) mV at 100 Hz, as `prepare_window` gives it.

    Returns:
        (64, 64) float32, mV: row i, column j is b_i - b_j; all 0 where no whole beat was found.
    """
    beat = mean_beat(ecg_mv)
    return np.asarray(beat[:, None] - beat[None, :], dtype=np.float32)


def mean_beat(ecg_mv: NDArray[np.floating]) -> NDArray[np.float32]:
    """(1000,) mV at 100 Hz -> (64,) mV about the peaks of QRS energy; 0 where no whole beat was found."""
    ecg = np.asarray(ecg_mv, dtype=np.float32)
    begins = beat_begins(ecg)
    beats = [ecg[begin : begin + BEFORE + AFTER] for begin in begins]
    return np.mean(beats, axis=0, dtype=np.float32) if beats else np.zeros(BEFORE + AFTER, np.float32)


def beat_begins(ecg_mv: NDArray[np.float32]) -> NDArray[np.int64]:
    """(1000,) mV at 100 Hz -> samples at which a whole beat begins, 0.24 s before its peak."""
    taps = firwin(QRS_TAPS, QRS_BAND_HZ, fs=MODEL_FS, pass_zero=False).astype(np.float32)
    band = np.convolve(ecg_mv, taps, mode="same")
    energy = np.convolve(np.abs(band), np.full(SMOOTH, 1 / SMOOTH, np.float32), mode="same")
    spans = energy[: len(energy) // USUAL_SPAN * USUAL_SPAN].reshape(-1, USUAL_SPAN)
    usual = spans.max(axis=1).mean()
    summit = maximum_filter1d(energy, REFRACTORY, mode="constant", cval=-np.inf)
    is_peak = (energy >= summit) & (energy > PEAK_SHARE * usual)
    return np.flatnonzero(is_peak[BEFORE:-AFTER])
