"""A classifier and recordings become what it says of them. Nothing is fitted here, on any data.

Recordings of a fold that the calibration was fitted on get the calibration (and thresholds and limits) that
was fitted without their part of the patients; those of any other fold get the calibration that is served.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.calibration import patient_part
from inference.classifier import Classifier
from inference.preprocess import MODEL_FS, prepare_batch
from inference.training.dataset import Records
from ingest.chunk import Lead
from ingest.window import Window

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Recordings of one lead, and what the classifier makes of them; row i of each array is one recording."""

    raw_mv: NDArray[np.float32]  # (n, 1000)
    targets: NDArray[np.float32]  # (n, 5) of 0 and 1
    patient: NDArray[np.int64]  # (n,)
    logits: NDArray[np.float32]  # (n, 5)
    probability: Floats  # (n, 5)
    found: Bools  # (n, 5) at or above the frozen threshold
    absent: Bools  # (n, 5) below the lower limit
    present: Bools  # (n, 5) above the upper limit
    passed: Bools  # (n,) all that can refuse a window: quality gate, rhythm network, swapped electrodes

    @property
    def has(self) -> Bools:
        """(n, 5) whether the finding is there."""
        return self.targets > 0.5


def judge(classifier: Classifier, records: Records, lead: str) -> Judged:
    """One run of the network, the calibration that is fair to each recording, and the quality gate."""
    raw_mv = records.lead_mv(lead)
    prepared = prepare_batch(raw_mv)
    logits = classifier.logits(prepared, lead)
    calibration = classifier.card.by_lead[lead]
    seen = np.isin(records.fold, classifier.card.calibration_folds)
    parts = len(calibration.parts)
    choice = np.where(seen, patient_part(records.patient, parts), parts)  # the served one stands last
    probability = np.zeros(logits.shape)
    found, absent, present = (np.zeros(logits.shape, dtype=np.bool_) for _ in range(3))
    for index, one in enumerate((*calibration.parts, calibration.served)):
        rows = choice == index
        probability[rows] = one.probabilities(logits[rows])
        found[rows] = probability[rows] >= [c.threshold for c in one.classes]
        absent[rows] = probability[rows] < [c.absent_below for c in one.classes]
        present[rows] = probability[rows] > [c.present_above for c in one.classes]
    verdicts = classifier.classify([_window(row, lead) for row in raw_mv], decided_us=0)
    passed = np.array([verdict.indeterminate is None for verdict in verdicts], dtype=np.bool_)
    return Judged(
        raw_mv, records.targets, records.patient, logits, probability, found, absent, present, passed
    )


def _window(raw_mv: NDArray[np.float32], lead: str) -> Window:
    """A recording as the quality gate takes it."""
    return Window(
        device="training/record",
        session=0,
        first_sample=0,
        wall_time_us=0,
        fs=MODEL_FS,
        lead=Lead[lead],
        samples_mv=raw_mv.copy(),  # a window makes its samples read-only
        coverage=1.0,
        lead_off=0.0,
        clipped=0.0,
        historic=False,
    )
