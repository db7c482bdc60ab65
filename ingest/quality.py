"""The last seconds of one lead -> what they are good for: good, lead off, flat, saturated or noisy."""

from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft  # several rows at once cost an eighth of numpy's, and no bit differs

SPAN_S = 3.0  # long enough for a beat at 20 bpm, short enough to show a loose lead within 5 s
FLAT_UV = 5.0  # one step of most wearables' converters; asystole still wanders and hums above it
RAIL_SHARE = 0.05  # share of samples at one extreme value that only a saturated input shows ...
RAIL_RANGE_MV = 1.0  # ... when it swings this far; a quiet lead repeats its few values too
CUT_HZ = 50.0  # what lies above says nothing that what lies below does not, and varies with fs
BANDS_HZ = ((6.0, 25.0), (25.0, 45.0), (1.0, 5.0), (0.0, 1.0))  # QRS, muscle, waves, wander
SMALLEST_MV = np.array([1e-4, 1e-4, 1e-4, 1e-4, 1e-3])  # added before each logarithm
PEAK_SHARE = 0.967  # quantile that stands for the QRS: a complex fills more than 3 % of any 3 s

# Logistic regression on the logarithms below (mV), trained on 3 s stretches: noisy against normal recordings
# of CinC 2017, and MIT-BIH where recorded electrode motion or added muscle noise cost beats against MIT-BIH
# as it is. The bias is set so that no more than 3 % of the normal recordings' seconds are refused.
WEIGHTS = np.array([1.33, -2.92, 0.46, 0.64, 0.85])  # usual QRS, its peak, muscle, waves, wander
PEAKEDNESS, BIAS = -1.73, 8.58 - 1.2
# Asystole has no QRS to stand out either. It is told from noise by size: one of these must be exceeded.
ABSURD_MV = 1e6  # a kilovolt is no signal; from 1e9 mV on the powers here overflow, and say nothing
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
        self.fs = fs
        self._span = round(SPAN_S * fs)
        self._stretches: deque[NDArray[np.float32]] = deque()
        self._held = 0
        self._is_off = False
        self._since_clipped = self._span  # samples since the device last flagged it
        self._judged: SignalState | None = None  # of what is held now
        self._range_mv = 0.0
        self.judged = 0  # judgements so far, each with samples that were not there before

    def push(self, samples_mv: NDArray[np.float32], *, lead_off: bool, clipped: bool) -> None:
        """Take the next samples (n_samples,) with what the device says about all of them."""
        n = len(samples_mv)
        self._is_off = lead_off
        self._since_clipped = 0 if clipped else self._since_clipped + n
        self._stretches.append(samples_mv)
        self._held += n
        self._judged = None
        while self._held - len(self._stretches[0]) >= self._span:
            self._held -= len(self._stretches.popleft())

    def gap(self) -> None:
        """Samples are missing: judge only what comes after."""
        self._stretches.clear()
        self._held = 0
        self._judged = None

    def state(self) -> SignalState:
        """What holds now; good while there is too little to say otherwise."""
        if self._is_off:
            return SignalState.LEAD_OFF
        if self._since_clipped < self._span:
            return SignalState.SATURATED
        if self._held < self._span:
            return SignalState.GOOD
        if self._judged is None:
            judge_together([self])
        return self._judged or SignalState.GOOD

    @property
    def range_mv(self) -> float | None:
        """From peak to peak of the newest 3 s; None where `state` does not rest on them."""
        is_told = self._is_off or self._since_clipped < self._span
        return None if is_told or self._judged is None else self._range_mv

    def newest_mv(self) -> NDArray[np.float32]:
        """The newest 3 s of samples (n_samples,); fewer while there are no more."""
        return np.concatenate(self._stretches)[-self._span :]

    def unjudged_mv(self) -> NDArray[np.float32] | None:
        """The newest 3 s where `state` depends on them and they were not judged yet, else None."""
        is_told = self._is_off or self._since_clipped < self._span or self._held < self._span
        if is_told or self._judged is not None:
            return None
        return self.newest_mv()

    def judge(self, state: SignalState, range_mv: float) -> None:
        """Note what `unjudged_mv` was found to be; it holds until more samples come."""
        self._judged, self._range_mv = state, range_mv
        self.judged += 1


def judge_together(qualities: Sequence[SignalQuality]) -> None:
    """Judge all that wait for it, each as if it were alone; those of one rate share the arithmetic."""
    by_fs: dict[float, list[tuple[SignalQuality, NDArray[np.float32]]]] = {}
    for quality in qualities:
        newest_mv = quality.unjudged_mv()
        if newest_mv is not None:
            by_fs.setdefault(quality.fs, []).append((quality, newest_mv))
    for fs, several in by_fs.items():
        states = _states_of(np.array([newest_mv for _, newest_mv in several]), fs)
        for (quality, _), (state, range_mv) in zip(several, states, strict=True):
            quality.judge(state, range_mv)


