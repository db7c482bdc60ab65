"""Alarms of atrial fibrillation on recordings, with and without what the RR intervals say of regularity.

    python -m benchmarks.fibrillation --data MITDB.npz --json

The recordings of `benchmarks.beats`, their first lead said to be II, pass ingest's stages, the model and the
alarm engine; the true episodes are the four of `benchmarks.rhythm`. `episodes` counts alarms that touch one,
`share` is that part of their time during which the alarm was on, `false` counts alarms that touch none.
`by_votes` leaves `irregular` of the vitals unknown.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from benchmarks.beats import FS, Record, records_of
from benchmarks.rhythm import FIBRILLATION_S, PACED, runs, within
from inference.alarms.alarm import AlarmKind, AlarmState
from inference.alarms.engine import AlarmEngine
from inference.alarms.rules import Limits
from inference.classifier import Classifier
from inference.verdict import Verdict
from ingest.chunk import NO_FLAGS, Chunk, Lead
from ingest.pipeline import DevicePipeline
from ingest.vitals import Vitals

START_US = 1_790_000_000_000_000
Second = tuple[Vitals, list[Verdict]]
MODES = ("by_votes", "held_by_intervals")


def main() -> None:
    """Print alarms, the share of fibrillation that they cover, and false ones."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="recordings, an .npz as for benchmarks.beats"
    )
    parser.add_argument("--json", action="store_true", help="print figures as one line of JSON")
    options = parser.parse_args()
    classifier, hours = Classifier.load(None), 0.0
    figures: dict[str, Counter[str]] = {mode: Counter() for mode in MODES}
    for record in (each for each in records_of(options.data) if each.name not in PACED):
        seconds = seconds_of(record, classifier)
        hours += len(seconds) / 3600
        true = within(np.arange(len(seconds)) + 0.5, FIBRILLATION_S.get(record.name, []))
        for mode, counted in figures.items():
            on = alarm_of(seconds, by_votes=mode == "by_votes")
            alarms = runs(on)
            is_true = [bool(true[start:end].any()) for start, end in alarms]
            counted.update(episodes=sum(is_true), false=len(alarms) - sum(is_true))
            counted.update(told_s=int((on & true).sum()), true_s=int(true.sum()))
    answer: dict[str, object] = {
        mode: {
            "episodes": each["episodes"],
            "share": round(each["told_s"] / max(1, each["true_s"]), 3),
            "false": each["false"],
        }
        for mode, each in figures.items()
    }
    print(json.dumps(answer | {"hours": round(hours, 1)}, indent=None if options.json else 2))


def seconds_of(record: Record, classifier: Classifier) -> list[Second]:
    """Vitals and verdicts of each second of the recording."""
    pipeline, n, seconds = DevicePipeline("bench/patient"), round(FS), []
    samples_mv = record.samples_mv.astype(np.float32)[:, None]
    for k in range(len(samples_mv) // n):
        now_us = START_US + (k + 1) * 1_000_000
        part = samples_mv[k * n : (k + 1) * n].copy()
        taken_us = now_us - 1_000_000
        chunk = Chunk("bench/patient", 1, k, k * n, taken_us, 0, FS, (Lead.II,), part, NO_FLAGS)
        windows = pipeline.push(chunk, now_us)
        pipeline.tick(now_us)
        vitals = pipeline.vitals(now_us)
        if vitals is not None:
            seconds.append((vitals, classifier.classify(windows, now_us) if windows else []))
    return seconds


def alarm_of(seconds: list[Second], *, by_votes: bool) -> NDArray[np.bool_]:
    """Whether the alarm of atrial fibrillation was on, second by second."""
    engine, on, is_on = AlarmEngine(Limits()), [], False
    for vitals, verdicts in seconds:
        changes = engine.push(replace(vitals, irregular=None) if by_votes else vitals)
        changes = [*changes, *(change for verdict in verdicts for change in engine.push(verdict))]
        for change in changes:
            if change.kind is AlarmKind.AF:
                is_on = change.state is not AlarmState.OFF
        on.append(is_on)
    return np.array(on)


if __name__ == "__main__":
    main()
