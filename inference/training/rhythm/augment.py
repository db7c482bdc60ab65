"""A handheld window becomes another that could have been taken: noise and gaps before it is prepared.

Gaps come first and the filter sees them bridged, as when serving; `training.augment` works on prepared
windows instead, which is cheaper where each window is drawn many times.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.preprocess import MODEL_FS, MODEL_SAMPLES, resample
from inference.training.augment import mains, some, wander


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAugmentConfig:
    """How often and how much: less noise than `training.augment` adds to hospital recordings."""

    gain: tuple[float, float] = (0.5, 2.0)
    stretch_share: float = 0.3
    stretch: float = 0.1  # rate of time, +-
    wander_share: float = 0.3
    wander_mv: float = 0.2
    emg_share: float = 0.3
    emg_mv: float = 0.03  # standard deviation over the full band
    mains_share: float = 0.1
    mains_mv: float = 0.03
    mask_share: float = 0.2
    mask_s: tuple[float, float] = (0.05, 0.6)  # windows with more than 0.5 s missing are never classified


def augment_raw(
    ecg_mv: NDArray[np.float32], rng: np.random.Generator, config: RawAugmentConfig
) -> NDArray[np.float64]:
    """(n, 1000) mV at 100 Hz -> a changed copy, NaN in masked segments; prepare with `prepare_batch`."""
    ecg = np.array(ecg_mv, dtype=np.float64)
    n = len(ecg)
    for row in np.flatnonzero(rng.random(n) < config.stretch_share):
        ecg[row] = _stretched(ecg[row], rng.uniform(1 - config.stretch, 1 + config.stretch))
    low, high = config.gain
    ecg *= np.exp(rng.uniform(float(np.log(low)), float(np.log(high)), size=(n, 1)))
    ecg += some(rng, n, config.wander_share) * config.wander_mv * wander(rng, n)
    ecg += some(rng, n, config.emg_share) * config.emg_mv * rng.standard_normal(ecg.shape)
    ecg += some(rng, n, config.mains_share) * config.mains_mv * mains(rng, n)
    for row in np.flatnonzero(rng.random(n) < config.mask_share):
        length = round(rng.uniform(*config.mask_s) * MODEL_FS)
        start = rng.integers(0, MODEL_SAMPLES - length)
        ecg[row, start : start + length] = np.nan
    return ecg


def _stretched(ecg_mv: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """(1000,) played at another rate; a faster one ends early and its end is mirrored."""
    needed = int(np.ceil(MODEL_SAMPLES * rate)) + 1
    longer = np.pad(ecg_mv, (0, max(0, needed - MODEL_SAMPLES)), mode="reflect")
    return resample(longer, round(MODEL_FS * rate), MODEL_SAMPLES)
