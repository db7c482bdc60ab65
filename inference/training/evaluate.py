"""Released weights and labelled recordings become figures. Nothing is fitted here, on any data.

Recordings of a fold that the calibration was fitted on get the calibration (and thresholds and limits) that
was fitted without their part of the patients; those of any other fold get the calibration that is served.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.calibration import Calibration, patient_part
from inference.classifier import Classifier
from inference.preprocess import MODEL_FS, prepare_batch
from inference.quality_gate import refuse
from inference.training.dataset import Records
from inference.training.metrics import (
    auroc,
    average_precision,
    brier,
    expected_calibration_error,
    f1,
    macro_auroc,
    patient_bootstrap,
)
from inference.verdict import Superclass
from ingest.chunk import Lead
from ingest.window import Window

BOOTSTRAP_ROUNDS = 1000
BOOTSTRAP_SEED = 9
Floats = NDArray[np.floating]


def evaluate(
    classifier: Classifier, records: Records, lead: str = "I", rounds: int = BOOTSTRAP_ROUNDS
) -> dict[str, Any]:
    """Figures of a classifier on recordings, ready for JSON.

    AUROC, AUPRC, F1, ECE and Brier are over all `n` recordings, also those the quality gate would refuse;
    `coverage` is the share it lets through. Intervals are 95 % over patients.
    """
    raw_mv = records.lead_mv(lead)
    prepared = prepare_batch(raw_mv)
    logits = classifier.logits(prepared)
    probability, threshold, absent_below, present_above = _calibrated(classifier, records, logits, lead)
    targets = records.targets
    has = targets > 0.5
    found = probability >= threshold
    absent, present = probability < absent_below, probability > present_above
    columns = {name.value: c for c, name in enumerate(Superclass)}
    passed = np.array(
        [_passes(row, ecg, lead) for row, ecg in zip(raw_mv, prepared, strict=True)], dtype=bool
    )

    def by_class(figure: Any) -> dict[str, Any]:
        return {name: rounded(figure(c)) for name, c in columns.items()}

    return {
        "n": len(records),
        "patients": len(np.unique(records.patient)),
        "folds": sorted({int(fold) for fold in records.fold}),
        "lead": lead,
        "model": classifier.version,
        "macro_auroc": rounded(macro_auroc(targets, logits)),
        "auroc": by_class(lambda c: auroc(targets[:, c], logits[:, c])),
        "auprc": by_class(lambda c: average_precision(targets[:, c], logits[:, c])),
        "prevalence": by_class(lambda c: targets[:, c].mean()),
        "f1": by_class(lambda c: f1(targets[:, c], found[:, c])),
        "macro_f1": rounded(np.mean([f1(targets[:, c], found[:, c]) for c in columns.values()])),
        "ece": by_class(lambda c: expected_calibration_error(targets[:, c], probability[:, c])),
        "brier": by_class(lambda c: brier(targets[:, c], probability[:, c])),
        "coverage": rounded(passed.mean()),
        "uncertain": by_class(lambda c: (~absent[:, c] & ~present[:, c]).mean()),
        "called_absent_of_those_with": by_class(lambda c: _share(absent[:, c], has[:, c])),
        "called_present_of_those_with": by_class(lambda c: _share(present[:, c], has[:, c])),
        "called_present_of_those_without": by_class(lambda c: _share(present[:, c], ~has[:, c])),
        "calibration": _calibration_note(classifier, records),
        "ci95": _intervals(records, logits, probability, rounds),
    }


def rounded(value: Any) -> float | None:
    """Four decimals, None as it is."""
    return None if value is None else round(float(value), 4)


def _calibrated(
    classifier: Classifier, records: Records, logits: Floats, lead: str
) -> tuple[Floats, Floats, Floats, Floats]:
    """(n, 5) each: probability, F1 threshold and both conformal limits that are fair for a recording."""
    calibration = classifier.card.by_lead[lead]
    seen = np.isin(records.fold, classifier.card.calibration_folds)
    parts = len(calibration.parts)
    choice = np.where(seen, patient_part(records.patient, parts), parts)  # the served one stands last
    columns: list[Floats] = [np.zeros(logits.shape) for _ in range(4)]
    for index, one in enumerate((*calibration.parts, calibration.served)):
        rows = choice == index
        for column, values in zip(columns, _applied(one, logits[rows]), strict=True):
            column[rows] = values
    probability, threshold, absent_below, present_above = columns
    return probability, threshold, absent_below, present_above


def _applied(calibration: Calibration, logits: Floats) -> Sequence[Floats]:
    classes = calibration.classes
    return (
        calibration.probabilities(logits),
        np.array([c.threshold for c in classes]),
        np.array([c.absent_below for c in classes]),
        np.array([c.present_above for c in classes]),
    )


def _calibration_note(classifier: Classifier, records: Records) -> str:
    seen = set(classifier.card.calibration_folds)
    folds = {int(fold) for fold in records.fold}
    if folds & seen:
        return (
            "cross-fitted: each patient of the calibration fold is judged by a calibration of other patients"
        )
    return "as served"


def _passes(raw_mv: Floats, prepared_mv: NDArray[np.float32], lead: str) -> bool:
    """Whether the quality gate would let a recording through."""
    window = Window(
        device="training/record",
        session=0,
        first_sample=0,
        wall_time_us=0,
        fs=MODEL_FS,
        lead=Lead[lead],
        samples_mv=np.array(raw_mv, dtype=np.float32),
        coverage=1.0,
        lead_off=0.0,
        clipped=0.0,
        historic=False,
    )
    return refuse(window, prepared_mv) is None


def _share(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    return float(of[among].mean()) if among.any() else None


def _intervals(records: Records, logits: Floats, probability: Floats, rounds: int) -> dict[str, Any]:
    targets = records.targets

    def interval(figure: Any) -> list[float | None] | None:
        rng = np.random.default_rng(BOOTSTRAP_SEED)  # the same patients for every figure
        limits = patient_bootstrap(records.patient, figure, rng, rounds)
        return None if limits is None else [rounded(limit) for limit in limits]

    columns = {name.value: c for c, name in enumerate(Superclass)}
    return {
        "macro_auroc": interval(lambda rows: macro_auroc(targets[rows], logits[rows])),
        "auroc": {
            name: interval(lambda rows, c=c: auroc(targets[rows, c], logits[rows, c]))
            for name, c in columns.items()
        },
        "auprc": {
            name: interval(lambda rows, c=c: average_precision(targets[rows, c], logits[rows, c]))
            for name, c in columns.items()
        },
        "brier": {
            name: interval(lambda rows, c=c: brier(targets[rows, c], probability[rows, c]))
            for name, c in columns.items()
        },
    }
