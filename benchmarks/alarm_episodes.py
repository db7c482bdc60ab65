"""Simulated episodes for the alarm benchmark: a patient, what happens at which second, and the alarm it asks.

Each is a signal with flags and holes of the device; nothing here knows of detectors or rules.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inference.alarms.alarm import AlarmKind
from simulators.noise import Noise, NoiseLevels
from simulators.patients import build_patient
from simulators.rhythms import Beat, sinus, with_stops
from simulators.waveform import MORPHOLOGIES, SyntheticPatient

FS = 500.0
ONSET_S = (60.0, 75.0)  # drawn from this range; the detector has settled
LASTS_S = 60.0  # watched for so long after the onset
AF_LASTS_S = 120.0  # three windows must agree
STOP_S = 15.0  # how long a heart stops
FLAP_S = 2.0  # an electrode off for so long, and on again
NEVER_S = 1e9


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, seconds since the start."""

    start_s: float
    end_s: float

    def holds(self, at_s: float) -> bool:
        """True inside."""
        return self.start_s <= at_s < self.end_s


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """One onset."""

    name: str
    wants: AlarmKind | None  # None: one alarm at most may be raised, however often it comes and goes
    onset_s: float  # of asystole: the last R peak before it
    samples_mv: NDArray[np.float32]  # (n_samples,) at FS
    lead_off: tuple[Span, ...] = ()  # the device says so
    missing: tuple[Span, ...] = ()  # nothing is sent

    @property
    def seconds(self) -> float:
        """Length of the whole."""
        return len(self.samples_mv) / FS


def episodes(per_kind: int, seed: int = 0) -> Iterator[Episode]:
    """`per_kind` of each kind; the same seed gives the same."""
    for number, build in enumerate(KINDS):
        for each in range(per_kind):
            yield build(np.random.default_rng((seed, number, each)))


def _onset_s(rng: Generator) -> float:
    return float(rng.uniform(*ONSET_S))


def _patient(beats: Iterator[Beat], rng: Generator) -> SyntheticPatient:
    """A heart of any superclass under a good electrode, each a little different."""
    levels = NoiseLevels(
        wander_mv=float(rng.uniform(0.02, 0.15)),
        mains_mv=float(rng.uniform(0.0, 0.01)),
        emg_mv=float(rng.uniform(0.003, 0.015)),
    )
    superclass = str(rng.choice(list(MORPHOLOGIES)))
    return SyntheticPatient(beats, Noise(levels, rng.spawn(1)[0], FS), rng, FS, superclass)


def _resting_mv(rng: Generator, seconds: float) -> NDArray[np.float32]:
    rate_bpm = float(rng.uniform(60.0, 100.0))
    return _patient(sinus(rng.spawn(1)[0], rate_bpm), rng).next_samples(round(seconds * FS))


def _then(first: Iterator[Beat], second: Iterator[Beat], at_s: float) -> Iterator[Beat]:
    """The first rhythm until `at_s`, then the second."""
    last_s = 0.0
    for beat in first:
        if beat.r_peak_s >= at_s:
            break
        last_s = beat.r_peak_s
        yield beat
    for beat in second:
        yield Beat(last_s + beat.r_peak_s, beat.rr_s, beat.origin)


def _step(name: str, wants: AlarmKind, low_bpm: float, high_bpm: float) -> Callable[[Generator], Episode]:
    """A heart rate that jumps from 72 bpm to one in the range."""

    def build(rng: Generator) -> Episode:
        onset_s, rate_bpm = _onset_s(rng), float(rng.uniform(low_bpm, high_bpm))
        beats = _then(sinus(rng.spawn(1)[0], 72.0), sinus(rng.spawn(1)[0], rate_bpm), onset_s)
        samples_mv = _patient(beats, rng).next_samples(round((onset_s + LASTS_S) * FS))
        return Episode(name, wants, onset_s, samples_mv)

    return build


def _stopped(rng: Generator) -> Episode:
    """A heart that stops for 15 s; the onset is its last beat."""
    stop_s, rate_bpm = _onset_s(rng), float(rng.uniform(55.0, 110.0))
    beats = with_stops(sinus(rng.spawn(1)[0], rate_bpm), stop_s, STOP_S, NEVER_S)
    patient = _patient(beats, rng)
    samples_mv = patient.next_samples(round((stop_s + LASTS_S) * FS))
    r_peaks_s = patient.truth_r_peaks() / FS
    return Episode("asystole", AlarmKind.ASYSTOLE, float(r_peaks_s[r_peaks_s < stop_s].max()), samples_mv)


def _fibrillating(rng: Generator) -> Episode:
    """A recording of normal rhythm, then one of atrial fibrillation."""
    onset_s, index = _onset_s(rng), int(rng.integers(1000))
    before = build_patient("replay:NORM", rng, index).next_samples(round(onset_s * FS))
    after = build_patient("replay:AF", rng, index).next_samples(round(AF_LASTS_S * FS))
    return Episode("atrial fibrillation", AlarmKind.AF, onset_s, np.concatenate([before, after]))


def _lead_off(rng: Generator) -> Episode:
    """An electrode comes off, and the device says so."""
    onset_s = _onset_s(rng)
    samples_mv = _resting_mv(rng, onset_s + LASTS_S)
    samples_mv[round(onset_s * FS) :] = 0.0
    return Episode("lead off", AlarmKind.LEAD_OFF, onset_s, samples_mv, lead_off=(Span(onset_s, NEVER_S),))


def _flat(rng: Generator) -> Episode:
    """The input sticks at one value."""
    onset_s = _onset_s(rng)
    samples_mv = _resting_mv(rng, onset_s + LASTS_S)
    samples_mv[round(onset_s * FS) :] = samples_mv[round(onset_s * FS)]
    return Episode("flat line", AlarmKind.SIGNAL, onset_s, samples_mv)


def _dropout(rng: Generator) -> Episode:
    """The device falls silent."""
    onset_s = _onset_s(rng)
    samples_mv = _resting_mv(rng, onset_s + LASTS_S)
    return Episode("dropout", AlarmKind.NO_DATA, onset_s, samples_mv, missing=(Span(onset_s, NEVER_S),))


def _flapping(rng: Generator) -> Episode:
    """An electrode that is off for 2 s and on for 2 s."""
    onset_s = _onset_s(rng)
    samples_mv = _resting_mv(rng, onset_s + LASTS_S)
    starts_s = np.arange(onset_s, onset_s + LASTS_S, 2 * FLAP_S)
    off = tuple(Span(float(start), float(start) + FLAP_S) for start in starts_s)
    return Episode("flapping", None, onset_s, samples_mv, lead_off=off)


KINDS: tuple[Callable[[Generator], Episode], ...] = (
    _stopped,
    _step("extreme high rate", AlarmKind.EXTREME_RATE, 160.0, 200.0),
    _step("extreme low rate", AlarmKind.EXTREME_RATE, 25.0, 36.0),
    _step("high rate", AlarmKind.RATE_LIMIT, 126.0, 145.0),
    _step("low rate", AlarmKind.RATE_LIMIT, 42.5, 47.0),
    _fibrillating,
    _lead_off,
    _flat,
    _dropout,
    _flapping,
)
