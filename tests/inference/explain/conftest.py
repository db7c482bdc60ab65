"""The released network, and real recordings that ship with the project."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inference.explain.rhythm_grad_cam import RhythmOdds
from inference.explain.saved_network import LeadReader, load_network, load_rhythm_network
from inference.preprocess import prepare_window
from inference.verdict import Rhythm, Superclass

RECORDINGS = Path(__file__).parents[3] / "simulators" / "recordings" / "ptbxl.npz"
FOLDS = range(1, 9)  # fold 9 calibrates, fold 10 is read from outside

Case = tuple[NDArray[np.float32], Superclass]
RhythmCase = tuple[NDArray[np.float32], Rhythm]

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def net() -> LeadReader:
    return LeadReader(load_network()[0], "I")


@pytest.fixture(scope="session")
def cases() -> list[Case]:
    """Prepared windows, leads I and II, with the superclass their cardiologists named."""
    found = []
    with np.load(RECORDINGS) as stored:
        signals_mv = np.cumsum(stored["dx_uv"], axis=-1, dtype=np.int16) / np.float32(1000)
        for signal_mv, label, fold in zip(signals_mv, stored["label"], stored["fold"], strict=True):
            if fold in FOLDS and label in set(Superclass):
                found += [(prepare_window(lead_mv, 500.0), Superclass(label)) for lead_mv in signal_mv]
    assert len(found) >= 8
    return found


@pytest.fixture(scope="session")
def rhythm_net() -> RhythmOdds:
    loaded = load_rhythm_network()
    assert loaded is not None
    return RhythmOdds(loaded[0])


@pytest.fixture(scope="session")
def af_cases() -> list[RhythmCase]:
    """Prepared windows, leads I and II, of recordings with atrial fibrillation; no network saw them."""
    with np.load(RECORDINGS) as stored:
        signals_mv = np.cumsum(stored["dx_uv"], axis=-1, dtype=np.int16) / np.float32(1000)
        chosen = signals_mv[stored["label"] == "AF"]
    found = [(prepare_window(lead_mv, 500.0), Rhythm.AF) for both_mv in chosen for lead_mv in both_mv]
    assert len(found) == 6
    return found
