import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.classifier import Classifier
from inference.training.__main__ import main
from inference.training.dataset import Records, save_records
from inference.training.evaluate import evaluate
from inference.verdict import Superclass

Synthetic = Callable[..., Records]


def test_a_directory_without_recordings_ends_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--data", str(tmp_path)]) == 1
    assert f"{tmp_path} holds no recordings" in capsys.readouterr().err


def test_evaluation_prints_every_figure_and_fits_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], synthetic: Synthetic
) -> None:
    records = synthetic(60)
    save_records(replace(records, fold=np.full(60, 9)), tmp_path)
    assert main(["evaluate", "--data", str(tmp_path), "--folds", "9"]) == 0
    figures = json.loads(capsys.readouterr().out)
    names = {name.value for name in Superclass}
    for key in ("auroc", "auprc", "prevalence", "f1", "ece", "brier"):
        assert set(figures[key]) == names
    assert figures["n"] == 60
    assert 0 <= figures["coverage"] <= 1
    assert 0 < figures["macro_auroc"] < 1
    low, high = figures["ci95"]["macro_auroc"]
    assert low < figures["macro_auroc"] < high
    flipped = replace(records, targets=1 - records.targets, fold=np.full(60, 9))
    turned = evaluate(Classifier.load(), flipped, rounds=20)
    assert turned["macro_auroc"] == pytest.approx(1 - figures["macro_auroc"], abs=1e-3)


def test_the_calibration_fold_is_judged_by_other_patients_and_other_folds_as_served(
    synthetic: Synthetic,
) -> None:
    classifier = Classifier.load()
    records = synthetic(60)
    seen = evaluate(classifier, replace(records, fold=np.full(60, 9)), rounds=20)
    unseen = evaluate(classifier, replace(records, fold=np.full(60, 10)), rounds=20)
    assert seen["auroc"] == unseen["auroc"]  # logits are the same
    assert seen["brier"] != unseen["brier"]  # calibrations are not
    assert seen["calibration"].startswith("cross-fitted")
    assert unseen["calibration"] == "as served"
