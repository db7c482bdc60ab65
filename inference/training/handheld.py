"""Handheld single-lead recordings become figures on what the move off the ward costs.

PhysioNet/CinC Challenge 2017 (Clifford et al. 2017, ODC-By 1.0): electrodes held with the fingers, 300 Hz,
labelled by rhythm (normal, atrial fibrillation, other, noisy). None has a superclass, so there is no AUROC:
what can be asked is whether the gate refuses the noisy ones, and how often normal rhythm is called abnormal.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import skew

from inference.classifier import Classifier
from inference.preprocess import MODEL_LENGTH_S, prepare_windows
from inference.training.unlabelled import HANDHELD_FS, load_handheld
from inference.verdict import Superclass
from ingest.chunk import Lead
from ingest.window import Window

LABELS = {"N": "normal rhythm", "A": "atrial fibrillation", "O": "other rhythm", "~": "noisy"}
LEAD = Lead.I  # the electrodes lie in both hands
BATCH = 256  # windows prepared at a time

Bools = NDArray[np.bool_]


def handheld_figures(classifier: Classifier, directory: Path) -> dict[str, Any] | None:
    """Figures by label over the middle 10 s of each recording; None where the directory has none of them."""
    handheld = load_handheld(directory)
    if handheld is None or LEAD.name not in classifier.card.by_lead:
        return None
    length = round(MODEL_LENGTH_S * HANDHELD_FS)
    long_enough = np.array([len(ecg_uv) >= length for ecg_uv in handheld.ecg_uv])
    figures = {}
    for code, name in LABELS.items():
        rows = np.flatnonzero((handheld.label == code) & long_enough)
        if len(rows):
            figures[name] = _figures(classifier, [_middle(handheld.ecg_uv[i], length) for i in rows])
    return figures


def _middle(ecg_uv: NDArray[np.int16], length: int) -> Window:
    """A recording -> its middle `length` samples; both ends are handling."""
    start = (len(ecg_uv) - length) // 2
    return Window(
        device="training/handheld",
        session=0,
        first_sample=start,
        wall_time_us=0,
        fs=HANDHELD_FS,
        lead=LEAD,
        samples_mv=(ecg_uv[start : start + length] / 1000.0).astype(np.float32),
        coverage=1.0,
        lead_off=0.0,
        clipped=0.0,
        historic=False,
    )


def _figures(classifier: Classifier, windows: list[Window]) -> dict[str, Any]:
    probability, passed, upright = _judged(classifier, windows)
    limits = classifier.card.by_lead[LEAD.name].served.classes
    absent = np.stack([probability[:, c] < one.absent_below for c, one in enumerate(limits)], axis=1)
    present = np.stack([probability[:, c] > one.present_above for c, one in enumerate(limits)], axis=1)

    def called(rows: Bools) -> dict[str, Any]:
        norm = list(Superclass).index(Superclass.NORM)
        diseased = np.delete(present, norm, axis=1).any(axis=1)
        return {
            "n": int(rows.sum()),
            "norm_present": _share(present[rows, norm]),
            "norm_absent": _share(absent[rows, norm]),
            "abnormal": _share((absent[:, norm] | diseased)[rows]),
        }

    return {
        "n": len(windows),
        "refused": _share(~passed),
        "upright": _share(upright[passed]),
        "without_gate": called(np.ones(len(windows), dtype=np.bool_)),
        "with_gate": called(passed),
        "with_gate_upright": called(passed & upright),
    }


def _judged(classifier: Classifier, windows: list[Window]) -> tuple[NDArray[np.float64], Bools, Bools]:
    """Windows -> (n, 5) probabilities, and (n,) whether they are not refused and whether they are upright.

    Upright: the largest waves point up (positive skewness): a rough guess, for counting only.
    """
    logits, passed, upright = [], [], []
    for first in range(0, len(windows), BATCH):
        part = windows[first : first + BATCH]
        prepared = prepare_windows([one.samples_mv for one in part], [one.fs for one in part])
        passed += [verdict.indeterminate is None for verdict in classifier.classify(part, decided_us=0)]
        upright.append(skew(prepared, axis=1) > 0)
        logits.append(classifier.logits(prepared, LEAD.name))
    calibration = classifier.card.by_lead[LEAD.name].served
    return (
        calibration.probabilities(np.concatenate(logits)),
        np.array(passed, dtype=np.bool_),
        np.concatenate(upright),
    )


def _share(of: Bools) -> float | None:
    return round(float(of.mean()), 4) if len(of) else None
