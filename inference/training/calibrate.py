"""Logits on the calibration fold become calibrations: the one that is served, and one a patient half."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.calibration import Calibration, fit, fit_halves
from inference.training.dataset import Records

CALIBRATION_NAME = "calibration.json"


@dataclass(frozen=True, slots=True)
class Calibrations:
    """What `calibrate` leaves in a run's directory."""

    folds: tuple[int, ...]
    served: Calibration  # fitted on all of these folds
    halves: tuple[Calibration, Calibration]  # fitted on each half of their patients; for figures only


def calibrate(records: Records, logits: NDArray[np.float32]) -> Calibrations:
    """Recordings of the calibration folds and their (n, 5) logits -> calibrations."""
    return Calibrations(
        folds=tuple(sorted({int(fold) for fold in records.fold})),
        served=fit(logits, records.targets),
        halves=fit_halves(logits, records.targets, records.patient),
    )


def save_calibrations(calibrations: Calibrations, run: Path) -> None:
    """Write them into a run's directory."""
    (run / CALIBRATION_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(calibrations)) + b"\n")


def load_calibrations(run: Path) -> Calibrations:
    """Read them back; FileNotFoundError before `calibrate` ran."""
    return msgspec.json.decode((run / CALIBRATION_NAME).read_bytes(), type=Calibrations)
