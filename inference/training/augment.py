"""A training window becomes one that a watch could have taken: the waveform is changed, never the plot.

Windows come prepared (0.5-40 Hz). The filter is linear, so noise that was filtered once and is added later is
noise that was added to the raw signal: nothing is filtered while training. How much of each is added follows
watches, which have about .20 of their energy below 1 Hz (clinical carts .03) and less than those above 30 Hz.
Polarity is never flipped here: a plot that keeps the sign must learn what an upright lead looks like.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.preprocess import MODEL_FS, MODEL_SAMPLES, prepare_batch

Floats = NDArray[np.float32]
BANK_SEED = 5
BANK_ROWS = 4000  # windows of each noise, 16 MB; a run draws each some fifty times, at ever other gains


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How often (share of windows) and how much."""

    gain: tuple[float, float] = (0.8, 1.25)
    stretch_share: float = 0.3
    stretch: float = 0.08  # rate of time, +-
    wander_share: float = 0.5
    wander_mv: float = 0.3
    emg_share: float = 0.4
    emg_mv: float = 0.03  # standard deviation over the full band
    mains_share: float = 0.2
    mains_mv: float = 0.03
    motion_share: float = 0.25
    motion_mv: float = 0.12  # standard deviation in the band
    soften_share: float = 0.2  # a slow front end: half of 25 Hz is lost
    mask_share: float = 0.25
    mask_s: tuple[float, float] = (0.05, 0.6)  # windows with more than 0.5 s missing are never classified


class NoiseBank:
    """Prepared noise to draw from, each kind (BANK_ROWS, 1000) float32 in units of its config's mV."""

    def __init__(self, motion: Floats | None = None, rows: int = BANK_ROWS) -> None:
        """Build it; takes two seconds at the default size.

        Args:
            motion: (channels, n) recorded electrode motion at 100 Hz of unit variance; None leaves it out.
            rows: windows of each kind.
        """
        rng = np.random.default_rng(BANK_SEED)
        self.wander = prepare_batch(wander(rng, rows))
        self.emg = prepare_batch(rng.standard_normal((rows, MODEL_SAMPLES)))
        self.mains = prepare_batch(mains(rng, rows))
        self.motion = np.zeros((1, MODEL_SAMPLES), dtype=np.float32)
        if motion is not None:
            starts = rng.integers(0, motion.shape[1] - MODEL_SAMPLES, rows)
            channels = rng.integers(0, motion.shape[0], rows)
            cut = [motion[c, s : s + MODEL_SAMPLES] for c, s in zip(channels, starts, strict=True)]
            prepared = prepare_batch(np.stack(cut) * rng.choice([-1.0, 1.0], (rows, 1)))
            self.motion = prepared / np.float32(prepared.std())


def augment(ecg_mv: Floats, rng: np.random.Generator, config: AugmentConfig, bank: NoiseBank) -> Floats:
    """(n, 1000) prepared windows in mV -> a changed copy, 0 in masked segments as `prepare_window` leaves."""
    ecg = np.array(ecg_mv, dtype=np.float32)
    n = len(ecg)
    for row in np.flatnonzero(rng.random(n) < config.stretch_share):
        ecg[row] = _stretched(ecg[row], rng.uniform(1 - config.stretch, 1 + config.stretch))
    softened = rng.random(n) < config.soften_share
    ecg[softened] = _softened(ecg[softened])
    low, high = config.gain
    ecg *= np.exp(rng.uniform(float(np.log(low)), float(np.log(high)), size=(n, 1))).astype(np.float32)
    for noise, share, size_mv in (
        (bank.wander, config.wander_share, config.wander_mv),
        (bank.emg, config.emg_share, config.emg_mv),
        (bank.mains, config.mains_share, config.mains_mv),
        (bank.motion, config.motion_share, config.motion_mv),
    ):
        ecg += (some(rng, n, share) * size_mv).astype(np.float32) * noise[rng.integers(0, len(noise), n)]
    for row in np.flatnonzero(rng.random(n) < config.mask_share):
        length = round(rng.uniform(*config.mask_s) * MODEL_FS)
        start = rng.integers(0, MODEL_SAMPLES - length)
        ecg[row, start : start + length] = 0.0
    return ecg


def some(rng: np.random.Generator, n: int, share: float) -> NDArray[np.float64]:
    """(n, 1): 0 for most rows, 0..1 for about `share` of them."""
    return np.where(rng.random((n, 1)) < share, rng.random((n, 1)), 0.0)


def _stretched(ecg_mv: Floats, rate: float) -> Floats:
    """(1000,) played at another rate, by Catmull-Rom cubics; a faster one ends early: its end is mirrored."""
    longer = np.concatenate([ecg_mv, ecg_mv[-2::-1]]) if rate > 1 else ecg_mv
    at = np.arange(MODEL_SAMPLES) * rate
    index = np.clip(at.astype(int), 1, len(longer) - 3)
    part = (at - index).astype(np.float32)
    a, b, c, d = (longer[index + shift] for shift in (-1, 0, 1, 2))
    curve = c - a + part * (2 * a - 5 * b + 4 * c - d + part * (3 * (b - c) + d - a))
    return np.asarray(b + 0.5 * part * curve, dtype=np.float32)


def _softened(ecg_mv: Floats) -> Floats:
    """(n, 1000) through [1 2 1] / 4."""
    padded = np.pad(ecg_mv, ((0, 0), (1, 1)), mode="edge")
    return np.asarray((padded[:, :-2] + 2 * ecg_mv + padded[:, 2:]) / 4, dtype=np.float32)


def wander(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """(n, 1000) breathing and movement: three slow sines of random phase, size about 1."""
    time_s = np.arange(MODEL_SAMPLES) / MODEL_FS
    hz = rng.uniform(0.05, 1.0, size=(n, 3, 1))
    phase = rng.uniform(0, 2 * np.pi, size=(n, 3, 1))
    return np.asarray(np.sin(2 * np.pi * hz * time_s + phase).mean(axis=1) * np.sqrt(3.0))


def mains(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """(n, 1000) hum as it looks at 100 Hz: 50 Hz, or 60 Hz folded to 40 Hz."""
    time_s = np.arange(MODEL_SAMPLES) / MODEL_FS
    hz = rng.choice([49.9, 40.0], size=(n, 1))
    return np.asarray(np.sin(2 * np.pi * hz * time_s + rng.uniform(0, 2 * np.pi, size=(n, 1))))
