import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.card import CARD_NAME, RELEASED_WEIGHTS, encode_card
from inference.classifier import Classifier
from inference.training.__main__ import main
from inference.training.dataset import LEADS, Records
from inference.training.evaluate import evaluate
from inference.verdict import Superclass

Synthetic = Callable[..., Records]


def test_a_directory_without_recordings_ends_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--data", str(tmp_path)]) == 1
    assert f"{tmp_path} holds no recordings" in capsys.readouterr().err


def write_compact(directory: Path, records: Records) -> None:
    """The layout of the shared arrays, with the fold in the file names."""
    dx = np.diff(records.ecg_uv, axis=-1, prepend=np.int16(0)).astype(np.int16)
    np.savez(directory / "ptbxl_100hz_fold10.npz", ecg_id=records.ecg_id, dx=dx, leads=list(LEADS))
    names = [
        [name.value for name, has in zip(Superclass, row, strict=True) if has] for row in records.targets
    ]
    rows = zip(records.ecg_id, records.patient, names, strict=True)
    lines = ["ecg_id,patient_id,strat_fold,super_class", *(f'{i},{p}.0,10,"{n}"' for i, p, n in rows)]
    (directory / "ptbxl_labels_fold10.csv").write_text("\n".join(lines) + "\n")


def test_evaluation_prints_one_object_with_every_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], synthetic: Synthetic
) -> None:
    records = synthetic(60)
    write_compact(tmp_path, records)
    assert main(["evaluate", "--data", str(tmp_path), "--folds", "10", "--lead", "I"]) == 0
    figures = json.loads(capsys.readouterr().out)
    names = {name.value for name in Superclass}
    for key in ("auroc", "auprc", "prevalence", "f1", "ece", "ece_floor", "ece_equal_width", "brier"):
        assert set(figures[key]) == names
    assert (figures["n"], figures["folds"], figures["calibration"]) == (60, [10], "as served")
    assert 0 <= figures["coverage"] <= 1
    low, high = figures["ci95"]["macro_auroc"]
    assert low < figures["macro_auroc"] < high
    assert [point["coverage"] for point in figures["risk"]["curve"]] == [c / 10 for c in range(10, 0, -1)]
    by_sex = [group["n"] for group in figures["subgroups"] if group["by"] == "sex"]
    assert by_sex == [0, 0]  # the table says nothing of it


def test_turned_targets_turn_the_figures(synthetic: Synthetic) -> None:
    records = synthetic(60)
    classifier = Classifier.load()
    figures = evaluate(classifier, records, rounds=2)
    turned = evaluate(classifier, replace(records, targets=1 - records.targets), rounds=2)
    assert turned["macro_auroc"] == pytest.approx(1 - figures["macro_auroc"], abs=1e-3)
    for name, share in figures["conformal"]["with_not_called_absent"].items():
        assert turned["called_present_of_those_without"][name] == pytest.approx(
            figures["called_present_of_those_with"][name]
        )
        assert 0 <= share <= 1


def test_a_class_with_one_outcome_has_no_figure_and_harms_no_other(synthetic: Synthetic) -> None:
    records = synthetic(60)
    targets = records.targets.copy()
    targets[:, 1], targets[:, 2] = 0, 1
    figures = evaluate(Classifier.load(), replace(records, targets=targets), rounds=20)
    assert figures["auroc"]["MI"] is figures["auprc"]["MI"] is figures["f1"]["MI"] is None
    assert figures["auroc"]["STTC"] is figures["macro_auroc"] is figures["ci95"]["macro_auroc"] is None
    assert figures["auroc"]["NORM"] is not None
    assert figures["ci95"]["auroc"]["NORM"] is not None
    json.dumps(figures, allow_nan=False)
    one = evaluate(Classifier.load(), records.rows(np.array([0])), rounds=2)
    assert (one["n"], one["macro_auroc"]) == (1, None)


def test_subgroups_count_whom_they_know(synthetic: Synthetic) -> None:
    records = synthetic(60)
    figures = evaluate(Classifier.load(), records, rounds=2)
    count = {(group["by"], group["group"]): group["n"] for group in figures["subgroups"]}
    known = int((~np.isnan(records.male)).sum())
    assert count["sex", "female"] + count["sex", "male"] == known < 60
    assert sum(n for (by, _), n in count.items() if by == "age") == known
    assert count["heart rate", "60 to 100 bpm"] >= 45  # 75 bpm; the smallest beats are beyond the detector
    assert sum(n for (by, _), n in count.items() if by == "heart rate") <= 60
    assert sum(n for (by, _), n in count.items() if by == "quality") == 60
    assert (count["pacemaker", "noted"], count["pacemaker", "none noted"]) == (0, known)
    assert count["100 Hz version", "the database's own"] == 20


def test_a_lead_the_weights_do_not_serve_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], synthetic: Synthetic
) -> None:
    card = Classifier.load().card
    weights = tmp_path / "weights"
    shutil.copytree(RELEASED_WEIGHTS, weights)
    only_first = replace(card, by_lead={"I": card.by_lead["I"]})
    (weights / CARD_NAME).write_bytes(encode_card(only_first))
    write_compact(tmp_path, synthetic(20))
    asked = ["evaluate", "--data", str(tmp_path), "--folds", "10", "--weights", str(weights)]
    assert main([*asked, "--lead", "II"]) == 1
    assert "are for lead I, not for lead II" in capsys.readouterr().err


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
