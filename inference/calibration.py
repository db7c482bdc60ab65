"""Logits become probabilities that mean what they say, and probabilities become present, absent or uncertain.

Each superclass has its own Platt scaling (Platt 1999), a threshold for the best F1, and two limits from
label-conditional split conformal prediction (Vovk 2012). Of windows that have the finding at most 10 % are
called absent, and of those that have not at most 10 % present, as far as new windows resemble the calibration
fold; everything between the limits is uncertain. That the scaling is fitted on the same windows does not
break the promise: it keeps their order, and the limits depend on nothing else.

What is fitted on a fold cannot be judged on it. So the patients of the fold are dealt into parts, one more
calibration is kept for each part, fitted on all other patients, and figures for the fold itself are made by
giving each patient the calibration that never saw it.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from inference.verdict import Presence

CONFORMAL_ERROR = 0.10  # allowed share of wrong "absent" and of wrong "present", each given the truth
PARTS = 10  # of the patients; a tenth left out hardly weakens a fit, a half (measured) does
MIN_EXAMPLES = 10  # of each outcome: with fewer a 10 % quantile is below the smallest value

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class ClassCalibration:
    """One superclass: probability = sigmoid(slope * logit + offset), and the frozen limits on it."""

    slope: float
    offset: float
    threshold: float  # for the best F1
    absent_below: float
    present_above: float

    def presence(self, probability: float) -> Presence:
        """Calibrated probability -> present, absent or uncertain."""
        if probability < self.absent_below:
            return Presence.ABSENT
        if probability > self.present_above:
            return Presence.PRESENT
        return Presence.UNCERTAIN


@dataclass(frozen=True, slots=True)
class Calibration:
    """All superclasses in Superclass order."""

    classes: tuple[ClassCalibration, ...]

    def probabilities(self, logits: Floats) -> NDArray[np.float64]:
        """(n, classes) logits -> (n, classes) calibrated probabilities."""
        slope = np.array([c.slope for c in self.classes])
        offset = np.array([c.offset for c in self.classes])
        return sigmoid(np.asarray(logits, dtype=np.float64) * slope + offset)


@dataclass(frozen=True, slots=True)
class LeadCalibration:
    """Everything calibrated for one lead, as the same network means something else by each lead's logits."""

    served: Calibration  # fitted on all recordings of the calibration folds
    parts: tuple[Calibration, ...]  # entry k is fitted without the patients of part k; for figures only


def fit(logits: Floats, targets: Floats) -> Calibration:
    """(n, classes) logits and 0/1 targets -> calibration; ValueError with too few examples of an outcome."""
    columns = zip(logits.T, targets.T, strict=True)
    return Calibration(tuple(fit_class(column, truth) for column, truth in columns))


def fit_class(logits: Floats, targets: Floats) -> ClassCalibration:
    """(n,) logits and 0/1 targets of one superclass -> its calibration."""
    has = targets > 0.5
    if min(has.sum(), (~has).sum()) < MIN_EXAMPLES:
        raise ValueError(
            f"calibration needs {MIN_EXAMPLES} windows with and without the finding, "
            f"got {has.sum()} with and {(~has).sum()} without"
        )
    slope, offset = _platt(logits, has)
    probability = sigmoid(logits * slope + offset)
    absent_below, present_above = _conformal(probability, has)
    return ClassCalibration(slope, offset, _threshold(probability, has), absent_below, present_above)


def patient_part(patient: NDArray[np.int64], parts: int = PARTS) -> NDArray[np.int64]:
    """(n,) patient numbers -> (n,) 0..parts-1, the same for a patient everywhere and always."""
    return np.array([zlib.crc32(str(int(number)).encode()) % parts for number in patient], dtype=np.int64)


def fit_lead(
    logits: Floats, targets: Floats, patient: NDArray[np.int64], parts: int = PARTS
) -> LeadCalibration:
    """(n, classes) logits and 0/1 targets and (n,) patients of one lead -> what is served, and its parts."""
    part = patient_part(patient, parts)
    return LeadCalibration(
        served=fit(logits, targets),
        parts=tuple(fit(logits[part != k], targets[part != k]) for k in range(parts)),
    )


def sigmoid(logits: Floats) -> NDArray[np.float64]:
    """Any shape -> 0..1 without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * np.asarray(logits, dtype=np.float64))))


def _platt(logits: Floats, has: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of greatest likelihood, with Platt's softened targets against over-confidence."""
    n_with, n_without = int(has.sum()), int((~has).sum())
    soft = np.where(has, (n_with + 1) / (n_with + 2), 1 / (n_without + 2))

    def loss(slope_offset: Floats) -> float:
        z = logits * slope_offset[0] + slope_offset[1]
        return float(np.mean(np.logaddexp(0.0, z) - soft * z))

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="BFGS").x
    if slope <= 0:
        raise ValueError(f"calibration found slope {slope:.3f}: the logits rank this finding the wrong way")
    return float(slope), float(offset)


def _threshold(probability: Floats, has: NDArray[np.bool_]) -> float:
    """Half of the best F1, which is where calibrated probabilities reach it (Lipton et al. 2014).

    We take the limit from the value of the best F1, not from its place: the value strays far less.
    """
    hits = np.cumsum(has[np.argsort(-probability, kind="stable")])
    return float(np.max(2 * hits / (np.arange(1, len(has) + 1) + has.sum())) / 2)


def _conformal(probability: Floats, has: NDArray[np.bool_]) -> tuple[float, float]:
    """Limits below which at most 10 % of the windows with the finding lie, and above which of those without.

    Where the two classes hardly overlap the limits would cross; both statements hold outside their span.
    """
    with_finding, without = np.sort(probability[has]), np.sort(probability[~has])
    rank_low = int(np.floor(CONFORMAL_ERROR * (len(with_finding) + 1)))
    rank_high = int(np.ceil((1 - CONFORMAL_ERROR) * (len(without) + 1)))
    low, high = with_finding[rank_low - 1], without[rank_high - 1]
    return float(min(low, high)), float(max(low, high))
