"""The rhythm network's command: prepare, cross-validate, train, export, evaluate, in this order.

python -m inference.training.rhythm train --data DIR --run runs/rhythm
"""

import argparse
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inference.card import RELEASED_WEIGHTS
from inference.preprocess import prepare_batch
from inference.rhythm import RhythmError, RhythmReader
from inference.training.export import ExportError
from inference.training.fit import Schedule
from inference.training.labels import DatasetError
from inference.training.rhythm.dataset import load_recordings, prepare_recordings, read_recordings
from inference.training.rhythm.evaluate import figures, served_figures, unseen_windows
from inference.training.rhythm.export import export
from inference.training.rhythm.external import external_figures
from inference.training.rhythm.gate import gate_figures
from inference.training.rhythm.train import SCHEDULE, train
from inference.training.rhythm.validate import cross_validate

DEFAULT_RUN = Path("runs/rhythm")


def main(arguments: list[str] | None = None) -> int:
    """Parse, run one step, print its figures as JSON; exit code 1 and one sentence when it cannot."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(name)s: %(message)s")  # the exporter is talkative
    logging.getLogger("inference").setLevel(logging.INFO)
    torch.set_num_threads(1)  # reproducible, and a second thread gains little at this size
    try:
        shown = options.step(options)
    except (DatasetError, RhythmError, ExportError, FileNotFoundError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if shown is not None:
        sys.stdout.write(json.dumps(shown, indent=2) + "\n")
    return 0


def _prepare(options: argparse.Namespace) -> dict[str, Any]:
    return {"file": str(prepare_recordings(options.data, options.run))}


def _train(options: argparse.Namespace) -> None:
    recordings = load_recordings(options.data, options.run)
    train(recordings, np.arange(len(recordings)), _schedule(options), options.run)


def _cross_validate(options: argparse.Namespace) -> dict[str, Any]:
    recordings = load_recordings(options.data, options.run)
    unseen, fold = cross_validate(recordings, _schedule(options), options.run)
    return figures(unseen, fold) | {"gate": gate_figures(recordings, unseen, fold)}


def _export(options: argparse.Namespace) -> dict[str, Any]:
    return export(load_recordings(options.data, options.run), options.run, options.weights)


def _evaluate(options: argparse.Namespace) -> dict[str, Any]:
    reader = RhythmReader.load(options.weights)
    figures: dict[str, Any] = {"external": external_figures(reader, options.data)}
    if options.handheld:
        recordings = read_recordings(options.data)  # never from a run: DIR is what is judged
        judged = unseen_windows(
            recordings, np.arange(len(recordings)), lambda raw_mv: reader.logits(prepare_batch(raw_mv))
        )
        figures["handheld"] = served_figures(judged, reader.card.calibration)
    return figures


def _schedule(options: argparse.Namespace) -> Schedule:
    return replace(SCHEDULE, epochs=options.epochs, seed=options.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m inference.training.rhythm", description=__doc__)
    steps = parser.add_subparsers(required=True, metavar="STEP")
    for name, step, what in (
        ("prepare", _prepare, "resample the handheld recordings to 100 Hz once and keep them in --run"),
        ("cross-validate", _cross_validate, "train a network for each fold, and print their figures as JSON"),
        ("train", _train, "train on all recordings, or go on from the checkpoint in --run"),
        ("export", _export, "write the weights and their card, with the cross-validated figures"),
        ("evaluate", _evaluate, "print figures of released weights, on PTB-XL too; fits nothing"),
    ):
        one = steps.add_parser(name, help=what, description=what)
        one.set_defaults(step=step)
        one.add_argument("--data", type=Path, required=True, help="directory of recordings")
        one.add_argument("--run", type=Path, default=DEFAULT_RUN, help="directory of the run")
        if name in {"export", "evaluate"}:
            one.add_argument(
                "--weights", type=Path, default=RELEASED_WEIGHTS, help="directory of the weights"
            )
        if name in {"train", "cross-validate"}:
            one.add_argument("--epochs", type=int, default=SCHEDULE.epochs)
            one.add_argument("--seed", type=int, default=SCHEDULE.seed)
        if name == "evaluate":
            one.add_argument(
                "--handheld",
                action="store_true",
                help="handheld recordings too; not for CinC 2017, which the released network was trained on",
            )
    return parser


if __name__ == "__main__":
    sys.exit(main())
