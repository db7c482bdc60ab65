import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.lead_view import (
    FALSE_INVERSION,
    INVERTED,
    MIN_INVERTED,
    RECOGNITION_ERROR,
    VIEWS,
    LeadLimits,
    LeadView,
    fit_limits,
    softmax,
)
from inference.verdict import Indeterminate

LIMITS = LeadLimits(inverted={"I": 0.6, "II": 0.7}, recognised={"I": 0.8, "II": 0.9})


Floats = NDArray[np.float64]


def shares(**named: float) -> Floats:
    """Probabilities of views by name; the rest is spread over the others."""
    given_to = {LeadView[name]: share for name, share in named.items()}
    rest = (1 - sum(given_to.values())) / (len(VIEWS) - len(given_to))
    return np.array([given_to.get(view, rest) for view in VIEWS])


def by_view(spread: float, seed: int = 0, n: int = 400) -> dict[LeadView, Floats]:
    rng = np.random.default_rng(seed)
    return {
        view: softmax(rng.normal(0, spread, (n, len(VIEWS))) + 3 * np.eye(len(VIEWS))[VIEWS.index(view)])
        for view in VIEWS
    }


def test_a_told_lead_is_believed_unless_it_looks_upside_down() -> None:
    assert LIMITS.read(shares(LEAD_II=0.99), told="I") is LeadView.LEAD_I
    assert LIMITS.read(shares(INVERTED_I=0.61), told="I") is Indeterminate.INVERTED
    assert LIMITS.read(shares(INVERTED_I=0.59), told="I") is LeadView.LEAD_I
    assert LIMITS.read(shares(INVERTED_I=0.99), told="II") is LeadView.LEAD_II
    assert LIMITS.read(shares(INVERTED_II=0.99), told="II") is Indeterminate.INVERTED


def test_a_lead_that_was_not_told_is_recognised_or_not_read() -> None:
    assert LIMITS.read(shares(LEAD_I=0.81), told=None) is LeadView.LEAD_I
    assert LIMITS.read(shares(LEAD_II=0.91), told=None) is LeadView.LEAD_II
    for unsure in (shares(LEAD_I=0.79), shares(LEAD_II=0.89), shares(OTHER=0.99), shares(INVERTED_I=0.99)):
        assert LIMITS.read(unsure, told=None) is Indeterminate.UNKNOWN_LEAD


@given(st.lists(st.floats(-8, 8), min_size=5, max_size=5))
def test_without_being_told_nothing_is_read_that_is_not_most_probable(logits: list[float]) -> None:
    probabilities = softmax(np.array([logits]))[0]
    view = LIMITS.read(probabilities, told=None)
    if isinstance(view, LeadView):
        assert probabilities[VIEWS.index(view)] == probabilities.max()


@pytest.mark.parametrize("spread", [0.5, 1.5, 3.0])
def test_fitted_limits_keep_their_promise_where_they_were_fitted(spread: float) -> None:
    seen = by_view(spread)
    limits = fit_limits(seen)
    everything = np.concatenate(list(seen.values()))
    truth = np.repeat(list(VIEWS), [len(one) for one in seen.values()])
    for view, opposite in INVERTED.items():
        upright = seen[view][:, VIEWS.index(opposite)]
        assert (upright > limits.inverted[view]).mean() <= FALSE_INVERSION
        assert limits.inverted[view] >= MIN_INVERTED
        recognised = everything[:, VIEWS.index(view)] > limits.recognised[view]
        if recognised.any():
            assert (truth[recognised] == view).mean() >= 1 - RECOGNITION_ERROR


def test_a_lead_that_is_never_told_apart_is_never_recognised() -> None:
    rng = np.random.default_rng(3)
    alike = {view: softmax(rng.normal(0, 3, (300, len(VIEWS)))) for view in VIEWS}
    limits = fit_limits(alike)
    assert max(limits.recognised.values()) > 0.99


def test_softmax_adds_up_to_one_without_overflow() -> None:
    logits = np.array([[1000.0, 0.0, -1000.0, 0.0, 0.0], [0.0] * 5])
    np.testing.assert_allclose(softmax(logits).sum(axis=1), 1.0)
    np.testing.assert_allclose(softmax(logits)[1], 0.2)
