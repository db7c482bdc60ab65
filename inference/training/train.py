"""Recordings become a trained classifier: superclasses and lead, from recurrence plots of single leads.

The first epochs draw a random lead of eight for each recording, the rest draw one of those that are served.
Beside the five superclasses the features have to tell finer statements, age and sex, where these are known:
more is learned from each recording, and those heads are thrown away. The targets are mixed with what a
teacher that sees eight leads says of the recording (`teacher`), and, where assistants are given, with what
they say of the very window the network sees (Beyer et al. 2022): several networks become one.

Each batch is mixed with its mirror (mixup; Zhang et al. 2018). A few windows are turned upside down: of those
only the lead is learned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inference.lead_view import INVERTED, SERVED_LEADS, VIEWS, LeadView, softmax
from inference.model import PlotNet
from inference.preprocess import prepare_batch
from inference.training.augment import AugmentConfig, NoiseBank, augment
from inference.training.dataset import LEADS, Records, eight_leads_mv
from inference.training.fit import Rows, Schedule, fit
from inference.training.metrics import macro_auroc
from inference.verdict import Superclass

Floats = NDArray[np.float32]

TRAIN_FOLDS = tuple(range(1, 9))
SELECT_FOLD = 8  # held out of training while recipes are compared
CALIBRATION_FOLD = 9  # fold 10 is never read here
UPRIGHT = (LeadView.LEAD_I, LeadView.LEAD_II)
STATEMENTS = frozenset({"sub_class", "form", "rhythm"})
LIGHT = 0.3  # weight of lead, age and sex against a group of statements
MEAN_AGE_YEARS, AGE_SPREAD_YEARS = 60.0, 17.0  # of PTB-XL


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a run beside the data and the schedule."""

    leads: tuple[str, ...] = ("I", "II")
    pretrain_epochs: int = 8  # with a random lead of eight for each recording
    mixup: float = 0.3  # both parameters of the beta distribution
    label_smoothing: float = 0.05
    teacher_share: float = 0.5  # of a target that the eight-lead teacher's word makes up
    assistant_share: float = 0.5  # of a target that the assistants' word makes up, where there are any
    side_weight: float = 0.3  # of the tasks beside the superclasses
    flip_share: float = 0.03
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What a step sees: mixed windows and mixed targets; weight 0 where the superclasses must not count."""

    ecg_mv: Tensor  # (batch, 1000)
    leads: Tensor  # (batch,) numbers in LEADS
    targets: Tensor  # (batch, 5)
    lead: Tensor  # (batch, 5) in LeadView order
    side: Mapping[str, tuple[Tensor, Tensor]]  # name -> (batch, k) targets, (batch,) weights
    weight: Tensor  # (batch,)


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What there is to learn from."""

    training: Records
    watched: Records  # their AUROC is logged
    taught: Floats | None = None  # (n, 5) probabilities of a teacher for the training recordings
    assistants: Sequence[PlotNet] = ()  # trained networks, in eval mode


