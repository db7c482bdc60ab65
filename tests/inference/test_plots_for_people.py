"""What people are shown of a window is what the networks see of it."""

import numpy as np
import pytest
import torch

from inference.beat_model import BeatPlot
from inference.beat_plot import beat_begins, beat_plot
from inference.preprocess import prepare_window
from inference.recurrence import CLIP_MV
from inference.rhythm_model import RhythmPlot
from inference.rhythm_plot import rhythm_plot
from tests.inference.explain.conftest import RECORDINGS

WINDOWS = (0, 3, 6)


@pytest.fixture(scope="module")
def windows() -> list[np.ndarray]:
    with np.load(RECORDINGS) as stored:
        signals_mv = np.cumsum(stored["dx_uv"], axis=-1, dtype=np.int16) / np.float32(1000)
    prepared = [prepare_window(signals_mv[k, 0], 500.0) for k in WINDOWS]
    noise = np.random.default_rng(5).normal(0, 0.2, 1000).astype(np.float32)
    return [*prepared, noise, np.zeros(1000, np.float32)]


def test_the_beat_plot_is_that_of_the_network(windows: list[np.ndarray]) -> None:
    for ecg_mv in windows:
        seen = BeatPlot()(torch.from_numpy(ecg_mv[None]))[0, 0].numpy()
        np.testing.assert_allclose(np.clip(beat_plot(ecg_mv), -CLIP_MV, CLIP_MV), seen, atol=1e-5)
    assert len(beat_begins(windows[0])) >= 6
    assert np.abs(beat_plot(windows[0])).max() > 0.2


def test_the_rhythm_plot_is_that_of_the_network(windows: list[np.ndarray]) -> None:
    for ecg_mv in windows:
        seen = RhythmPlot()(torch.from_numpy(ecg_mv[None]))[0].numpy()
        np.testing.assert_allclose(rhythm_plot(ecg_mv), seen, atol=1e-5)