def _states_of(stretches_mv: NDArray[np.float32], fs: float) -> list[tuple[SignalState, float]]:
    """Flat, saturated, noisy or good, and mV from peak to peak, for each of (n_stretches, n_samples)."""
    low_mv, high_mv = np.minimum.reduce(stretches_mv, 1), np.maximum.reduce(stretches_mv, 1)
    range_mv = high_mv - low_mv
    at_low = np.add.reduce(stretches_mv == low_mv[:, None], 1, np.intp)
    at_high = np.add.reduce(stretches_mv == high_mv[:, None], 1, np.intp)
    is_at_rail = np.maximum(at_low, at_high) > RAIL_SHARE * stretches_mv.shape[1]
    is_saturated = is_at_rail & (range_mv >= RAIL_RANGE_MV)
    is_flat = range_mv * 1000.0 <= FLAT_UV
    of_each = zip(is_flat, is_saturated, noisy_among(stretches_mv, fs), strict=True)
    states = [_state_of(*flags) for flags in of_each]
    return list(zip(states, range_mv.tolist(), strict=True))


def _state_of(is_flat: np.bool_, is_saturated: np.bool_, is_noisy: np.bool_) -> SignalState:
    if is_flat:
        return SignalState.FLAT
    if is_saturated:
        return SignalState.SATURATED
    return SignalState.NOISY if is_noisy else SignalState.GOOD


def is_noisy(samples_mv: NDArray[np.floating], fs: float) -> bool:
    """True when beats cannot be trusted in this stretch (n_samples,) of about 3 s without missing samples."""
    return bool(noisy_among(samples_mv[None], fs)[0])


@np.errstate(over="ignore", invalid="ignore")  # see ABSURD_MV
def noisy_among(stretches_mv: NDArray[np.floating], fs: float) -> NDArray[np.bool_]:
    """`is_noisy` for each of (n_stretches, n_samples)."""
    bands, top = _bands(stretches_mv.shape[1], fs)
    spectra = rfft(stretches_mv - _mean(stretches_mv)[:, None])
    banded_mv = irfft(bands * spectra[:, None, : top + 1], 2 * top)  # (n_stretches, n_bands, 2 * top)
    qrs_mv, muscle_mv, waves_mv, wander_mv = banded_mv.swapaxes(0, 1)  # each without its mean
    size_mv = np.sort(np.abs(qrs_mv))
    usual_mv, peak_mv = size_mv[:, top], size_mv[:, int(PEAK_SHARE * 2 * top)]
    muscle_size_mv = np.sort(np.abs(muscle_mv))[:, top]
    waves_rms_mv = np.sqrt(_mean(np.square(waves_mv)))
    wander_range_mv = np.maximum.reduce(wander_mv, 1) - np.minimum.reduce(wander_mv, 1)
    power = np.square(qrs_mv)
    kurtosis = _mean(np.square(power)) / (np.square(_mean(power)) + 1e-12)  # 3 for noise
    sizes_mv = np.array([usual_mv, peak_mv, muscle_size_mv, waves_rms_mv, wander_range_mv])
    weighed = np.log(sizes_mv.T + SMALLEST_MV) * WEIGHTS
    score = BIAS + PEAKEDNESS * np.log(kurtosis + 1e-6) + np.add.reduce(weighed, 1)
    is_quiet = (usual_mv < NOISY_USUAL_MV) & (waves_rms_mv < NOISY_WAVES_MV)
    is_heard = ~(is_quiet & (wander_range_mv < NOISY_WANDER_MV))
    return np.asarray(((score > 0.0) & is_heard) | ~(peak_mv < ABSURD_MV), np.bool_)


def _mean(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """The mean of each row, without the 5 us that ndarray.mean spends on any call."""
    means: NDArray[np.floating] = np.add.reduce(rows, 1) / np.float32(rows.shape[1])
    return means


@lru_cache(maxsize=64)  # the same for every device of one rate
def _bands(n: int, fs: float) -> tuple[NDArray[np.float32], int]:
    """Weights of each band in a spectrum (n_bands, top + 1), scaled for its inverse; and top, the last."""
    top = min(int(CUT_HZ * n / fs), n // 2)
    hertz = np.arange(top + 1) * (fs / n)
    kept = np.array([(hertz >= low) & (hertz < high) for low, high in BANDS_HZ])
    return np.asarray(kept * (2.0 * top / n), np.float32), top
