"""Targets and scores become figures: AUROC, average precision, F1, calibration error, risk, and intervals."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]
ECE_BINS = 10  # equally full, so that none is empty (adaptive calibration error; Nixon et al. 2019)
WIDTH_BINS = 15  # equally wide: the older definition (Naeini et al. 2015; 15 bins as in Guo et al. 2017)
DEFINED_SHARE = 0.95  # of the bootstrap's rounds in which a figure must exist to have an interval


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
    return mean_of_all(areas)


def mean_of_all(figures: list[float | None]) -> float | None:
    """Mean of figures; None unless each is defined."""
    known = [figure for figure in figures if figure is not None]
    return float(np.mean(known)) if len(known) == len(figures) else None


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


def f1(targets: Floats, found: Bools) -> float | None:
    """(n,) 0/1 and (n,) decisions -> F1; None when nothing was there to find."""
    there = float(np.sum(targets > 0.5))
    both = float(np.sum(found & (targets > 0.5)))
    return 2 * both / (float(np.sum(found)) + there) if there else None


def expected_calibration_error(targets: Floats, probabilities: Floats) -> float:
    """(n,) 0/1 and (n,) -> mean distance of stated probability from observed share, in equally full bins."""
    order = np.argsort(probabilities, kind="stable")
    return _binned_error(targets[order] - probabilities[order], _full_bins(len(order)))


def equal_width_error(targets: Floats, probabilities: Floats) -> float:
    """The same in equally wide bins of probability; those that hold nothing count nothing."""
    order = np.argsort(probabilities, kind="stable")
    edges = np.arange(1, WIDTH_BINS) / WIDTH_BINS
    return _binned_error(targets[order] - probabilities[order], np.searchsorted(probabilities[order], edges))


def calibration_error_by_chance(
    probabilities: Floats, rng: np.random.Generator, rounds: int = 1000
) -> tuple[float, float]:
    """The calibration error of perfect probabilities at this number of recordings, as in equally full bins.

    Even if each stated probability were exactly right, the shares observed in bins of n / 10 recordings would
    stray from it. Outcomes are drawn from the probabilities themselves (Broecker & Smith 2007).

    Args:
        probabilities: (n,), taken as true.
        rng: source of the draws.
        rounds: number of draws.

    Returns:
        The mean over the draws, and the value that 95 % of them stay below.
    """
    ordered = np.sort(probabilities)
    bins = _full_bins(len(ordered))
    errors = [_binned_error((rng.random(len(ordered)) < ordered) - ordered, bins) for _ in range(rounds)]
    return float(np.mean(errors)), float(np.percentile(errors, 95))


def brier(targets: Floats, probabilities: Floats) -> float:
    """(n,) 0/1 and (n,) -> mean squared distance."""
    return float(np.mean((probabilities - targets) ** 2))


def risk_at_coverage(confidence: Floats, wrong: Bools, coverages: Floats) -> NDArray[np.float64]:
    """Share of errors among the most confident decisions (selective risk; El-Yaniv & Wiener 2010).

    Args:
        confidence: (n,) of n decisions.
        wrong: (n,) which of them are errors.
        coverages: (k,) shares of the decisions to keep, above 0 up to 1.

    Returns:
        (k,) shares of errors among those kept, at least one of them.
    """
    errors = np.cumsum(wrong[np.argsort(-confidence, kind="stable")])
    kept = np.clip(np.rint(np.asarray(coverages) * len(wrong)).astype(int), 1, len(wrong))
    return np.asarray(errors[kept - 1] / kept)


def patient_bootstrap(
    patient: NDArray[np.int64],
    figures: Callable[[NDArray[np.int64]], list[float | None]],
    rng: np.random.Generator,
    rounds: int = 1000,
) -> list[tuple[float, float] | None]:
    """95 % intervals of figures of row indices when patients, not recordings, are drawn again.

    Args:
        patient: (n,) of each recording.
        figures: row indices -> k figures, None where undefined.
        rng: source of the draws; all figures see the same ones.
        rounds: number of draws.

    Returns:
        k intervals; None for a figure that was undefined in more than 5 % of the rounds.
    """
    _, owner, count = np.unique(patient, return_inverse=True, return_counts=True)
    order = np.argsort(owner, kind="stable")  # rows of one patient lie together ...
    begin = np.cumsum(count) - count  # ... from here
    drawn = []
    for _ in range(rounds):
        chosen = rng.integers(0, len(count), size=len(count))
        taken = count[chosen]
        shift = np.repeat(begin[chosen] - (np.cumsum(taken) - taken), taken)
        drawn.append(figures(order[shift + np.arange(len(shift))]))
    table = np.array(drawn, dtype=np.float64)  # None becomes NaN
    return [_interval(column) for column in table.transpose()]


def _interval(drawn: NDArray[np.float64]) -> tuple[float, float] | None:
    known = drawn[~np.isnan(drawn)]
    if len(known) < DEFINED_SHARE * len(drawn):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _full_bins(n: int) -> NDArray[np.int64]:
    """Where the second and later of up to ten equally full bins of n sorted values begin."""
    return np.arange(1, ECE_BINS) * n // ECE_BINS


def _binned_error(distance: NDArray[np.floating], begins: NDArray[np.int64]) -> float:
    """(n,) outcome - probability in order of probability, and where bins begin -> weighted mean distance."""
    return float(np.sum([abs(part.sum()) for part in np.split(distance, begins)]) / len(distance))
