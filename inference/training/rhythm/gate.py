"""What the rhythm network adds to the quality gate: shares of unseen windows that each refuses, by label."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.preprocess import MODEL_FS, MODEL_SAMPLES, prepare_batch
from inference.quality_gate import refuse_each
from inference.training.rhythm.calibrate import NOISY, Unseen
from inference.training.rhythm.dataset import LABELS, Recordings
from inference.training.rhythm.evaluate import HOP, cross_fitted
from ingest.chunk import Lead
from ingest.window import Window

BATCH = 256  # windows prepared at a time


def gate_figures(recordings: Recordings, unseen: Unseen, fold: NDArray[np.int64]) -> dict[str, Any]:
    """Shares of windows refused by the signal's limits alone, by the rhythm network alone, and by either.

    Args:
        recordings: all of them.
        unseen: their windows as `evaluate.unseen_windows` cut and judged them, in order.
        fold: (n,) of each recording; the limit for a fold comes from the other folds.
    """
    judged = cross_fitted(unseen, fold)
    network = judged.probability[:, NOISY] >= judged.limits[:, 1]
    signal = _refused_by_signal(recordings)
    label = unseen.rhythm[unseen.owner]
    shares: dict[str, Any] = {
        name: {
            "windows": int((label == code).sum()),
            "signal_alone": round(float(signal[label == code].mean()), 4),
            "network_alone": round(float(network[label == code].mean()), 4),
            "either": round(float((signal | network)[label == code].mean()), 4),
        }
        for code, name in enumerate(LABELS)
    }
    readable = (label != NOISY) & ~signal
    shares["readable_passed_then_refused"] = round(float(network[readable].mean()), 4)
    return shares


def _refused_by_signal(recordings: Recordings) -> NDArray[np.bool_]:
    """(windows,) in the order of `unseen_windows`; a window that is not whole counts as refused."""
    refused: list[bool] = []
    cut = [(row, start) for row in range(len(recordings)) for start in recordings.starts(row, HOP)]
    for first in range(0, len(cut), BATCH):
        raw_mv = np.stack(
            [recordings.window_mv(row, int(start)) for row, start in cut[first : first + BATCH]]
        )
        windows = [_window(row) for row in raw_mv]
        refused += [reason is not None for reason in refuse_each(windows, prepare_batch(raw_mv))]
    return np.array(refused, dtype=np.bool_)


def _window(raw_mv: NDArray[np.float32]) -> Window:
    return Window(
        device="training/handheld",
        session=0,
        first_sample=0,
        wall_time_us=0,
        fs=MODEL_FS,
        lead=Lead.I,
        samples_mv=raw_mv.copy(),
        coverage=float(np.count_nonzero(~np.isnan(raw_mv))) / MODEL_SAMPLES,
        lead_off=0.0,
        clipped=0.0,
        historic=False,
    )
