"""How soon alarms come, which are missed, and how many are false: simulated onsets and recorded ECG.

    python -m benchmarks.alarms --data MITDB.npz --noise NSTDB.npz --json

Every onset passes the product's own stages, from 250 ms chunks over ordering, beats, quality and vitals each
second (at a random phase) to the alarm engine; only the broker is left out, which adds milliseconds.
`onsets` are seconds from the onset to the alarm; of asystole from the last R peak. `superfluous` are high
alarms before the onset, and what a flapping electrode raises beyond one. `recorded` are alarms on annotated
recordings (as for `benchmarks.beats`), as they are and with recorded electrode motion at 6 dB, each with and
without the quality gate; a high alarm is false when the annotated beats show no such pause or rate in the
15 s before it.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks import beats as recorded
from benchmarks.alarm_episodes import FS, Episode, Span, episodes
from benchmarks.beat_scores import BEATS
from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmState
from inference.alarms.engine import AlarmEngine, Tick
from inference.alarms.rules import ASYSTOLE_S, Limits
from inference.classifier import Classifier
from ingest.chunk import NO_FLAGS, Chunk, ChunkFlag, Lead
from ingest.pipeline import DevicePipeline

CHUNK_S = 0.25
TICK_S = 0.5
START_US = 1_790_000_000_000_000
NOISE_DB = 6
LOOK_BACK_S = 15.0  # beats this long before an alarm may justify it
RATE_BEATS = 4  # the fewest RR intervals that the displayed rate rests on
RATE_TOLERANCE_BPM = 5.0  # EC13


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm that came on, seconds since the start of the signal."""

    at_s: float
    alarm: Alarm


