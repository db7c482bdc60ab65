"""Handheld recordings become a trained rhythm network: its part of the loop in `inference.training.fit`.

Each step draws recordings, rare rhythms more often, and cuts a window anywhere in each. Polarity is flipped
at random: handheld electrodes are often held the wrong way round, and rhythm does not depend on it.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inference.preprocess import prepare_batch
from inference.rhythm_model import RhythmNet
from inference.training.fit import CHECKPOINT_NAME, Rows, Schedule, fit
from inference.training.rhythm.augment import RawAugmentConfig, augment_raw
from inference.training.rhythm.dataset import LABELS, Recordings

SCHEDULE = Schedule(epochs=10, batch=32)
BALANCE = 0.5  # 0: rhythms as frequent as they are; 1: all equally often
LABEL_SMOOTHING = 0.05
HANDHELD = RawAugmentConfig()


class RhythmTask:
    """The rhythm network's part of the loop."""

    def __init__(self, recordings: Recordings, rows: Rows) -> None:
        """Start with a new network; the few recordings that are not longer than 10 s are left out.

        Args:
            recordings: all of them.
            rows: numbers of those to train on.
        """
        self._recordings = recordings
        self._rows = rows[[recordings.last_start(row) > 0 for row in rows]]
        self._chance = sampling(recordings.rhythm[self._rows], BALANCE)
        self._net = RhythmNet()

    @property
    def net(self) -> RhythmNet:
        """The rhythm network."""
        return self._net

    @property
    def identity(self) -> Mapping[str, Any]:
        """Data size and the recipe that is fixed here."""
        return {
            "task": "rhythm",
            "n_train": len(self),
            "balance": BALANCE,
            "label_smoothing": LABEL_SMOOTHING,
            "augment": asdict(HANDHELD),
        }

    def __len__(self) -> int:
        """Training recordings; an epoch draws as many, with replacement."""
        return len(self._rows)

    def loss(self, rows: Rows, epoch: int, rng: np.random.Generator) -> Tensor:
        """Cross-entropy of as many recordings as `rows`; which ones is drawn by chance, see `sampling`."""
        del epoch
        drawn = rng.choice(self._rows, size=len(rows), p=self._chance)
        ecg, rhythm = batch_of(self._recordings, drawn, rng, HANDHELD)
        return nn.functional.cross_entropy(self._net(ecg), rhythm, label_smoothing=LABEL_SMOOTHING)

    def watch(self) -> Mapping[str, float | None]:
        """Nothing: the cross-validation judges."""
        return {}


def train(
    recordings: Recordings, rows: Rows, schedule: Schedule, run: Path, *, stop_after: int | None = None
) -> RhythmNet:
    """Train on some recordings, or go on where `run` stands; the network after its last epoch, in eval mode.

    Arguments as `RhythmTask` and `fit` take them; ValueError as `fit` raises it.
    """
    torch.manual_seed(schedule.seed)  # the first weights
    task = RhythmTask(recordings, rows)
    fit(task, schedule, run, stop_after=stop_after)
    return task.net


def sampling(rhythm: NDArray[np.int64], balance: float) -> NDArray[np.float64]:
    """(n,) rhythms -> (n,) chance of each recording to be drawn, sum 1; rare rhythms are drawn more often."""
    weight = (np.bincount(rhythm, minlength=len(LABELS))[rhythm] / len(rhythm)) ** -balance
    return np.asarray(weight / weight.sum())


def batch_of(
    recordings: Recordings, chosen: Rows, rng: np.random.Generator, config: RawAugmentConfig
) -> tuple[Tensor, Tensor]:
    """Recordings -> (batch, 1000) augmented, prepared windows in mV, and (batch,) their rhythms."""
    starts = [int(rng.integers(0, recordings.last_start(row) + 1)) for row in chosen]
    raw_mv = np.stack([recordings.window_mv(row, start) for row, start in zip(chosen, starts, strict=True)])
    raw_mv *= rng.choice(np.array([-1, 1], dtype=np.float32), size=(len(raw_mv), 1))
    ecg = prepare_batch(augment_raw(raw_mv, rng, config))
    return torch.from_numpy(ecg), torch.from_numpy(recordings.rhythm[chosen])


def logits_of(net: RhythmNet, raw_mv: NDArray[np.float32], batch: int = 128) -> NDArray[np.float32]:
    """(n, 1000) windows at 100 Hz in mV, as stored -> (n, 4) logits of the network in eval mode."""
    net.eval()
    with torch.inference_mode():
        parts = [
            net(torch.from_numpy(prepare_batch(raw_mv[i : i + batch]))).numpy()
            for i in range(0, len(raw_mv), batch)
        ]
    return np.concatenate(parts) if parts else np.zeros((0, len(LABELS)), dtype=np.float32)


def load_trained(run: Path) -> RhythmNet:
    """The network of a run's checkpoint, in eval mode; FileNotFoundError without one."""
    net = RhythmNet()
    net.load_state_dict(torch.load(run / CHECKPOINT_NAME, weights_only=True)["net"])
    return net.eval()
