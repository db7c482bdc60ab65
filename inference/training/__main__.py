"""The training's command: prepare, train, calibrate, export (and card), evaluate, in this order.

python -m inference.training train --data DIR --run runs/first
"""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

import torch

from inference.card import RELEASED_WEIGHTS
from inference.classifier import Classifier, ClassifierError
from inference.training.calibrate import calibrate, save_calibrations
from inference.training.dataset import LEADS, load_records, save_records
from inference.training.describe import describe
from inference.training.evaluate import evaluate
from inference.training.export import ExportError, export
from inference.training.labels import DatasetError
from inference.training.train import (
    SELECT_FOLD,
    Recipe,
    load_trained,
    logits_of,
    recipe_of,
    train,
)

DEFAULT_RUN = Path("runs/model")


def main(arguments: list[str] | None = None) -> int:
    """Parse, run one step, print its figures as JSON; exit code 1 and one sentence when it cannot."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(name)s: %(message)s")  # the exporter is talkative
    logging.getLogger("inference").setLevel(logging.INFO)
    torch.set_num_threads(1)  # reproducible, and a second thread gains little at this size
    try:
        figures = options.step(options)
    except (DatasetError, ClassifierError, ExportError, FileNotFoundError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if figures is not None:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0


def _prepare(options: argparse.Namespace) -> dict[str, Any]:
    records = load_records(options.data, unlabelled=True)
    return {
        "file": str(save_records(records, options.run)),
        "n": len(records),
        "labelled": int(records.has_label.sum()),
    }


def _train(options: argparse.Namespace) -> None:
    recipe = Recipe(epochs=options.epochs, pretrain_epochs=options.pretrain_epochs, seed=options.seed)
    train(load_records(options.data), recipe, options.run)


def _calibrate(options: argparse.Namespace) -> None:
    fold = load_records(options.data).of_folds([SELECT_FOLD])
    net = load_trained(options.run)
    leads = [str(recipe_of(options.run)["lead"])]
    logits = {lead: logits_of(net, fold.lead_mv(lead)) for lead in leads}
    save_calibrations(calibrate(fold, logits), options.run)


def _export(options: argparse.Namespace) -> dict[str, Any]:
    return export(options.data, options.run, options.weights)


def _card(options: argparse.Namespace) -> dict[str, Any]:
    records = load_records(options.data)
    return describe(options.weights, records, options.data, options.run).figures


def _evaluate(options: argparse.Namespace) -> dict[str, Any]:
    classifier = Classifier.load(options.weights)
    records = load_records(options.data).of_folds(options.folds)
    if len(records) == 0:
        raise DatasetError(f"{options.data} has no labelled recordings of fold {options.folds}")
    if options.lead not in classifier.card.by_lead:
        raise ValueError(
            f"the weights in {options.weights} are for lead {' and '.join(classifier.card.by_lead)}, "
            f"not for lead {options.lead}"
        )
    return evaluate(classifier, records, options.lead)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m inference.training", description=__doc__)
    steps = parser.add_subparsers(required=True, metavar="STEP")
    defaults = Recipe()
    for name, step, what in (
        ("prepare", _prepare, "read PTB-XL in any layout once and keep one array file in --run"),
        ("train", _train, "train on folds 1-8, or go on from the checkpoint in --run"),
        ("calibrate", _calibrate, "fit probabilities, thresholds and limits on fold 9"),
        ("export", _export, "write the weights and their card"),
        ("card", _card, "judge weights that are there and write their card anew"),
        ("evaluate", _evaluate, "print the figures of released weights as JSON; fits nothing"),
    ):
        one = steps.add_parser(name, help=what, description=what)
        one.set_defaults(step=step)
        one.add_argument("--data", type=Path, required=True, help="directory of recordings")
        one.add_argument("--run", type=Path, default=DEFAULT_RUN, help="directory of the run")
        one.add_argument("--weights", type=Path, default=RELEASED_WEIGHTS, help="directory of the weights")
        one.add_argument("--folds", type=int, nargs="+", default=[SELECT_FOLD], help="folds to evaluate")
        one.add_argument("--lead", choices=LEADS[:2], default="I", help="lead to evaluate")
        one.add_argument("--epochs", type=int, default=defaults.epochs)
        one.add_argument("--pretrain-epochs", type=int, default=defaults.pretrain_epochs)
        one.add_argument("--seed", type=int, default=defaults.seed)
    return parser


if __name__ == "__main__":
    sys.exit(main())
