from pathlib import Path

import numpy as np
import pytest

from inference.classifier import Classifier
from inference.training.handheld import handheld_figures


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