def main() -> None:
    """Print times to alarm, missed onsets and false alarms."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--per-kind", type=int, default=30, help="onsets of each kind (default: 30)")
    parser.add_argument("--data", type=Path, help="annotated recordings, an .npz as for benchmarks.beats")
    parser.add_argument("--noise", type=Path, help="electrode motion, an .npz as for benchmarks.beats")
    parser.add_argument("--json", action="store_true", help="print figures as one line of JSON")
    options = parser.parse_args()
    answer: dict[str, Any] = {"onsets": onsets(options.per_kind)}
    if options.data is not None:
        answer["recorded"] = on_recordings(options.data, options.noise)
    print(json.dumps(answer, indent=None if options.json else 2))


def onsets(per_kind: int) -> dict[str, dict[str, float | int | None]]:
    """Kind -> number, missed, and quantiles of the time to alarm in seconds."""
    classifier = Classifier.load(None)
    delays_s: dict[str, list[float | None]] = defaultdict(list)
    others: dict[str, int] = defaultdict(int)
    for number, episode in enumerate(episodes(per_kind)):
        needs_model = episode.wants is AlarmKind.AF
        raised = list(watch(episode, classifier if needs_model else None, seed=number))
        after = [each for each in raised if each.at_s >= episode.onset_s]
        if episode.wants is None:  # flaps: one alarm at most
            delays_s[episode.name].append(0.0)
            others[episode.name] += max(0, len(after) - 1)
        else:
            wanted = (each.at_s for each in after if each.alarm.kind is episode.wants)
            at_s = next(wanted, None)
            delays_s[episode.name].append(None if at_s is None else at_s - episode.onset_s)
        others[episode.name] += sum(
            each.at_s < episode.onset_s and each.alarm.priority is AlarmPriority.HIGH for each in raised
        )
    return {name: quantiles(each, others[name]) for name, each in delays_s.items()}


def quantiles(delays_s: list[float | None], n_others: int) -> dict[str, float | int | None]:
    """Number, missed, p50, p95 and the largest, and superfluous alarms."""
    known = [each for each in delays_s if each is not None]
    p50, p95 = (round(float(np.percentile(known, q)), 2) for q in (50, 95)) if known else (None, None)
    return {
        "n": len(delays_s),
        "missed": len(delays_s) - len(known),
        "p50_s": p50,
        "p95_s": p95,
        "max_s": round(max(known), 2) if known else None,
        "superfluous": n_others,
    }


def watch(
    episode: Episode, classifier: Classifier | None = None, *, fs: float = FS, seed: int = 0
) -> Iterator[Raised]:
    """Every alarm that comes on while the episode is streamed; findings and AF only with a classifier."""
    rng = np.random.default_rng(seed)
    pipeline, engine = DevicePipeline("bench/patient"), AlarmEngine(Limits())
    known: set[AlarmKind] = set()
    next_vitals_s, next_tick_s = float(rng.uniform(0.0, 1.0)), float(rng.uniform(0.0, TICK_S))
    for chunk, arrived_s in chunks_of(episode, fs):
        while min(next_vitals_s, next_tick_s) < arrived_s:
            now_s = min(next_vitals_s, next_tick_s)
            now_us = START_US + round(now_s * 1e6)
            if now_s == next_vitals_s:
                next_vitals_s += 1.0
                pipeline.tick(now_us)
                vitals = pipeline.vitals(now_us)
                changes = [] if vitals is None else engine.push(vitals)
            else:
                next_tick_s += TICK_S
                changes = engine.push(Tick(now_us))
            yield from came_on(changes, known, now_s)
        if chunk is None:
            continue
        windows = pipeline.push(chunk, START_US + round(arrived_s * 1e6))
        if classifier is not None and windows:
            for verdict in classifier.classify(windows, START_US + round(arrived_s * 1e6)):
                yield from came_on(engine.push(verdict), known, arrived_s)


def came_on(changes: list[Alarm], known: set[AlarmKind], at_s: float) -> Iterator[Raised]:
    """Alarms that were off; `known` are those that are not."""
    for alarm in changes:
        if alarm.state is AlarmState.OFF:
            known.discard(alarm.kind)
        elif alarm.kind not in known:
            known.add(alarm.kind)
            yield Raised(at_s, alarm)


def chunks_of(episode: Episode, fs: float) -> Iterator[tuple[Chunk | None, float]]:
    """Chunks of 250 ms with the second they arrive; None where the device sends nothing."""
    step = round(CHUNK_S * fs)
    for seq, first in enumerate(range(0, len(episode.samples_mv) - step + 1, step)):
        start_s, arrived_s = first / fs, (first + step) / fs
        if _holds(episode.missing, start_s):
            yield None, arrived_s
            continue
        yield (
            Chunk(
                "bench/patient",
                1,
                seq,
                first,
                START_US + round(start_s * 1e6),
                0,
                fs,
                (Lead.I,),
                episode.samples_mv[first : first + step, None],
                ChunkFlag.LEAD_OFF if _holds(episode.lead_off, start_s) else NO_FLAGS,
            ),
            arrived_s,
        )


def _holds(spans: tuple[Span, ...], at_s: float) -> bool:
    return any(span.holds(at_s) for span in spans)


def on_recordings(data: Path, noise: Path | None) -> dict[str, dict[str, object]]:
    """Alarms on annotated recordings, by condition of the signal and of the gate."""
    found: dict[str, dict[str, object]] = {}
    conditions: dict[str, recorded.Noise | None] = {"clean": None}
    if noise is not None:
        conditions[f"electrode motion at {NOISE_DB} dB"] = recorded.Noise(recorded.motion_of(noise), NOISE_DB)
    for name, added in conditions.items():
        for gate in ("with the quality gate", "without"):
            with nullcontext() if gate.startswith("with ") else without_gate():
                found[f"{name}, {gate}"] = count_alarms(data, added)
    return found


def without_gate() -> AbstractContextManager[Any]:
    """Nothing is called noisy while this is open."""
    return patch.multiple("ingest.quality", UNREADABLE=np.inf, SWING_MV=np.inf)


def count_alarms(data: Path, noise: recorded.Noise | None) -> dict[str, object]:
    """Hours, high alarms, how many of them are false, and all alarms by kind per hour."""
    hours, n_high = 0.0, 0
    false: list[str] = []
    by_kind: dict[str, int] = defaultdict(int)
    for record in recorded.records_of(data):
        samples_mv = record.samples_mv
        if noise is not None:
            samples_mv = samples_mv + recorded.noise_for(record, noise)
        hours += len(samples_mv) / recorded.FS / 3600
        r_peaks_s = record.at[np.isin(record.symbols, BEATS)] / recorded.FS
        episode = Episode(record.name, None, 0.0, samples_mv.astype(np.float32))
        for raised in watch(episode, fs=recorded.FS):
            by_kind[raised.alarm.kind] += 1
            if raised.alarm.priority is AlarmPriority.HIGH:
                n_high += 1
                if not is_justified(raised, r_peaks_s):
                    false.append(f"{record.name} {raised.at_s:.0f} s {raised.alarm.text}")
    return {
        "hours": round(hours, 2),
        "high_alarms": n_high,
        "false_high_alarms": len(false),
        "false_high_per_hour": round(len(false) / hours, 3),
        "false": false,
        "alarms_per_hour": {kind: round(n / hours, 2) for kind, n in sorted(by_kind.items())},
    }


def is_justified(raised: Raised, r_peaks_s: NDArray[np.float64]) -> bool:
    """True when the annotated beats before a high alarm show its pause, or a rate beyond its limit."""
    near = r_peaks_s[(r_peaks_s >= raised.at_s - LOOK_BACK_S) & (r_peaks_s <= raised.at_s)]
    pauses_s = np.diff(np.concatenate([near, [raised.at_s]])) if len(near) else np.array([LOOK_BACK_S])
    if raised.alarm.kind is AlarmKind.ASYSTOLE:
        return bool(pauses_s.max() >= ASYSTOLE_S)
    rr_s = np.diff(near)
    if len(rr_s) < RATE_BEATS:
        return True  # so few beats in 15 s are an extreme rate
    rates_bpm = 60.0 / np.convolve(rr_s, np.full(RATE_BEATS, 1 / RATE_BEATS), "valid")
    low_bpm, high_bpm = Limits().of(AlarmKind.EXTREME_RATE)
    return bool(
        rates_bpm.min() <= low_bpm + RATE_TOLERANCE_BPM or rates_bpm.max() >= high_bpm - RATE_TOLERANCE_BPM
    )


if __name__ == "__main__":
    main()
