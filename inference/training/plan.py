"""The whole recipe in order, each step in a directory of its own below the run and resumable there.

    contrast       pre-training of the trunk without labels                         (`contrast`)
    teacher-1..3   eight leads, cross-fitted: their word becomes part of the target (`teacher`)
    assistant-1..  the classifier with several seeds, on single leads               (`train`)
    model          one more, that also learns what the assistants say of each window

Choosing is done with folds 1-7 to train and fold 8 to look at; the released run trains on folds 1-8.
"""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from inference.model import RecurrenceNet
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

MODEL_RUN = "model"
CONTRAST_RUN = "contrast"

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


def carry_out(plan: Plan, material: Material, run: Path) -> RecurrenceNet:
    """Do every step that is not done yet; returns the finished network."""
    start = None
    if plan.contrast.epochs > 0:
        torch.manual_seed(plan.contrast.seed)
        start = RecurrenceNet()
        fit(ContrastTask(start, material.unlabelled_mv, material.bank), plan.contrast, run / CONTRAST_RUN)
    taught = None
    if plan.teacher.epochs > 0:
        taught = cross_fit(material.records, plan.folds, material.bank, plan.teacher, run)
    training, watched = (material.records.of_folds(folds) for folds in (plan.folds, plan.watch_folds))
    assistants: list[RecurrenceNet] = []
    for number in range(1, plan.assistants + 2):
        is_last = number > plan.assistants
        lesson = Lesson(training, watched, taught, assistants if is_last else [])
        schedule = replace(plan.schedule, seed=plan.schedule.seed + number - 1)
        task = ClassifierTask(_begin(schedule.seed, start), lesson, plan.recipe, material.bank)
        one = train(task, schedule, run / (MODEL_RUN if is_last else f"assistant-{number}"))
        if not is_last:
            assistants.append(one)
    return load_trained(run)


def load_trained(run: Path) -> RecurrenceNet:
    """The finished network of a run, in eval mode; FileNotFoundError without one."""
    return _load_core(run / MODEL_RUN)


def recipe_of(run: Path) -> dict[str, object]:
    """What made a run's network, as stored with its checkpoint."""
    return identity_of(run / MODEL_RUN)


def _begin(seed: int, start: RecurrenceNet | None) -> RecurrenceNet:
    """A new network; its trunk, not its heads, is that of `start`."""
    torch.manual_seed(seed)
    core = RecurrenceNet()
    if start is not None:
        trunk = {name: w for name, w in start.state_dict().items() if "head" not in name}
        core.load_state_dict({**core.state_dict(), **trunk})
    return core


def _load_core(run: Path) -> RecurrenceNet:
    net = RecurrenceNet()
    net.load_state_dict(core_of(torch.load(run / CHECKPOINT_NAME, weights_only=True)["net"]))
    return net.eval()


def _prepared(ecg_uv: NDArray[np.int16], batch: int = 4096) -> Floats:
    """(n, 1000) uV -> (n, 1000) prepared mV, by parts to spare memory."""
    parts = [
        prepare_batch(ecg_uv[i : i + batch] / np.float32(UV_PER_MV)) for i in range(0, len(ecg_uv), batch)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, ecg_uv.shape[-1]), dtype=np.float32)
