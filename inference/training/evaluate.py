"""Released weights and labelled recordings become figures. Nothing is fitted here, on any data.

What depends on calibration is cross-fitted on the calibration folds; see `judged`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.classifier import Classifier
from inference.training.dataset import Records
from inference.training.figures import COLUMNS, SEED, by_class, rounded, rounded_intervals
from inference.training.judged import Bools, Judged, judge
from inference.training.metrics import (
    auroc,
    average_precision,
    brier,
    calibration_error_by_chance,
    equal_width_error,
    expected_calibration_error,
    f1,
    macro_auroc,
    mean_of_all,
    risk_at_coverage,
)
from inference.training.subgroups import subgroup_figures

BOOTSTRAP_ROUNDS = 1000
COVERAGES = np.arange(10, 0, -1) / 10  # of the coverage-risk curve


def evaluate(
    classifier: Classifier, records: Records, lead: str = "I", rounds: int = BOOTSTRAP_ROUNDS
) -> dict[str, Any]:
    """Figures of a classifier on recordings, ready for JSON; None where a figure is not defined.

    AUROC, AUPRC, F1, ECE and Brier are over all `n` recordings, also those the quality gate would refuse;
    `coverage` is the share it lets through. Intervals are 95 % over patients.
    """
    return figures_of(classifier, records, lead, judge(classifier, records, lead), rounds)


def figures_of(
    classifier: Classifier, records: Records, lead: str, judged: Judged, rounds: int = BOOTSTRAP_ROUNDS
) -> dict[str, Any]:
    """The same from what `judge` gave."""
    return {
        "n": len(records),
        "patients": len(np.unique(records.patient)),
        "folds": sorted({int(fold) for fold in records.fold}),
        "lead": lead,
        "model": classifier.version,
        "calibration": _calibration_note(classifier, records),
        **_ranking(judged),
        **_decisions(judged),
        **_calibration(judged),
        "coverage": rounded(judged.passed.mean()),
        "risk": _risk(judged),
        "ci95": _intervals(judged, rounds),
        "subgroups": subgroup_figures(judged, records, rounds),
    }


def _ranking(judged: Judged) -> dict[str, Any]:
    targets, logits = judged.targets, judged.logits
    return {
        "macro_auroc": rounded(macro_auroc(targets, logits)),
        "auroc": by_class(lambda c: auroc(targets[:, c], logits[:, c])),
        "auprc": by_class(lambda c: average_precision(targets[:, c], logits[:, c])),
        "prevalence": by_class(lambda c: targets[:, c].mean()),
    }


def _decisions(judged: Judged) -> dict[str, Any]:
    has, absent, present = judged.has, judged.absent, judged.present
    scores = [f1(judged.targets[:, c], judged.found[:, c]) for c in COLUMNS.values()]
    known = [score for score in scores if score is not None]
    return {
        "f1": by_class(lambda c: scores[c]),
        "macro_f1": rounded(np.mean(known)) if len(known) == len(scores) else None,
        "uncertain": by_class(lambda c: (~absent[:, c] & ~present[:, c]).mean()),
        "called_absent_of_those_with": by_class(lambda c: _share(absent[:, c], has[:, c])),
        "called_present_of_those_with": by_class(lambda c: _share(present[:, c], has[:, c])),
        "called_present_of_those_without": by_class(lambda c: _share(present[:, c], ~has[:, c])),
        "conformal": {  # promised: 0.9 of each
            "with_not_called_absent": by_class(lambda c: _share(~absent[:, c], has[:, c])),
            "without_not_called_present": by_class(lambda c: _share(~present[:, c], ~has[:, c])),
        },
    }


def _calibration(judged: Judged) -> dict[str, Any]:
    targets, probability = judged.targets, judged.probability
    chance = [calibration_error_by_chance(p, np.random.default_rng(SEED)) for p in probability.T]
    return {
        "ece": by_class(lambda c: expected_calibration_error(targets[:, c], probability[:, c])),
        "ece_floor": by_class(lambda c: chance[c][0]),  # of perfect probabilities at this n, mean ...
        "ece_floor95": by_class(lambda c: chance[c][1]),  # ... and the value 95 % of draws stay below
        "ece_equal_width": by_class(lambda c: equal_width_error(targets[:, c], probability[:, c])),
        "brier": by_class(lambda c: brier(targets[:, c], probability[:, c])),
    }


def _risk(judged: Judged) -> dict[str, Any]:
    """Errors against coverage, three ways: by confidence, by the limits, and by the quality gate."""
    has, probability, passed = judged.has, judged.probability, judged.passed
    decided = judged.absent | judged.present
    wrong = (judged.absent & has) | (judged.present & ~has)
    likelier = probability >= 0.5
    confidence = np.abs(probability - 0.5)
    curves = {
        name: risk_at_coverage(confidence[:, c], likelier[:, c] != has[:, c], COVERAGES)
        for name, c in COLUMNS.items()
    }
    return {
        "decided": by_class(lambda c: decided[:, c].mean()),
        "error_of_decided": by_class(lambda c: _share(wrong[:, c], decided[:, c])),
        "served": {  # what a person sees: the gate first, then present or absent
            "decided": rounded((decided & passed[:, None]).mean()),
            "error": rounded(_share(wrong, decided & passed[:, None])),
        },
        "gate": {  # of the likelier answer, all classes together
            "coverage": rounded(passed.mean()),
            "error_of_all": rounded((likelier != has).mean()),
            "error_of_passed": rounded(_share(likelier != has, _each_class(passed, has))),
            "error_of_refused": rounded(_share(likelier != has, _each_class(~passed, has))),
        },
        "curve": [  # the likelier answer, given only where it is most certain
            {"coverage": rounded(coverage), "error": {name: rounded(curves[name][i]) for name in COLUMNS}}
            for i, coverage in enumerate(COVERAGES)
        ],
    }


def _intervals(judged: Judged, rounds: int) -> dict[str, Any]:
    targets, logits, probability = judged.targets, judged.logits, judged.probability
    columns = COLUMNS.values()

    def figures(rows: NDArray[np.int64]) -> list[float | None]:
        t, z = targets[rows], logits[rows]
        areas = [auroc(t[:, c], z[:, c]) for c in columns]
        return [
            mean_of_all(areas),
            float(judged.passed[rows].mean()),
            *areas,
            *(average_precision(t[:, c], z[:, c]) for c in columns),
            *(f1(t[:, c], judged.found[rows, c]) for c in columns),
            *(brier(t[:, c], probability[rows, c]) for c in columns),
        ]

    limits = rounded_intervals(judged.patient, figures, rounds)
    blocks = {
        name: dict(zip(COLUMNS, limits[2 + 5 * i : 7 + 5 * i], strict=True))
        for i, name in enumerate(("auroc", "auprc", "f1", "brier"))
    }
    return {"macro_auroc": limits[0], "coverage": limits[1], **blocks}


def _calibration_note(classifier: Classifier, records: Records) -> str:
    seen = set(classifier.card.calibration_folds)
    folds = {int(fold) for fold in records.fold}
    if folds & seen:
        return (
            "cross-fitted: each patient of the calibration fold is judged by a calibration of other patients"
        )
    return "as served"


def _each_class(rows: Bools, like: Bools) -> Bools:
    """(n,) -> (n, classes)."""
    return np.broadcast_to(rows[:, None], like.shape)


def _share(of: Bools, among: Bools) -> float | None:
    return float(of[among].mean()) if among.any() else None
