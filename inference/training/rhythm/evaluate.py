"""Windows that no network was trained on become figures, in the manner of the challenge and for 10 s alone.

A recording's rhythm is the greatest aggregated probability after the offsets; F1 of normal, AF, other, and
their mean, as in the challenge (Clifford et al. 2017). Intervals are 95 % over recordings drawn again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.preprocess import MODEL_SAMPLES
from inference.rhythm import RhythmCalibration
from inference.training.figures import rounded
from inference.training.metrics import auroc, average_precision, expected_calibration_error, patient_bootstrap
from inference.training.rhythm.calibrate import (
    AF,
    GEOMETRIC,
    NOISY,
    SCORED,
    Exponents,
    Unseen,
    challenge_f1,
    fit,
    recordings_of,
)
from inference.training.rhythm.dataset import LABELS, Recordings

HOP = MODEL_SAMPLES // 2  # windows of a recording overlap by half
BOOTSTRAP_ROUNDS = 1000
BOOTSTRAP_SEED = 9
Floats = NDArray[np.floating]
Judge = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (n, 1000) mV, unfiltered -> (n, 4) logits


def unseen_windows(recordings: Recordings, rows: NDArray[np.int64], logits_of: Judge) -> Unseen:
    """Judge the windows of some recordings, numbered 0.. in the order of `rows`."""
    owner = [(i, start) for i, row in enumerate(rows) for start in recordings.starts(row, HOP)]
    raw_mv = np.stack([recordings.window_mv(int(rows[i]), start) for i, start in owner])
    numbers = np.array([i for i, _ in owner], dtype=np.int64)
    return Unseen(logits_of(raw_mv), numbers, recordings.rhythm[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What calibrations made of unseen windows."""

    probability: Floats  # (windows, 4)
    recording: Floats  # (n, 4) aggregated
    scores: Floats  # (n, 4) logarithms of these with the offsets added; the greatest names the rhythm
    limits: Floats  # (windows, 2) of AF and noisy


def cross_fitted(unseen: Unseen, fold: NDArray[np.int64], exponents: Exponents | None = None) -> Judged:
    """Judge each fold by what the other folds gave; by fixed exponents where they are given."""
    probability, limits = np.zeros(unseen.logits.shape), np.zeros((len(unseen.logits), 2))
    recording, scores = np.zeros((2, len(unseen.rhythm), len(LABELS)))
    for each in np.unique(fold):
        inside = fold == each
        windows = inside[unseen.owner]
        judged = as_served(unseen.of_recordings(inside), fit(unseen.of_recordings(~inside), exponents))
        probability[windows], limits[windows] = judged.probability, judged.limits
        recording[inside], scores[inside] = judged.recording, judged.scores
    return Judged(probability, recording, scores, limits)


def as_served(unseen: Unseen, calibration: RhythmCalibration) -> Judged:
    """Judge everything by one calibration."""
    probability = calibration.probabilities(unseen.logits)
    recording = recordings_of(probability, unseen.owner, calibration.exponents)
    scores = np.log(recording) + np.array(calibration.offsets)
    limits = np.tile([calibration.af_limit, calibration.noisy_limit], (len(probability), 1))
    return Judged(probability, recording, scores, limits)


def figures(unseen: Unseen, fold: NDArray[np.int64], rounds: int = BOOTSTRAP_ROUNDS) -> dict[str, Any]:
    """Cross-validated figures, ready for JSON."""
    plain = _figures(unseen, cross_fitted(unseen, fold, GEOMETRIC), rounds)
    return _figures(unseen, cross_fitted(unseen, fold), rounds) | {
        "geometric": {name: plain[name] for name in ("f1", "mean_f1", "ci95")},  # fixed beforehand
        "folds": len(np.unique(fold)),
        "fitted": "everything that is calibrated comes from the other folds",
    }


def served_figures(
    unseen: Unseen, calibration: RhythmCalibration, rounds: int = BOOTSTRAP_ROUNDS
) -> dict[str, Any]:
    """The same for recordings of any origin and a calibration as served; nothing is fitted."""
    return _figures(unseen, as_served(unseen, calibration), rounds)


def _figures(unseen: Unseen, judged: Judged, rounds: int) -> dict[str, Any]:
    probability, limits = judged.probability, judged.limits
    rhythm, owner = unseen.rhythm, unseen.owner
    truth = rhythm[owner]
    decided = np.argmax(judged.scores, axis=1)
    readable = truth != NOISY

    def f1_among(rows: NDArray[np.int64]) -> list[float | None]:
        each = challenge_f1(decided[rows], rhythm[rows])
        return [float(each[:SCORED].mean()), *map(float, each)]

    intervals = [
        None if limits is None else [round(limit, 4) for limit in limits]
        for limits in patient_bootstrap(
            np.arange(len(rhythm)), f1_among, np.random.default_rng(BOOTSTRAP_SEED), rounds
        )
    ]
    f1_of = challenge_f1(decided, rhythm)
    window_f1 = challenge_f1(np.argmax(probability, axis=1), truth)
    called_af = (probability[:, AF] >= limits[:, 0]) & (np.argmax(probability, axis=1) == AF)
    called_noisy = probability[:, NOISY] >= limits[:, 1]
    return {
        "recordings": len(rhythm),
        "windows": len(owner),
        "share": _by_label(lambda code: float((rhythm == code).mean())),
        "f1": _by_label(lambda code: float(f1_of[code])),
        "mean_f1": round(float(f1_of[:SCORED].mean()), 4),
        "ci95": {"mean_f1": intervals[0], "f1": dict(zip(LABELS, intervals[1:], strict=True))},
        "mean_f1_greatest_probability": round(
            float(challenge_f1(np.argmax(judged.recording, axis=1), rhythm)[:SCORED].mean()), 4
        ),
        "window": {
            "f1": _by_label(lambda code: float(window_f1[code])),
            "mean_f1": round(float(window_f1[:SCORED].mean()), 4),
            "auroc": _by_label(lambda code: auroc(truth == code, probability[:, code])),
            "auprc": _by_label(lambda code: average_precision(truth == code, probability[:, code])),
            "ece": _by_label(lambda code: expected_calibration_error(truth == code, probability[:, code])),
            "called_af": _by_label(lambda code: _share(called_af, truth == code)),
            "af_precision": rounded(_share(truth == AF, called_af & readable)),
            "called_noisy": _by_label(lambda code: _share(called_noisy, truth == code)),
        },
    }


def _share(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    return float(of[among].mean()) if among.any() else None


def _by_label(figure: Callable[[int], float | None]) -> dict[str, float | None]:
    return {label: rounded(figure(code)) for code, label in enumerate(LABELS)}


def load_unseen(path: Path) -> Unseen:
    """Windows that `save_unseen` wrote."""
    with np.load(path) as stored:
        return Unseen(stored["logits"], stored["owner"], stored["rhythm"])


def save_unseen(unseen: Unseen, path: Path) -> None:
    """Keep judged windows, so that figures can be made again without a network."""
    np.savez_compressed(path, logits=unseen.logits, owner=unseen.owner, rhythm=unseen.rhythm)
