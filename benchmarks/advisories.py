"""How many patients raise which advisory alarms, on recordings of which the truth is known.

    python -m benchmarks.advisories --data DIR --folds 8 --json

PTB-XL recordings (lead I) of the folds are replayed for two minutes each, and the handheld recordings of the
PhysioNet/CinC Challenge 2017 of 30 s and more in DIR are taken as they are. Both pass the classifier in
windows of 10 s and its verdicts the alarm engine, once as they are and once with every finding called
present, which leaves the threshold alone to decide. A finding's alarm is right where it is among the
recording's superclasses. Of the handheld recordings only the rhythm is known: those of normal rhythm are
counted as healthy, a few of which will not be, and of the others no finding is judged.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.alarms.alarm import AlarmKind
from inference.alarms.engine import AlarmEngine
from inference.alarms.rules import FINDINGS, Limits
from inference.classifier import Classifier
from inference.training.dataset import load_records
from inference.verdict import Presence, Superclass, Verdict
from ingest.chunk import Lead
from ingest.window import WINDOW_S, Window
from simulators.excerpt import r_peaks_of
from simulators.replay import Recording, Replay

REPLAY_S = 120.0
PTBXL_FS = 100.0
MIN_BEATS = 6  # with fewer a replay has no place to jump
CINC_FS = 300.0
CINC_UNITS_PER_MV = 1000.0
CINC_SECONDS = 30.0
CINC_GROUPS = {"N": "handheld, normal", "A": "handheld, AF", "O": "handheld, other"}
RULES = ("threshold", "threshold and present")


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One patient: where it is counted, what is true of it, and its signal."""

    groups: tuple[str, ...]
    truth: frozenset[Superclass] | None  # None where only the rhythm is known
    fs: float
    ecg_mv: NDArray[np.float32]


def main() -> None:
    """Print for each rule and group the share of patients with right and with wrong advisory alarms."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the recordings")
    parser.add_argument(
        "--weights", type=Path, help="folder of the exported model; default: the released one"
    )
    parser.add_argument("--folds", type=int, nargs="+", default=[8], help="folds of PTB-XL (default: 8)")
    parser.add_argument("--json", action="store_true", help="print figures as one line of JSON")
    options = parser.parse_args()
    classifier = Classifier.load(options.weights)
    cases = [*ptbxl_cases(options.data, options.folds), *cinc_cases(options.data)]
    figures = measure(classifier, cases)
    print(json.dumps(figures, indent=None if options.json else 2))


def measure(classifier: Classifier, cases: list[Case]) -> dict[str, dict[str, dict[str, object]]]:
    """Rule -> group -> counts of patients: all, with a right and with a wrong finding, and by kind."""
    figures: dict[str, dict[str, Counter[str]]] = {rule: {} for rule in RULES}
    for case in cases:
        verdicts = classifier.classify(windows_of(case), 0)
        for rule in RULES:
            kinds = alarms_of(verdicts if rule == RULES[1] else [called_present(v) for v in verdicts])
            for group in case.groups:
                counts = figures[rule].setdefault(group, Counter())
                counts["patients"] += 1
                counts["judged"] += any(verdict.findings for verdict in verdicts)
                if case.truth is not None:
                    found = {FINDINGS[kind] for kind in kinds & FINDINGS.keys()}
                    counts["right"] += bool(found & case.truth)
                    counts["wrong"] += bool(found - case.truth)
                counts.update(kinds)
    return {rule: {group: dict(counts) for group, counts in of.items()} for rule, of in figures.items()}


def alarms_of(verdicts: list[Verdict]) -> set[AlarmKind]:
    """The advisory alarms that these verdicts of one patient raise."""
    engine = AlarmEngine(Limits())
    timed = [replace(verdict, decided_us=verdict.wall_time_us + 10_000_000) for verdict in verdicts]
    return {alarm.kind for verdict in timed for alarm in engine.push(verdict)}


def called_present(verdict: Verdict) -> Verdict:
    """The verdict with every finding present."""
    findings = tuple(replace(finding, presence=Presence.PRESENT) for finding in verdict.findings)
    return replace(verdict, findings=findings)


def windows_of(case: Case) -> list[Window]:
    """Whole windows of lead I, one after the other."""
    length = round(WINDOW_S * case.fs)
    return [
        Window(
            "bench/patient",
            1,
            start,
            round(start / case.fs * 1e6),
            case.fs,
            Lead.I,
            case.ecg_mv[start : start + length],
            coverage=1.0,
            lead_off=0.0,
            clipped=0.0,
            historic=False,
        )
        for start in range(0, len(case.ecg_mv) - length + 1, length)
    ]


def ptbxl_cases(data: Path, folds: list[int]) -> Iterator[Case]:
    """Each recording of the folds as a patient of two minutes; too few beats for a replay are left out."""
    records = load_records(data).of_folds(folds)
    for ecg_id, ecg_mv, target in zip(records.ecg_id, records.lead_mv("I"), records.targets, strict=True):
        r_peaks = r_peaks_of(ecg_mv.astype(np.float64), PTBXL_FS)
        truth = frozenset(superclass for superclass, has in zip(Superclass, target, strict=True) if has)
        recording = Recording(str(ecg_id), "", PTBXL_FS, (Lead.I,), ecg_mv[:, None], r_peaks)
        if len(r_peaks) < MIN_BEATS:
            continue
        try:
            replay = Replay(recording, np.random.default_rng(int(ecg_id)))
        except ValueError:  # no two beats are alike
            continue
        yield Case(tuple(truth), truth, PTBXL_FS, replay.next_samples(round(REPLAY_S * PTBXL_FS)))


def cinc_cases(data: Path) -> Iterator[Case]:
    """The handheld recordings that are long enough for three windows, if the folder has them."""
    for path in sorted(data.glob("cinc2017_300hz_*.npz")):
        with np.load(path) as archive:
            dx, offsets, labels = archive["dx"], archive["offset"], archive["label"]
        for label, start, end in zip(labels.tolist(), offsets[:-1], offsets[1:], strict=True):
            if label in CINC_GROUPS and end - start >= CINC_SECONDS * CINC_FS:
                units = np.cumsum(dx[start:end], dtype=np.int16)
                ecg_mv = (units / CINC_UNITS_PER_MV).astype(np.float32)
                truth = frozenset({Superclass.NORM}) if label == "N" else None
                yield Case((CINC_GROUPS[label],), truth, CINC_FS, ecg_mv)


if __name__ == "__main__":
    main()
