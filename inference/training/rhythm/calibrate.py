"""Logits of unseen windows become what the rhythm network needs to be served: temperature, limits, offsets.

Everything here is fitted on out-of-fold logits. A figure for a fold is made by what the other folds gave.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from inference.rhythm import RhythmCalibration, aggregate
from inference.training.metrics import f1
from inference.training.rhythm.dataset import LABELS
from inference.verdict import Rhythm

AF = tuple(Rhythm).index(Rhythm.AF)
NOISY = tuple(Rhythm).index(Rhythm.NOISY)
SCORED = 3  # normal, AF and other count in the challenge's mean F1; noisy does not
MAX_FALSE_AF = 0.01  # of windows of normal and other recordings
MAX_REFUSED = 0.03  # of windows of normal, AF and other recordings
LIMITS_CHOSEN = {
    "af_limit": f"out of fold: at most {MAX_FALSE_AF:.0%} of 10 s windows of normal and other recordings",
    "noisy_limit": f"out of fold: at most {MAX_REFUSED:.0%} of 10 s windows of the three readable rhythms",
    "offsets": "out of fold: greatest mean F1 of normal, AF and other over recordings",
}

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Unseen:
    """Windows judged by networks that were trained without their recordings."""

    logits: NDArray[np.float32]  # (windows, 4)
    owner: NDArray[np.int64]  # (windows,) recording of each, rising
    rhythm: NDArray[np.int64]  # (n,) of each recording

    def of_recordings(self, chosen: NDArray[np.bool_]) -> "Unseen":
        """Some recordings, numbered anew."""
        rows = chosen[self.owner]
        return Unseen(self.logits[rows], (np.cumsum(chosen) - 1)[self.owner[rows]], self.rhythm[chosen])


def fit(unseen: Unseen) -> RhythmCalibration:
    """Unseen windows of whole recordings -> calibration."""
    truth = unseen.rhythm[unseen.owner]
    temperature = _temperature(unseen.logits, truth)
    draft = RhythmCalibration(temperature=temperature, af_limit=1.0, noisy_limit=1.0, offsets=(0, 0, 0, 0))
    probability = draft.probabilities(unseen.logits)
    without_af = (truth != AF) & (truth != NOISY)
    return RhythmCalibration(
        temperature=temperature,
        af_limit=_upper_limit(probability[without_af, AF], MAX_FALSE_AF),
        noisy_limit=_upper_limit(probability[truth != NOISY, NOISY], MAX_REFUSED),
        offsets=_offsets(recordings_of(probability, unseen.owner), unseen.rhythm),
    )


def recordings_of(probability: Floats, owner: NDArray[np.int64]) -> NDArray[np.float64]:
    """(windows, 4) and the rising owner of each -> (n, 4) aggregated."""
    borders = np.flatnonzero(np.diff(owner)) + 1
    return np.stack([aggregate(part) for part in np.split(probability, borders)])


def challenge_f1(decided: NDArray[np.int64], rhythm: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) twice -> F1 of each rhythm (Clifford et al. 2017)."""
    return np.array([f1(rhythm == code, decided == code) for code in range(len(LABELS))])


def _temperature(logits: Floats, truth: NDArray[np.int64]) -> float:
    """Greatest likelihood (Guo et al. 2017)."""

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(truth)), truth]))

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded").x))


def _upper_limit(values: Floats, share: float) -> float:
    """The limit that at most `share` of the values reach."""
    kept = np.sort(values)
    return float(np.nextafter(kept[int(np.ceil((1 - share) * len(kept))) - 1], np.inf))


def _offsets(probability: Floats, rhythm: NDArray[np.int64]) -> tuple[float, float, float, float]:
    """Offsets of AF, other and noisy against normal with the greatest mean F1 of the scored rhythms."""
    scores = np.log(probability)

    def cost(offsets: Floats) -> float:
        decided = np.argmax(scores + np.array([0.0, *offsets]), axis=1)
        return -float(challenge_f1(decided, rhythm)[:SCORED].mean())

    corners = np.vstack([np.zeros(3), 0.4 * np.eye(3)])
    found = minimize(cost, np.zeros(3), method="Nelder-Mead", options={"initial_simplex": corners}).x
    return 0.0, float(found[0]), float(found[1]), float(found[2])
