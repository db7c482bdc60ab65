import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.training.augment import AugmentConfig, augment
from inference.training.dataset import Records
from inference.training.train import LOG_NAME, Recipe, load_trained, logits_of, one_cycle, train

torch.set_num_threads(1)
Synthetic = Callable[..., Records]
TINY = Recipe(epochs=3, pretrain_epochs=1, batch=8)


def test_an_interrupted_run_goes_on_as_if_it_never_stopped(tmp_path: Path, synthetic: Synthetic) -> None:
    records = synthetic(24)
    whole = train(records, TINY, tmp_path / "whole")
    train(records, TINY, tmp_path / "broken", stop_after=1)
    resumed = train(records, TINY, tmp_path / "broken")
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, rtol=0, atol=0)
    lines = (tmp_path / "broken" / LOG_NAME).read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


def test_training_learns_and_leaves_a_network_that_loads(tmp_path: Path, synthetic: Synthetic) -> None:
    records = synthetic()
    net = train(records, replace(TINY, epochs=4), tmp_path)
    losses = [json.loads(line)["loss"] for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    assert losses[-1] < losses[0]
    ecg_mv = records.lead_mv("I")
    np.testing.assert_array_equal(logits_of(load_trained(tmp_path), ecg_mv), logits_of(net, ecg_mv))


def test_the_calibration_fold_is_not_trained_on(tmp_path: Path, synthetic: Synthetic) -> None:
    records = synthetic()
    other = replace(records, ecg_uv=records.ecg_uv.copy(), targets=records.targets.copy())
    other.ecg_uv[records.fold == 9] = 0
    other.targets[records.fold == 9] = 1 - other.targets[records.fold == 9]
    once = replace(TINY, epochs=1)
    first, second = train(records, once, tmp_path / "a"), train(other, once, tmp_path / "b")
    for name, weight in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], weight, rtol=0, atol=0)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path, synthetic: Synthetic) -> None:
    train(synthetic(), TINY, tmp_path, stop_after=1)
    with pytest.raises(ValueError, match="another recipe"):
        train(synthetic(), replace(TINY, seed=2), tmp_path)


def test_too_few_recordings_for_a_batch_are_refused(tmp_path: Path, synthetic: Synthetic) -> None:
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


def test_augmentation_changes_the_waveform_and_never_its_polarity(synthetic: Synthetic) -> None:
    ecg_mv = synthetic().lead_mv("I")
    before = ecg_mv.copy()
    changed = augment(ecg_mv, np.random.default_rng(0), AugmentConfig())
    np.testing.assert_array_equal(ecg_mv, before)
    assert changed.shape == ecg_mv.shape
    assert (np.nanmax(changed, axis=1) > -np.nanmin(changed, axis=1)).mean() > 0.9
    assert 0.05 < np.isnan(changed).any(axis=1).mean() < 0.6


def test_augmentation_by_nothing_is_the_same_waveform(synthetic: Synthetic) -> None:
    ecg_mv = synthetic().lead_mv("I")
    nothing = AugmentConfig(
        gain=(1.0, 1.0), stretch_share=0, wander_share=0, emg_share=0, mains_share=0, mask_share=0
    )
    np.testing.assert_allclose(augment(ecg_mv, np.random.default_rng(0), nothing), ecg_mv, atol=1e-7)
