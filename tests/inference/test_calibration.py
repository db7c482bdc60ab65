from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.calibration import (
    CONFORMAL_ERROR,
    MIN_EXAMPLES,
    Calibration,
    ClassCalibration,
    _conformal,
    fit,
    fit_class,
    fit_lead,
    patient_part,
    sigmoid,
)
from inference.lead_view import VIEWS
from inference.training.calibrate import calibrate, load_calibrations, save_calibrations
from inference.training.dataset import Records
from inference.training.metrics import expected_calibration_error, f1
from inference.verdict import Presence


def drawn(
    rng: np.random.Generator, n: int, *, slope: float = 1.0, offset: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits whose true probability is sigmoid(slope * logit + offset), and outcomes drawn from it."""
    logits = rng.normal(0, 2, n)
    return logits, (rng.random(n) < sigmoid(slope * logits + offset)).astype(float)


def test_platt_finds_the_truth_it_was_drawn_from() -> None:
    fitted = fit_class(*drawn(np.random.default_rng(0), 40_000, slope=0.5, offset=-1.0))
    assert fitted.slope == pytest.approx(0.5, abs=0.03)
    assert fitted.offset == pytest.approx(-1.0, abs=0.05)


def test_over_confident_logits_are_calibrated_on_outcomes_they_were_not_fitted_on() -> None:
    rng = np.random.default_rng(1)
    fitted = fit_class(*drawn(rng, 2000, slope=0.3))
    logits, truth = drawn(rng, 2000, slope=0.3)
    before = expected_calibration_error(truth, sigmoid(logits))
    after = expected_calibration_error(truth, sigmoid(fitted.slope * logits + fitted.offset))
    assert before > 0.1
    assert after < 0.04


@pytest.mark.parametrize("seed", range(5))
def test_limits_keep_their_promise_on_new_windows(seed: int) -> None:
    """At most 10 % (and the noise of 4,000 draws) wrong on each side, given the truth."""
    rng = np.random.default_rng(seed)
    fitted = fit_class(*drawn(rng, 4000))
    logits, truth = drawn(rng, 8000)
    said = np.array([fitted.presence(p) for p in sigmoid(fitted.slope * logits + fitted.offset)])
    has = truth > 0.5
    assert np.mean(said[has] == Presence.ABSENT) < 0.12
    assert np.mean(said[~has] == Presence.PRESENT) < 0.12
    assert np.mean(said[has] == Presence.PRESENT) > 0.3  # and they do decide
    assert np.mean(said[~has] == Presence.ABSENT) > 0.3


def test_limits_never_cross_where_the_classes_hardly_overlap() -> None:
    logits = np.r_[np.linspace(-6, -2, 50), np.linspace(2, 6, 50)]
    fitted = fit_class(logits, (logits > 0).astype(float))
    assert fitted.absent_below <= fitted.present_above
    assert fitted.presence(0.0) == Presence.ABSENT
    assert fitted.presence(1.0) == Presence.PRESENT


def test_what_lies_between_the_limits_is_uncertain() -> None:
    limits = ClassCalibration(1.0, 0.0, threshold=0.5, absent_below=0.2, present_above=0.7)
    said = [limits.presence(p) for p in (0.19, 0.2, 0.5, 0.7, 0.71)]
    assert said == [Presence.ABSENT, *[Presence.UNCERTAIN] * 3, Presence.PRESENT]


def test_the_threshold_reaches_nearly_the_best_f1_on_new_windows() -> None:
    rng = np.random.default_rng(2)
    fitted = fit_class(*drawn(rng, 400, offset=-1.5))
    logits, truth = drawn(rng, 20_000, offset=-1.5)
    probability = sigmoid(fitted.slope * logits + fitted.offset)
    scores = [f1(truth, probability >= limit) or 0.0 for limit in np.arange(0.05, 0.95, 0.05)]
    assert (f1(truth, probability >= fitted.threshold) or 0.0) > max(scores) - 0.02


@settings(deadline=None)
@given(
    st.lists(st.floats(-5, 5), min_size=MIN_EXAMPLES, max_size=60),
    st.lists(st.floats(-5, 5), min_size=MIN_EXAMPLES, max_size=60),
)
def test_no_recording_left_out_of_the_limits_breaks_their_promise(
    with_finding: list[float], without: list[float]
) -> None:
    """Split conformal's guarantee without any chance in it.

    Of n exchangeable recordings each is as likely to be the new one. So let each be it: of those with the
    finding at most a tenth may fall below the limit that the others set, whatever the numbers are; and the
    like of those without.
    """
    low, high = np.array(with_finding), np.array(without)

    def limits(of_with: NDArray[np.float64], of_without: NDArray[np.float64]) -> tuple[float, float]:
        values = np.concatenate([of_with, of_without])
        return _conformal(values, np.arange(len(values)) < len(of_with))

    if len(low) > MIN_EXAMPLES:
        missed = sum(low[i] < limits(np.delete(low, i), high)[0] for i in range(len(low)))
        assert missed <= CONFORMAL_ERROR * len(low) + 1e-9
    if len(high) > MIN_EXAMPLES:
        false = sum(high[i] > limits(low, np.delete(high, i))[1] for i in range(len(high)))
        assert false <= CONFORMAL_ERROR * len(high) + 1e-9


def test_scaling_keeps_the_order_that_the_limits_rest_on() -> None:
    logits, truth = drawn(np.random.default_rng(6), 300, slope=2.0, offset=-1.0)
    fitted = fit_class(logits, truth)
    low, high = _conformal(logits, truth > 0.5)
    said = [fitted.presence(float(p)) for p in sigmoid(fitted.slope * logits + fitted.offset)]
    for logit, presence in zip(logits, said, strict=True):
        if not np.isclose(logit, [low, high]).any():
            assert presence == (
                Presence.ABSENT if logit < low else Presence.PRESENT if logit > high else Presence.UNCERTAIN
            )


def test_each_class_has_its_own_scale() -> None:
    neutral = ClassCalibration(1.0, 0.0, 0.5, 0.1, 0.9)
    steep = ClassCalibration(2.0, 1.0, 0.5, 0.1, 0.9)
    probabilities = Calibration((neutral, steep)).probabilities(np.array([[0.3, 0.3], [1e4, -1e4]]))
    np.testing.assert_allclose(probabilities[0], sigmoid(np.array([0.3, 1.6])))
    np.testing.assert_allclose(probabilities[1], np.array([1.0, 0.0]))


def test_a_patient_is_in_one_part_only_and_no_part_is_judged_by_what_it_taught() -> None:
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(400), 3)
    part = patient_part(patient, 5)
    assert all(len(set(part[patient == p])) == 1 for p in range(400))
    assert np.bincount(part, minlength=5).min() > 120
    logits, truth = (column[:, None] for column in drawn(rng, 1200))
    fitted = fit_lead(logits, truth, patient, 5)
    assert fitted.served == fit(logits, truth)
    turned = truth.copy()
    turned[part == 2] = 1 - turned[part == 2]
    assert fit_lead(logits, turned, patient, 5).parts[2] == fitted.parts[2]
    assert fit_lead(logits, turned, patient, 5).parts[1] != fitted.parts[1]


def test_too_few_examples_are_refused_with_their_number() -> None:
    truth = np.r_[np.ones(9), np.zeros(90)]
    with pytest.raises(ValueError, match=r"needs 10 windows.*got 9 with and 90 without"):
        fit_class(np.linspace(1, 0, 99), truth)


def test_logits_that_rank_backwards_are_refused() -> None:
    logits, truth = drawn(np.random.default_rng(4), 500)
    with pytest.raises(ValueError, match="the wrong way"):
        fit_class(-logits, truth)


def test_calibrations_come_back_as_they_were(tmp_path: Path, synthetic: Callable[..., Records]) -> None:
    records = synthetic(400).of_folds([9, 8])
    noise = np.random.default_rng(0).normal(0, 1, records.targets.shape)
    logits = (2 * records.targets - 1 + noise).astype(np.float32)
    by_view = {view: np.full((3, len(VIEWS)), 0.2) for view in VIEWS}
    calibrations = calibrate(records, {"I": logits, "II": logits * np.float32(0.5)}, by_view)
    assert calibrations.folds == (8, 9)
    save_calibrations(calibrations, tmp_path)
    assert load_calibrations(tmp_path) == calibrations
