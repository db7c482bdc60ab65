import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.beat_model import BeatPlot, PairNet
from inference.lead_view import VIEWS, LeadView
from inference.model import RecurrenceNet, count_macs
from inference.training.ablation import ABLATION_NAME, ablate
from inference.training.augment import AugmentConfig, NoiseBank, augment
from inference.training.contrast import ContrastTask
from inference.training.dataset import LEADS, Records, eight_leads_mv, save_records
from inference.training.fit import LOG_NAME, Schedule, fit, identity_of, one_cycle
from inference.training.plan import Material, Plan, carry_out, gather, load_trained
from inference.training.teacher import cross_fit
from inference.training.train import ClassifierTask, Lesson, Recipe, logits_of, train
from inference.training.variants import VARIANTS

torch.set_num_threads(1)
Synthetic = Callable[..., Records]
TINY = Schedule(epochs=3, batch=8)
ONCE, NEVER = replace(TINY, epochs=1), replace(TINY, epochs=0)
RECIPE = Recipe(pretrain_epochs=1)
BANK = NoiseBank(rows=20)


def task_of(records: Records, recipe: Recipe = RECIPE, seed: int = 1) -> ClassifierTask:
    torch.manual_seed(seed)
    training, watched = records.of_folds(range(1, 8)), records.of_folds([8])
    return ClassifierTask(RecurrenceNet(), Lesson(training, watched), recipe, BANK)


def assert_same(one: torch.nn.Module, other: torch.nn.Module) -> None:
    for name, weight in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], weight, rtol=0, atol=0)


def test_an_interrupted_run_goes_on_as_if_it_never_stopped(tmp_path: Path, synthetic: Synthetic) -> None:
    records = synthetic(24)
    whole = train(task_of(records), TINY, tmp_path / "whole")
    train(task_of(records), TINY, tmp_path / "broken", stop_after=1)
    assert identity_of(tmp_path / "broken")["epochs_done"] == 1
    resumed = train(task_of(records, seed=5), TINY, tmp_path / "broken")
    assert_same(whole, resumed)
    assert identity_of(tmp_path / "broken")["epochs_done"] == 3
    lines = (tmp_path / "broken" / LOG_NAME).read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


def test_training_learns(tmp_path: Path, synthetic: Synthetic) -> None:
    train(task_of(synthetic()), replace(TINY, epochs=4), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert {"macro_auroc_I", "macro_auroc_II"} <= set(lines[0])


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path, synthetic: Synthetic) -> None:
    train(task_of(synthetic()), TINY, tmp_path, stop_after=1)
    with pytest.raises(ValueError, match="another recipe"):
        train(task_of(synthetic()), replace(TINY, seed=2), tmp_path)
    with pytest.raises(ValueError, match="another recipe"):
        train(task_of(synthetic(), replace(RECIPE, mixup=0.0)), TINY, tmp_path)


def test_too_few_recordings_for_a_batch_are_refused(tmp_path: Path, synthetic: Synthetic) -> None:
    with pytest.raises(ValueError, match="6 training recordings do not fill one batch of 8"):
        train(task_of(synthetic(6)), TINY, tmp_path)


def test_the_rate_rises_once_and_falls_to_nothing() -> None:
    rates = [one_cycle(step, 400, TINY) for step in range(400)]
    top = int(np.argmax(rates))
    assert rates[top] == pytest.approx(TINY.peak_lr)
    assert top == 100
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < TINY.peak_lr / 1000


def test_a_window_upside_down_teaches_the_lead_and_nothing_else(synthetic: Synthetic) -> None:
    always = replace(RECIPE, flip_share=1.0, mixup=0.0)
    batch = task_of(synthetic(), always).batch_of(np.arange(8), np.random.default_rng(0), pretraining=False)
    assert batch.weight.tolist() == [0.0] * 8
    seen = {VIEWS[int(view)] for view in batch.lead.argmax(dim=1)}
    assert seen <= {LeadView.INVERTED_I, LeadView.INVERTED_II}
    never = replace(always, flip_share=0.0)
    batch = task_of(synthetic(), never).batch_of(np.arange(8), np.random.default_rng(0), pretraining=False)
    assert batch.weight.tolist() == [1.0] * 8


