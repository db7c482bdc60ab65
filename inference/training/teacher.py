"""A network that sees eight leads says of a recording what one lead cannot show; its word becomes a target.

A teacher that was trained on a recording repeats its label. So the training folds are cut into groups, and
each group is judged by a teacher trained on the others (cross-fitting): its word then carries how sure eight
leads are, and where a label is doubtful. The teacher is the classifier's trunk on the eight waveforms; it
reads no plot, and nothing of it is served.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inference.model import RecurrenceNet
from inference.training.augment import NoiseBank
from inference.training.dataset import LEADS, Records, eight_leads_mv
from inference.training.fit import Rows, Schedule, fit
from inference.training.metrics import macro_auroc
from inference.verdict import Superclass

Floats = NDArray[np.float32]

GROUPS = 3  # of folds; more cost more and teach little more
MIXUP = 0.3
LABEL_SMOOTHING = 0.05
SIDE_WEIGHT = 0.3
GAIN = (0.8, 1.25)
WANDER_MV, WANDER_SHARE = 0.3, 0.5
EMG_MV, EMG_SHARE = 0.03, 0.4
SEED = 1


class TeacherNet(nn.Module):
    """The classifier's trunk on eight waveforms, with heads for finer statements."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.core = RecurrenceNet(plot=nn.Identity(), channels=len(LEADS))
        self.head = nn.Linear(self.core.width, len(Superclass))
        self.heads = nn.ModuleDict({name: nn.Linear(self.core.width, size) for name, size in sizes.items()})

    def forward(self, ecg_mv: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(batch, 8, 1000) mV -> (batch, 5) logits, and (batch, k) logits of each group of statements."""
        pooled = self.core.features(ecg_mv)
        return self.head(pooled), {name: head(pooled) for name, head in self.heads.items()}


class TeacherTask:
    """The teacher's part of the loop."""

    def __init__(self, training: Records, watched: Records, bank: NoiseBank) -> None:
        torch.manual_seed(SEED)
        self._training, self._watched, self._bank = training, watched, bank
        self._ecg_mv = eight_leads_mv(training)
        self._side = {
            "sub_class": (training.sub_class, training.sub_class_known),
            "form": (training.form, training.form_known),
            "rhythm": (training.rhythm, training.rhythm_known),
        }
        self._net = TeacherNet({name: values.shape[1] for name, (values, _) in self._side.items()})

    @property
    def net(self) -> nn.Module:
        """The teacher."""
        return self._net

    @property
    def identity(self) -> Mapping[str, Any]:
        """Data size; the rest of the recipe is fixed here."""
        return {
            "task": "teacher",
            "n_train": len(self),
            "folds": sorted({int(fold) for fold in self._training.fold}),
        }

    def __len__(self) -> int:
        """Training recordings."""
        return len(self._training)

    def loss(self, rows: Rows, epoch: int, rng: np.random.Generator) -> Tensor:
        """Binary cross-entropy of superclasses and finer statements on mixed recordings."""
        del epoch
        ecg = _augmented(self._ecg_mv[rows], rng, self._bank)
        share = np.float32(rng.beta(MIXUP, MIXUP))

        def mixed(values: Floats) -> Tensor:
            return torch.from_numpy(share * values + (1 - share) * values[::-1])

        logits, side = self._net(mixed(ecg))
        targets = mixed(self._training.targets[rows]) * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / 2
        loss: Tensor = nn.functional.binary_cross_entropy_with_logits(logits, targets)
        for name, (values, known) in self._side.items():
            both = torch.from_numpy((known[rows] & known[rows][::-1]).astype(np.float32))
            each = nn.functional.binary_cross_entropy_with_logits(
                side[name], mixed(values[rows]), reduction="none"
            )
            loss = loss + SIDE_WEIGHT * (each.mean(dim=1) * both).sum() / both.sum().clamp(min=1)
        return loss

    def watch(self) -> Mapping[str, float | None]:
        """Macro-AUROC of the recordings that this teacher judges."""
        return {"macro_auroc": macro_auroc(self._watched.targets, self.word_on(self._watched))}

    def word_on(self, records: Records) -> Floats:
        """Recordings -> (n, 5) probabilities."""
        ecg_mv = eight_leads_mv(records)
        self._net.eval()
        with torch.inference_mode():
            parts = [
                self._net(torch.from_numpy(ecg_mv[i : i + 128]))[0].sigmoid().numpy()
                for i in range(0, len(ecg_mv), 128)
            ]
        return np.concatenate(parts) if parts else np.zeros((0, 5), dtype=np.float32)


def cross_fit(
    records: Records, folds: Sequence[int], bank: NoiseBank, schedule: Schedule, run: Path
) -> Floats:
    """Every recording's probabilities from a teacher that was trained without its group of folds.

    Args:
        records: of all folds.
        folds: the training folds; all others are ignored.
        bank: noise.
        schedule: of each teacher.
        run: directory; each teacher gets one below it and resumes there.

    Returns:
        (n, 5) in the order of `records.of_folds(folds)`.
    """
    training = records.of_folds(folds)
    word = np.zeros_like(training.targets)
    for number, group in enumerate(np.array_split(np.array(folds), min(GROUPS, len(folds)))):
        judged = np.isin(training.fold, group)
        task = TeacherTask(training.rows(~judged), training.rows(judged), bank)
        fit(task, schedule, run / f"teacher-{number + 1}")
        word[judged] = task.word_on(training.rows(judged))
    return word


def _augmented(ecg_mv: Floats, rng: np.random.Generator, bank: NoiseBank) -> Floats:
    """(n, 8, 1000) -> gain for all leads together, wander and muscle noise for each lead by itself."""
    n = len(ecg_mv)
    gain = np.exp(rng.uniform(np.log(GAIN[0]), np.log(GAIN[1]), (n, 1, 1))).astype(np.float32)
    ecg = ecg_mv * gain
    for noise, share, size_mv in (
        (bank.wander, WANDER_SHARE, WANDER_MV),
        (bank.emg, EMG_SHARE, EMG_MV),
    ):
        some = np.where(rng.random((n, len(LEADS), 1)) < share, rng.random((n, len(LEADS), 1)), 0.0)
        ecg += (size_mv * some).astype(np.float32) * noise[rng.integers(0, len(noise), (n, len(LEADS)))]
    return ecg
