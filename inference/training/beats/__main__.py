"""The beat network's command: cross-validate, train, export.

    python -m inference.training.beats train --data DIR --run runs/beats
    python -m inference.training.beats export --run runs/beats

DIR holds MIT-BIH recordings with annotations, PTB-XL, CinC 2017 and recorded electrode motion.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inference.training.beats.augment import Source
from inference.training.beats.dataset import Floats, Strip, agreed, annotated, handheld, invented, motion
from inference.training.beats.folds import FOLDS, SEEN_MOTION, fold_of
from inference.training.beats.network import BeatNet, arrays_of
from inference.training.beats.train import SCHEDULE, load_trained, train
from inference.training.fit import Schedule
from inference.training.labels import DatasetError
from ingest.beat_network import WEIGHTS

DEFAULT_RUN = Path("runs/beats")
PTBXL_FOLDS = range(1, 9)
N_INVENTED = 4000
SHARES = {"annotated": 0.42, "agreed": 0.28, "invented": 0.15, "unreadable": 0.06, "readable": 0.09}


def main(arguments: list[str] | None = None) -> int:
    """Parse and run one step; exit code 1 and one sentence when it cannot."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    torch.set_num_threads(1)  # reproducible, and a second thread gains little at this size
    try:
        options.step(options)
    except (DatasetError, FileNotFoundError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def sources_of(data: Path, fold: int | None) -> tuple[list[Source], Floats]:
    """What to train on and the electrode motion to add; without the recordings of a fold, if one is named."""
    known, read = annotated(data), handheld(data)
    if fold is not None:
        left_out = fold_of(strip.name for strip in known)
        known = [strip for strip in known if left_out[strip.name] != fold]
        read = [strip for k, strip in enumerate(read) if k % FOLDS != fold]
    strips: dict[str, Sequence[Strip]] = {
        "annotated": known,
        "agreed": agreed(data, PTBXL_FOLDS),
        "invented": invented(np.random.default_rng(0), N_INVENTED),
        "unreadable": [strip for strip in read if strip.unreadable],
        "readable": [strip for strip in read if not strip.unreadable],
    }
    moved = motion(data)
    seen = moved.shape[1] if fold is None else int(SEEN_MOTION * moved.shape[1])
    return [Source(share, strips[name]) for name, share in SHARES.items()], moved[:, :seen]


def _train(options: argparse.Namespace) -> None:
    train(*sources_of(options.data, None), _schedule(options), options.run)


def _cross_validate(options: argparse.Namespace) -> None:
    for fold in range(FOLDS):
        net = train(*sources_of(options.data, fold), _schedule(options), options.run / f"fold-{fold}")
        save(net, options.run / f"fold-{fold}.npz")


def _export(options: argparse.Namespace) -> None:
    save(load_trained(options.run), options.weights)


def save(net: BeatNet, path: Path) -> None:
    """Write the weights as whole numbers, for `ingest.beat_network.BeatNetwork.load`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {**arrays_of(net)}
    np.savez_compressed(path, **arrays)


def _schedule(options: argparse.Namespace) -> Schedule:
    return replace(SCHEDULE, epochs=options.epochs, seed=options.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.training.beats",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    steps = parser.add_subparsers(required=True, metavar="STEP")
    for name, step, what in (
        (
            "cross-validate",
            _cross_validate,
            "train a network without each quarter of the recordings, for judging",
        ),
        ("train", _train, "train on all recordings, or go on from the checkpoint in --run"),
        ("export", _export, "write the weights of --run as ingest reads them"),
    ):
        one = steps.add_parser(name, help=what, description=what)
        one.set_defaults(step=step)
        one.add_argument("--run", type=Path, default=DEFAULT_RUN, help="directory of the run")
        if name == "export":
            one.add_argument("--weights", type=Path, default=WEIGHTS, help="file to write")
            continue
        one.add_argument("--data", type=Path, required=True, help="directory of recordings")
        one.add_argument("--epochs", type=int, default=SCHEDULE.epochs)
        one.add_argument("--seed", type=int, default=SCHEDULE.seed)
    return parser


if __name__ == "__main__":
    sys.exit(main())
