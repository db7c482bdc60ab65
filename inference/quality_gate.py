"""A window and its prepared form -> the reason why it gets no findings, or None.

The limits of the signal itself are placed on PTB-XL folds 1-8, lead I (3,306 recordings), so that they refuse
at most 3 % of them; percentiles below are of those recordings, prepared as the model sees them. They are
simple on purpose: no beat detection, so that a window that no detector understands is refused, not misread.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.preprocess import BAND_HZ, MODEL_FS, MODEL_SAMPLES
from inference.verdict import Indeterminate
from ingest.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """What a window must keep to."""

    max_lead_off: float = 0.05  # share of samples; the other side of MIN_COVERAGE in wire.md
    max_clipped: float = 0.05  # share of samples the device itself flagged
    max_at_rail: float = 0.02  # share of samples in runs of three or more at the extreme; PTB-XL: 0 in all
    quiet_s: float = 2.0  # a stretch in which a heart above 30 bpm shows a beat
    min_stretch_mv: float = 0.1  # peak to peak in the quietest such stretch; PTB-XL: least 0.137
    max_peak_to_peak_mv: float = 5.0  # PTB-XL: 99.5 % below 2.6; handling of the electrodes is 4 to 6
    max_loudest_stretch: float = 3.0  # against the median stretch; PTB-XL: 99.5 % below 2.4
    max_slow_share: float = (
        0.35  # of power, below 1 Hz (basSQI, Clifford et al. 2012); PTB-XL: 99.5 % below .24
    )
    min_kurtosis: float = 4.0  # kSQI (Li, Mark & Clifford 2008 ask 5); PTB-XL: .5 % below 4.1, noise 2.3-4
    min_slope_kurtosis: float = 5.5  # kSQI of the first difference; PTB-XL: .5 % below 6.0, noise 2.5-3.6


RELEASED_LIMITS = GateLimits()

_TAPER = np.hanning(MODEL_SAMPLES)
_HZ = np.fft.rfftfreq(MODEL_SAMPLES, 1 / MODEL_FS)
_SLOW = int(np.searchsorted(_HZ, 1.0))  # frequencies below 1 Hz
_IN_BAND = int(np.searchsorted(_HZ, BAND_HZ[1], side="right"))  # and up to the band's end


def refuse(
    window: Window, prepared_mv: NDArray[np.float32], limits: GateLimits = RELEASED_LIMITS
) -> Indeterminate | None:
    """Judge one window.

    Args:
        window: as ingest cut it.
        prepared_mv: (1000,) the same as `preprocess.prepare_window` gives it.
        limits: thresholds.

    Returns:
        The first reason that holds, from what the device said to what the signal looks like; None to go on.
    """
    return refuse_each([window], prepared_mv[None], limits)[0]


def refuse_each(
    windows: Sequence[Window], prepared_mv: NDArray[np.float32], limits: GateLimits = RELEASED_LIMITS
) -> list[Indeterminate | None]:
    """The same for n windows of any rates and their (n, 1000) prepared forms, each judged as if alone."""
    length = round(limits.quiet_s * MODEL_FS)
    stretches = prepared_mv.reshape(len(windows), prepared_mv.shape[1] // length, length)
    stretch_mv = np.ptp(stretches, axis=-1)  # (n, stretches)
    flat = stretch_mv.min(axis=1) < limits.min_stretch_mv
    noisy = is_noisy(prepared_mv, stretch_mv, limits)

    def first_reason(row: int, window: Window) -> Indeterminate | None:
        if not window.is_eligible:
            return Indeterminate.MISSING_DATA
        if window.lead_off > limits.max_lead_off:
            return Indeterminate.LEAD_OFF
        if flat[row]:
            return Indeterminate.FLAT
        if window.clipped > limits.max_clipped or rail_share(window.samples_mv) > limits.max_at_rail:
            return Indeterminate.SATURATED
        return Indeterminate.NOISY if noisy[row] else None

    return [first_reason(row, window) for row, window in enumerate(windows)]


def rail_share(samples_mv: NDArray[np.float32]) -> float:
    """(n,) mV, NaN where missing -> share of samples in runs of three or more at the exact extremes."""
    highest, lowest = np.fmax.reduce(samples_mv), np.fmin.reduce(samples_mv)  # not NaN where a sample came
    at_rail = (samples_mv == highest) | (samples_mv == lowest)
    runs = at_rail[2:] & at_rail[1:-1] & at_rail[:-2]
    if not runs.any():
        return 0.0
    in_run = np.zeros_like(at_rail)
    for shift in range(3):
        in_run[shift : len(at_rail) - 2 + shift] |= runs
    return float(in_run.mean())


def is_noisy(
    prepared_mv: NDArray[np.float32], stretch_mv: NDArray[np.float32], limits: GateLimits
) -> NDArray[np.bool_]:
    """(n, 1000) and (n, stretches) -> (n,) whether noise, not beats, makes up what the model would see."""
    loudest_mv = stretch_mv.max(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):  # a line without any power compares as not noisy
        return np.asarray(
            (loudest_mv > limits.max_peak_to_peak_mv)
            | (loudest_mv > limits.max_loudest_stretch * np.median(stretch_mv, axis=1))
            | (kurtosis(prepared_mv) < limits.min_kurtosis)
            | (kurtosis(np.diff(prepared_mv)) < limits.min_slope_kurtosis)
            | (slow_share(prepared_mv) > limits.max_slow_share)
        )


def kurtosis(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """(..., n) -> fourth over squared second central moment: 1.5 for a sine, 3 for noise, 5-40 for an ECG."""
    centred = samples - np.mean(samples, axis=-1, keepdims=True, dtype=np.float64)
    square = centred * centred  # centred**4 takes 20 times as long
    return np.asarray(np.mean(square * square, axis=-1) / np.mean(square, axis=-1) ** 2)


def slow_share(prepared_mv: NDArray[np.float32]) -> NDArray[np.float64]:
    """(..., 1000) mV -> share of the power within the band that lies below 1 Hz, 0..1."""
    amplitude = np.abs(np.fft.rfft(prepared_mv * _TAPER)[..., :_IN_BAND])
    power = amplitude * amplitude
    return np.asarray(power[..., :_SLOW].sum(axis=-1) / power.sum(axis=-1))
