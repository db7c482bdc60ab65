"""How well ectopic beats and irregular rhythm are told from RR intervals, and what that costs.

    python -m benchmarks.rhythm --data MITDB.npz --handheld CINC2017.npz --json

`--data` are annotated recordings as for `benchmarks.beats`. The limits in ingest/ectopy.py and
ingest/irregularity.py were chosen on the records 1xx and 201 (`chosen_on`); `reported_on` are the other
2xx, which were in sight. Paced records (102, 104) are left out, as ANSI/AAMI EC57 does.

`ectopy`: sensitivity and positive predictivity for premature beats (V, A, a, J, S) outside atrial
fibrillation and flutter, by the annotated beats and by those the detector finds; fusion and unclassifiable
beats count neither way. `irregular`: of seconds, what was told in that very second, so with all delays; of
episodes of 30 s or more, the seconds from onset until each was `told`, how many were `missed`, and how many
told ones touch none (`false`, by record). Only 201 and 203 have atrial fibrillation. The file names no
rhythms, so that the episodes stand below: of 201 those between its rhythm annotations that add up to the
10:06 min of the database's directory; 203 is fibrillation and flutter with short ventricular tachycardia
throughout.
`--handheld` are recordings of 9-61 s with `label` (N normal, A fibrillation, O other), flat differences `dx`
in uV at 300 Hz and their `offset`: the share in which an irregularity was ever told, of those long enough to
tell, in two halves that were both in sight. `us_per_device_second` is CPU for one device.

`variability`: errors in ms, each minute, of RMSSD and SDNN by the detector's beats against those of all
intervals between two annotated normal beats (N, L, R) of the same five minutes: the median and the 90 %
quantile of their size.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_scores import BEATS, MATCH_S
from benchmarks.beats import FS, Record, r_peaks_of, records_of
from ingest.ectopy import EctopyDetector
from ingest.rhythm import RhythmFollower, RhythmNumbers

PACED = {"102", "104"}
EARLY = list("VAaJS")
NEITHER = list("FQ")
NORMAL = list("NLR")
FIBRILLATION_S = {"201": [(0.0, 378.4), (477.3, 514.1), (1596.5, 1787.3)], "203": [(0.0, 1805.6)]}
EPISODE_S = 30.0  # shorter fibrillation is by definition none (ESC guidelines)
HANDHELD_FS = 300.0
HANDHELD_UV = 1000.0
COST_S = 4000


def main() -> None:
    """Print figures of ectopy and irregularity."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="recordings, an .npz as for benchmarks.beats"
    )
    parser.add_argument("--handheld", type=Path, help="labelled short recordings, an .npz as described above")
    parser.add_argument("--json", action="store_true", help="print figures as one line of JSON")
    options = parser.parse_args()
    answer: dict[str, Any] = on_recordings(options.data)
    if options.handheld is not None:
        answer["handheld"] = on_handheld(options.handheld)
    answer["us_per_device_second"] = cost_us()
    print(json.dumps(answer, indent=None if options.json else 2))


