"""Patients -> rings of ready int16 microvolts: endless 512-Hz lead-I ECG that costs a slice of bytes a chunk.

A ring begins and ends at an R peak of the same patient, so that it may be played round and round with whole
beats; the difference in baseline between both ends is taken out as a slope of microvolts a second.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import signal

from ingest.chunk import Lead
from simulators.patients import build_patient
from simulators.replay import recordings

FS = 512.0  # Hz, the rate of the watches that a fleet is sized for
LENGTH_S = 60.0
TEMPOS = (0.88, 1.0, 1.12)  # a recording is also played slower and faster: other heart rates, other widths
REPLAYED = ("NORM", "MI", "STTC", "CD", "HYP", "AF")
SYNTHETIC = ("sinus", "sinus:STTC", "af")


@dataclass(frozen=True, slots=True)
class EcgRing:
    """A piece of ECG without beginning or end, as the wire's int16, 1 unit = 1 uV."""

    name: str
    n_samples: int
    _laps: bytes  # the ring, and its beginning once more for chunks across its end

    def samples(self, first_sample: int, n_samples: int) -> bytes:
        """Bytes of `n_samples` from the place where `first_sample` falls; at most a ring at once."""
        at = 2 * (first_sample % self.n_samples)
        return self._laps[at : at + 2 * n_samples]


def build_rings(rng: Generator) -> list[EcgRing]:
    """Every recording of lead I at each tempo, then synthetic patients, one after the other in no order."""
    names = [(f"replay:{label}", i) for label in REPLAYED for i in range(len(recordings()[label]))]
    names += [(name, 0) for name in SYNTHETIC]
    rings = [_ring(name, index, tempo, rng) for name, index in names for tempo in TEMPOS]
    return [rings[i] for i in rng.permutation(len(rings))]


def allot(n_watches: int) -> list[tuple[EcgRing, int, Generator]]:
    """For each watch of a fleet its ring, the sample at which it begins there, and a generator of its own.

    The same each time, so that what a watch has sent can be told from its place in the stream.
    """
    rng = np.random.default_rng(0)
    rings = build_rings(rng)
    allotted = []
    for number, own in enumerate(rng.spawn(n_watches)):
        ring = rings[number % len(rings)]
        allotted.append((ring, int(own.integers(ring.n_samples)), own))
    return allotted


def _ring(name: str, index: int, tempo: float, rng: Generator) -> EcgRing:
    patient = build_patient(name, rng, index, lead=Lead.I)
    played_hz = round(patient.fs * tempo)
    ecg_mv = patient.next_samples(round((LENGTH_S + 4.0) * played_hz)).astype(np.float64)
    peaks = patient.truth_r_peaks()
    at_512 = signal.resample_poly(ecg_mv, round(FS), played_hz, padtype="line")
    inside = np.rint(peaks * FS / played_hz).astype(np.int64)
    inside = inside[(inside > FS) & (inside < len(at_512) - FS)]
    first, last = int(inside[0]), int(inside[-1])
    return EcgRing(f"{name} x {tempo:g}", last - first, _laps(at_512[first : last + 1]))


def _laps(ecg_mv: NDArray[np.float64]) -> bytes:
    """From R peak to R peak, both included, mV -> two rounds without the second one, int16 uV."""
    slope_mv = np.linspace(0.0, ecg_mv[-1] - ecg_mv[0], len(ecg_mv))
    once = np.rint(1000 * (ecg_mv - slope_mv)[:-1]).astype("<i2").tobytes()
    return once + once
