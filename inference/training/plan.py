"""The whole recipe in order, each step in a directory of its own below the run and resumable there.

    contrast-lag, contrast-beat  pre-training of each network's trunk without labels   (`contrast`)
    teacher-1..3                 eight leads, cross-fitted: their word becomes part of the target (`teacher`)
    assistant-1..                networks on single leads, of either plot in turn      (`train`)
    model-lag, model-beat        one more of each, that also learn what the assistants say of each window

The two at the end together are the model.

Choosing is done with folds 1-7 to train and fold 8 to look at; the released run trains on folds 1-8.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from inference.beat_model import BeatNet, PairNet
from inference.model import PlotNet, RecurrenceNet
from inference.preprocess import prepare_batch
from inference.training.augment import NoiseBank
from inference.training.contrast import SCHEDULE as CONTRAST_SCHEDULE
from inference.training.contrast import ContrastTask
from inference.training.dataset import PREPARED_NAME, UV_PER_MV, Records, load_records
from inference.training.fit import CHECKPOINT_NAME, Schedule, fit, identity_of
from inference.training.labels import DatasetError
from inference.training.teacher import cross_fit
from inference.training.train import TRAIN_FOLDS, ClassifierTask, Lesson, Recipe, core_of, train
from inference.training.unlabelled import load_motion_noise, load_unlabelled

log = logging.getLogger(__name__)

BRANCHES: Mapping[str, Callable[[], PlotNet]] = {"lag": RecurrenceNet, "beat": BeatNet}  # as in `PairNet`

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done, and for how long; 0 epochs leave a step out."""

    folds: tuple[int, ...] = TRAIN_FOLDS
    watch_folds: tuple[int, ...] = ()  # their AUROC is logged after each epoch
    contrast: Schedule = CONTRAST_SCHEDULE
    teacher: Schedule = field(default_factory=lambda: Schedule(epochs=16))
    assistants: int = 2
    schedule: Schedule = field(default_factory=lambda: Schedule(epochs=28))
    recipe: Recipe = field(default_factory=Recipe)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What is read from disk once."""

    records: Records  # labelled ones of all folds
    unlabelled_mv: Floats  # (n, 1000) prepared windows of one lead each; of no fold outside the plan's
    bank: NoiseBank


def gather(data: Path, run: Path, plan: Plan) -> Material:
    """Read recordings and noise; what a directory lacks beside PTB-XL is left out and said.

    What `prepare` wrote into the run is taken from there.
    """
    every = load_records(run if (run / PREPARED_NAME).is_file() else data, unlabelled=True)
    try:
        motion = load_motion_noise(data)
    except DatasetError as error:
        log.warning("no electrode motion is added: %s", error)
        motion = None
    windows = np.zeros((0, every.ecg_uv.shape[-1]), dtype=np.float32)
    if plan.contrast.epochs > 0:
        chosen = every.of_folds(plan.folds).ecg_uv
        sources = [chosen.reshape(-1, chosen.shape[-1])]
        try:
            sources.append(load_unlabelled(data, run))
        except DatasetError as error:
            log.warning("pre-training sees the labelled database only: %s", error)
        windows = np.concatenate([_prepared(one) for one in sources])
    return Material(every.rows(every.has_label), windows, NoiseBank(motion))


def carry_out(plan: Plan, material: Material, run: Path) -> PairNet:
    """Do every step that is not done yet; returns the finished network."""
    starts = {branch: _pre_trained(branch, plan, material, run) for branch in BRANCHES}
    taught = None
    if plan.teacher.epochs > 0:
        taught = cross_fit(material.records, plan.folds, material.bank, plan.teacher, run)
    training, watched = (material.records.of_folds(folds) for folds in (plan.folds, plan.watch_folds))

    def trained(name: str, branch: str, number: int, assistants: Sequence[PlotNet]) -> PlotNet:
        schedule = replace(plan.schedule, seed=plan.schedule.seed + number)
        core = _begin(branch, schedule.seed, starts[branch])
        task = ClassifierTask(core, Lesson(training, watched, taught, assistants), plan.recipe, material.bank)
        return train(task, schedule, run / name)

    in_turn = [list(BRANCHES)[number % len(BRANCHES)] for number in range(plan.assistants)]
    assistants = [trained(f"assistant-{n + 1}", branch, n, ()) for n, branch in enumerate(in_turn)]
    for number, branch in enumerate(BRANCHES, plan.assistants):
        trained(_run_of(branch), branch, number, assistants)
    return load_trained(run)


def load_trained(run: Path) -> PairNet:
    """The finished network of a run, in eval mode; FileNotFoundError without one."""
    net = PairNet()
    for branch in BRANCHES:
        stored = torch.load(run / _run_of(branch) / CHECKPOINT_NAME, weights_only=True)
        net.get_submodule(branch).load_state_dict(core_of(stored["net"]))
    return net.eval()


def recipe_of(run: Path) -> dict[str, object]:
    """What made a run's network, as stored with its checkpoints; the seed is the first of the two."""
    return identity_of(run / _run_of(next(iter(BRANCHES))))


def _run_of(branch: str) -> str:
    return f"model-{branch}"


def _pre_trained(branch: str, plan: Plan, material: Material, run: Path) -> PlotNet | None:
    """A network whose trunk was pre-trained by contrast; None where the plan leaves that out."""
    if plan.contrast.epochs == 0:
        return None
    torch.manual_seed(plan.contrast.seed)
    start = BRANCHES[branch]()
    fit(ContrastTask(start, material.unlabelled_mv, material.bank), plan.contrast, run / f"contrast-{branch}")
    return start


def _begin(branch: str, seed: int, start: PlotNet | None) -> PlotNet:
    """A new network; its trunk, not its heads, is that of `start`."""
    torch.manual_seed(seed)
    core = BRANCHES[branch]()
    if start is not None:
        trunk = {name: w for name, w in start.state_dict().items() if "head" not in name}
        core.load_state_dict({**core.state_dict(), **trunk})
    return core


def _prepared(ecg_uv: NDArray[np.int16], batch: int = 4096) -> Floats:
    """(n, 1000) uV -> (n, 1000) prepared mV, by parts to spare memory."""
    parts = [
        prepare_batch(ecg_uv[i : i + batch] / np.float32(UV_PER_MV)) for i in range(0, len(ecg_uv), batch)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, ecg_uv.shape[-1]), dtype=np.float32)
