"""Recordings become groups that figures are given for one by one: whom does it serve worse?"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.preprocess import MODEL_FS
from inference.training.dataset import Records
from inference.training.figures import COLUMNS, by_class, rounded, rounded_intervals
from inference.training.judged import Bools, Judged
from inference.training.metrics import auroc, mean_of_all
from ingest.beats import BeatDetector
from ingest.quality import SPAN_S, is_noisy

SLOW_BPM, FAST_BPM = 60.0, 100.0  # the usual limits of brady- and tachycardia
MIN_RR = 4  # intervals a heart rate is taken from
AFTER_S = 1.0  # fed behind the end, so that the last beat is told
AGE_YEARS = (40.0, 60.0, 75.0)
MIN_OF_OUTCOME = 10  # recordings with and without a finding that a group's AUROC needs


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Some recordings by one property, such as "sex: female"."""

    by: str
    name: str
    rows: Bools  # (n,)


def subgroup_figures(judged: Judged, records: Records, rounds: int) -> list[dict[str, Any]]:
    """Number, AUROC and its interval for each group; None with fewer than ten of either outcome."""
    return [_figures(judged, group, rounds) for group in groups_of(records, judged.raw_mv, judged.passed)]


def groups_of(records: Records, raw_mv: NDArray[np.float32], passed: Bools) -> Iterator[Group]:
    """Every group, also empty ones; who is unknown is in none.

    Args:
        records: n recordings.
        raw_mv: (n, 1000) of the lead that is judged.
        passed: (n,) whether the quality gate lets them through.
    """
    yield Group("sex", "female", records.male == 0)
    yield Group("sex", "male", records.male == 1)
    age = records.age_years
    limits = (0.0, *AGE_YEARS, np.inf)
    for low, high in pairwise(limits):
        name = f"{low:g} and over" if high == np.inf else f"{low:g} to {high - 1:g}"
        yield Group("age", name, (age >= low) & (age < high))
    bpm = np.array([heart_rate_bpm(ecg_mv) for ecg_mv in raw_mv], dtype=np.float64)  # None becomes NaN
    yield Group("heart rate", f"below {SLOW_BPM:g} bpm", bpm < SLOW_BPM)
    yield Group("heart rate", f"{SLOW_BPM:g} to {FAST_BPM:g} bpm", (bpm >= SLOW_BPM) & (bpm <= FAST_BPM))
    yield Group("heart rate", f"above {FAST_BPM:g} bpm", bpm > FAST_BPM)
    noisy = np.array([has_noisy_stretch(ecg_mv) for ecg_mv in raw_mv], dtype=np.bool_)
    yield Group("quality", "good throughout", passed & ~noisy)
    yield Group("quality", "some seconds noisy", passed & noisy)
    yield Group("quality", "refused by the gate", ~passed)
    yield Group("pacemaker", "noted", records.pacemaker == 1)
    yield Group("pacemaker", "none noted", records.pacemaker == 0)
    yield Group("100 Hz version", "the database's own", records.native100 == 1)
    yield Group("100 Hz version", "resampled from 500 Hz", records.native100 == 0)


def heart_rate_bpm(ecg_mv: NDArray[np.float32]) -> float | None:
    """(1000,) mV at 100 Hz -> rate from the median RR interval; None with too few beats."""
    quiet = np.full(round(AFTER_S * MODEL_FS), ecg_mv[-1])
    r_peaks = BeatDetector(MODEL_FS).push(np.concatenate([ecg_mv, quiet]))
    rr_s = np.diff(r_peaks) / MODEL_FS
    return 60.0 / float(np.median(rr_s)) if len(rr_s) >= MIN_RR else None


def has_noisy_stretch(ecg_mv: NDArray[np.float32]) -> bool:
    """(1000,) mV -> whether the live monitor would call any of its 3 s stretches noisy."""
    length = round(SPAN_S * MODEL_FS)
    starts = range(0, len(ecg_mv) - length + 1, length)
    return any(is_noisy(ecg_mv[start : start + length], MODEL_FS) for start in starts)


def _figures(judged: Judged, group: Group, rounds: int) -> dict[str, Any]:
    rows = np.flatnonzero(group.rows)
    targets, logits = judged.targets[rows], judged.logits[rows]
    with_finding = judged.has[rows].sum(axis=0)
    enough = np.minimum(with_finding, len(rows) - with_finding) >= MIN_OF_OUTCOME

    def areas(some: NDArray[np.int64]) -> list[float | None]:
        each = [auroc(targets[some, c], logits[some, c]) if enough[c] else None for c in COLUMNS.values()]
        return [mean_of_all(each), *each]

    macro, *each = areas(np.arange(len(rows)))
    limits = rounded_intervals(judged.patient[rows], areas, rounds) if len(rows) else [None] * 6
    return {
        "by": group.by,
        "group": group.name,
        "n": len(rows),
        "macro_auroc": rounded(macro),
        "auroc": by_class(lambda c: each[c]),
        "ci95": {"macro_auroc": limits[0], "auroc": dict(zip(COLUMNS, limits[1:], strict=True))},
    }
