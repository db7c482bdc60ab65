"""The last seconds of one lead -> what they are good for: good, lead off, flat, saturated or noisy."""

from collections import deque
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SPAN_S = 3.0  # long enough for a beat at 20 bpm, short enough to show a loose lead within 5 s
FLAT_UV = 5.0  # one step of most wearables' converters; asystole still wanders and hums above it
RAIL_SHARE = 0.05  # share of samples at one extreme value that only a saturated input shows ...
RAIL_RANGE_MV = 1.0  # ... when it swings this far; a quiet lead repeats its few values too
CUT_HZ = 50.0  # what lies above says nothing that what lies below does not, and varies with fs
BANDS_HZ = ((6.0, 25.0), (25.0, 45.0), (1.0, 5.0), (0.0, 1.0))  # QRS, muscle, waves, wander
SMALLEST_MV = (1e-4, 1e-4, 1e-4, 1e-4, 1e-3)  # added before each logarithm
PEAK_SHARE = 0.967  # quantile that stands for the QRS: a complex fills more than 3 % of any 3 s

# Logistic regression on the logarithms below (mV), trained on 3 s stretches: noisy against normal recordings
# of CinC 2017, and MIT-BIH where recorded electrode motion or added muscle noise cost beats against MIT-BIH
# as it is. The bias is set so that no more than 3 % of the normal recordings' seconds are refused.
PEAKEDNESS, USUAL, PEAK, MUSCLE, WAVES, WANDER, BIAS = -1.73, 1.33, -2.92, 0.46, 0.64, 0.85, 8.58 - 1.2
# Asystole has no QRS to stand out either. It is told from noise by size: one of these must be exceeded.
NOISY_USUAL_MV, NOISY_WAVES_MV, NOISY_WANDER_MV = 0.03, 0.1, 1.5


class SignalState(StrEnum):
    """What the last seconds of the signal are good for; the words are shown to people."""

    GOOD = "good"
    LEAD_OFF = "lead off"
    FLAT = "flat line"  # a constant value: an electrode or device failure, not asystole
    SATURATED = "saturated"
    NOISY = "noisy"
    SLOW_SAMPLING = "slow sampling"  # too few samples a second to find beats
    NO_DATA = "no data"


class SignalQuality:
    """Judge one lead over its last 3 s."""

    def __init__(self, fs: float) -> None:
        self._fs = fs
        self._span = round(SPAN_S * fs)
        self._stretches: deque[NDArray[np.float32]] = deque()
        self._held = 0
        self._is_off = False
        self._since_clipped = self._span  # samples since the device last flagged it

    def push(self, samples_mv: NDArray[np.float32], *, lead_off: bool, clipped: bool) -> None:
        """Take the next samples (n_samples,) with what the device says about all of them."""
        n = len(samples_mv)
        self._is_off = lead_off
        self._since_clipped = 0 if clipped else self._since_clipped + n
        self._stretches.append(samples_mv)
        self._held += n
        while self._held - len(self._stretches[0]) >= self._span:
            self._held -= len(self._stretches.popleft())

    def gap(self) -> None:
        """Samples are missing: judge only what comes after."""
        self._stretches.clear()
        self._held = 0

    def state(self) -> SignalState:
        """What holds now; good while there is too little to say otherwise."""
        if self._is_off:
            return SignalState.LEAD_OFF
        if self._since_clipped < self._span:
            return SignalState.SATURATED
        if self._held < self._span:
            return SignalState.GOOD
        newest_mv = np.concatenate(self._stretches)[-self._span :]
        low_mv, high_mv = newest_mv.min(), newest_mv.max()
        if (high_mv - low_mv) * 1000.0 <= FLAT_UV:
            return SignalState.FLAT
        at_rail = max(np.count_nonzero(newest_mv == low_mv), np.count_nonzero(newest_mv == high_mv))
        if at_rail > RAIL_SHARE * len(newest_mv) and high_mv - low_mv >= RAIL_RANGE_MV:
            return SignalState.SATURATED
        return SignalState.NOISY if is_noisy(newest_mv, self._fs) else SignalState.GOOD


def is_noisy(samples_mv: NDArray[np.floating], fs: float) -> bool:
    """True when beats cannot be trusted in this stretch (n_samples,) of about 3 s without missing samples."""
    n = len(samples_mv)
    bands, top = _bands(n, fs)
    spectrum = np.fft.rfft(samples_mv - samples_mv.mean())[: top + 1] * (2.0 * top / n)
    qrs_mv, muscle_mv, waves_mv, wander_mv = np.fft.irfft(bands * spectrum, 2 * top)  # at 100 Hz
    size_mv = np.sort(np.abs(qrs_mv))
    usual_mv, peak_mv = size_mv[top], size_mv[int(PEAK_SHARE * 2 * top)]
    waves_rms_mv, wander_range_mv = waves_mv.std(), np.ptp(wander_mv)
    if usual_mv < NOISY_USUAL_MV and waves_rms_mv < NOISY_WAVES_MV and wander_range_mv < NOISY_WANDER_MV:
        return False
    power = np.square(qrs_mv)
    peakedness = np.square(power).mean() / (np.square(power.mean()) + 1e-12)  # kurtosis: 3 for noise
    sizes_mv = np.array([usual_mv, peak_mv, np.sort(np.abs(muscle_mv))[top], waves_rms_mv, wander_range_mv])
    score = BIAS + PEAKEDNESS * np.log(peakedness + 1e-6)
    score += np.log(sizes_mv + SMALLEST_MV) @ (USUAL, PEAK, MUSCLE, WAVES, WANDER)
    return bool(score > 0.0)


@lru_cache(maxsize=64)  # the same for every device of one rate
def _bands(n: int, fs: float) -> tuple[NDArray[np.bool_], int]:
    """Which values of the spectrum belong to each band (n_bands, top + 1), and top, the last value used."""
    top = min(int(CUT_HZ * n / fs), n // 2)
    hertz = np.arange(top + 1) * (fs / n)
    return np.array([(hertz >= low) & (hertz < high) for low, high in BANDS_HZ]), top
