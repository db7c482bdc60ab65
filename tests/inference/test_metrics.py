import numpy as np
import pytest
from numpy.typing import NDArray

from inference.training.metrics import (
    auroc,
    average_precision,
    brier,
    calibration_error_by_chance,
    equal_width_error,
    expected_calibration_error,
    f1,
    macro_auroc,
    patient_bootstrap,
    risk_at_coverage,
)

RNG = np.random.default_rng(0)
TRUTH = (RNG.random(200) < 0.3).astype(float)
SCORES = np.round(TRUTH + RNG.normal(0, 1, 200), 1)  # rounded: with ties


def test_auroc_is_the_chance_that_a_positive_outranks_a_negative() -> None:
    positive, negative = SCORES[TRUTH > 0.5], SCORES[TRUTH < 0.5]
    wins = np.mean((positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :]))
    assert auroc(TRUTH, SCORES) == pytest.approx(wins)


def test_average_precision_sums_precision_at_each_distinct_score() -> None:
    total, recall_before = 0.0, 0.0
    for limit in sorted(set(SCORES.tolist()), reverse=True):
        found = limit <= SCORES
        recall = TRUTH[found].sum() / TRUTH.sum()
        total += (recall - recall_before) * TRUTH[found].mean()
        recall_before = recall
    assert average_precision(TRUTH, SCORES) == pytest.approx(total)


def test_what_is_undefined_is_none() -> None:
    assert auroc(np.ones(5), np.arange(5.0)) is None
    assert average_precision(np.zeros(5), np.arange(5.0)) is None
    assert macro_auroc(np.ones((5, 2)), np.zeros((5, 2))) is None
    assert f1(np.zeros(5), np.arange(5) > 2) is None
    rare = np.r_[np.ones(1), np.zeros(20)]  # a third of the draws are without it
    limits = patient_bootstrap(
        np.arange(21),
        lambda rows: [auroc(rare[rows], np.arange(21.0)[rows]), float(rare[rows].mean())],
        np.random.default_rng(0),
        200,
    )
    assert limits[0] is None
    assert limits[1] is not None


def test_perfect_answers_have_perfect_figures() -> None:
    assert auroc(TRUTH, TRUTH) == 1
    assert average_precision(TRUTH, TRUTH) == 1
    assert f1(TRUTH, TRUTH > 0.5) == 1
    assert brier(TRUTH, TRUTH) == 0
    assert expected_calibration_error(TRUTH, TRUTH) == pytest.approx(0)


def test_calibration_error_of_a_constant_is_its_distance_from_the_prevalence() -> None:
    truth = np.tile([1.0, 0.0], 100)
    assert expected_calibration_error(truth, np.full(200, 0.8)) == pytest.approx(0.3, abs=0.02)


def test_in_equal_widths_the_error_is_weighted_by_what_each_bin_holds() -> None:
    truth = np.r_[np.ones(30), np.zeros(10), np.zeros(60)]
    stated = np.r_[np.full(40, 0.95), np.full(60, 0.05)]  # 0.75 and 0 in truth
    assert equal_width_error(truth, stated) == pytest.approx(0.4 * 0.2 + 0.6 * 0.05)
    assert equal_width_error(truth[::-1], stated[::-1]) == pytest.approx(0.4 * 0.2 + 0.6 * 0.05)


def test_perfect_probabilities_stray_by_chance_as_told_and_less_with_more_recordings() -> None:
    rng = np.random.default_rng(5)
    stated = rng.beta(0.5, 1.5, 400)
    mean, high = calibration_error_by_chance(stated, np.random.default_rng(0), 400)
    seen = [expected_calibration_error((rng.random(400) < stated).astype(float), stated) for _ in range(200)]
    assert np.mean(seen) == pytest.approx(mean, abs=0.003)
    assert 0.88 < np.mean(np.array(seen) < high) < 0.99
    many, _ = calibration_error_by_chance(np.tile(stated, 16), np.random.default_rng(0), 100)
    assert many == pytest.approx(mean / 4, rel=0.15)


def test_the_risk_of_the_surest_decisions_is_their_share_of_errors() -> None:
    confidence = np.array([0.1, 0.9, 0.8, 0.5])
    wrong = np.array([True, False, True, False])
    risks = risk_at_coverage(confidence, wrong, np.array([1.0, 0.5, 0.25, 0.01]))
    np.testing.assert_allclose(risks, [0.5, 0.5, 0.0, 0.0])


def test_patients_are_drawn_whole() -> None:
    patient = np.array([7, 3, 7, 5, 7])

    def is_whole(rows: NDArray[np.int64]) -> list[float | None]:
        times = np.bincount(rows, minlength=5)
        assert times[0] == times[2] == times[4]
        assert times[0] + times[1] + times[3] == 3  # three patients, as many as there are
        return [float(times[0])]

    (limits,) = patient_bootstrap(patient, is_whole, np.random.default_rng(0), 100)
    assert limits == (0, 3)


def test_the_interval_holds_the_figure_and_widens_when_patients_repeat() -> None:
    def mean_of(rows: NDArray[np.int64]) -> list[float | None]:
        return [float(SCORES[rows].mean())]

    (alone,) = patient_bootstrap(np.arange(200), mean_of, np.random.default_rng(1), 400)
    order = np.argsort(SCORES)
    clustered_patient = np.empty(200, dtype=np.int64)
    clustered_patient[order] = np.arange(200) // 10  # ten alike recordings a patient
    (clustered,) = patient_bootstrap(clustered_patient, mean_of, np.random.default_rng(1), 400)
    assert alone is not None
    assert clustered is not None
    assert alone[0] < SCORES.mean() < alone[1]
    assert clustered[1] - clustered[0] > 1.5 * (alone[1] - alone[0])
