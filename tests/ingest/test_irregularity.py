"""What must, and what must not, be called irregular: the simulator's rhythms, and intervals by rule."""

from collections.abc import Callable, Iterator
from itertools import chain, islice

import numpy as np
import pytest
from numpy.random import Generator

from ingest.rhythm import RhythmFollower, RhythmNumbers
from simulators.rhythms import af, brady, ectopy, sinus, tachy

FS = 500.0
Intervals = Iterator[float]
SECONDS = 600


def told(rr_s: Iterator[float], seconds: int = SECONDS) -> list[RhythmNumbers]:
    """Numbers of each second."""
    follower, at_s, numbers = RhythmFollower(FS), 0.0, []
    before, ended_s = 0, 0.0
    for second in range(1, seconds + 1):
        while ended_s <= second:
            at_s, ended_s = ended_s, ended_s + next(rr_s)
            if at_s:
                follower.push(round(at_s * FS), round(at_s * FS) - before)
                before = round(at_s * FS)
        numbers.append(follower.snapshot(round(second * FS)))
    return numbers


def of(beats: Iterator[object]) -> Intervals:
    for beat in beats:
        yield beat.rr_s  # type: ignore[attr-defined]


def breathing(depth: float) -> Callable[[Generator], Intervals]:
    def intervals(rng: Generator) -> Intervals:
        at_s = 0.0
        while True:
            rr_s = 0.9 * (1 + depth * np.sin(2 * np.pi * 0.22 * at_s) + 0.01 * rng.standard_normal())
            at_s += rr_s
            yield float(rr_s)

    return intervals


def every(n: int) -> Callable[[Generator], Intervals]:
    """A premature beat after every n - 1 normal ones, with its pause."""

    def intervals(rng: Generator) -> Intervals:
        while True:
            early_s = float(rng.normal(0.30, 0.02))
            for k in range(n):
                yield 0.8 - early_s if k == 0 else 0.8 + early_s if k == 1 else float(rng.normal(0.8, 0.02))

    return intervals


REGULAR: dict[str, Callable[[Generator], Intervals]] = {
    "sinus": lambda rng: of(sinus(rng)),
    "slow": lambda rng: of(brady(rng)),
    "fast": lambda rng: of(tachy(rng)),
    "ectopy": lambda rng: of(ectopy(rng)),
    "frequent ectopy": lambda rng: of(ectopy(rng, rate=0.3)),
    "bigeminy": every(2),
    "trigeminy": every(3),
    "quadrigeminy": every(4),
    "deep breathing": breathing(0.12),
    "sinus arrhythmia": breathing(0.2),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", REGULAR)
def test_what_is_not_fibrillation_is_called_regular(name: str, seed: int) -> None:
    numbers = told(REGULAR[name](np.random.default_rng(seed)))
    assert {each.irregular for each in numbers[60:]} == {False}
    assert {each.irregular_for_s for each in numbers} == {None}


@pytest.mark.parametrize("rate_bpm", [70, 95, 130])
@pytest.mark.parametrize("seed", range(3))
def test_fibrillation_is_irregular_within_a_minute_and_stays_so(seed: int, rate_bpm: float) -> None:
    numbers = told(of(af(np.random.default_rng(seed), rate_bpm)))
    assert {each.irregular for each in numbers[75:]} == {True}
    assert {(each.ectopic_per_min, each.newest_is_ectopic, each.rmssd_ms) for each in numbers[75:]} == {
        (None, None, None)
    }
    for_s = [each.irregular_for_s for each in numbers[75:]]
    assert for_s == pytest.approx([for_s[0] + k for k in range(len(for_s))])  # type: ignore[operator]


@pytest.mark.parametrize("seed", range(5))
def test_onset_and_end_are_told_within_a_minute_and_once_each(seed: int) -> None:
    rng = np.random.default_rng(seed)

    before, during = list(islice(of(sinus(rng)), 250)), list(islice(of(af(rng, 100.0)), 300))
    began_s, ended_s = sum(before), sum(before) + sum(during)
    numbers = told(chain(before, during, of(sinus(rng))))
    irregular = [each.irregular for each in numbers]
    changes = [k for k in range(61, SECONDS) if irregular[k] != irregular[k - 1]]
    assert len(changes) == 2
    assert began_s < changes[0] < began_s + 60
    assert ended_s < changes[1] < ended_s + 60
    since_s = changes[0] + 1 - (numbers[changes[0]].irregular_for_s or 0.0)
    assert since_s == pytest.approx(began_s, abs=30)


def test_bigeminy_has_its_ectopics_counted_and_sinus_rhythm_none() -> None:
    bigeminy = told(REGULAR["bigeminy"](np.random.default_rng(1)))
    assert {each.ectopic_per_min for each in bigeminy[120:]} <= {37, 38}
    sinus_rhythm = told(REGULAR["sinus"](np.random.default_rng(1)))
    assert {each.ectopic_per_min for each in sinus_rhythm[120:]} == {0}
    assert all(each.ectopic_per_min is None for each in sinus_rhythm[:40])


def test_ectopy_does_not_enter_variability() -> None:
    rng = np.random.default_rng(3)
    with_ectopy = told(of(ectopy(rng, rate=0.03)), 900)[-1]
    without = told(of(sinus(np.random.default_rng(3))), 900)[-1]
    assert with_ectopy.ectopic_per_min is not None
    assert with_ectopy.rmssd_ms == pytest.approx(without.rmssd_ms, rel=0.2)
    assert with_ectopy.sdnn_ms == pytest.approx(without.sdnn_ms, rel=0.2)
    bigeminy = told(REGULAR["bigeminy"](rng), 900)[-1]
    assert (bigeminy.rmssd_ms, bigeminy.sdnn_ms) == (None, None)  # no interval is normal to normal
