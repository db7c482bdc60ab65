"""Laws of the beat-time generators, and of the ECG made of them."""

from itertools import takewhile

import numpy as np
import pytest

from simulators.rhythms import RHYTHMS, Beat, Origin, asystole, ectopy, sinus, with_stops

MINUTES = 5


def beats_of(rhythm: str, seed: int = 1, seconds: float = 60 * MINUTES) -> list[Beat]:
    beats = RHYTHMS[rhythm](np.random.default_rng(seed))
    return list(takewhile(lambda beat: beat.r_peak_s < seconds, beats))


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_the_same_seed_gives_the_same_beats_and_another_seed_others(rhythm: str) -> None:
    assert beats_of(rhythm, 3) == beats_of(rhythm, 3)
    assert beats_of(rhythm, 3) != beats_of(rhythm, 4)


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_each_beat_tells_its_distance_to_the_one_before(rhythm: str) -> None:
    beats = beats_of(rhythm)
    r_peaks_s = np.array([beat.r_peak_s for beat in beats])
    rr_s = np.array([beat.rr_s for beat in beats])
    assert len(beats) > 100
    np.testing.assert_allclose(np.diff(r_peaks_s), rr_s[1:], atol=1e-9)
    assert rr_s.min() >= 0.2


@pytest.mark.parametrize(
    ("rhythm", "rate_bpm"), [("sinus", 72), ("brady", 38), ("tachy", 155), ("af", 95), ("ectopy", 72)]
)
def test_the_heart_rate_is_the_one_asked_for(rhythm: str, rate_bpm: float) -> None:
    assert len(beats_of(rhythm)) / MINUTES == pytest.approx(rate_bpm, rel=0.05)


def test_fibrillation_is_irregular_and_sinus_rhythm_is_not() -> None:
    def spread(rhythm: str) -> float:
        rr_s = np.array([beat.rr_s for beat in beats_of(rhythm)])
        return float(rr_s.std() / rr_s.mean())

    assert 0.15 < spread("af") < 0.25
    assert 0.02 < spread("sinus") < 0.08
    assert all(beat.origin is Origin.FIBRILLATION for beat in beats_of("af"))


def test_ectopic_beats_are_early_and_followed_by_a_pause() -> None:
    beats = beats_of("ectopy")
    at = [i for i, beat in enumerate(beats[:-1]) if beat.origin is Origin.VENTRICULAR]
    assert 0.05 < len(at) / len(beats) < 0.16
    for i in at:
        assert beats[i].rr_s < 0.75 * 60 / 72
        assert beats[i + 1].rr_s > 1.2 * 60 / 72


def test_a_stopped_heart_has_no_beat_until_it_starts_again() -> None:
    beats = beats_of("asystole", seconds=600)
    r_peaks_s = np.array([beat.r_peak_s for beat in beats])
    for stop_s in (40, 220, 400, 580):
        assert not ((r_peaks_s >= stop_s) & (r_peaks_s < stop_s + 8)).any()
        assert ((r_peaks_s >= stop_s + 8) & (r_peaks_s < stop_s + 10)).any()
    undisturbed = [beat.r_peak_s for beat in beats_of("sinus", seconds=600)]
    assert set(r_peaks_s) < set(undisturbed)


def test_stops_leave_the_other_beats_alone() -> None:
    rng = np.random.default_rng(5)
    beats = with_stops(iter([Beat(1.0, 1.0), Beat(2.0, 1.0), Beat(3.0, 1.0), Beat(4.0, 1.0)]), 1.5, 1.0, 60)
    assert list(beats) == [Beat(1.0, 1.0), Beat(3.0, 2.0), Beat(4.0, 1.0)]
    assert next(asystole(rng)).r_peak_s < 2
    assert next(ectopy(rng, rate_bpm=60)).rr_s == pytest.approx(1, abs=0.15)
    assert next(sinus(rng, rate_bpm=120)).rr_s == pytest.approx(0.5, abs=0.1)
