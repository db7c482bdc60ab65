import numpy as np
import pytest

from benchmarks.beats import FS, Record
from benchmarks.rhythm import count_early, numbers_of, runs, variability_errors_ms, within

RR = 288  # samples: 75 bpm
EARLY = range(40, 400, 20)  # places of early beats


def record(name: str = "100") -> Record:
    """Steady beats with an early one, and its pause, every twentieth."""
    at, symbols = RR * np.arange(1, 420, dtype=np.int64), np.array(["N"] * 419)
    for k in EARLY:
        at[k] -= 90
        symbols[k] = "V"
    return Record(name, np.zeros(420 * RR), at, symbols)


def test_every_annotated_early_beat_is_told_and_no_other() -> None:
    asked = record()
    assert count_early(asked.at, asked) == [len(EARLY), 0, 0]


def test_a_missed_one_is_missed_and_a_stray_one_is_wrong() -> None:
    asked = record()
    missed = np.delete(asked.at, 40)
    told = count_early(missed, asked)
    assert told[:2] == [len(EARLY) - 1, 1]
    stray = np.sort(np.append(asked.at, asked.at[50] + RR // 2))
    assert count_early(stray, asked)[2] >= 1


def test_fusion_counts_neither_way_and_fibrillation_is_not_asked() -> None:
    asked = record()
    asked.symbols[40] = "F"
    assert count_early(asked.at, asked) == [len(EARLY) - 1, 0, 0]
    assert count_early(asked.at, record("203")) == [0, 0, 0]


def test_variability_by_the_annotated_beats_has_no_error() -> None:
    steady = record()
    alternating = np.cumsum(np.tile([280, 296], 250))
    asked = Record("100", np.zeros(int(alternating[-1])), alternating, np.array(["N"] * 500))
    errors = variability_errors_ms(numbers_of(alternating, FS, int(alternating[-1])), asked)
    assert errors
    assert np.abs(errors).max() < 0.2
    assert count_early(steady.at, steady)[2] == 0


def test_runs_and_spans() -> None:
    flags = np.array([False, True, True, False, True])
    assert runs(flags) == [(1, 3), (4, 5)]
    assert within(np.array([0.0, 1.0, 2.0]), [(0.5, 2.0)]).tolist() == [False, True, False]
    assert numbers_of(np.array([], np.int64), FS, 720)[-1].irregular is None


@pytest.mark.parametrize("seed", range(3))
def test_a_random_signal_has_as_many_seconds_as_it_lasts(seed: int) -> None:
    peaks = np.cumsum(np.random.default_rng(seed).integers(200, 400, 100))
    assert len(numbers_of(peaks, FS, 100 * 360)) == 100
