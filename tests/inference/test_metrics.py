import numpy as np
import pytest

from inference.training.metrics import (
    auroc,
    average_precision,
    brier,
    expected_calibration_error,
    f1,
    macro_auroc,
    patient_bootstrap,
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
    assert patient_bootstrap(np.arange(5), lambda _rows: None, np.random.default_rng(0), 10) is None


def test_perfect_answers_have_perfect_figures() -> None:
    assert auroc(TRUTH, TRUTH) == 1
    assert average_precision(TRUTH, TRUTH) == 1
    assert f1(TRUTH, TRUTH > 0.5) == 1
    assert brier(TRUTH, TRUTH) == 0
    assert expected_calibration_error(TRUTH, TRUTH) == pytest.approx(0)


def test_calibration_error_of_a_constant_is_its_distance_from_the_prevalence() -> None:
    truth = np.tile([1.0, 0.0], 100)
    assert expected_calibration_error(truth, np.full(200, 0.8)) == pytest.approx(0.3, abs=0.02)


def test_the_interval_holds_the_figure_and_widens_when_patients_repeat() -> None:
    def mean_of(rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
        return float(SCORES[rows].mean())

    alone = patient_bootstrap(np.arange(200), mean_of, np.random.default_rng(1), 400)
    order = np.argsort(SCORES)
    clustered_patient = np.empty(200, dtype=np.int64)
    clustered_patient[order] = np.arange(200) // 10  # ten alike recordings a patient
    clustered = patient_bootstrap(clustered_patient, mean_of, np.random.default_rng(1), 400)
    assert alone is not None
    assert clustered is not None
    assert alone[0] < SCORES.mean() < alone[1]
    assert clustered[1] - clustered[0] > 1.5 * (alone[1] - alone[0])