def on_recordings(data: Path) -> dict[str, Any]:
    """Figures by kind of beats and part of the records; raises SystemExit when the file holds none."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    seconds: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    episodes: dict[str, dict[str, Any]] = defaultdict(lambda: {"told": [], "missed": 0, "false": {}})
    errors_ms: list[tuple[float, float]] = []
    for record in (each for each in records_of(data) if each.name not in PACED):
        part = "chosen_on" if record.name[0] == "1" or record.name == "201" else "reported_on"
        beats = record.at[np.isin(record.symbols, BEATS)]
        found = r_peaks_of(record.samples_mv, FS)
        for name, peaks in (("annotated", beats), ("detected", found)):
            _add(counts[name, part], count_early(peaks, record))
        numbers = numbers_of(found, FS, len(record.samples_mv))
        told, true = _seconds(numbers, record.name)
        _add(seconds[part], [(told & true).sum(), (~told & true).sum(), (told & ~true).sum()])
        _count_episodes(episodes[part], told, true, record.name)
        errors_ms += variability_errors_ms(numbers, record)
    if not counts or not errors_ms:
        raise SystemExit(f"{data} holds no recordings: no array is named dx_...")
    ectopy: dict[str, Any] = defaultdict(dict)
    median, high = np.percentile(np.abs(errors_ms), (50, 90), axis=0).round(1).tolist()
    for (name, part), each in counts.items():
        ectopy[name][part] = _rates(each)
    return {
        "ectopy": ectopy,
        "irregular": {part: _rates(seconds[part]) | episodes[part] for part in seconds},
        "variability": {
            name: {"median": median[k], "p90": high[k], "n": len(errors_ms)}
            for k, name in enumerate(("rmssd_ms", "sdnn_ms"))
        },
    }


def count_early(peaks: NDArray[np.int64], record: Record) -> list[int]:
    """Premature beats told, missed, and told wrongly, with R peaks at `peaks`."""
    is_beat = np.isin(record.symbols, BEATS)
    beats, symbols = record.at[is_beat], record.symbols[is_beat]
    is_asked = ~within(beats / FS, FIBRILLATION_S.get(record.name, [])) & ~_in_flutter(beats, record)
    flagged = peaks[_early(peaks)]
    nearest = _nearest(flagged, beats)
    is_near = np.abs(beats[nearest] - flagged) <= MATCH_S * FS
    is_told = np.zeros(len(beats), bool)
    is_told[nearest[is_near]] = True
    is_early, is_neither = np.isin(symbols, EARLY), np.isin(symbols, NEITHER)
    n_stray = int((is_asked[nearest] & ~is_near).sum())
    wrongly = is_asked & is_told & ~is_early & ~is_neither
    asked = is_asked & is_early
    return [int((asked & is_told).sum()), int((asked & ~is_told).sum()), int(wrongly.sum()) + n_stray]


def numbers_of(peaks: NDArray[np.int64], fs: float, n_samples: int) -> list[RhythmNumbers]:
    """What is told in each second, the R peaks of which are known when it ends."""
    follower, numbers, known = RhythmFollower(fs), [], 0
    for second in range(1, int(n_samples / fs) + 1):
        end_sample = round(second * fs)
        while known < len(peaks) and peaks[known] < end_sample:
            if known:
                follower.push(int(peaks[known]), int(peaks[known] - peaks[known - 1]))
            known += 1
        numbers.append(follower.snapshot(end_sample))
    return numbers


def variability_errors_ms(numbers: list[RhythmNumbers], record: Record) -> list[tuple[float, float]]:
    """(RMSSD, SDNN) less those of the annotated normal beats, for each full minute where both are known."""
    is_beat = np.isin(record.symbols, BEATS)
    at_ms, is_normal = 1000.0 * record.at[is_beat] / FS, np.isin(record.symbols[is_beat], NORMAL)
    rr_ms, is_nn = np.diff(at_ms), is_normal[1:] & is_normal[:-1]
    steps_ms, is_step = np.diff(rr_ms), is_nn[1:] & is_nn[:-1]
    errors = []
    for second in range(300, len(numbers), 60):
        told = numbers[second - 1]
        inside = (at_ms[1:] > 1000.0 * (second - 300)) & (at_ms[1:] <= 1000.0 * second)
        nn_ms, asked_ms = rr_ms[is_nn & inside], steps_ms[is_step & inside[1:]]
        if told.rmssd_ms is not None and told.sdnn_ms is not None and len(asked_ms) > 1:
            rmssd_ms = float(np.sqrt(np.mean(np.square(asked_ms))))
            errors.append((told.rmssd_ms - rmssd_ms, told.sdnn_ms - float(np.std(nn_ms, ddof=1))))
    return errors


def on_handheld(data: Path) -> dict[str, dict[str, float]]:
    """Part and label -> share of the recordings in which an irregularity was told."""
    told: dict[str, dict[str, list[bool]]] = {
        "chosen_on": defaultdict(list),
        "reported_on": defaultdict(list),
    }
    for number, (label, samples_mv) in enumerate(_handheld(data)):
        if label == "~":
            continue
        numbers = numbers_of(r_peaks_of(samples_mv, HANDHELD_FS), HANDHELD_FS, len(samples_mv))
        part = "reported_on" if number % 2 else "chosen_on"
        if any(each.irregular is not None for each in numbers):
            told[part][label].append(any(each.irregular for each in numbers))
    return {
        part: {label: round(float(np.mean(each)), 4) for label, each in sorted(labels.items())}
        | {f"n_{label}": len(each) for label, each in sorted(labels.items())}
        for part, labels in told.items()
    }


def cost_us() -> float:
    """CPU microseconds for each second of one device in sinus rhythm at 75 bpm."""
    rr = np.random.default_rng(0).normal(0.8, 0.03, int(COST_S / 0.8))
    peaks = np.cumsum(np.round(rr * 512.0)).astype(np.int64)
    started_s = time.process_time()
    numbers_of(peaks, 512.0, COST_S * 512)
    return round(1e6 * (time.process_time() - started_s) / COST_S, 2)


def _handheld(data: Path) -> Iterator[tuple[str, NDArray[np.float64]]]:
    with np.load(data) as recordings:
        offsets, dx, labels = recordings["offset"], recordings["dx"], recordings["label"]
    for k, label in enumerate(labels.tolist()):
        units = np.cumsum(dx[offsets[k] : offsets[k + 1]], dtype=np.int16)
        yield label, units / HANDHELD_UV


def _early(peaks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which beats came early, with the hindsight of one interval."""
    detector, is_early = EctopyDetector(), np.zeros(len(peaks), bool)
    for k, rr in enumerate(np.diff(peaks).tolist()):
        is_early[k + 1], was_early = detector.push(rr)
        is_early[k] |= was_early
    return is_early


