"""Handheld recordings become a trained rhythm network: one loop, one schedule, a checkpoint after each epoch.

Each step draws recordings, rare rhythms more often, and cuts a window anywhere in each. Polarity is flipped
at random: handheld electrodes are often held the wrong way round, and rhythm does not depend on it. The last
epoch's weights are the result. Each epoch seeds its own random numbers: a resumed run equals an unbroken one.
"""

import json
import logging
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from inference.preprocess import prepare_batch
from inference.rhythm_model import RhythmNet
from inference.training.rhythm.augment import RawAugmentConfig, augment_raw
from inference.training.rhythm.dataset import LABELS, Recordings

log = logging.getLogger(__name__)

CHECKPOINT_NAME = "checkpoint.pt"
LOG_NAME = "epochs.jsonl"
HANDHELD = RawAugmentConfig(
    gain=(0.5, 2.0),
    stretch_share=0.3,
    stretch=0.1,
    wander_share=0.3,
    wander_mv=0.2,
    emg_share=0.3,
    mains_share=0.1,
    mask_share=0.2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a run beside the data."""

    epochs: int = 10
    batch: int = 32  # recordings
    peak_lr: float = 3e-3
    weight_decay: float = 0.05
    warm_up: float = 0.25  # share of all steps
    balance: float = 0.5  # 0: rhythms as frequent as they are; 1: all equally often
    mixup: float = 0.0  # both parameters of the beta distribution
    label_smoothing: float = 0.05
    seed: int = 1
    augment: RawAugmentConfig = field(default_factory=lambda: HANDHELD)


def one_cycle(step: int, total: int, recipe: Recipe) -> float:
    """Step 0..total-1 -> learning rate: cosine up from 1/25 and down to 1/10,000 of the peak (Smith 2018)."""
    rising = recipe.warm_up * total
    if step < rising:
        return recipe.peak_lr * (1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * step / rising)) / 2)
    left = (step - rising) / (total - rising)
    return recipe.peak_lr * (1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * left)) / 2)


def train(
    recordings: Recordings,
    rows: NDArray[np.int64],
    recipe: Recipe,
    run: Path,
    *,
    stop_after: int | None = None,
) -> RhythmNet:
    """Train, or go on where the checkpoint in `run` stands.

    Args:
        recordings: all of them.
        rows: numbers of those to train on; the few shorter than 10 s are left out.
        recipe: what to do; a checkpoint of another recipe is refused with ValueError.
        run: directory of checkpoint and log, made if absent.
        stop_after: leave after so many epochs in all, as an interruption would.

    Returns:
        The network after its last epoch, in eval mode.
    """
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    net = RhythmNet()
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=recipe.peak_lr, weight_decay=recipe.weight_decay, fused=True
    )
    first_epoch = _resume(run, recipe, net, optimizer)
    whole = np.array([row for row in rows if recordings.last_start(row) > 0])
    share = sampling(recordings.rhythm[whole], recipe.balance)
    steps = len(whole) // recipe.batch
    if steps == 0:
        raise ValueError(f"{len(whole)} training recordings do not fill one batch of {recipe.batch}")
    for epoch in range(first_epoch, min(recipe.epochs, stop_after or recipe.epochs)):
        started_s = time.monotonic()
        rng = np.random.default_rng([recipe.seed, epoch])
        torch.manual_seed(recipe.seed * 1000 + epoch)  # dropout
        net.train()
        losses = []
        drawn = rng.choice(whole, size=steps * recipe.batch, p=share, replace=True)
        order = drawn.reshape(steps, recipe.batch)
        for step, chosen in enumerate(tqdm(order, desc=f"epoch {epoch + 1}/{recipe.epochs}", leave=False)):
            for group in optimizer.param_groups:
                group["lr"] = one_cycle(epoch * steps + step, recipe.epochs * steps, recipe)
            ecg, targets = batch_of(recordings, chosen, rng, recipe)
            loss = nn.functional.cross_entropy(net(ecg), targets, label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
        line = {
            "epoch": epoch + 1,
            "loss": round(float(np.mean(losses)), 4),
            "seconds": round(time.monotonic() - started_s, 1),
        }
        log.info("%s", line)
        with (run / LOG_NAME).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        _save(run, recipe, net, optimizer, epoch + 1)
    return net.eval()


def sampling(rhythm: NDArray[np.int64], balance: float) -> NDArray[np.float64]:
    """(n,) rhythms -> (n,) chance of each recording to be drawn, sum 1; rare rhythms are drawn more often."""
    weight = (np.bincount(rhythm, minlength=len(LABELS))[rhythm] / len(rhythm)) ** -balance
    return np.asarray(weight / weight.sum())


def batch_of(
    recordings: Recordings, chosen: NDArray[np.int64], rng: np.random.Generator, recipe: Recipe
) -> tuple[Tensor, Tensor]:
    """Recordings -> (batch, 1000) augmented, prepared, mixed windows in mV, and (batch, 4) soft targets."""
    starts = [int(rng.integers(0, recordings.last_start(row) + 1)) for row in chosen]
    raw_mv = np.stack([recordings.window_mv(row, start) for row, start in zip(chosen, starts, strict=True)])
    raw_mv *= rng.choice(np.array([-1, 1], dtype=np.float32), size=(len(raw_mv), 1))
    ecg = prepare_batch(augment_raw(raw_mv, rng, recipe.augment))
    targets = np.eye(len(LABELS), dtype=np.float32)[recordings.rhythm[chosen]]
    share = np.float32(rng.beta(recipe.mixup, recipe.mixup)) if recipe.mixup > 0 else np.float32(1)
    ecg = share * ecg + (1 - share) * ecg[::-1]  # the batch is in random order: its mirror is another one
    targets = share * targets + (1 - share) * targets[::-1]
    return torch.from_numpy(ecg), torch.from_numpy(targets)


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


def recipe_of(run: Path) -> dict[str, Any]:
    """The recipe and the number of epochs done, as stored with the checkpoint."""
    stored = torch.load(run / CHECKPOINT_NAME, weights_only=True)
    return {**stored["recipe"], "epochs_done": stored["epochs_done"]}


def _save(
    run: Path, recipe: Recipe, net: RhythmNet, optimizer: torch.optim.Optimizer, epochs_done: int
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


def _resume(run: Path, recipe: Recipe, net: RhythmNet, optimizer: torch.optim.Optimizer) -> int:
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
