"""Cross-validation by recording: each recording is judged by a network that was trained without it."""

import logging
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.training.fit import Schedule
from inference.training.rhythm.calibrate import Unseen
from inference.training.rhythm.dataset import Recordings, split
from inference.training.rhythm.evaluate import load_unseen, save_unseen, unseen_windows
from inference.training.rhythm.train import logits_of, train

log = logging.getLogger(__name__)

FOLDS = 5
SPLIT_SEED = 0
UNSEEN_NAME = "unseen.npz"


def cross_validate(
    recordings: Recordings, schedule: Schedule, run: Path, folds: int = FOLDS
) -> tuple[Unseen, NDArray[np.int64]]:
    """Train a network for each fold in `run`/fold_N, or go on where they stand; returns as `unseen_of`."""
    fold = split(recordings, folds, SPLIT_SEED)
    for each in range(folds):
        place = run / f"fold_{each}"
        if (place / UNSEEN_NAME).is_file():
            continue
        net = train(recordings, np.flatnonzero(fold != each), schedule, place)
        judged = unseen_windows(recordings, np.flatnonzero(fold == each), partial(logits_of, net))
        save_unseen(judged, place / UNSEEN_NAME)
        log.info("judged %d recordings of fold %d", len(judged.rhythm), each)
    return unseen_of(recordings, run, folds)


def unseen_of(recordings: Recordings, run: Path, folds: int = FOLDS) -> tuple[Unseen, NDArray[np.int64]]:
    """What the networks of all folds said, and the fold of each recording, in the recordings' order.

    Raises:
        FileNotFoundError: the cross-validation has not finished.
    """
    fold = split(recordings, folds, SPLIT_SEED)
    parts = [load_unseen(run / f"fold_{each}" / UNSEEN_NAME) for each in range(folds)]
    rows = [np.flatnonzero(fold == each) for each in range(folds)]
    logits = np.concatenate([part.logits for part in parts])
    owner = np.concatenate([row[part.owner] for row, part in zip(rows, parts, strict=True)])
    order = np.argsort(owner, kind="stable")
    return Unseen(logits[order], owner[order], recordings.rhythm), fold
