"""Variants of the network, trained alike for a short while, become the table that says what does the work.

Folds 1-7 train, fold 8 is looked at: fold 9 has no part in choosing. Every variant gets the same recipe,
epochs, teacher and seed; a figure's interval is over patients, and differences below it mean little.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inference.model import count_macs, count_parameters
from inference.training.dataset import Records
from inference.training.figures import by_class, rounded
from inference.training.fit import Schedule
from inference.training.metrics import auroc, macro_auroc, patient_bootstrap
from inference.training.plan import Material, Plan
from inference.training.teacher import cross_fit
from inference.training.train import (
    SELECT_FOLD,
    TRAIN_FOLDS,
    ClassifierTask,
    Lesson,
    Recipe,
    logits_of,
    train,
)
from inference.training.variants import VARIANTS

ABLATION_NAME = "ablation.json"
ABLATION = Plan(
    contrast=Schedule(epochs=0), schedule=Schedule(epochs=12), recipe=Recipe(pretrain_epochs=3)
)  # short, so that all variants together take an hour on one core
FOLDS = tuple(fold for fold in TRAIN_FOLDS if fold != SELECT_FOLD)
BOOTSTRAP_SEED = 8


def ablate(material: Material, plan: Plan, run: Path, names: list[str] | None = None) -> list[dict[str, Any]]:
    """Train and judge variants; what is finished in `run` is not trained again.

    Args:
        material: recordings and noise.
        plan: its schedule, recipe and teacher's schedule are used; assistants and pre-training are not.
        run: directory; each variant gets one below it.
        names: of VARIANTS; None means all.

    Returns:
        One row a variant; `ablation.json` in the run gets these in place of its own of the same variants.
    """
    training = material.records.of_folds(FOLDS)
    judged = material.records.of_folds([SELECT_FOLD])
    taught = None
    if plan.teacher.epochs > 0:
        taught = cross_fit(material.records, FOLDS, material.bank, plan.teacher, run)
    rows = []
    for name in names or list(VARIANTS):
        torch.manual_seed(plan.schedule.seed)
        core = VARIANTS[name]()
        task = ClassifierTask(core, Lesson(training, judged, taught), plan.recipe, material.bank)
        net = train(task, plan.schedule, run / name.replace(" ", "-").replace(",", ""))
        row: dict[str, Any] = {
            "variant": name,
            "parameters": count_parameters(net),
            "mmac": round(count_macs(net) / 1e6, 1),
            "epochs": plan.schedule.epochs,
        }
        for lead in plan.recipe.leads:
            logits, _ = logits_of(net, judged.lead_mv(lead), lead)
            row[lead] = _figures(judged, logits)
        rows.append(row)
        _keep(row, run / ABLATION_NAME)
    return rows


def _keep(row: dict[str, Any], path: Path) -> None:
    """Put a row into the table, in the place of that variant; the others stay."""
    table = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    by_name = {known["variant"]: known for known in [*table, row]}
    ordered = [by_name[name] for name in VARIANTS if name in by_name]
    path.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")


def _figures(judged: Records, logits: NDArray[np.float32]) -> dict[str, Any]:
    targets = judged.targets
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    [interval] = patient_bootstrap(
        judged.patient, lambda rows: [macro_auroc(targets[rows], logits[rows])], rng
    )
    return {
        "macro_auroc": rounded(macro_auroc(targets, logits)),
        "ci95": None if interval is None else [rounded(limit) for limit in interval],
        "auroc": by_class(lambda c: auroc(targets[:, c], logits[:, c])),
    }