def test_pre_training_shows_every_lead_and_the_rest_only_those_that_are_served(synthetic: Synthetic) -> None:
    task, rng = task_of(synthetic(200), replace(RECIPE, mixup=0.0, flip_share=0.0)), np.random.default_rng(0)
    rows = np.arange(100)
    early = {VIEWS[int(v)] for v in task.batch_of(rows, rng, pretraining=True).lead.argmax(dim=1)}
    late = {VIEWS[int(v)] for v in task.batch_of(rows, rng, pretraining=False).lead.argmax(dim=1)}
    assert early == {LeadView.LEAD_I, LeadView.LEAD_II, LeadView.OTHER}
    assert late == {LeadView.LEAD_I, LeadView.LEAD_II}


def test_what_is_not_known_of_a_patient_teaches_nothing(synthetic: Synthetic) -> None:
    records = synthetic()
    unknown = replace(records, age_years=np.full(len(records), np.nan, dtype=np.float32))
    batch = task_of(unknown).batch_of(np.arange(8), np.random.default_rng(0), pretraining=False)
    target, weight = batch.side["age"]
    assert weight.tolist() == [0.0] * 8
    assert torch.isfinite(target).all()


def test_a_recording_is_never_judged_by_a_teacher_that_saw_it(tmp_path: Path, synthetic: Synthetic) -> None:
    records = synthetic(36)
    changed = replace(records, targets=records.targets.copy())
    first = np.isin(changed.fold, [1])
    changed.targets[first] = 1 - changed.targets[first]
    folds = range(1, 4)  # three groups of one fold
    word = cross_fit(records, folds, BANK, ONCE, tmp_path / "a")
    other = cross_fit(changed, folds, BANK, ONCE, tmp_path / "b")
    judged = records.of_folds(folds).fold == 1
    np.testing.assert_array_equal(word[judged], other[judged])
    assert not np.array_equal(word[~judged], other[~judged])


