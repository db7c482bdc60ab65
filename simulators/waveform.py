"""Beats -> a synthetic single-lead ECG in mV, sample by sample, with known R peaks.

A sum of Gaussian waves per beat (P, Q, R, S, ST, T), placed relative to the R peak: McSharry, Clifford,
Tarassenko, Smith, "A dynamical model for generating synthetic electrocardiogram signals", IEEE Trans Biomed
Eng 50(3):289-294, 2003. We differ by writing down the closed form in time instead of integrating the
differential equation, by waves in seconds of which only P, ST and T move with the RR interval (by its square
root, as Bazett's), and by a set of waves for each superclass. Shapes are textbook pictures of lead I for
demonstration, not samples of a population.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ingest.chunk import Lead
from simulators.noise import Noise
from simulators.rhythms import Beat, Origin

BEFORE_S = 0.45  # no wave of a beat starts earlier than this before its R peak
AFTER_S = 0.85  # nor ends later
TRUTH_LENGTH = 10_000  # newest R peaks kept; two hours of beats
FIBRILLATION_HZ = 6.0
FIBRILLATION_MV = 0.04


@dataclass(frozen=True, slots=True)
class Wave:
    """One Gaussian of a beat."""

    height_mv: float
    offset_s: float  # from the R peak, at 60 bpm
    width_s: float  # standard deviation
    moves_with_rr: bool = False
    is_p: bool = False


def _p(height_mv: float = 0.11, width_s: float = 0.022) -> Wave:
    return Wave(height_mv, -0.16, width_s, moves_with_rr=True, is_p=True)


def _st(height_mv: float) -> Wave:
    return Wave(height_mv, 0.12, 0.04, moves_with_rr=True)


def _t(height_mv: float, width_s: float = 0.045) -> Wave:
    return Wave(height_mv, 0.28, width_s, moves_with_rr=True)


MORPHOLOGIES: dict[str, tuple[Wave, ...]] = {
    "NORM": (_p(), Wave(-0.07, -0.028, 0.008), Wave(1.0, 0, 0.010), Wave(-0.15, 0.028, 0.009), _t(0.26)),
    # infarction: broad deep Q, small R, raised ST, inverted T
    "MI": (_p(), Wave(-0.35, -0.034, 0.014), Wave(0.65, 0, 0.011), _st(0.18), _t(-0.22)),
    # ischaemia: depressed ST, inverted T
    "STTC": (_p(), Wave(-0.06, -0.028, 0.008), Wave(1.0, 0, 0.010), _st(-0.14), _t(-0.18)),
    # left bundle branch block: broad notched R without Q, T against it
    "CD": (_p(), Wave(0.65, -0.018, 0.018), Wave(0.75, 0.03, 0.022), _st(-0.06), _t(-0.28)),
    # left ventricular hypertrophy with strain: tall R, broad P, depressed ST
    "HYP": (_p(0.16, 0.03), Wave(-0.1, -0.03, 0.008), Wave(2.1, 0, 0.012), _st(-0.10), _t(-0.25, 0.055)),
}
VENTRICULAR = (Wave(1.5, 0, 0.036), Wave(-0.5, 0.11, 0.04), Wave(-0.55, 0.28, 0.06))


class SyntheticPatient:
    """An endless synthetic ECG: `next_samples` continues where it ended, and cuts never change the signal."""

    source = "synthetic"

    def __init__(
        self, beats: Iterator[Beat], noise: Noise, rng: Generator, fs: float = 500.0, superclass: str = "NORM"
    ) -> None:
        self.fs = fs
        self.lead = Lead.I  # what its device says; the waves are the same in II
        self.description = f"synthetic {superclass}"
        self._beats = beats
        self._noise = noise
        self._waves = MORPHOLOGIES[superclass]
        self._phase = rng.uniform(0, 2 * np.pi)
        self._near: deque[Beat] = deque()
        self._upcoming = next(beats)
        self._fibrillates = self._upcoming.origin is Origin.FIBRILLATION
        self._truth: deque[int] = deque(maxlen=TRUTH_LENGTH)
        self._at = 0

    def next_samples(self, n: int) -> NDArray[np.float32]:
        """The next n samples, mV, shape (n,)."""
        start_s, end_s = self._at / self.fs, (self._at + n) / self.fs
        while self._upcoming.r_peak_s - BEFORE_S < end_s:
            self._near.append(self._upcoming)
            self._truth.append(round(self._upcoming.r_peak_s * self.fs))
            self._upcoming = next(self._beats)
        while self._near and self._near[0].r_peak_s + AFTER_S < start_s:
            self._near.popleft()
        time_s = np.arange(self._at, self._at + n) / self.fs
        ecg_mv = self._noise.next_samples(n)
        for beat in self._near:
            ecg_mv += self._beat_mv(beat, time_s)
        if self._fibrillates:
            wobble = 1.5 * np.sin(2 * np.pi * 0.4 * time_s)
            ecg_mv += FIBRILLATION_MV * np.sin(2 * np.pi * FIBRILLATION_HZ * time_s + wobble + self._phase)
        self._at += n
        return ecg_mv.astype(np.float32)

    def truth_r_peaks(self) -> NDArray[np.int64]:
        """Sample indices of the R peaks so far, int64, the newest 10,000."""
        return np.array([at for at in self._truth if at < self._at], np.int64)

    def _beat_mv(self, beat: Beat, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """One beat's part of the signal at `time_s`, shape (n,); zero outside its own stretch."""
        since_s = time_s - beat.r_peak_s
        waves = VENTRICULAR if beat.origin is Origin.VENTRICULAR else self._waves
        stretch = sqrt(min(beat.rr_s, 1.2))
        total = np.zeros(len(time_s))
        for wave in waves:
            if wave.is_p and beat.origin is Origin.FIBRILLATION:
                continue
            offset_s = wave.offset_s * (stretch if wave.moves_with_rr else 1.0)
            total += wave.height_mv * np.exp(-0.5 * ((since_s - offset_s) / wave.width_s) ** 2)
        return np.where((since_s >= -BEFORE_S) & (since_s < AFTER_S), total, 0.0)
