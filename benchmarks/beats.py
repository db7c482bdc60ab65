"""How well and how cheaply R peaks are found, on annotated recordings.

    python -m benchmarks.beats --data MITDB.npz --json

The file holds, for each record NNN, `dx_NNN` (leads, samples) first differences in units of 1/200 mV with a
baseline of 1024, `ann_s_NNN` sample indices and `ann_y_NNN` symbols of the annotations, at 360 Hz. The first
lead is used whole; beats match within 150 ms, ventricular flutter is left out (ANSI/AAMI EC57).
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.beats import BeatDetector

FS = 360.0
UNITS_PER_MV = 200.0
BASELINE = 1024
MATCH_S = 0.15
CHUNK_S = 1.0  # vitals gather a second of samples before they look for beats
BEATS = list("NLRBAaJSVrFejnE/fQ?")


def main() -> None:
    """Print sensitivity, positive predictivity and CPU seconds per patient-hour."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="recordings, an .npz as described above")
    parser.add_argument("--json", action="store_true", help="print figures as JSON only")
    options = parser.parse_args()
    figures = measure(options.data, is_quiet=options.json)
    print(json.dumps({"detectors": {"wristlead": figures}}, indent=None if options.json else 2))


def measure(data: Path, *, is_quiet: bool = True) -> dict[str, float]:
    """Gross and worst figures over all records of the file; raises SystemExit when it has none."""
    scores, cpu_s, hours = [], 0.0, 0.0
    with np.load(data) as recordings:
        for record in (name.removeprefix("dx_") for name in recordings.files if name.startswith("dx_")):
            units = np.cumsum(recordings[f"dx_{record}"][0], dtype=np.int16)
            samples_mv = ((units.astype(np.float32) - BASELINE) / UNITS_PER_MV).astype(np.float32)
            started_s = time.process_time()
            found = r_peaks_of(samples_mv)
            cpu_s += time.process_time() - started_s
            hours += len(samples_mv) / FS / 3600
            at, symbols = recordings[f"ann_s_{record}"], recordings[f"ann_y_{record}"]
            beats = outside_flutter(at[np.isin(symbols, BEATS)], at, symbols)
            matched, missed, extra = score(beats, outside_flutter(found, at, symbols))
            scores.append((matched, missed, extra))
            if not is_quiet:
                se, ppv = rates(matched, missed, extra)
                print(f"{record}: Se {se:.4f} +P {ppv:.4f} ({missed} missed, {extra} extra)")
    if not scores:
        raise SystemExit(f"{data} holds no recordings: no array is named dx_...")
    se, ppv = rates(*np.sum(scores, axis=0).tolist())
    each = [rates(*s) for s in scores]
    return {
        "se": round(se, 5),
        "ppv": round(ppv, 5),
        "worst_se": round(min(s for s, _ in each), 5),
        "worst_ppv": round(min(p for _, p in each), 5),
        "cpu_s_per_hour": round(cpu_s / hours, 3),
    }


def r_peaks_of(samples_mv: NDArray[np.float32]) -> NDArray[np.int64]:
    """R peaks of one whole record, pushed second by second as in service."""
    detector = BeatDetector(FS)
    step = round(CHUNK_S * FS)
    return np.concatenate([detector.push(samples_mv[k : k + step]) for k in range(0, len(samples_mv), step)])


def outside_flutter(
    beats: NDArray[np.int64], at: NDArray[np.int64], symbols: NDArray[np.str_]
) -> NDArray[np.int64]:
    """Beats that do not lie in ventricular flutter, which annotations put between `[` and `]`."""
    margin = round(MATCH_S * FS)
    is_kept = np.ones(len(beats), bool)
    for start, end in zip(at[symbols == "["], at[symbols == "]"], strict=True):
        is_kept &= (beats < start - margin) | (beats > end + margin)
    return beats[is_kept]


def score(beats: NDArray[np.int64], found: NDArray[np.int64]) -> tuple[int, int, int]:
    """Numbers of matched, missed and extra beats; a beat matches at most one found, the nearest."""
    tolerance = round(MATCH_S * FS)
    matched = i = j = 0
    while i < len(beats) and j < len(found):
        apart = found[j] - beats[i]
        is_nearer_next = j + 1 < len(found) and abs(found[j + 1] - beats[i]) < abs(apart)
        if abs(apart) <= tolerance and not is_nearer_next:
            matched, i, j = matched + 1, i + 1, j + 1
        elif apart < 0 or abs(apart) <= tolerance:
            j += 1
        else:
            i += 1
    return matched, len(beats) - matched, len(found) - matched


def rates(matched: int, missed: int, extra: int) -> tuple[float, float]:
    """Sensitivity and positive predictivity."""
    return matched / max(1, matched + missed), matched / max(1, matched + extra)


if __name__ == "__main__":
    main()
