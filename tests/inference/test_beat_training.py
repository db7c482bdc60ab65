from pathlib import Path

import numpy as np
import pytest
import torch

from inference.training.beats.__main__ import main, save
from inference.training.beats.augment import BINS, FRAMES, Source, batch_of
from inference.training.beats.dataset import Strip, agreed, annotated, invented, spatial_beats, strip_of
from inference.training.beats.network import BeatNet, arrays_of
from inference.training.beats.train import wrongly_told
from inference.training.labels import DatasetError
from ingest.beat_network import DELAY_FRAMES, PAST_BINS, STRIDE, BeatNetwork, beginning
from ingest.beats import BeatDetector

RECORDINGS = Path("../shared/data")


def strip(seed: int = 0, seconds: int = 30) -> Strip:
    rng = np.random.default_rng(seed)
    t = np.arange(100 * seconds) / 100
    beats_s = np.arange(0.5, seconds, 0.8)
    x = sum(np.exp(-0.5 * ((t - beat_s) / 0.012) ** 2) for beat_s in beats_s)
    return strip_of("s", (x + rng.normal(0, 0.01, len(t))).astype(np.float32), beats_s * 100, np.zeros(0))


@pytest.mark.parametrize("seed", range(3))
def test_the_served_network_computes_what_was_trained_bit_for_bit(seed: int) -> None:
    torch.manual_seed(seed)
    net = BeatNet().eval()
    for layer in net.layers().values():
        layer.bias.data.normal_(0, 0.3)
    rng = np.random.default_rng(seed)
    bins_mv = rng.normal(0, 0.1, (3, 600)).cumsum(axis=1).astype(np.float32)
    with torch.inference_mode():
        expected = net(torch.from_numpy(bins_mv)).numpy().transpose(2, 0, 1)
    settled = np.concatenate([np.repeat(bins_mv[:, :1], PAST_BINS, axis=1), bins_mv], axis=1)
    logits, _ = BeatNetwork.of_arrays(arrays_of(net)).logits(settled, beginning(3))
    assert expected.std() > 0.1
    np.testing.assert_array_equal(logits, expected)


def test_what_is_saved_is_read_by_the_detector(tmp_path: Path) -> None:
    torch.manual_seed(1)
    save(BeatNet(), tmp_path / "some" / "beats.npz")
    detector = BeatDetector(250.0, BeatNetwork.load(tmp_path / "some" / "beats.npz"))
    detector.push(np.random.default_rng(0).normal(0, 1, 2500))
    assert detector.unreadable is not None


@pytest.mark.parametrize("seed", range(20))
def test_a_crop_knows_its_beats_wherever_it_was_cut_and_however_stretched(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.training.beats.augment._noise", lambda *_: np.float32(0.0))
    rng = np.random.default_rng(seed)
    bins_mv, is_beat, weight, told = batch_of(
        [Source(1.0, [strip()])], np.zeros((1, 2000), np.float32), rng, 8
    )
    assert bins_mv.shape == (8, BINS)
    assert is_beat.shape == weight.shape == (8, FRAMES)
    assert np.isnan(told).all()
    for row in range(8):
        frames = np.flatnonzero(is_beat[row] * weight[row])
        for frame in frames:
            middle = STRIDE * (frame - DELAY_FRAMES) + 1
            around = np.abs(np.diff(bins_mv[row, max(0, middle - 8) : middle + 8]))
            assert around.max() > 10 * np.median(np.abs(np.diff(bins_mv[row])))


def test_where_a_person_read_the_whole_no_beat_is_claimed_and_nothing_is_added() -> None:
    read = Strip(
        "c", np.random.default_rng(0).normal(0, 1, 3000).astype(np.float32), np.zeros(0), np.zeros(0), 1, 1.0
    )
    rng = np.random.default_rng(1)
    bins_mv, is_beat, weight, told = batch_of([Source(1.0, [read])], np.ones((1, 2000), np.float32), rng, 16)
    asked = ~np.isnan(told)
    assert asked.sum() >= 12
    assert (told[asked] == 1.0).all()
    assert not weight[asked].any()
    assert not is_beat[asked].any()
    assert np.abs(bins_mv[asked]).max() <= np.abs(read.bins_mv).max()


def test_missed_and_made_up_beats_make_what_follows_unreadable_and_right_ones_do_not() -> None:
    is_beat = torch.zeros(3, 400)
    is_beat[:, 199:202] = 1.0
    logits = torch.full((3, 400), -5.0)
    logits[0, 200] = 5.0  # right
    logits[1, 240] = 5.0  # made up, and the true one missed
    weight = torch.ones(3, 400)
    wrong, asked = wrongly_told(logits, is_beat, weight, torch.tensor([torch.nan, torch.nan, 0.0]))
    assert not wrong[0].any()
    assert wrong[1].nonzero().min() == 199
    assert wrong[1].nonzero().max() == 240 + 74
    assert not wrong[2].any()  # a person could read it
    assert asked[0, 100] == 1.0
    assert asked[2, 100] == 0.5


def test_eight_leads_agree_on_beats_and_leave_small_bumps_in_doubt() -> None:
    t = np.arange(1000) / 100
    lead = np.zeros(1000)
    for beat_s in np.arange(0.6, 9.6, 0.9):
        lead += np.exp(-0.5 * ((t - beat_s) / 0.012) ** 2) + 0.3 * np.exp(
            -0.5 * ((t - beat_s - 0.3) / 0.05) ** 2
        )
    leads = np.outer(np.linspace(-1, 1, 8), lead).astype(np.float32)
    beats, _ = spatial_beats(leads)
    np.testing.assert_allclose(beats / 100, np.arange(0.6, 9.6, 0.9), atol=0.02)
    assert not len(spatial_beats(np.zeros((8, 1000), np.float32))[0])


def test_invented_rhythms_span_the_rates_and_some_have_no_beat() -> None:
    strips = invented(np.random.default_rng(0), 200)
    counts = np.array([len(each.beats) for each in strips])
    assert (counts == 0).any()
    assert counts.max() > 40
    assert all(np.isfinite(each.bins_mv).all() for each in strips)


@pytest.mark.skipif(not RECORDINGS.exists(), reason="needs the recordings beside the project")
def test_recordings_are_read_with_their_beats() -> None:
    strips = annotated(RECORDINGS)
    assert len(strips) == 48
    assert all(0.1 < each.size_mv < 5 for each in strips)
    assert sum(len(each.beats) for each in strips) == 2 * 55_437
    some = agreed(RECORDINGS, [9])
    assert len(some) > 3000
    assert 8 < np.median([len(each.beats) for each in some]) < 16


def test_recordings_that_are_missing_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DatasetError, match="mitdb_360hz"):
        annotated(tmp_path)
    assert main(["train", "--data", str(tmp_path), "--run", str(tmp_path / "run")]) == 1
    assert "mitdb_360hz" in capsys.readouterr().err
