import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.classifier import Classifier
from inference.training.__main__ import main
from inference.training.augment import AugmentConfig, augment
from inference.training.calibrate import calibrate, load_calibrations, save_calibrations
from inference.training.dataset import LEADS, DatasetError, Records, load_records, save_records
from inference.training.evaluate import evaluate
from inference.training.handheld import handheld_figures
from inference.training.train import LOG_NAME, Recipe, load_trained, logits_of, one_cycle, train
from inference.verdict import Superclass

torch.set_num_threads(1)
TINY = Recipe(epochs=3, pretrain_epochs=1, batch=8)


def synthetic(n: int = 40, seed: int = 0) -> Records:
    """Beats whose height tells the classes apart, two recordings a patient, folds 1-9."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, 5)) < 0.5).astype(np.float32)
    time_s = np.arange(1000) / 100
    beat = np.exp(-((((time_s % 0.8) - 0.4) / 0.02) ** 2))
    height_uv = 300 + 500 * targets[:, 0] - 200 * targets[:, 1]
    ecg = height_uv[:, None, None] * beat + rng.normal(0, 10, (n, len(LEADS), 1000))
    patient = np.arange(n) // 2
    return Records(
        ecg_uv=ecg.astype(np.int16),
        targets=targets,
        fold=1 + patient % 9,
        patient=patient,
        ecg_id=np.arange(1, n + 1),
    )


def test_an_interrupted_run_goes_on_as_if_it_never_stopped(tmp_path: Path) -> None:
    records = synthetic(24)
    whole = train(records, TINY, tmp_path / "whole")
    train(records, TINY, tmp_path / "broken", stop_after=1)
    resumed = train(records, TINY, tmp_path / "broken")
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, rtol=0, atol=0)
    lines = (tmp_path / "broken" / LOG_NAME).read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


def test_training_learns_and_leaves_a_network_that_loads(tmp_path: Path) -> None:
    records = synthetic()
    net = train(records, replace(TINY, epochs=4), tmp_path)
    losses = [json.loads(line)["loss"] for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    assert losses[-1] < losses[0]
    ecg_mv = records.lead_mv("I")
    np.testing.assert_array_equal(logits_of(load_trained(tmp_path), ecg_mv), logits_of(net, ecg_mv))


def test_the_calibration_fold_is_not_trained_on(tmp_path: Path) -> None:
    records = synthetic()
    other = replace(records, ecg_uv=records.ecg_uv.copy(), targets=records.targets.copy())
    other.ecg_uv[records.fold == 9] = 0
    other.targets[records.fold == 9] = 1 - other.targets[records.fold == 9]
    once = replace(TINY, epochs=1)
    first, second = train(records, once, tmp_path / "a"), train(other, once, tmp_path / "b")
    for name, weight in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], weight, rtol=0, atol=0)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    train(synthetic(), TINY, tmp_path, stop_after=1)
    with pytest.raises(ValueError, match="another recipe"):
        train(synthetic(), replace(TINY, seed=2), tmp_path)


def test_too_few_recordings_for_a_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="6 training recordings do not fill one batch of 8"):
        train(synthetic(6), TINY, tmp_path)


def test_the_rate_rises_once_and_falls_to_nothing() -> None:
    rates = [one_cycle(step, 400, TINY) for step in range(400)]
    top = int(np.argmax(rates))
    assert rates[top] == pytest.approx(TINY.peak_lr)
    assert top == 100
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < TINY.peak_lr / 1000


def test_augmentation_changes_the_waveform_and_never_its_polarity() -> None:
    ecg_mv = synthetic().lead_mv("I")
    before = ecg_mv.copy()
    changed = augment(ecg_mv, np.random.default_rng(0), AugmentConfig())
    np.testing.assert_array_equal(ecg_mv, before)
    assert changed.shape == ecg_mv.shape
    assert (np.nanmax(changed, axis=1) > -np.nanmin(changed, axis=1)).mean() > 0.9
    assert 0.05 < np.isnan(changed).any(axis=1).mean() < 0.6


def test_augmentation_by_nothing_is_the_same_waveform() -> None:
    ecg_mv = synthetic().lead_mv("I")
    nothing = AugmentConfig(
        gain=(1.0, 1.0), stretch_share=0, wander_share=0, emg_share=0, mains_share=0, mask_share=0
    )
    np.testing.assert_allclose(augment(ecg_mv, np.random.default_rng(0), nothing), ecg_mv, atol=1e-7)


def test_prepared_records_come_back_as_they_were(tmp_path: Path) -> None:
    records = synthetic()
    save_records(records, tmp_path)
    again = load_records(tmp_path)
    for name, array in asdict(records).items():
        np.testing.assert_array_equal(getattr(again, name), array)


def test_compact_arrays_are_read_by_id_and_unlabelled_ones_left_out(tmp_path: Path) -> None:
    ecg_uv = synthetic(4).ecg_uv
    dx = np.diff(ecg_uv, axis=-1, prepend=np.int16(0)).astype(np.int16)
    np.savez(tmp_path / "ptbxl_100hz_part.npz", ecg_id=[7, 3, 5, 9], dx=dx, leads=list(LEADS))
    (tmp_path / "ptbxl_labels_part.csv").write_text(
        "ecg_id,patient_id,strat_fold,super_class\n"
        "3,30.0,2,\"['MI', 'CD']\"\n5,50.0,9,\n7,70.0,1,['NORM']\n9,90.0,9,['HYP']\n"
    )
    records = load_records(tmp_path)
    assert records.ecg_id.tolist() == [3, 7, 9]
    assert records.patient.tolist() == [30, 70, 90]
    assert records.targets.tolist() == [[0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]
    np.testing.assert_array_equal(records.ecg_uv, ecg_uv[[1, 0, 3]])
    np.testing.assert_array_equal(records.of_folds([9]).ecg_id, [9])


def test_ptbxl_is_read_as_published(tmp_path: Path) -> None:
    (tmp_path / "scp_statements.csv").write_text(
        ",description,diagnostic,diagnostic_class\nNDT,x,1.0,STTC\nIMI,x,1.0,MI\nSR,x,,\n"
    )
    (tmp_path / "ptbxl_database.csv").write_text(
        "ecg_id,patient_id,scp_codes,strat_fold,filename_lr\n"
        "1,11.0,\"{'NDT': 100.0, 'IMI': 15.0, 'SR': 0.0}\",3,a\n2,12.0,{'SR': 0.0},4,b\n"
    )
    stored = np.arange(12_000, dtype="<i2").reshape(1000, 12)
    stored.tofile(tmp_path / "a.dat")
    records = load_records(tmp_path)
    assert records.targets.tolist() == [[0, 1, 1, 0, 0]]
    np.testing.assert_array_equal(records.ecg_uv[0, :3], stored[:, [0, 1, 6]].transpose())
    assert records.lead_mv("V6")[0, 0] == pytest.approx(0.011)


def test_a_directory_without_recordings_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DatasetError, match="holds no recordings"):
        load_records(tmp_path)
    assert main(["evaluate", "--data", str(tmp_path)]) == 1
    assert f"{tmp_path} holds no recordings" in capsys.readouterr().err


def test_calibrations_come_back_as_they_were(tmp_path: Path) -> None:
    records = synthetic(400).of_folds([9])
    logits = (2 * records.targets - 1 + np.random.default_rng(0).normal(0, 1, records.targets.shape)).astype(
        np.float32
    )
    big = replace(records, **{name: np.concatenate([array] * 4) for name, array in asdict(records).items()})
    big = replace(big, patient=np.arange(len(big)))
    calibrations = calibrate(big, {"I": np.concatenate([logits] * 4)})
    assert calibrations.folds == (9,)
    save_calibrations(calibrations, tmp_path)
    assert load_calibrations(tmp_path) == calibrations


def test_evaluation_prints_every_figure_and_fits_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
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


def test_the_calibration_fold_is_judged_by_other_patients_and_other_folds_as_served() -> None:
    classifier = Classifier.load()
    records = synthetic(60)
    seen = evaluate(classifier, replace(records, fold=np.full(60, 9)), rounds=20)
    unseen = evaluate(classifier, replace(records, fold=np.full(60, 10)), rounds=20)
    assert seen["auroc"] == unseen["auroc"]  # logits are the same
    assert seen["brier"] != unseen["brier"]  # calibrations are not
    assert seen["calibration"].startswith("cross-fitted")
    assert unseen["calibration"] == "as served"


def test_handheld_recordings_are_counted_by_label_and_short_ones_left_out(tmp_path: Path) -> None:
    assert handheld_figures(Classifier.load(), tmp_path) is None
    rng = np.random.default_rng(0)
    time_s = np.arange(3600) / 300
    beat = (800 * np.exp(-((((time_s % 0.8) - 0.4) / 0.015) ** 2)) + rng.normal(0, 5, 3600)).astype(np.int16)
    noise = rng.normal(0, 300, 3600).astype(np.int16)
    signals = [beat, np.asarray(-beat), noise, beat[:2000]]
    np.savez(
        tmp_path / "cinc2017_300hz_part.npz",
        dx=np.concatenate([np.diff(signal, prepend=np.int16(0)) for signal in signals]),
        offset=np.cumsum([0, *(len(signal) for signal in signals)]),
        label=["N", "N", "~", "N"],
    )
    figures = handheld_figures(Classifier.load(), tmp_path)
    assert figures is not None
    assert (figures["normal rhythm"]["n"], figures["normal rhythm"]["refused"]) == (2, 0.0)
    assert figures["normal rhythm"]["upright"] == 0.5
    assert sum(figures["normal rhythm"]["norm"].values()) == pytest.approx(1)
    assert (figures["noisy"]["n"], figures["noisy"]["refused"], figures["noisy"]["norm"]) == (1, 1.0, None)
    assert "atrial fibrillation" not in figures
