"""One loop trains every network: classifier, what it builds on, its variants, and the rhythm network.

A task says what it trains and what a batch costs; the loop does the rest: one cycle of the learning rate
(Smith 2018), AdamW, clipped gradients, a checkpoint and a line of log after each epoch. Each epoch seeds its
own random numbers, so that a resumed run equals an unbroken one. The last epoch's weights are the result.
"""

import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

log = logging.getLogger(__name__)

CHECKPOINT_NAME = "checkpoint.pt"
LOG_NAME = "epochs.jsonl"
MAX_GRADIENT = 1.0  # norm

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast."""

    epochs: int
    batch: int = 64
    peak_lr: float = 3e-3
    weight_decay: float = 0.05
    warm_up: float = 0.25  # share of all steps
    seed: int = 1


class Task(Protocol):
    """What the loop asks of a task."""

    @property
    def net(self) -> nn.Module:
        """Everything that is trained."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What decides the result beside the schedule, ready for JSON; a checkpoint of another is refused."""

    def __len__(self) -> int:
        """Samples an epoch."""

    def loss(self, rows: Rows, epoch: int, rng: np.random.Generator) -> Tensor:
        """(batch,) numbers of samples -> scalar to minimise; the net is in training mode."""

    def watch(self) -> Mapping[str, float | None]:
        """Figures for people after an epoch; they decide nothing."""


def one_cycle(step: int, total: int, schedule: Schedule) -> float:
    """Step 0..total-1 -> learning rate: cosine up from 1/25 and down to 1/10,000 of the peak (Smith 2018)."""
    rising = schedule.warm_up * total
    if step < rising:
        return schedule.peak_lr * (1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * step / rising)) / 2)
    left = (step - rising) / (total - rising)
    return schedule.peak_lr * (1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * left)) / 2)


def fit(task: Task, schedule: Schedule, run: Path, *, stop_after: int | None = None) -> None:
    """Train the task's network, or go on where the checkpoint in `run` stands; leaves it in eval mode.

    Args:
        task: what to train.
        schedule: how.
        run: directory of checkpoint and log, made if absent.
        stop_after: leave after so many epochs in all, as an interruption would.

    Raises:
        ValueError: a checkpoint of another task or schedule, or too few samples for one batch.
    """
    run.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(
        task.net.parameters(), lr=schedule.peak_lr, weight_decay=schedule.weight_decay
    )
    identity = {**asdict(schedule), **task.identity}
    first_epoch = _resume(run, identity, task.net, optimizer)
    steps = len(task) // schedule.batch
    if steps == 0:
        raise ValueError(f"{len(task)} training recordings do not fill one batch of {schedule.batch}")
    for epoch in range(first_epoch, min(schedule.epochs, stop_after or schedule.epochs)):
        started_s = time.monotonic()
        rng = np.random.default_rng([schedule.seed, epoch])
        torch.manual_seed(schedule.seed * 1000 + epoch)  # dropout
        task.net.train()
        losses = []
        order = rng.permutation(len(task))[: steps * schedule.batch].reshape(steps, schedule.batch)
        progress = tqdm(order, desc=f"{run.name} epoch {epoch + 1}/{schedule.epochs}", leave=False)
        for step, rows in enumerate(progress):
            for group in optimizer.param_groups:
                group["lr"] = one_cycle(epoch * steps + step, schedule.epochs * steps, schedule)
            loss = task.loss(rows, epoch, rng)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(task.net.parameters(), MAX_GRADIENT)
            optimizer.step()
            losses.append(float(loss.detach()))
        task.net.eval()
        line = {"epoch": epoch + 1, "loss": round(float(np.mean(losses)), 4), **task.watch()}
        line["seconds"] = round(time.monotonic() - started_s, 1)
        log.info("%s %s", run.name, line)
        with (run / LOG_NAME).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        _save(run, identity, task.net, optimizer, epoch + 1)
    task.net.eval()


def identity_of(run: Path) -> dict[str, Any]:
    """What a run was (schedule and task) and the number of epochs done, as stored with the checkpoint."""
    stored = torch.load(run / CHECKPOINT_NAME, weights_only=True)
    return {**json.loads(stored["identity"]), "epochs_done": stored["epochs_done"]}


def _save(
    run: Path, identity: Mapping[str, Any], net: nn.Module, optimizer: torch.optim.Optimizer, epochs_done: int
) -> None:
    state = {
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "identity": json.dumps(identity, sort_keys=True),
        "epochs_done": epochs_done,
    }
    unfinished = run / f"{CHECKPOINT_NAME}.part"
    torch.save(state, unfinished)
    unfinished.replace(run / CHECKPOINT_NAME)  # a killed run never leaves half a checkpoint


def _resume(run: Path, identity: Mapping[str, Any], net: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load a checkpoint if there is one; returns the number of epochs done."""
    path = run / CHECKPOINT_NAME
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    if state.get("identity") != json.dumps(identity, sort_keys=True):
        raise ValueError(f"{path} was trained with another recipe; train into another directory")
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["epochs_done"])
