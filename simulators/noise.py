"""Seeded noise of a wrist or chest electrode -> mV, in any number of samples at a time.

Each kind has its own random generator, so that cutting the stream differently never changes it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

MAINS_HZ = 50.0
WANDER_HZ = (0.07, 0.16, 0.28)  # breathing and slow electrode drift
MOTION_S = 0.7  # how long one jerk lasts, as the width of its bell


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseLevels:
    """How much of each kind; the defaults are a good electrode on a patient at rest."""

    wander_mv: float = 0.06  # peak
    mains_mv: float = 0.004  # peak
    emg_mv: float = 0.008  # rms
    motion_per_min: float = 0.0  # jerks of the electrode
    motion_mv: float = 1.0  # typical height of a jerk


QUIET = NoiseLevels(wander_mv=0.0, mains_mv=0.0, emg_mv=0.0)
RESTLESS = NoiseLevels(wander_mv=0.15, mains_mv=0.01, emg_mv=0.02, motion_per_min=3.0)


class Noise:
    """A stream of noise at fs Hz."""

    def __init__(self, levels: NoiseLevels, rng: Generator, fs: float) -> None:
        self._levels = levels
        self._fs = fs
        fixed, self._emg_rng, self._motion_rng = rng.spawn(3)
        self._phases = fixed.uniform(0, 2 * np.pi, len(WANDER_HZ) + 1)
        self._emg_white = self._emg_rng.standard_normal(2)  # the two newest
        self._jerks: list[tuple[float, float]] = []  # (time_s, height_mv)
        self._next_jerk_s = self._wait_s()
        self._at = 0

    def next_samples(self, n: int) -> NDArray[np.float64]:
        """The next n samples, mV, shape (n,)."""
        time_s = np.arange(self._at, self._at + n) / self._fs
        self._at += n
        noise_mv = self._slow_mv(time_s)
        if self._levels.emg_mv:
            noise_mv += self._emg_mv(n)
        if self._levels.motion_per_min:
            noise_mv += self._motion_mv(time_s)
        return noise_mv

    def _slow_mv(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        total = self._levels.mains_mv * np.sin(2 * np.pi * MAINS_HZ * time_s + self._phases[-1])
        if self._levels.wander_mv:
            for hz, phase in zip(WANDER_HZ, self._phases, strict=False):
                total += self._levels.wander_mv / len(WANDER_HZ) * np.sin(2 * np.pi * hz * time_s + phase)
        return np.asarray(total)

    def _emg_mv(self, n: int) -> NDArray[np.float64]:
        """White noise minus itself two samples earlier: a band around fs / 4, nothing at 0 and fs / 2."""
        white = np.concatenate((self._emg_white, self._emg_rng.standard_normal(n)))
        self._emg_white = white[-2:]
        return np.asarray(self._levels.emg_mv / np.sqrt(2) * (white[2:] - white[:-2]))

    def _motion_mv(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        while self._next_jerk_s < time_s[-1] + 4 * MOTION_S:
            height_mv = self._levels.motion_mv * self._motion_rng.standard_normal()
            self._jerks.append((self._next_jerk_s, float(height_mv)))
            self._next_jerk_s += self._wait_s()
        self._jerks = [jerk for jerk in self._jerks if jerk[0] > time_s[0] - 4 * MOTION_S]
        total = np.zeros(len(time_s))
        for at_s, height_mv in self._jerks:
            since = (time_s - at_s) / MOTION_S
            total += np.where(np.abs(since) < 4, height_mv * since * np.exp(0.5 - 0.5 * since**2), 0.0)
        return total

    def _wait_s(self) -> float:
        if not self._levels.motion_per_min:
            return np.inf
        return 60.0 / self._levels.motion_per_min * float(self._motion_rng.standard_exponential())
