"""Logits on the calibration folds become calibrations: for each lead what is served, and what judges it.

The limits for telling the leads apart are fitted beside them, on the same recordings: leads I and II as they
are and upside down, and the six chest leads as the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.calibration import LeadCalibration, fit_lead
from inference.lead_view import LeadLimits, LeadView, fit_limits
from inference.training.dataset import Records

CALIBRATION_NAME = "calibration.json"


@dataclass(frozen=True, slots=True)
class Calibrations:
    """What `calibrate` leaves in a run's directory."""

    folds: tuple[int, ...]
    by_lead: dict[str, LeadCalibration]
    lead_limits: LeadLimits


def calibrate(
    records: Records,
    logits_by_lead: dict[str, NDArray[np.float32]],
    by_view: Mapping[LeadView, NDArray[np.floating]],
) -> Calibrations:
    """Fit everything.

    Args:
        records: of the calibration folds.
        logits_by_lead: (n, 5) logits of each served lead of them.
        by_view: (k, 5) lead probabilities of windows that are of each view.
    """
    return Calibrations(
        lead_limits=fit_limits(by_view),
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
