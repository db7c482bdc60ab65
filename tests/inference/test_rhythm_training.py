import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inference.preprocess import prepare_batch
from inference.rhythm_model import LagPlot, RhythmNet, RhythmPlot, count_macs
from inference.rhythm_plot import LAGS
from inference.training.export import onnx_bytes, parity_error
from inference.training.fit import CHECKPOINT_NAME, LOG_NAME, identity_of
from inference.training.half import stored_as_half
from inference.training.labels import DatasetError
from inference.training.rhythm.__main__ import main
from inference.training.rhythm.augment import RawAugmentConfig
from inference.training.rhythm.calibrate import AF, NOISY, Unseen, challenge_f1, fit, recordings_of
from inference.training.rhythm.dataset import LABELS, Recordings, load_recordings, prepare_recordings, split
from inference.training.rhythm.evaluate import figures, served_figures, unseen_windows
from inference.training.rhythm.export import rounded
from inference.training.rhythm.gate import gate_figures
from inference.training.rhythm.train import SCHEDULE, RhythmTask, batch_of, logits_of, sampling, train
from inference.training.rhythm.validate import cross_validate, unseen_of

torch.set_num_threads(1)
TINY = replace(SCHEDULE, epochs=2, batch=8)


def synthetic(n: int = 24, seed: int = 0) -> Recordings:
    """Recordings of 11 to 15 s whose beat height tells the rhythms apart."""
    rng = np.random.default_rng(seed)
    rhythm = np.arange(n) % 4
    lengths = rng.integers(1100, 1500, size=n)
    parts = []
    for code, length in zip(rhythm, lengths, strict=True):
        time_s = np.arange(length) / 100
        beat = np.exp(-((((time_s % 0.8) - 0.4) / 0.02) ** 2))
        parts.append(((300 + 300 * code) * beat + rng.normal(0, 10, length)).astype(np.int16))
    return Recordings(
        np.concatenate(parts),
        np.cumsum([0, *lengths], dtype=np.int64),
        rhythm.astype(np.int64),
    )


def judged(n: int = 400, seed: int = 0) -> Unseen:
    """Recordings of three windows whose logits favour the truth."""
    rng = np.random.default_rng(seed)
    rhythm = rng.choice(4, size=n, p=[0.6, 0.1, 0.25, 0.05])
    owner = np.repeat(np.arange(n), 3)
    logits = rng.normal(0, 1, (3 * n, 4)) + 1.5 * np.eye(4)[rhythm[owner]]
    return Unseen(logits.astype(np.float32), owner, rhythm)


def test_an_interrupted_run_goes_on_as_if_it_never_stopped(tmp_path: Path) -> None:
    recordings, rows = synthetic(16), np.arange(16)
    whole = train(recordings, rows, TINY, tmp_path / "whole")
    train(recordings, rows, TINY, tmp_path / "broken", stop_after=1)
    resumed = train(recordings, rows, TINY, tmp_path / "broken")
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, rtol=0, atol=0)
    lines = (tmp_path / "broken" / LOG_NAME).read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_a_checkpoint_of_another_recipe_and_too_few_recordings_are_refused(tmp_path: Path) -> None:
    recordings = synthetic(8)
    train(recordings, np.arange(8), TINY, tmp_path, stop_after=1)
    with pytest.raises(ValueError, match="another recipe"):
        train(recordings, np.arange(8), replace(TINY, seed=2), tmp_path)
    with pytest.raises(ValueError, match="another recipe"):
        train(recordings, np.arange(7), TINY, tmp_path)
    stored = torch.load(tmp_path / CHECKPOINT_NAME, weights_only=True)
    torch.save({"net": stored["net"], "recipe": {}}, tmp_path / CHECKPOINT_NAME)  # of a loop of its own
    with pytest.raises(ValueError, match="another recipe"):
        train(recordings, np.arange(8), TINY, tmp_path)
    with pytest.raises(ValueError, match="7 training recordings do not fill one batch of 8"):
        train(recordings, np.arange(7), TINY, tmp_path / "few")


def test_what_made_a_network_is_stored_with_it(tmp_path: Path) -> None:
    train(synthetic(8), np.arange(8), TINY, tmp_path)
    stored = identity_of(tmp_path)
    assert stored.items() >= {"task": "rhythm", "n_train": 8, "seed": TINY.seed, "epochs_done": 2}.items()
    assert stored["augment"]["gain"] == [0.5, 2.0]