def _seconds(numbers: list[RhythmNumbers], name: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    told = np.array([bool(each.irregular) for each in numbers])
    return told, within(np.arange(len(told)) + 0.5, FIBRILLATION_S.get(name, []))


def _count_episodes(
    into: dict[str, Any], told: NDArray[np.bool_], true: NDArray[np.bool_], name: str
) -> None:
    for start, end in runs(true):
        if end - start < EPISODE_S:
            continue
        seen = np.flatnonzero(told[start:end])
        if len(seen):
            into["told"].append(int(seen[0]))  # seconds after its onset
        else:
            into["missed"] += 1
    n_false = sum(not true[start:end].any() for start, end in runs(told))
    if n_false:
        into["false"][name] = n_false


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, end) of each stretch of True."""
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(edges > 0).tolist(), np.flatnonzero(edges < 0).tolist(), strict=True))


def within(at_s: NDArray[np.floating], spans_s: list[tuple[float, float]]) -> NDArray[np.bool_]:
    """Which moments lie in one of the spans."""
    inside = np.zeros(len(at_s), bool)
    for start_s, end_s in spans_s:
        inside |= (at_s >= start_s) & (at_s < end_s)
    return inside


def _in_flutter(beats: NDArray[np.int64], record: Record) -> NDArray[np.bool_]:
    """Beats within a few intervals of ventricular flutter, in which beats are not annotated one by one."""
    starts, ends = (record.at[record.symbols == mark] / FS for mark in ("[", "]"))
    spans_s = [(start - 1.0, end + 5.0) for start, end in zip(starts, ends, strict=True)]
    return within(beats / FS, spans_s)


def _nearest(peaks: NDArray[np.int64], beats: NDArray[np.int64]) -> NDArray[np.intp]:
    after = np.clip(np.searchsorted(beats, peaks), 1, len(beats) - 1)
    return after - (peaks - beats[after - 1] < beats[after] - peaks)


def _add(total: list[int], more: list[Any]) -> None:
    total[:] = [a + int(b) for a, b in zip(total, more, strict=True)]


def _rates(counts: list[int]) -> dict[str, Any]:
    told, missed, wrongly = counts
    return {
        "n": told + missed,
        "se": round(told / max(1, told + missed), 4),
        "ppv": round(told / max(1, told + wrongly), 4),
    }


if __name__ == "__main__":
    main()
