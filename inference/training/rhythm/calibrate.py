"""Logits of unseen windows become what serving needs: probabilities, limits, exponents and offsets.

Everything here is fitted on out-of-fold logits. A figure for a fold is made by what the other folds gave.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from inference.rhythm import RhythmCalibration, aggregate_each
from inference.training.metrics import f1
from inference.training.rhythm.dataset import LABELS
from inference.verdict import Rhythm

AF = tuple(Rhythm).index(Rhythm.AF)
NOISY = tuple(Rhythm).index(Rhythm.NOISY)
SCORED = 3  # normal, AF and other count in the challenge's mean F1; noisy does not
MAX_FALSE_AF = 0.01  # of windows of normal and other recordings
MAX_REFUSED = 0.03  # of windows of normal, AF and other recordings
MAX_EXPONENT = 4.0  # beyond it a power mean is nearly the extreme window
MAX_OFFSET = 1.5  # of a log probability: a factor of 4.5
OFFSET_STEP = 0.05
OFFSET_REACH = 3  # grid points to either side that are averaged
OFFSET_WINDOW = np.full(2 * OFFSET_REACH + 1, 1 / (2 * OFFSET_REACH + 1))
OFFSET_ROUNDS = 3
LIMITS_CHOSEN = {
    "af_limit": f"out of fold: at most {MAX_FALSE_AF:.0%} of 10 s windows of normal and other recordings",
    "noisy_limit": f"out of fold: at most {MAX_REFUSED:.0%} of 10 s windows of the three readable rhythms",
    "exponents": "out of fold: greatest likelihood of the recordings' rhythms",
    "offsets": "out of fold: greatest mean F1 of normal, AF and other over recordings",
}

Floats = NDArray[np.floating]
Exponents = tuple[float, float, float, float]
GEOMETRIC: Exponents = (0.0, 0.0, 0.0, 0.0)


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


def fit(unseen: Unseen, exponents: Exponents | None = None) -> RhythmCalibration:
    """Unseen windows of whole recordings -> calibration; None fits the exponents of the power means, too."""
    truth = unseen.rhythm[unseen.owner]
    temperature, biases = _scaling(unseen.logits, truth)
    draft = RhythmCalibration(
        temperature=temperature,
        biases=biases,
        af_limit=1.0,
        noisy_limit=1.0,
        exponents=GEOMETRIC,
        offsets=(0.0, 0.0, 0.0, 0.0),
    )
    probability = draft.probabilities(unseen.logits)
    without_af = (truth != AF) & (truth != NOISY)
    if exponents is None:
        exponents = _exponents(probability, unseen)
    return replace(
        draft,
        af_limit=_upper_limit(probability[without_af, AF], MAX_FALSE_AF),
        noisy_limit=_upper_limit(probability[truth != NOISY, NOISY], MAX_REFUSED),
        exponents=exponents,
        offsets=_offsets(recordings_of(probability, unseen.owner, exponents), unseen.rhythm),
    )


def recordings_of(
    probability: Floats, owner: NDArray[np.int64], exponents: Sequence[float]
) -> NDArray[np.float64]:
    """(windows, 4) and the rising owner of each -> (n, 4) aggregated."""
    return aggregate_each(probability, np.flatnonzero(np.diff(owner, prepend=-1)), exponents)


def challenge_f1(decided: NDArray[np.int64], rhythm: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) twice -> F1 of each rhythm (Clifford et al. 2017)."""
    return np.array([f1(rhythm == code, decided == code) for code in range(len(LABELS))])


def _scaling(logits: Floats, truth: NDArray[np.int64]) -> tuple[float, tuple[float, float, float, float]]:
    """Temperature and biases of greatest likelihood (Guo et al. 2017); the bias of normal is 0."""

    def loss(parameters: Floats) -> float:
        scaled = logits * np.exp(parameters[0]) + np.array([0.0, *parameters[1:]])
        return float(np.mean(np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(truth)), truth]))

    inverse, *biases = minimize(loss, np.zeros(4), method="BFGS").x
    return float(np.exp(-inverse)), (0.0, float(biases[0]), float(biases[1]), float(biases[2]))


def _exponents(probability: Floats, unseen: Unseen) -> Exponents:
    """Exponents under which the recordings' rhythms are most likely; biases are fitted beside and dropped."""

    def loss(parameters: Floats) -> float:
        scores = np.log(recordings_of(probability, unseen.owner, list(parameters[:4])))
        scores[:, 1:] += parameters[4:]
        right = scores[np.arange(len(scores)), unseen.rhythm]
        return float(np.mean(np.logaddexp.reduce(scores, axis=1) - right))

    bounds = [(-MAX_EXPONENT, MAX_EXPONENT)] * 4 + [(-3.0, 3.0)] * 3
    start = np.array([-0.5, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0])  # not 0: the slope there is not seen
    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    normal, af, other, noisy = (round(float(value), 2) for value in found[:4])
    return normal, af, other, noisy


def _upper_limit(values: Floats, share: float) -> float:
    """The limit that at most `share` of the values reach."""
    kept = np.sort(values)
    return float(np.nextafter(kept[int(np.ceil((1 - share) * len(kept))) - 1], np.inf))


def _offsets(probability: Floats, rhythm: NDArray[np.int64]) -> tuple[float, float, float, float]:
    """Offsets of AF, other and noisy against normal with the greatest mean F1 of the scored rhythms.

    One after the other over a grid, in the middle of the best stretch: the single best point is luck.
    """
    scores = np.log(probability)
    grid = np.arange(-MAX_OFFSET, MAX_OFFSET + OFFSET_STEP / 2, OFFSET_STEP)
    offsets = np.zeros(len(LABELS))
    for code in [*range(1, len(LABELS))] * OFFSET_ROUNDS:
        reached = []
        for value in grid:
            offsets[code] = value
            reached.append(challenge_f1(np.argmax(scores + offsets, axis=1), rhythm)[:SCORED].mean())
        smooth = np.convolve(np.pad(reached, OFFSET_REACH, mode="edge"), OFFSET_WINDOW, mode="valid")
        offsets[code] = grid[int(np.argmax(smooth))]
    _, af, other, noisy = (round(float(value), 4) for value in offsets)
    return 0.0, af, other, noisy