class SideHeads(nn.Module):
    """A network with the heads that only training needs: side tasks, and the leads that are not served."""

    def __init__(self, core: PlotNet, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.core = core
        self.heads = nn.ModuleDict({name: nn.Linear(core.width, size) for name, size in sizes.items()})
        self.other_leads = nn.Linear(core.width, (len(LEADS) - len(SERVED_LEADS)) * len(Superclass))

    def forward(self, ecg_mv: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """(batch, 1000) mV -> superclass logits (batch, 8, 5) as LEADS, lead logits, and each side task's."""
        pooled = self.core.features(ecg_mv)
        side = {name: head(pooled) for name, head in self.heads.items()}
        every = torch.cat([self.core.head(pooled), self.other_leads(pooled)], dim=1)
        return every.reshape(-1, len(LEADS), len(Superclass)), self.core.lead_head(pooled), side


class ClassifierTask:
    """The classifier's part of the loop."""

    def __init__(self, core: PlotNet, lesson: Lesson, recipe: Recipe, bank: NoiseBank) -> None:
        """Prepare every window once; the core's weights may come from a pre-training."""
        self.core = core
        self._lesson = lesson
        self._recipe = recipe
        self._bank = bank
        training = lesson.training
        self._ecg_mv = eight_leads_mv(training)
        self._targets = training.targets
        if lesson.taught is not None:
            share = np.float32(recipe.teacher_share)
            self._targets = (1 - share) * training.targets + share * lesson.taught
        self._side = _side_targets(training)
        self._net = SideHeads(core, {name: values.shape[1] for name, (values, _) in self._side.items()})

    @property
    def net(self) -> nn.Module:
        """Core and side heads."""
        return self._net

    @property
    def identity(self) -> Mapping[str, Any]:
        """Recipe, data size and who teaches."""
        return {
            "recipe": asdict(self._recipe),
            "n_train": len(self),
            "folds": sorted({int(fold) for fold in self._lesson.training.fold}),
            "taught": self._lesson.taught is not None,
            "assistants": len(self._lesson.assistants),
        }

    def __len__(self) -> int:
        """Training recordings."""
        return len(self._targets)

    def loss(self, rows: Rows, epoch: int, rng: np.random.Generator) -> Tensor:
        """Binary cross-entropy of superclasses, and the side tasks at their weight."""
        batch = self.batch_of(rows, rng, pretraining=epoch < self._recipe.pretrain_epochs)
        every, lead, side = self._net(batch.ecg_mv)
        superclasses = every[torch.arange(len(rows)), batch.leads]
        each = nn.functional.binary_cross_entropy_with_logits(superclasses, batch.targets, reduction="none")
        total = (each.mean(dim=1) * batch.weight).sum() / batch.weight.sum().clamp(min=1)
        beside = -LIGHT * (batch.lead * nn.functional.log_softmax(lead, dim=1)).sum(dim=1).mean()
        for name, (target, weight) in batch.side.items():
            factor = 1.0 if name in STATEMENTS else LIGHT
            beside = beside + factor * _side_loss(name, side[name], target, weight)
        loss: Tensor = total + self._recipe.side_weight * beside
        return loss

    def watch(self) -> Mapping[str, float | None]:
        """Macro-AUROC of the watched recordings in each served lead."""
        watched = self._lesson.watched
        if len(watched) == 0:
            return {}
        return {
            f"macro_auroc_{lead}": macro_auroc(
                watched.targets, logits_of(self.core, watched.lead_mv(lead), lead)[0]
            )
            for lead in self._recipe.leads
        }

    def batch_of(self, rows: Rows, rng: np.random.Generator, *, pretraining: bool) -> Batch:
        """Numbers of training recordings -> augmented, mixed windows and their targets."""
        recipe, n = self._recipe, len(rows)
        served = np.array([LEADS.index(lead) for lead in recipe.leads])
        leads = rng.integers(0, len(LEADS), n) if pretraining else rng.choice(served, n)
        leads[n - n // 2 :] = leads[: n // 2][
            ::-1
        ]  # what is mixed is of one lead: each has a head of its own
        ecg = augment(self._ecg_mv[rows, leads], rng, recipe.augment, self._bank)
        flipped = rng.random(n) < recipe.flip_share
        ecg[flipped] *= -1
        share = np.float32(rng.beta(recipe.mixup, recipe.mixup)) if recipe.mixup > 0 else np.float32(1)

        def mixed(values: Floats) -> Tensor:
            return torch.from_numpy(share * values + (1 - share) * values[::-1])  # a shuffled batch's mirror

        ecg_mv = mixed(ecg)
        targets = mixed(self._targets[rows])
        if self._lesson.assistants:
            said = _mean_word(self._lesson.assistants, ecg_mv, leads)
            weight = recipe.assistant_share * torch.from_numpy(np.isin(leads, served))[:, None]
            targets = (1 - weight) * targets + weight * said
        upright = np.minimum(~flipped, ~flipped[::-1]).astype(np.float32)
        side = {}
        for name, (values, known) in self._side.items():
            both = known[rows] & known[rows][::-1]
            side[name] = (mixed(values[rows]), torch.from_numpy(both * upright))
        return Batch(
            ecg_mv=ecg_mv,
            leads=torch.from_numpy(leads),
            targets=targets * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2,
            lead=mixed(_view_targets(leads, flipped)),
            side=side,
            weight=torch.from_numpy(upright),
        )


def train(task: ClassifierTask, schedule: Schedule, run: Path, *, stop_after: int | None = None) -> PlotNet:
    """Train, or go on where `run` stands; returns the network after its last epoch, in eval mode."""
    fit(task, schedule, run, stop_after=stop_after)
    return task.core.eval()


def logits_of(net: nn.Module, raw_mv: Floats, lead: str, batch: int = 128) -> tuple[Floats, Floats]:
    """(n, 1000) recordings of one lead at 100 Hz in mV -> (n, 5) superclass and (n, 5) lead logits."""
    net.eval()
    place = SERVED_LEADS.index(lead)
    superclasses = np.zeros((len(raw_mv), 5), dtype=np.float32)
    leads = np.zeros((len(raw_mv), len(VIEWS)), dtype=np.float32)
    with torch.inference_mode():
        for i in range(0, len(raw_mv), batch):
            one, other = net(torch.from_numpy(prepare_batch(raw_mv[i : i + batch])))
            superclasses[i : i + batch], leads[i : i + batch] = one[:, place].numpy(), other.numpy()
    return superclasses, leads


def view_probabilities(net: nn.Module, records: Records) -> dict[LeadView, NDArray[np.float64]]:
    """(k, 5) lead probabilities of windows that are of each view; all six chest leads are other."""
    asked = {LeadView(lead): records.lead_mv(lead) for lead in SERVED_LEADS}
    asked |= {INVERTED[view]: -raw_mv for view, raw_mv in asked.items()}
    asked[LeadView.OTHER] = np.concatenate(
        [records.lead_mv(lead) for lead in LEADS if lead not in SERVED_LEADS]
    )
    return {view: softmax(logits_of(net, raw_mv, SERVED_LEADS[0])[1]) for view, raw_mv in asked.items()}


def core_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the core in a stored `SideHeads`."""
    return {name.removeprefix("core."): w for name, w in state.items() if name.startswith("core.")}


def _mean_word(assistants: Sequence[PlotNet], ecg_mv: Tensor, leads: Rows) -> Tensor:
    """What the assistants say of a batch on average, (batch, 5) probabilities.

    They know the served leads only; what they say of another is not to be used.
    """
    place = torch.from_numpy(np.where(leads < len(SERVED_LEADS), leads, 0))
    row = torch.arange(len(leads))
    with torch.no_grad():
        return torch.stack([net(ecg_mv)[0][row, place].sigmoid() for net in assistants]).mean(dim=0)


def _view_targets(leads: Rows, flipped: NDArray[np.bool_]) -> Floats:
    """(batch,) lead numbers and flips -> (batch, 5) one-hot in LeadView order."""
    views = []
    for lead, flip in zip(leads, flipped, strict=True):
        name = LEADS[lead]
        view = LeadView(name) if name in UPRIGHT else LeadView.OTHER
        views.append(VIEWS.index(INVERTED.get(view, view) if flip else view))
    return np.eye(len(VIEWS), dtype=np.float32)[views]


def _side_targets(records: Records) -> dict[str, tuple[Floats, NDArray[np.bool_]]]:
    """Name -> (n, k) targets, (n,) known."""
    age = (records.age_years - MEAN_AGE_YEARS) / AGE_SPREAD_YEARS
    return {
        "sub_class": (records.sub_class, records.sub_class_known),
        "form": (records.form, records.form_known),
        "rhythm": (records.rhythm, records.rhythm_known),
        "age": (np.nan_to_num(age)[:, None].astype(np.float32), ~np.isnan(age)),
        "male": (np.nan_to_num(records.male)[:, None].astype(np.float32), ~np.isnan(records.male)),
    }


def _side_loss(name: str, output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean over known windows; age by a Huber loss, the rest by binary cross-entropy."""
    if name == "age":
        each = nn.functional.smooth_l1_loss(output, target, reduction="none")
    else:
        each = nn.functional.binary_cross_entropy_with_logits(output, target, reduction="none")
    return (each.mean(dim=1) * weight).sum() / weight.sum().clamp(min=1)