def test_contrast_brings_two_views_of_a_window_together(tmp_path: Path, synthetic: Synthetic) -> None:
    windows = eight_leads_mv(synthetic(20)).reshape(-1, 1000)
    windows = windows * np.random.default_rng(0).uniform(0.5, 2.0, (len(windows), 1)).astype(np.float32)
    torch.manual_seed(0)
    task = ContrastTask(RecurrenceNet(), windows.astype(np.float32), BANK)
    fit(task, Schedule(epochs=3, batch=16), tmp_path)
    losses = [json.loads(line)["loss"] for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    assert losses[-1] < losses[0]


def test_the_whole_plan_resumes_and_never_reads_the_calibration_fold(
    tmp_path: Path, synthetic: Synthetic
) -> None:
    records = synthetic(36)
    hidden = replace(records, ecg_uv=records.ecg_uv.copy(), targets=records.targets.copy())
    hidden.ecg_uv[records.fold == 9] = 0
    hidden.targets[records.fold == 9] = 0
    plan = Plan(contrast=NEVER, teacher=ONCE, assistants=1, schedule=ONCE, recipe=RECIPE)
    nets = []
    for name, one in (("a", records), ("b", hidden)):
        material = Material(one, np.zeros((0, 1000), dtype=np.float32), BANK)
        nets.append(carry_out(plan, material, tmp_path / name))
    assert_same(*nets)
    assert_same(nets[0], load_trained(tmp_path / "a"))
    log = (tmp_path / "a" / "model-beat" / LOG_NAME).read_text()
    material = Material(records, np.zeros((0, 1000), dtype=np.float32), BANK)
    assert_same(nets[0], carry_out(plan, material, tmp_path / "a"))
    assert (tmp_path / "a" / "model-beat" / LOG_NAME).read_text() == log
    identity = identity_of(tmp_path / "a" / "model-lag")
    assert identity["assistants"] == 1
    assert identity["taught"] is True


def _only() -> AugmentConfig:
    """A config that changes nothing."""
    return AugmentConfig(
        gain=(1.0, 1.0),
        stretch_share=0,
        wander_share=0,
        emg_share=0,
        mains_share=0,
        motion_share=0,
        soften_share=0,
        mask_share=0,
    )


def test_what_is_gathered_to_learn_from_never_holds_a_fold_outside_the_plan(
    tmp_path: Path, synthetic: Synthetic
) -> None:
    records = synthetic(36)
    hidden = replace(records, ecg_uv=records.ecg_uv.copy())
    hidden.ecg_uv[records.fold == 9] = 0
    gathered = []
    for name, one in (("a", records), ("b", hidden)):
        save_records(one, tmp_path / name)
        gathered.append(gather(tmp_path, tmp_path / name, Plan()))
    np.testing.assert_array_equal(gathered[0].unlabelled_mv, gathered[1].unlabelled_mv)
    assert len(gathered[0].unlabelled_mv) == (records.fold <= 8).sum() * len(LEADS)


def test_another_seed_or_length_is_not_taken_for_what_is_there(tmp_path: Path, synthetic: Synthetic) -> None:
    plan = Plan(contrast=NEVER, teacher=NEVER, assistants=0, schedule=ONCE, recipe=RECIPE)
    material = Material(synthetic(36), np.zeros((0, 1000), dtype=np.float32), BANK)
    first = carry_out(plan, material, tmp_path / "a")
    with pytest.raises(ValueError, match="another recipe"):
        carry_out(replace(plan, schedule=replace(ONCE, epochs=2)), material, tmp_path / "a")
    other = carry_out(replace(plan, schedule=replace(ONCE, seed=5)), material, tmp_path / "b")
    assert not torch.equal(first.lag.head.weight, other.lag.head.weight)
    assert not torch.equal(first.beat.head.weight, other.beat.head.weight)


def test_augmentation_changes_the_waveform_and_never_its_polarity(synthetic: Synthetic) -> None:
    ecg_mv = eight_leads_mv(synthetic())[:, 0]
    before = ecg_mv.copy()
    changed = augment(ecg_mv, np.random.default_rng(0), AugmentConfig(), BANK)
    np.testing.assert_array_equal(ecg_mv, before)
    assert changed.shape == ecg_mv.shape
    assert (changed.max(axis=1) > -changed.min(axis=1)).mean() > 0.9
    masked = (np.abs(np.diff(changed, axis=1)) == 0).sum(axis=1) > 3
    assert 0.05 < masked.mean() < 0.6


def test_augmentation_by_nothing_is_the_same_waveform(synthetic: Synthetic) -> None:
    ecg_mv = eight_leads_mv(synthetic())[:, 0]
    nothing = _only()
    np.testing.assert_allclose(augment(ecg_mv, np.random.default_rng(0), nothing, BANK), ecg_mv, atol=1e-7)


def test_a_stretched_sine_is_a_sine_of_another_rate() -> None:
    time_s = np.arange(1000) / 100
    sine = np.sin(2 * np.pi * 5 * time_s).astype(np.float32)[None]
    only = replace(_only(), stretch_share=1.0)
    stretched = augment(sine, np.random.default_rng(1), only, BANK)[0, :900]
    power = np.abs(np.fft.rfft(stretched * np.hanning(900), 9000))
    hz = np.fft.rfftfreq(9000, 0.01)
    assert 4.5 < hz[power.argmax()] < 5.5
    assert abs(hz[power.argmax()] - 5.0) > 0.01
    assert np.abs(stretched).max() < 1.05


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_gives_logits_and_learns_through_its_plot(name: str, synthetic: Synthetic) -> None:
    torch.manual_seed(0)
    net = VARIANTS[name]().eval()
    ecg = torch.from_numpy(eight_leads_mv(synthetic(4))[:, 0]).requires_grad_()
    logits, lead = net(ecg)
    assert logits.shape == (4, 2, 5)
    assert lead.shape == (4, len(VIEWS))
    logits.sum().backward()
    assert ecg.grad is not None
    assert ecg.grad.abs().sum() > 0
    assert 1e6 < count_macs(net) < 60e6


def test_what_a_variant_lacks_does_not_change_its_answer(synthetic: Synthetic) -> None:
    ecg = torch.from_numpy(eight_leads_mv(synthetic(4))[:, 0])
    with torch.inference_mode():
        for name, changed in (
            ("lag plot without sign", -ecg),
            ("lag plot without amplitude", 2 * ecg),
            ("pooled 72 x 72 plot", 3 * ecg),
        ):
            net = VARIANTS[name]().eval()
            torch.testing.assert_close(net(changed)[0], net(ecg)[0], rtol=0.05, atol=0.02)


def test_the_mean_beat_is_the_beat() -> None:
    time_s = np.arange(1000) / 100
    clean = np.exp(-((((time_s % 0.8) - 0.4) / 0.02) ** 2)).astype(np.float32)
    beat = BeatPlot().mean_beat(torch.from_numpy(clean)[None])[0].numpy()
    assert beat.max() == pytest.approx(1.0, abs=0.1)
    assert abs(int(beat.argmax()) - 24) <= 2
    flat = BeatPlot().mean_beat(torch.zeros(1, 1000))
    assert flat.abs().max() == 0


def test_the_ablation_judges_each_variant_on_the_held_out_fold(tmp_path: Path, synthetic: Synthetic) -> None:
    material = Material(synthetic(40), np.zeros((0, 1000), dtype=np.float32), BANK)
    plan = Plan(teacher=NEVER, schedule=ONCE, recipe=RECIPE)
    names = ["lag plot", "waveform (1-D twin)"]
    rows = ablate(material, plan, tmp_path, names)
    assert [row["variant"] for row in rows] == names
    assert json.loads((tmp_path / ABLATION_NAME).read_text()) == rows
    again = ablate(material, replace(plan, schedule=replace(ONCE, seed=2)), tmp_path / "again", names[1:])
    (tmp_path / "again" / ABLATION_NAME).write_text(json.dumps(rows))
    assert (
        ablate(material, replace(plan, schedule=replace(ONCE, seed=2)), tmp_path / "again", names[1:])
        == again
    )
    assert json.loads((tmp_path / "again" / ABLATION_NAME).read_text()) == [rows[0], *again]
    assert all(row["parameters"] > 100_000 and set(row) >= {"I", "II", "mmac"} for row in rows)


def test_a_pair_answers_by_the_mean_of_its_networks(synthetic: Synthetic) -> None:
    torch.manual_seed(0)
    pair, ecg = PairNet().eval(), torch.from_numpy(eight_leads_mv(synthetic(4))[:, 0])
    with torch.inference_mode():
        both = [torch.stack(each).mean(dim=0) for each in zip(pair.lag(ecg), pair.beat(ecg), strict=True)]
        torch.testing.assert_close(list(pair(ecg)), both)


def test_logits_do_not_depend_on_the_batch(synthetic: Synthetic) -> None:
    torch.manual_seed(0)
    net, ecg_mv = RecurrenceNet(), synthetic(9).lead_mv(LEADS[0])
    whole, parts = logits_of(net, ecg_mv, "I"), logits_of(net, ecg_mv, "I", batch=2)
    assert not np.allclose(whole[0], logits_of(net, ecg_mv, "II")[0], atol=1e-3)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
