"""Beat-time generators: a seeded random generator and a rate -> an endless stream of `Beat`.

Each generator yields beats in time order, R peak after R peak. They know nothing of waveforms or sampling.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from math import pi, sin

from numpy.random import Generator

SHORTEST_RR_S = 0.25  # the atrioventricular node passes no faster train


class Origin(Enum):
    """Where a beat starts, which decides its shape."""

    SINUS = auto()
    FIBRILLATION = auto()  # conducted from fibrillating atria: no P wave
    VENTRICULAR = auto()  # premature, wide, no P wave


@dataclass(frozen=True, slots=True)
class Beat:
    """One heartbeat."""

    r_peak_s: float  # since the start of the stream
    rr_s: float  # to the beat before
    origin: Origin = Origin.SINUS


def sinus(rng: Generator, rate_bpm: float = 72.0) -> Iterator[Beat]:
    """Sinus rhythm: RR varies 4 % with breathing (15 a minute), 2 % at 0.1 Hz and 1 % at random.

    The two bands are those of the RR process in McSharry et al., IEEE Trans Biomed Eng 50(3), 2003; here
    they are two sines instead of a shaped spectrum.
    """
    breathing, pressure = rng.uniform(0, 2 * pi, 2)
    r_peak_s = 0.0
    while True:
        swing = 0.04 * sin(2 * pi * 0.25 * r_peak_s + breathing) + 0.02 * sin(
            2 * pi * 0.1 * r_peak_s + pressure
        )
        rr_s = max(SHORTEST_RR_S, 60.0 / rate_bpm * (1.0 + swing + 0.01 * rng.standard_normal()))
        r_peak_s += rr_s
        yield Beat(r_peak_s, rr_s)


def brady(rng: Generator, rate_bpm: float = 38.0) -> Iterator[Beat]:
    """Slow sinus rhythm."""
    return sinus(rng, rate_bpm)


def tachy(rng: Generator, rate_bpm: float = 155.0) -> Iterator[Beat]:
    """Fast sinus rhythm."""
    return sinus(rng, rate_bpm)


def af(rng: Generator, rate_bpm: float = 95.0) -> Iterator[Beat]:
    """Atrial fibrillation: independent gamma-distributed RR (spread 20 %), no P waves."""
    r_peak_s = 0.0
    spread = 0.20
    while True:
        rr_s = max(SHORTEST_RR_S, 60.0 / rate_bpm * float(rng.gamma(1 / spread**2, spread**2)))
        r_peak_s += rr_s
        yield Beat(r_peak_s, rr_s, Origin.FIBRILLATION)


def ectopy(rng: Generator, rate_bpm: float = 72.0, rate: float = 0.12) -> Iterator[Beat]:
    """Sinus rhythm in which a share `rate` of beats is ventricular, premature, with a compensatory pause."""
    before: Beat | None = None
    for beat in sinus(rng, rate_bpm):
        may_be_early = before is not None and before.origin is Origin.SINUS
        if may_be_early and rng.random() < rate:
            early_s = beat.rr_s * 0.38
            drawn = Beat(beat.r_peak_s - early_s, beat.rr_s - early_s, Origin.VENTRICULAR)
        elif before is not None:
            drawn = Beat(beat.r_peak_s, beat.r_peak_s - before.r_peak_s)
        else:
            drawn = beat
        before = drawn
        yield drawn


def with_stops(beats: Iterator[Beat], first_s: float, stop_s: float, every_s: float) -> Iterator[Beat]:
    """The same rhythm with no beat in [first_s, first_s + stop_s) and again after each `every_s`."""
    last_s = 0.0
    for beat in beats:
        since_s = (beat.r_peak_s - first_s) % every_s
        if beat.r_peak_s >= first_s and since_s < stop_s:
            continue
        yield Beat(beat.r_peak_s, beat.r_peak_s - last_s, beat.origin)
        last_s = beat.r_peak_s


def asystole(rng: Generator, rate_bpm: float = 72.0) -> Iterator[Beat]:
    """Sinus rhythm that stops for 8 s, first after 40 s and then each 3 minutes."""
    return with_stops(sinus(rng, rate_bpm), first_s=40.0, stop_s=8.0, every_s=180.0)


RHYTHMS: dict[str, Callable[[Generator], Iterator[Beat]]] = {
    "sinus": sinus,
    "brady": brady,
    "tachy": tachy,
    "af": af,
    "ectopy": ectopy,
    "asystole": asystole,
}
