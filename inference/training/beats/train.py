"""Strips with known beats become a trained beat network: its part of the loop in `inference.training.fit`.

The network learns two things at once: where beats are, and where its own answer of the moment is wrong. The
second answer is the quality gate; recordings that cardiologists could or could not read teach it too.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inference.training.beats.augment import Source, batch_of
from inference.training.beats.dataset import Floats
from inference.training.beats.network import BeatNet
from inference.training.fit import CHECKPOINT_NAME, Rows, Schedule, fit

SCHEDULE = Schedule(epochs=40, batch=96, peak_lr=4e-3, weight_decay=0.01, warm_up=0.15)
STEPS = 150  # an epoch
QUALITY_WEIGHT = 0.2
TOLD_WEIGHT = 0.5  # a word on a whole recording says little of each second
NEAR_FRAMES = 15  # 150 ms to each side, as EC57 matches beats
TOP_FRAMES = 5
WRONG_FRAMES = 75  # a wrong beat makes the 1.5 s after it unreadable
WARM_FRAMES = 50
bce = nn.functional.binary_cross_entropy_with_logits


class BeatTask:
    """The beat network's part of the loop."""

    def __init__(self, sources: Sequence[Source], motion: Floats) -> None:
        """Start with a new network.

        Args:
            sources: what to draw crops from.
            motion: (channels, n) electrode motion in bins, of unit variance.
        """
        self._sources = sources
        self._motion = motion
        self._net = BeatNet()

    @property
    def net(self) -> BeatNet:
        """The beat network."""
        return self._net

    @property
    def identity(self) -> Mapping[str, Any]:
        """How much of each source, and how often it is drawn from."""
        shares = [[source.share, len(source.strips)] for source in self._sources]
        return {"task": "beats", "sources": shares, "motion": self._motion.shape[1]}

    def __len__(self) -> int:
        """Crops an epoch, each drawn by chance."""
        return SCHEDULE.batch * STEPS

    def loss(self, rows: Rows, epoch: int, rng: np.random.Generator) -> Tensor:
        """Where beats are, and where they are told wrongly; of as many crops as `rows`."""
        del epoch
        drawn = batch_of(self._sources, self._motion, rng, len(rows))
        bins_mv, is_beat, weight, told = (torch.from_numpy(each) for each in drawn)
        logits = self._net(bins_mv)
        beats = bce(logits[:, 0], is_beat, weight=weight, reduction="sum") / weight.sum()
        wrong, asked = wrongly_told(logits[:, 0].detach(), is_beat, weight, told)
        return beats + QUALITY_WEIGHT * bce(logits[:, 1], wrong, weight=asked, reduction="sum") / asked.sum()

    def watch(self) -> Mapping[str, float | None]:
        """Nothing: `benchmarks.beats` judges."""
        return {}


def wrongly_told(logits: Tensor, is_beat: Tensor, weight: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
    """Where an answer is wrong, or was so within WRONG_FRAMES, and what each frame counts.

    Args:
        logits: (n, frames) of a beat.
        is_beat: (n, frames) 0 or 1.
        weight: (n, frames) 0 where nobody knows.
        told: (n,) 1 where a person could not read the whole, 0 where one could, NaN where nobody was asked.
    """
    known = (weight > 0).float()
    top = ((logits > 0) & (logits == _most(logits, TOP_FRAMES))).float()
    extra = top * known * (1 - _most(is_beat, NEAR_FRAMES))
    missed = is_beat * known * (1 - _most(top, NEAR_FRAMES))
    past = nn.functional.pad(torch.maximum(extra, missed)[:, None], (WRONG_FRAMES - 1, 0))
    recent = nn.functional.max_pool1d(past, WRONG_FRAMES, 1)[:, 0]
    is_told = ~torch.isnan(told)[:, None]
    asked = torch.where(is_told, TOLD_WEIGHT, 1.0).expand_as(recent).clone()
    asked[:, :WARM_FRAMES] = 0.0
    return torch.where(is_told, torch.nan_to_num(told)[:, None], recent), asked


def train(sources: Sequence[Source], motion: Floats, schedule: Schedule, run: Path) -> BeatNet:
    """Train, or go on where `run` stands; the network after its last epoch, in eval mode.

    Arguments as `BeatTask` and `fit` take them; ValueError as `fit` raises it.
    """
    torch.manual_seed(schedule.seed)  # the first weights
    task = BeatTask(sources, motion)
    fit(task, schedule, run)
    return task.net


def load_trained(run: Path) -> BeatNet:
    """The network of a run's checkpoint, in eval mode; FileNotFoundError without one."""
    net = BeatNet()
    net.load_state_dict(torch.load(run / CHECKPOINT_NAME, weights_only=True)["net"])
    return net.eval()


def _most(x: Tensor, frames: int) -> Tensor:
    return nn.functional.max_pool1d(x[:, None], frames, 1, frames // 2)[:, 0]
