"""Pre-training without labels: two views of one window are to be found among all others (Chen et al. 2020).

A view is a crop of half the window with noise and another gain of its own. What survives that is the heart's
shape and rhythm, so the trunk learns those before it sees a label. A small projection above the features
carries the comparison and is thrown away.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inference.model import PlotNet
from inference.preprocess import MODEL_SAMPLES
from inference.training.augment import AugmentConfig, NoiseBank, augment
from inference.training.fit import Rows, Schedule

Floats = NDArray[np.float32]

CROP = MODEL_SAMPLES // 2
TEMPERATURE = 0.1
PROJECTION = (128, 64)  # widths
GAIN = 1.5  # each view's own, up or down
LOUD_MV = 6.0  # windows beyond it are handling, below the other limit nothing
QUIET_MV = 0.02  # standard deviation
SCHEDULE = Schedule(epochs=3, batch=160, peak_lr=2e-3, weight_decay=0.02, warm_up=0.1, seed=7)
VIEW = AugmentConfig(wander_mv=0.4, emg_mv=0.04, mains_mv=0.04, motion_mv=0.16)


class ContrastNet(nn.Module):
    """The classifier's trunk with a projection."""

    def __init__(self, core: PlotNet) -> None:
        super().__init__()
        self.core = core
        hidden, out = PROJECTION
        self.projection = nn.Sequential(nn.Linear(core.width, hidden), nn.ReLU(), nn.Linear(hidden, out))

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 64) of length 1."""
        return nn.functional.normalize(self.projection(self.core.features(ecg_mv)), dim=1)


class ContrastTask:
    """The pre-training's part of the loop."""

    def __init__(self, core: PlotNet, windows_mv: Floats, bank: NoiseBank) -> None:
        """Keep the windows that show something.

        Args:
            core: network whose trunk is trained.
            windows_mv: (n, 1000) prepared windows of any leads and sources.
            bank: noise.
        """
        shown = (windows_mv.std(axis=1) > QUIET_MV) & (np.abs(windows_mv).max(axis=1) < LOUD_MV)
        self._windows_mv = windows_mv[shown]
        self._bank = bank
        self._net = ContrastNet(core)

    @property
    def net(self) -> nn.Module:
        """Trunk and projection."""
        return self._net

    @property
    def identity(self) -> Mapping[str, Any]:
        """Data size; the rest of the recipe is fixed here."""
        return {"task": "contrast", "n_train": len(self)}

    def __len__(self) -> int:
        """Windows."""
        return len(self._windows_mv)

    def loss(self, rows: Rows, epoch: int, rng: np.random.Generator) -> Tensor:
        """Normalised temperature-scaled cross-entropy between the two views of each window."""
        del epoch
        views = np.concatenate([self._view(rows, rng), self._view(rows, rng)])
        places = self._net(torch.from_numpy(views))  # (2 * batch, 64)
        likeness = places @ places.transpose(0, 1) / TEMPERATURE
        likeness = likeness.masked_fill(torch.eye(len(views), dtype=torch.bool), -torch.inf)
        partner = torch.arange(len(views)).roll(len(rows))
        return nn.functional.cross_entropy(likeness, partner)

    def watch(self) -> Mapping[str, float | None]:
        """Nothing: without labels the loss is all there is."""
        return {}

    def _view(self, rows: Rows, rng: np.random.Generator) -> Floats:
        ecg = augment(self._windows_mv[rows], rng, VIEW, self._bank)
        ecg *= np.exp(rng.uniform(-np.log(GAIN), np.log(GAIN), (len(rows), 1))).astype(np.float32)
        starts = rng.integers(0, MODEL_SAMPLES - CROP + 1, len(rows))
        return np.stack([window[start : start + CROP] for window, start in zip(ecg, starts, strict=True)])