def test_a_recording_of_the_held_out_fold_changes_nothing_in_its_network(tmp_path: Path) -> None:
    recordings, once = synthetic(), replace(TINY, epochs=1)
    held_out = split(recordings, 3, seed=0) == 0
    other = replace(recordings, rhythm=np.where(held_out, 3 - recordings.rhythm, recordings.rhythm))
    rows = np.flatnonzero(~held_out)
    first, second = (train(each, rows, once, tmp_path / str(i)) for i, each in enumerate([recordings, other]))
    for name, weight in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], weight, rtol=0, atol=0)


def test_folds_part_the_recordings_and_spread_each_rhythm_evenly() -> None:
    recordings = synthetic(42)
    fold = split(recordings, 5, seed=0)
    np.testing.assert_array_equal(fold, split(recordings, 5, seed=0))
    for code in range(4):
        counts = np.bincount(fold[recordings.rhythm == code], minlength=5)
        assert np.ptp(counts) <= 1


def test_cross_validation_judges_each_window_once_and_in_order(tmp_path: Path) -> None:
    recordings, once = synthetic(16), replace(TINY, epochs=1)
    unseen, fold = cross_validate(recordings, once, tmp_path, folds=2)
    expected = [row for row in range(16) for _ in recordings.starts(row, 500)]
    np.testing.assert_array_equal(unseen.owner, expected)
    np.testing.assert_array_equal(unseen.rhythm, recordings.rhythm)
    again, fold_again = unseen_of(recordings, tmp_path, folds=2)
    np.testing.assert_array_equal(again.logits, unseen.logits)
    np.testing.assert_array_equal(fold_again, fold)


