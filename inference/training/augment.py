"""A training recording becomes one that a watch could have taken: the waveform is changed, never the plot.

Polarity is never flipped: a plot that keeps the sign must learn what an upright lead looks like.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.preprocess import MODEL_FS, MODEL_SAMPLES, resample


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How often and how much; watches have about .20 of their energy below 1 Hz, clinical carts .03."""

    gain: tuple[float, float] = (0.8, 1.25)
    stretch_share: float = 0.3
    stretch: float = 0.06  # rate of time, +-
    wander_share: float = 0.5
    wander_mv: float = 0.3
    emg_share: float = 0.4
    emg_mv: float = 0.03  # standard deviation over the full band
    mains_share: float = 0.2
    mains_mv: float = 0.03
    mask_share: float = 0.25
    mask_s: tuple[float, float] = (0.05, 0.6)  # windows with more than 0.5 s missing are never classified


def augment(
    ecg_mv: NDArray[np.float32], rng: np.random.Generator, config: AugmentConfig
) -> NDArray[np.float64]:
    """(n, 1000) mV at 100 Hz -> a changed copy, NaN in masked segments; prepare with `prepare_batch`."""
    ecg = np.array(ecg_mv, dtype=np.float64)
    n = len(ecg)
    for row in np.flatnonzero(rng.random(n) < config.stretch_share):
        ecg[row] = _stretched(ecg[row], rng.uniform(1 - config.stretch, 1 + config.stretch))
    low, high = config.gain
    ecg *= np.exp(rng.uniform(float(np.log(low)), float(np.log(high)), size=(n, 1)))
    ecg += _some(rng, n, config.wander_share) * config.wander_mv * _wander(rng, n)
    ecg += _some(rng, n, config.emg_share) * config.emg_mv * rng.standard_normal(ecg.shape)
    ecg += _some(rng, n, config.mains_share) * config.mains_mv * _mains(rng, n)
    for row in np.flatnonzero(rng.random(n) < config.mask_share):
        length = round(rng.uniform(*config.mask_s) * MODEL_FS)
        start = rng.integers(0, MODEL_SAMPLES - length)
        ecg[row, start : start + length] = np.nan
    return ecg


def _some(rng: np.random.Generator, n: int, share: float) -> NDArray[np.float64]:
    """(n, 1): 0 for most rows, 0..1 for about `share` of them."""
    return np.where(rng.random((n, 1)) < share, rng.random((n, 1)), 0.0)


def _stretched(ecg_mv: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """(1000,) played at another rate; a faster one ends early and its end is mirrored."""
    needed = int(np.ceil(MODEL_SAMPLES * rate)) + 1
    longer = np.pad(ecg_mv, (0, max(0, needed - MODEL_SAMPLES)), mode="reflect")
    return resample(longer, round(MODEL_FS * rate), MODEL_SAMPLES)


def _wander(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """(n, 1000) breathing and movement: three slow sines of random phase, size about 1."""
    time_s = np.arange(MODEL_SAMPLES) / MODEL_FS
    hz = rng.uniform(0.05, 1.0, size=(n, 3, 1))
    phase = rng.uniform(0, 2 * np.pi, size=(n, 3, 1))
    return np.asarray(np.sin(2 * np.pi * hz * time_s + phase).mean(axis=1) * np.sqrt(3.0))


def _mains(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """(n, 1000) hum as it looks at 100 Hz: 50 Hz, or 60 Hz folded to 40 Hz."""
    time_s = np.arange(MODEL_SAMPLES) / MODEL_FS
    hz = rng.choice([49.9, 40.0], size=(n, 1))
    return np.asarray(np.sin(2 * np.pi * hz * time_s + rng.uniform(0, 2 * np.pi, size=(n, 1))))
