import numpy as np
import pytest

from ingest.ectopy import FEWEST, KEPT, EctopyDetector

NORMAL = [800] * 12


def early_beats(rr_ms: list[int]) -> list[int]:
    """Places of the intervals whose last beat came early, with hindsight of one interval."""
    detector, flags = EctopyDetector(), [False] * len(rr_ms)
    for k, rr in enumerate(rr_ms):
        is_early, was_early = detector.push(rr)
        flags[k] = is_early
        if was_early:
            flags[k - 1] = True
    return [k for k, flag in enumerate(flags) if flag]


def test_a_premature_beat_is_told_at_once_and_its_pause_is_none() -> None:
    assert early_beats([*NORMAL, 560, 1040, *NORMAL]) == [12]
    detector = EctopyDetector()
    told = [detector.push(rr) for rr in [*NORMAL, 560, 1040]]
    assert told[12:] == [(True, False), (False, True)]


def test_a_slightly_early_beat_needs_its_pause() -> None:
    assert early_beats([*NORMAL, 690, 910, *NORMAL]) == [12]
    assert early_beats([*NORMAL, 690, 800, *NORMAL]) == []


@pytest.mark.parametrize("n_normal", [1, 2, 3, 7])
def test_every_premature_beat_of_bigeminy_trigeminy_and_so_on_is_told_and_no_other(n_normal: int) -> None:
    group = [520, 1080, *[800] * (n_normal - 1)]
    told = early_beats(NORMAL + group * 20)
    assert told == list(range(12, 12 + 20 * len(group), len(group)))


def test_bigeminy_from_the_first_beat_is_told_once_the_rhythm_is_known() -> None:
    told = early_beats([520, 1080] * 20)
    assert set(told) >= set(range(2 * FEWEST, 40, 2))
    assert all(k % 2 == 0 for k in told)


@pytest.mark.parametrize("seed", range(10))
def test_sinus_rhythm_that_breathes_and_speeds_up_has_no_premature_beat(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = np.arange(400)
    breath = 1 + 0.07 * np.sin(2 * np.pi * k / 5) + 0.01 * rng.standard_normal(400)
    effort = np.where(k < 200, 1.0, 0.6 + 0.4 * np.exp((200 - k) / 30))  # 67 to 111 a minute
    assert early_beats(np.round(900 * breath * effort).astype(int).tolist()) == []


def test_a_couplet_is_two_premature_beats() -> None:
    assert early_beats([*NORMAL, 500, 480, 1100, *NORMAL]) == [12, 13]


def test_a_gap_ends_what_a_pause_can_show_but_not_what_is_usual() -> None:
    detector = EctopyDetector()
    for rr in [*NORMAL, 690]:
        detector.push(rr)
    detector.gap()
    assert detector.push(1000) == (False, False)
    assert detector.push(560) == (True, False)


def test_nothing_is_early_before_a_rhythm_is_known_nor_after_it_was_forgotten() -> None:
    assert early_beats([800] * FEWEST + [400]) == []
    detector = EctopyDetector()
    for rr in NORMAL:
        detector.push(rr)
    assert detector.is_long(1300)
    detector.forget()
    assert detector.push(300) == (False, False)
    assert not detector.is_long(1300)


def test_a_lasting_new_rate_becomes_usual() -> None:
    assert early_beats([*[1000] * 12, *[500] * 30])[-1] <= 12 + KEPT
