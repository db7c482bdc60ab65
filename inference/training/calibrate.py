"""Logits on the calibration folds become calibrations: for each lead what is served, and what judges it."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.calibration import LeadCalibration, fit_lead
from inference.training.dataset import Records

CALIBRATION_NAME = "calibration.json"


@dataclass(frozen=True, slots=True)
class Calibrations:
    """What `calibrate` leaves in a run's directory."""

    folds: tuple[int, ...]
    by_lead: dict[str, LeadCalibration]


def calibrate(records: Records, logits_by_lead: dict[str, NDArray[np.float32]]) -> Calibrations:
    """Recordings of the calibration folds, and (n, 5) logits from each lead of them -> calibrations."""
    return Calibrations(
        folds=tuple(sorted({int(fold) for fold in records.fold})),
        by_lead={
            lead: fit_lead(logits, records.targets, records.patient)
            for lead, logits in logits_by_lead.items()
        },
    )


def save_calibrations(calibrations: Calibrations, run: Path) -> None:
    """Write them into a run's directory."""
    (run / CALIBRATION_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(calibrations)) + b"\n")


def load_calibrations(run: Path) -> Calibrations:
    """Read them back; FileNotFoundError before `calibrate` ran."""
    return msgspec.json.decode((run / CALIBRATION_NAME).read_bytes(), type=Calibrations)
