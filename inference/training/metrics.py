"""Targets and scores become figures: AUROC, average precision, F1, calibration error, and their intervals."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.floating]
ECE_BINS = 10  # equally full, so that none is empty (adaptive calibration error; Nixon et al. 2019)


def auroc(targets: Floats, scores: Floats) -> float | None:
    """(n,) 0/1 and (n,) -> area under the ROC curve, ties counted half; None unless both outcomes occur."""
    positives = int(np.sum(targets > 0.5))
    negatives = len(targets) - positives
    if positives == 0 or negatives == 0:
        return None
    rank_sum = float(np.sum(rankdata(scores)[targets > 0.5]))
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def macro_auroc(targets: Floats, scores: Floats) -> float | None:
    """(n, classes) twice -> mean over classes; None where a class has only one outcome."""
    areas = [auroc(targets[:, c], scores[:, c]) for c in range(targets.shape[1])]
    known = [area for area in areas if area is not None]
    return float(np.mean(known)) if len(known) == len(areas) else None


def average_precision(targets: Floats, scores: Floats) -> float | None:
    """(n,) 0/1 and (n,) -> area under precision over recall in steps; None without positives."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(targets[order] > 0.5)
    if len(hits) == 0 or hits[-1] == 0:
        return None
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    found, seen = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    recall = np.concatenate([[0.0], found / hits[-1]])
    return float(np.sum(np.diff(recall) * found / seen))


def f1(targets: Floats, found: NDArray[np.bool_]) -> float:
    """(n,) 0/1 and (n,) decisions -> F1; 0 when nothing was found and nothing was there."""
    both = float(np.sum(found & (targets > 0.5)))
    total = float(np.sum(found) + np.sum(targets > 0.5))
    return 2 * both / total if total else 0.0


def expected_calibration_error(targets: Floats, probabilities: Floats) -> float:
    """(n,) 0/1 and (n,) -> mean distance of stated probability from observed share, in equally full bins."""
    order = np.argsort(probabilities, kind="stable")
    bins = [part for part in np.array_split(order, ECE_BINS) if len(part)]
    distance = [len(part) * abs(np.mean(targets[part]) - np.mean(probabilities[part])) for part in bins]
    return float(np.sum(distance) / len(order))


def brier(targets: Floats, probabilities: Floats) -> float:
    """(n,) 0/1 and (n,) -> mean squared distance."""
    return float(np.mean((probabilities - targets) ** 2))


def patient_bootstrap(
    patient: NDArray[np.int64],
    figure: Callable[[NDArray[np.int64]], float | None],
    rng: np.random.Generator,
    rounds: int = 1000,
) -> tuple[float, float] | None:
    """95 % interval of a figure of row indices when patients, not recordings, are drawn again.

    None where the figure was undefined in every round.
    """
    patients, owner = np.unique(patient, return_inverse=True)
    rows_of = np.split(np.argsort(owner, kind="stable"), np.cumsum(np.bincount(owner))[:-1])
    drawn = []
    for _ in range(rounds):
        chosen = rng.integers(0, len(patients), size=len(patients))
        value = figure(np.concatenate([rows_of[i] for i in chosen]))
        if value is not None:
            drawn.append(value)
    if not drawn:
        return None
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)
