"""Recordings become a trained network: one loop, one schedule, a checkpoint after each epoch.

The first epochs draw a random lead for each recording, so that all eight are seen as single leads; the rest
draw lead I. The last epoch's weights are the result: no epoch is picked by looking at fold 9, whose figures
are logged for people only. Each epoch seeds its own random numbers: a resumed run equals an unbroken one.
"""

import json
import logging
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from inference.model import RecurrenceNet
from inference.preprocess import prepare_batch
from inference.training.augment import AugmentConfig, augment
from inference.training.dataset import LEADS, UV_PER_MV, Records
from inference.training.metrics import macro_auroc

log = logging.getLogger(__name__)

TRAIN_FOLDS = tuple(range(1, 9))
SELECT_FOLD = 9  # watched while training, and calibrated on; fold 10 is never read here
CHECKPOINT_NAME = "checkpoint.pt"
LOG_NAME = "epochs.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a run beside the data."""

    epochs: int = 28
    pretrain_epochs: int = 8  # with a random lead of eight for each recording
    lead: str = "I"
    batch: int = 64
    peak_lr: float = 3e-3
    weight_decay: float = 0.05
    warm_up: float = 0.25  # share of all steps
    mixup: float = 0.3  # both parameters of the beta distribution
    label_smoothing: float = 0.05
    seed: int = 1
    augment: AugmentConfig = field(default_factory=AugmentConfig)


def one_cycle(step: int, total: int, recipe: Recipe) -> float:
    """Step 0..total-1 -> learning rate: cosine up from 1/25 and down to 1/10,000 of the peak (Smith 2018)."""
    rising = recipe.warm_up * total
    if step < rising:
        return recipe.peak_lr * (1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * step / rising)) / 2)
    left = (step - rising) / (total - rising)
    return recipe.peak_lr * (1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * left)) / 2)


def train(records: Records, recipe: Recipe, run: Path, *, stop_after: int | None = None) -> RecurrenceNet:
    """Train, or go on where the checkpoint in `run` stands.

    Args:
        records: all folds; 1-8 are trained on, 9 is only watched.
        recipe: what to do; a checkpoint of another recipe is refused with ValueError.
        run: directory of checkpoint and log, made if absent.
        stop_after: leave after so many epochs in all, as an interruption would.

    Returns:
        The network after its last epoch, in eval mode.
    """
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    net = RecurrenceNet()
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.peak_lr, weight_decay=recipe.weight_decay)
    first_epoch = _resume(run, recipe, net, optimizer)
    training, watched = records.of_folds(TRAIN_FOLDS), records.of_folds([SELECT_FOLD])
    steps = len(training) // recipe.batch
    if steps == 0:
        raise ValueError(f"{len(training)} training recordings do not fill one batch of {recipe.batch}")
    for epoch in range(first_epoch, min(recipe.epochs, stop_after or recipe.epochs)):
        started_s = time.monotonic()
        rng = np.random.default_rng([recipe.seed, epoch])
        torch.manual_seed(recipe.seed * 1000 + epoch)  # dropout
        net.train()
        losses = []
        order = rng.permutation(len(training))[: steps * recipe.batch].reshape(steps, recipe.batch)
        for step, rows in enumerate(tqdm(order, desc=f"epoch {epoch + 1}/{recipe.epochs}", leave=False)):
            lr = one_cycle(epoch * steps + step, recipe.epochs * steps, recipe)
            for group in optimizer.param_groups:
                group["lr"] = lr
            ecg, targets = batch_of(training, rows, rng, recipe, pretraining=epoch < recipe.pretrain_epochs)
            loss = nn.functional.binary_cross_entropy_with_logits(net(ecg), targets)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
        line = {
            "epoch": epoch + 1,
            "loss": round(float(np.mean(losses)), 4),
            "macro_auroc": macro_auroc(watched.targets, logits_of(net, watched.lead_mv(recipe.lead))),
            "seconds": round(time.monotonic() - started_s, 1),
        }
        log.info("%s", line)
        with (run / LOG_NAME).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        _save(run, recipe, net, optimizer, epoch + 1)
    return net.eval()


def batch_of(
    records: Records, rows: NDArray[np.int64], rng: np.random.Generator, recipe: Recipe, *, pretraining: bool
) -> tuple[Tensor, Tensor]:
    """Row numbers -> (batch, 1000) augmented, prepared, mixed windows in mV, and (batch, 5) soft targets."""
    leads = np.full(len(rows), LEADS.index(recipe.lead))
    if pretraining:
        leads = rng.integers(0, len(LEADS), size=len(rows))
    raw_mv = (records.ecg_uv[rows, leads] / UV_PER_MV).astype(np.float32)
    ecg = prepare_batch(augment(raw_mv, rng, recipe.augment))
    targets = records.targets[rows]
    share = np.float32(rng.beta(recipe.mixup, recipe.mixup)) if recipe.mixup > 0 else np.float32(1)
    ecg = share * ecg + (1 - share) * ecg[::-1]  # the batch is shuffled: its mirror is a random partner
    targets = share * targets + (1 - share) * targets[::-1]
    targets = targets * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
    return torch.from_numpy(ecg), torch.from_numpy(targets)


def logits_of(net: RecurrenceNet, raw_mv: NDArray[np.float32], batch: int = 128) -> NDArray[np.float32]:
    """(n, 1000) recordings at 100 Hz in mV, as stored -> (n, 5) logits of the network in eval mode."""
    net.eval()
    with torch.inference_mode():
        parts = [
            net(torch.from_numpy(prepare_batch(raw_mv[i : i + batch]))).numpy()
            for i in range(0, len(raw_mv), batch)
        ]
    return np.concatenate(parts) if parts else np.zeros((0, 5), dtype=np.float32)


def load_trained(run: Path) -> RecurrenceNet:
    """The network of a run's checkpoint, in eval mode; FileNotFoundError without one."""
    net = RecurrenceNet()
    net.load_state_dict(torch.load(run / CHECKPOINT_NAME, weights_only=True)["net"])
    return net.eval()


def recipe_of(run: Path) -> dict[str, object]:
    """The recipe and the number of epochs done, as stored with the checkpoint."""
    stored = torch.load(run / CHECKPOINT_NAME, weights_only=True)
    return {**stored["recipe"], "epochs_done": stored["epochs_done"]}


def _save(
    run: Path, recipe: Recipe, net: RecurrenceNet, optimizer: torch.optim.Optimizer, epochs_done: int
) -> None:
    state = {
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "recipe": asdict(recipe),
        "epochs_done": epochs_done,
    }
    unfinished = run / f"{CHECKPOINT_NAME}.part"
    torch.save(state, unfinished)
    unfinished.replace(run / CHECKPOINT_NAME)  # a killed run never leaves half a checkpoint


def _resume(run: Path, recipe: Recipe, net: RecurrenceNet, optimizer: torch.optim.Optimizer) -> int:
    """Load a checkpoint if there is one; returns the number of epochs done."""
    path = run / CHECKPOINT_NAME
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    if state["recipe"] != asdict(recipe):
        raise ValueError(f"{path} was trained with another recipe; train into another directory")
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["epochs_done"])
