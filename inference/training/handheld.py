"""Handheld single-lead recordings, never trained on, become figures on what the move off the ward costs.

PhysioNet/CinC Challenge 2017 (Clifford et al. 2017, ODC-By 1.0): electrodes held with the fingers, 300 Hz,
labelled by rhythm (normal, atrial fibrillation, other, noisy). None has a superclass, so there is no AUROC:
what can be asked is whether the gate refuses the noisy ones and whether normal rhythm is called a normal ECG.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import skew

from inference.classifier import Classifier
from inference.preprocess import MODEL_LENGTH_S
from inference.verdict import Presence, Verdict
from ingest.chunk import Lead
from ingest.window import Window

FS = 300.0
UV_PER_MV = 1000.0
LABELS = {"N": "normal rhythm", "A": "atrial fibrillation", "O": "other rhythm", "~": "noisy"}
PATTERN = "cinc2017_300hz_*.npz"


def handheld_figures(classifier: Classifier, directory: Path) -> dict[str, Any] | None:
    """Figures by label over the middle 10 s of each recording; None where the directory has none of them."""
    files = sorted(directory.glob(PATTERN))
    if not files:
        return None
    with np.load(files[0]) as stored:
        offset, dx, label = stored["offset"], stored["dx"], stored["label"]
    length = round(MODEL_LENGTH_S * FS)
    figures = {}
    for code, name in LABELS.items():
        rows = [i for i in np.flatnonzero(label == code) if offset[i + 1] - offset[i] >= length]
        windows = [_middle(dx[offset[i] : offset[i + 1]], length) for i in rows]
        if windows:
            figures[name] = _figures(classifier, windows)
    return figures


def _middle(dx: NDArray[np.int16], length: int) -> Window:
    """First differences of a recording -> its middle `length` samples; both ends are handling."""
    ecg_mv = np.cumsum(dx, dtype=np.int16) / UV_PER_MV
    start = (len(ecg_mv) - length) // 2
    return Window(
        device="training/handheld",
        session=0,
        first_sample=start,
        wall_time_us=0,
        fs=FS,
        lead=Lead.I,
        samples_mv=ecg_mv[start : start + length].astype(np.float32),
        coverage=1.0,
        lead_off=0.0,
        clipped=0.0,
        historic=False,
    )


def _figures(classifier: Classifier, windows: list[Window]) -> dict[str, Any]:
    verdicts = classifier.classify(windows, decided_us=0)
    judged = [
        (window, verdict) for window, verdict in zip(windows, verdicts, strict=True) if verdict.findings
    ]
    upright = [verdict for window, verdict in judged if _is_upright(classifier, window)]
    return {
        "n": len(windows),
        "refused": round(1 - len(judged) / len(windows), 3),
        "upright": round(len(upright) / len(judged), 3) if judged else None,
        "norm": _norm_shares([verdict for _, verdict in judged]),
        "norm_upright": _norm_shares(upright),
    }


def _is_upright(classifier: Classifier, window: Window) -> bool:
    """Whether the largest waves point up (positive skewness): a rough guess, for counting only."""
    return float(skew(classifier.prepare(window))) > 0


def _norm_shares(verdicts: list[Verdict]) -> dict[str, float] | None:
    """Share of verdicts in which a normal ECG is present, uncertain or absent."""
    if not verdicts:
        return None
    said = [verdict.findings[0].presence for verdict in verdicts]
    return {presence.value: round(said.count(presence) / len(said), 3) for presence in Presence}
