"""How well and how cheaply R peaks are found, clean and in noise, beside other projects' detectors.

    python -m benchmarks.beats --data MITDB.npz --noise NSTDB.npz --json

The file holds, for each record NNN, `dx_NNN` (leads, samples) first differences in units of 1/200 mV with a
baseline of 1024, `ann_s_NNN` sample indices and `ann_y_NNN` symbols of the annotations, at 360 Hz. The first
lead is used whole; beats match within 150 ms, ventricular flutter is left out (ANSI/AAMI EC57). `--noise` is
recorded electrode motion, `x` (leads, samples) of any unit, whose first lead is added to the whole record at
18, 12, 6 and 0 dB, over and over. The ratio is that of the noise stress test (Moody, Muldrow and Mark 1984):
a QRS complex of peak-to-peak amplitude A has the power A^2/8. `detectors` are the figures without noise, and
`noisy` those at each level; peers that are not installed are left out. They want an older pandas than the
project: give them an environment of their own (`pip install sleepecg neurokit2 wfdb`) and start this there.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_scores import BEATS, Score, figures, score
from benchmarks.peers.beat_detectors import Detector, available
from ingest.beats import BeatDetector

FS = 360.0
UNITS_PER_MV = 200.0
BASELINE = 1024
CHUNK_S = 1.0  # vitals gather a second of samples before they look for beats
QRS_S = 0.05  # to each side of an annotation; its range is the amplitude of that complex
LEVELS_DB = (18, 12, 6, 0)
OURS = "wristlead"


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One annotated recording."""

    name: str
    samples_mv: NDArray[np.float64]  # (n_samples,)
    at: NDArray[np.int64]  # samples of the annotations
    symbols: NDArray[np.str_]


def main() -> None:
    """Print sensitivity, positive predictivity, heart-rate error and CPU seconds per patient-hour."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="recordings, an .npz as described above")
    parser.add_argument("--noise", type=Path, help="electrode motion to add, an .npz as described above")
    parser.add_argument("--only", action="append", help="a detector, such as wristlead; repeatable")
    parser.add_argument("--json", action="store_true", help="print figures as JSON only")
    options = parser.parse_args()
    detectors = {OURS: r_peaks_of, **available()}
    if options.only:
        unknown = set(options.only) - detectors.keys()
        if unknown:
            raise SystemExit(f"no detector {', '.join(unknown)}; installed are {', '.join(detectors)}")
        detectors = {name: detectors[name] for name in options.only}
    clean = measure(options.data, detectors, None, is_quiet=options.json)
    answer: dict[str, Any] = {"detectors": with_ratios(clean), "noisy": {}}
    if options.noise is not None:
        for level_db in LEVELS_DB:
            noisy = measure(options.data, detectors, (options.noise, level_db), is_quiet=options.json)
            answer["noisy"][f"{level_db} dB"] = with_ratios(noisy)
    print(json.dumps(answer, indent=None if options.json else 2))


def measure(
    data: Path,
    detectors: dict[str, Detector],
    noise: tuple[Path, int] | None = None,
    *,
    is_quiet: bool = True,
) -> dict[str, dict[str, float]]:
    """Figures of each detector over all records of the file; raises SystemExit when it has none."""
    scores: dict[str, list[Score]] = defaultdict(list)
    cpu_s: dict[str, float] = defaultdict(float)
    hours = 0.0
    for record in records_of(data):
        samples_mv = record.samples_mv if noise is None else record.samples_mv + noise_for(record, *noise)
        hours += len(samples_mv) / FS / 3600
        for name, detect in detectors.items():
            started_s = time.process_time()
            found = detect(samples_mv, FS)
            cpu_s[name] += time.process_time() - started_s
            scores[name].append(score(found, record.at, record.symbols, FS, len(samples_mv)))
        if not is_quiet:
            each = (f"{name} {s[-1].se:.4f} {s[-1].ppv:.4f}" for name, s in scores.items())
            print(f"{record.name} Se and +P: {', '.join(each)}", file=sys.stderr)
    if not scores:
        raise SystemExit(f"{data} holds no recordings: no array is named dx_...")
    return {
        name: {**figures(each), "cpu_s_per_hour": round(cpu_s[name] / hours, 4)}
        for name, each in scores.items()
    }


def with_ratios(found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The same, with each detector's cost over that of the cheapest peer."""
    peers = [each["cpu_s_per_hour"] for name, each in found.items() if name != OURS]
    if not peers:
        return found
    return {
        name: {**each, "cost_over_cheapest_peer": round(each["cpu_s_per_hour"] / min(peers), 2)}
        for name, each in found.items()
    }


def records_of(data: Path) -> Iterator[Record]:
    """The recordings of the file, one after the other."""
    with np.load(data) as recordings:
        for name in (each.removeprefix("dx_") for each in recordings.files if each.startswith("dx_")):
            units = np.cumsum(recordings[f"dx_{name}"][0], dtype=np.int16)
            samples_mv = (units.astype(np.float64) - BASELINE) / UNITS_PER_MV
            yield Record(name, samples_mv, recordings[f"ann_s_{name}"], recordings[f"ann_y_{name}"])


def noise_for(record: Record, noise: Path, level_db: int) -> NDArray[np.float64]:
    """Electrode motion (n_samples,) mV, `level_db` below the record's QRS complexes."""
    with np.load(noise) as recorded:
        motion = recorded["x"][0].astype(np.float64)
    motion = (motion - motion.mean()) / motion.std()
    half = round(QRS_S * FS)
    beats = record.at[np.isin(record.symbols, BEATS)]
    beats = beats[(beats >= half) & (beats < len(record.samples_mv) - half)]
    complexes = record.samples_mv[beats[:, None] + np.arange(-half, half + 1)]
    power = float(np.median(np.ptp(complexes, axis=1))) ** 2 / 8
    repeats = -(-len(record.samples_mv) // len(motion))
    size_mv = float(np.sqrt(power / 10 ** (level_db / 10)))
    return size_mv * np.tile(motion, repeats)[: len(record.samples_mv)]


def r_peaks_of(samples_mv: NDArray[np.float64], fs: float) -> NDArray[np.int64]:
    """R peaks of one whole record, pushed second by second as in service."""
    detector = BeatDetector(fs)
    step = round(CHUNK_S * fs)
    return np.concatenate([detector.push(samples_mv[k : k + step]) for k in range(0, len(samples_mv), step)])


if __name__ == "__main__":
    main()
