import numpy as np
import pytest

from ingest.variability import COVERED_S, SPAN_S, Variability

FS = 250.0


def pushed(rr: list[int], variability: Variability, at: int = 0) -> int:
    """Push neighbouring intervals; where the last ends."""
    before = None
    for each in rr:
        at += each
        variability.push(at, each, before)
        before = each
    return at


@pytest.mark.parametrize("seed", range(10))
def test_it_is_what_the_definitions_give_over_the_last_five_minutes_however_long_the_session(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    rr = np.round(rng.uniform(0.5, 1.3, 4000) * FS).astype(int)
    variability, at, ends = Variability(FS), 0, np.cumsum(rr)
    for k, each in enumerate(rr.tolist()):
        at += each
        variability.push(at, each, int(rr[k - 1]) if k else None)
    last = np.flatnonzero(ends > at - SPAN_S * FS)
    steps_ms = np.diff(rr)[last - 1] / FS * 1000
    expected = np.sqrt(np.mean(steps_ms**2)), np.std(rr[last] / FS * 1000, ddof=1)
    assert variability.snapshot(at) == pytest.approx(expected, abs=0.06)


def test_alternating_intervals_have_a_known_answer() -> None:
    variability = Variability(1000.0)
    at = pushed([800, 850] * 200, variability)
    assert variability.snapshot(at) == pytest.approx((50.0, 25.0), abs=0.1)


def test_a_constant_interval_varies_by_nothing() -> None:
    variability = Variability(FS)
    assert variability.snapshot(pushed([200] * 400, variability)) == (0.0, 0.0)


def test_it_is_unknown_until_four_of_five_minutes_are_covered_and_again_when_they_are_not() -> None:
    variability, at, known = Variability(FS), 0, []
    for _ in range(400):
        at += 200
        variability.push(at, 200, 200)
        known.append(variability.snapshot(at) is not None)
    assert known == [0.8 * (k + 1) >= COVERED_S for k in range(400)]
    left = SPAN_S - COVERED_S
    assert variability.snapshot(at + round((left - 1) * FS)) is not None
    assert variability.snapshot(at + round((left + 1) * FS)) is None
    assert variability.snapshot(at + round(2 * SPAN_S * FS)) is None


def test_intervals_without_neighbours_count_towards_sdnn_alone() -> None:
    variability, at = Variability(1000.0), 0
    for rr in [800, 900] * 200:
        at += rr
        variability.push(at, rr, None)
    assert variability.snapshot(at) is None  # there is no difference to tell
    variability.push(at, 900, 890)
    told = variability.snapshot(at)
    assert told is not None
    assert told == pytest.approx((10.0, 50.0), abs=0.2)


def test_what_is_cleared_is_forgotten() -> None:
    variability = Variability(FS)
    at = pushed([200, 300] * 300, variability)
    variability.clear()
    assert variability.snapshot(at) is None
    assert variability.snapshot(pushed([200] * 400, variability, at)) == (0.0, 0.0)