def test_a_gate_of_two_refuses_what_either_refuses() -> None:
    recordings = synthetic(16)
    unseen = unseen_windows(recordings, np.arange(16), partial(logits_of, RhythmNet()))
    shown = gate_figures(recordings, unseen, np.arange(16) // 8)
    for name in LABELS:
        alone = shown[name]["signal_alone"], shown[name]["network_alone"]
        assert max(alone) <= shown[name]["either"] <= sum(alone) + 1e-4
    assert sum(shown[name]["windows"] for name in LABELS) == len(unseen.owner)


def test_limits_are_reached_by_no_more_windows_than_allowed() -> None:
    unseen = judged()
    calibration = fit(unseen)
    probability = calibration.probabilities(unseen.logits)
    truth = unseen.rhythm[unseen.owner]
    assert (probability[truth != NOISY, NOISY] >= calibration.noisy_limit).mean() <= 0.03
    without_af = (truth != AF) & (truth != NOISY)
    assert 0 < (probability[without_af, AF] >= calibration.af_limit).mean() <= 0.01


def test_offsets_bring_back_a_rhythm_that_probabilities_alone_never_name() -> None:
    rng = np.random.default_rng(0)
    rhythm = rng.choice(4, size=600, p=[0.7, 0.05, 0.2, 0.05])
    logits = rng.normal(0, 1, (600, 4)) + np.eye(4)[rhythm]  # weak: the rare ones seldom win
    unseen = Unseen(logits.astype(np.float32), np.arange(600), rhythm)
    calibration = fit(unseen)
    scores = np.log(
        recordings_of(calibration.probabilities(unseen.logits), unseen.owner, calibration.exponents)
    )
    plain = challenge_f1(scores.argmax(axis=1), rhythm)
    shifted = challenge_f1((scores + calibration.offsets).argmax(axis=1), rhythm)
    assert shifted[AF] > plain[AF]
    assert shifted[:3].mean() > plain[:3].mean()


def test_exponents_find_that_normal_must_hold_in_all_windows_and_another_rhythm_in_one() -> None:
    rng = np.random.default_rng(0)
    rhythm = rng.choice(4, size=400, p=[0.5, 0.1, 0.3, 0.1])
    seen = np.where(rhythm == 2, 0, rhythm)[:, None].repeat(5, axis=1)  # other: four windows look normal
    seen[rhythm == 2, 0] = 2
    logits = rng.normal(0, 0.5, (400, 5, 4)) + 3 * np.eye(4)[seen]
    unseen = Unseen(logits.reshape(-1, 4).astype(np.float32), np.arange(400).repeat(5), rhythm)
    normal, _, other, _ = fit(unseen).exponents
    assert normal < 0 < other
    shown = figures(unseen, np.arange(400) % 5, rounds=20)
    assert shown["geometric"]["mean_f1"] < shown["mean_f1"]  # the geometric mean cannot see the one window


def test_perfect_logits_have_perfect_figures_and_random_ones_have_not() -> None:
    fold = np.arange(400) % 5
    perfect = judged()
    sure = replace(perfect, logits=(20 * np.eye(4)[perfect.rhythm[perfect.owner]]).astype(np.float32))
    assert figures(sure, fold, rounds=20)["mean_f1"] == 1.0
    rng = np.random.default_rng(0)
    blind = replace(perfect, logits=rng.normal(size=perfect.logits.shape).astype(np.float32))
    shown = figures(blind, fold, rounds=20)
    assert shown["mean_f1"] < 0.5
    assert shown["ci95"]["mean_f1"][0] <= shown["mean_f1"] <= shown["ci95"]["mean_f1"][1]


def test_the_served_figures_fit_nothing() -> None:
    calibration = fit(judged(seed=1))
    shown = served_figures(judged(), calibration, rounds=20)
    half = judged().of_recordings(np.arange(400) < 200)
    assert len(half.rhythm) == 200
    assert (
        served_figures(half, calibration, rounds=20)["window"]["called_noisy"]
        != shown["window"]["called_noisy"]
    )


def test_rare_rhythms_are_drawn_more_often_but_not_more_often_than_asked() -> None:
    rhythm = np.array([0] * 60 + [1] * 10 + [2] * 25 + [3] * 5)
    np.testing.assert_allclose(sampling(rhythm, 0.0), 1 / 100)
    equal = sampling(rhythm, 1.0)
    np.testing.assert_allclose([equal[rhythm == code].sum() for code in range(4)], 0.25)


def test_a_step_draws_rare_rhythms_more_often_and_never_one_that_is_not_trained_on() -> None:
    recordings = synthetic(80)
    rows = np.array([row for row in range(80) if recordings.rhythm[row] == 0 or row < 8])  # 20, 2, 2 and 2
    drawn: list[int] = []

    class Noting(Recordings):
        def window_mv(self, number: int, start: int) -> NDArray[np.float32]:
            drawn.append(number)
            return recordings.window_mv(number, start)

    noting = Noting(**{name: getattr(recordings, name) for name in Recordings.__dataclass_fields__})
    rng = np.random.default_rng(0)
    RhythmTask(noting, rows).loss(np.arange(400), 0, rng)
    assert set(drawn) <= set(rows.tolist())
    counts = np.bincount(recordings.rhythm[drawn], minlength=4)
    expected = np.bincount(recordings.rhythm[rows], weights=sampling(recordings.rhythm[rows], 0.5))
    np.testing.assert_allclose(counts / 400, expected, atol=0.08)
    assert counts[1:].min() / 400 > 2 / len(rows)


def test_a_recording_that_holds_no_more_than_one_window_is_left_out() -> None:
    lengths = [700, 1000, 1001, 1500]
    offset, rhythm = np.cumsum([0, *lengths]), np.arange(4)
    recordings = Recordings(np.zeros(sum(lengths), np.int16), offset, rhythm)
    assert len(RhythmTask(recordings, np.arange(4))) == 2
    assert len(RhythmTask(recordings, np.arange(2))) == 0


def test_batches_show_both_polarities() -> None:
    recordings = synthetic()
    plain = RawAugmentConfig(
        gain=(1.0, 1.0), stretch_share=0, wander_share=0, emg_share=0, mains_share=0, mask_share=0
    )
    ecg, rhythm = batch_of(recordings, np.arange(24), np.random.default_rng(0), plain)
    upright = (ecg.amax(dim=1) > -ecg.amin(dim=1)).float().mean()
    assert 0.2 < upright < 0.8
    np.testing.assert_array_equal(rhythm.numpy(), recordings.rhythm)


def test_windows_end_with_the_recording_and_a_short_one_is_filled_with_nothing() -> None:
    recordings = synthetic(4)
    for row in range(4):
        starts, last = recordings.starts(row, 100), recordings.last_start(row)
        assert starts[0] == 0
        assert starts[-1] == last
        assert np.diff(starts).min() >= 100
        np.testing.assert_array_equal(recordings.starts(row, last + 1), [0])
    short = Recordings(np.ones(700, np.int16), np.array([0, 700]), np.array([0]))
    np.testing.assert_array_equal(np.isnan(short.window_mv(0, 0)), np.arange(1000) >= 700)


def test_compact_arrays_come_back_at_100_hz_with_their_labels(tmp_path: Path) -> None:
    time_s = np.arange(3600) / 300
    ecg_uv = np.rint(500 * np.sin(2 * np.pi * 3 * time_s)).astype(np.int16)
    np.savez(
        tmp_path / "cinc2017_300hz_part.npz",
        dx=np.concatenate([np.diff(ecg_uv, prepend=np.int16(0))] * 2),
        offset=np.array([0, 3600, 7200]),
        label=np.array(["A", "~"]),
        record=np.array(["A1", "A2"]),
    )
    recordings = load_recordings(tmp_path, tmp_path / "run")
    np.testing.assert_array_equal(recordings.rhythm, [AF, NOISY])
    wanted = 500 * np.sin(2 * np.pi * 3 * np.arange(1200) / 100)
    assert np.abs(recordings.ecg_uv[1200:] - wanted)[20:-20].max() < 2
    with pytest.raises(DatasetError, match="holds no handheld recordings"):
        prepare_recordings(tmp_path / "run", tmp_path)


def test_the_rhythm_plot_does_not_change_with_gain_or_polarity() -> None:
    ecg = torch.from_numpy(prepare_batch(synthetic().window_mv(3, 0)[None]))
    plot = RhythmPlot()
    torch.testing.assert_close(plot(-ecg), plot(ecg))
    torch.testing.assert_close(plot(3 * ecg), plot(ecg), atol=0.05, rtol=0)


def test_a_regular_rhythm_draws_a_line_at_its_interval() -> None:
    ecg = torch.from_numpy(prepare_batch(synthetic().window_mv(3, 0)[None]))
    rows = RhythmPlot()(ecg)[0, :, 70:].abs().mean(dim=1)
    assert int(rows.argmin()) == 20 - 2  # 0.8 s at 25 Hz; lags begin at 2


def test_the_lag_plot_is_0_where_there_is_no_partner() -> None:
    plot = LagPlot()(torch.randn(2, 1000))
    for row, lag in enumerate(LAGS):
        assert float(plot[:, row, :lag].abs().max()) == 0
        assert float(plot[:, row, lag:].abs().min()) >= 0


@pytest.mark.filterwarnings("ignore:.*treespec.*:FutureWarning")  # from inside the exporter
def test_the_exported_file_is_the_rounded_network_and_half_its_size() -> None:
    torch.manual_seed(0)
    net = RhythmNet()
    net.train()(torch.randn(16, 1000))  # running means that are not trivial
    served = rounded(net)
    full = onnx_bytes(served)
    half = stored_as_half(full)
    prepared = np.random.default_rng(0).normal(0, 0.3, (5, 1000)).astype(np.float32)
    assert parity_error(served, half, prepared) <= 1e-4
    assert len(half) < 0.65 * len(full)
    with torch.inference_mode():
        torch.testing.assert_close(
            served(torch.from_numpy(prepared)), net.eval()(torch.from_numpy(prepared)), atol=0.02, rtol=0
        )


def test_the_network_is_small_enough_to_run_beside_the_classifier() -> None:
    net = RhythmNet()
    assert sum(weight.numel() for weight in net.parameters()) <= 200_000
    assert count_macs(net) <= 15e6


def test_judging_windows_is_the_same_as_judging_their_arrays() -> None:
    recordings, net = synthetic(4), RhythmNet().eval()
    unseen = unseen_windows(recordings, np.array([2]), partial(logits_of, net))
    raw_mv = np.stack([recordings.window_mv(2, start) for start in recordings.starts(2, 500)])
    np.testing.assert_array_equal(unseen.logits, logits_of(net, raw_mv))


def test_the_command_ends_in_one_sentence_where_it_cannot_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", "--data", str(tmp_path), "--run", str(tmp_path / "run")]) == 1
    assert "holds no handheld recordings" in capsys.readouterr().err
