"""The training's command: prepare, train, calibrate, export (and card), evaluate; ablate stands apart.

python -m inference.training train --data DIR --run runs/first
"""

import argparse
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from inference.card import RELEASED_WEIGHTS
from inference.classifier import Classifier, ClassifierError
from inference.lead_view import SERVED_LEADS
from inference.training.ablation import ABLATION, ablate
from inference.training.calibrate import calibrate, save_calibrations
from inference.training.dataset import load_records, save_records
from inference.training.describe import describe
from inference.training.evaluate import evaluate
from inference.training.export import ExportError, export
from inference.training.labels import DatasetError
from inference.training.plan import Plan, carry_out, gather, load_trained
from inference.training.train import CALIBRATION_FOLD, logits_of, view_probabilities
from inference.training.unlabelled import load_unlabelled
from inference.training.variants import VARIANTS

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
    try:
        windows = len(load_unlabelled(options.data, options.run))
    except DatasetError:
        windows = 0
    return {
        "unlabelled_windows": windows,
        "file": str(save_records(records, options.run)),
        "n": len(records),
        "labelled": int(records.has_label.sum()),
    }


def _train(options: argparse.Namespace) -> None:
    torch.set_flush_denormal(True)  # what is that small costs time and changes nothing
    plan = _plan(options)
    carry_out(plan, gather(options.data, options.run, plan), options.run)


def _ablate(options: argparse.Namespace) -> dict[str, Any]:
    torch.set_flush_denormal(True)
    plan = replace(ABLATION, schedule=replace(ABLATION.schedule, epochs=options.epochs))
    material = gather(options.data, options.run, plan)
    return {"variants": ablate(material, plan, options.run, options.variants)}


def _calibrate(options: argparse.Namespace) -> None:
    fold = load_records(options.data).of_folds([CALIBRATION_FOLD])
    net = load_trained(options.run)
    answers = {lead: logits_of(net, fold.lead_mv(lead), lead) for lead in SERVED_LEADS}
    by_view = view_probabilities(net, fold)
    logits = {lead: superclasses for lead, (superclasses, _) in answers.items()}
    save_calibrations(calibrate(fold, logits, by_view), options.run)


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


def _plan(options: argparse.Namespace) -> Plan:
    """The released plan, with what the command line changes."""
    plan = Plan()
    return replace(
        plan,
        contrast=replace(plan.contrast, epochs=options.contrast_epochs),
        teacher=replace(plan.teacher, epochs=options.teacher_epochs),
        assistants=options.assistants,
        schedule=replace(plan.schedule, epochs=options.epochs, seed=options.seed),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m inference.training", description=__doc__)
    steps = parser.add_subparsers(required=True, metavar="STEP")
    plan = Plan()
    for name, step, what in (
        (
            "prepare",
            _prepare,
            "read PTB-XL in any layout, and unlabelled recordings, once; keep them in --run",
        ),
        ("train", _train, "train on folds 1-8, or go on from the checkpoints in --run"),
        ("calibrate", _calibrate, "fit probabilities, thresholds and limits on fold 9"),
        ("export", _export, "write the weights and their card"),
        ("card", _card, "judge weights that are there and write their card anew"),
        ("evaluate", _evaluate, "print the figures of released weights as JSON; fits nothing"),
        ("ablate", _ablate, "train each variant shortly on folds 1-7 and judge it on fold 8"),
    ):
        one = steps.add_parser(name, help=what, description=what)
        one.set_defaults(step=step)
        one.add_argument("--data", type=Path, required=True, help="directory of recordings")
        run = DEFAULT_RUN.parent / "ablation" if name == "ablate" else DEFAULT_RUN
        one.add_argument("--run", type=Path, default=run, help="directory of the run")
        if name in {"export", "card", "evaluate"}:
            one.add_argument(
                "--weights", type=Path, default=RELEASED_WEIGHTS, help="directory of the weights"
            )
        if name == "evaluate":
            one.add_argument("--folds", type=int, nargs="+", default=[CALIBRATION_FOLD])
            one.add_argument("--lead", choices=SERVED_LEADS, default=SERVED_LEADS[0])
        if name == "train":
            one.add_argument("--epochs", type=int, default=plan.schedule.epochs)
            one.add_argument("--contrast-epochs", type=int, default=plan.contrast.epochs)
            one.add_argument("--teacher-epochs", type=int, default=plan.teacher.epochs)
            one.add_argument("--assistants", type=int, default=plan.assistants)
            one.add_argument("--seed", type=int, default=plan.schedule.seed)
        if name == "ablate":
            one.add_argument("--epochs", type=int, default=ABLATION.schedule.epochs)
            one.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    return parser


if __name__ == "__main__":
    sys.exit(main())
