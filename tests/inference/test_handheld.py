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
        record=["A1", "A2", "A3", "A4"],
    )
    figures = handheld_figures(Classifier.load(), tmp_path)
    assert figures is not None
    normal, noisy = figures["normal rhythm"], figures["noisy"]
    assert (normal["n"], normal["refused"], normal["upright"]) == (2, 0.5, 1.0)  # one is upside down
    assert normal["with_gate"] != normal["without_gate"]
    assert normal["with_gate_upright"]["n"] == 1
    assert (noisy["n"], noisy["refused"]) == (1, 1.0)
    assert noisy["with_gate"] == {"n": 0, "norm_present": None, "norm_absent": None, "abnormal": None}
    assert noisy["without_gate"]["n"] == 1
    assert "atrial fibrillation" not in figures


@pytest.mark.parametrize("key", ["with_gate", "without_gate"])
def test_what_is_abnormal_is_at_least_what_is_not_normal(tmp_path: Path, key: str) -> None:
    rng = np.random.default_rng(1)
    time_s = np.arange(3000) / 300
    rows = [
        (height * np.exp(-((((time_s % 0.8) - 0.4) / width) ** 2)) + rng.normal(0, 9, 3000)).astype(np.int16)
        for height in (300, 800, 2000)
        for width in (0.012, 0.03, 0.06)
    ]
    np.savez(
        tmp_path / "cinc2017_300hz_part.npz",
        dx=np.concatenate([np.diff(signal, prepend=np.int16(0)) for signal in rows]),
        offset=np.arange(len(rows) + 1) * 3000,
        label=["N"] * len(rows),
        record=[f"A{number}" for number in range(len(rows))],
    )
    figures = handheld_figures(Classifier.load(), tmp_path)
    assert figures is not None
    one = figures["normal rhythm"][key]
    assert one["norm_absent"] <= one["abnormal"] <= 1
    assert one["norm_present"] + one["norm_absent"] <= 1
