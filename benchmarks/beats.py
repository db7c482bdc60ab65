"""How well and how cheaply R peaks are found, clean and in noise, beside other projects' detectors.

    python -m benchmarks.beats --data MITDB.npz --noise NSTDB.npz --json

The file holds, for each record NNN, `dx_NNN` (leads, samples) first differences in units of 1/200 mV with a
baseline of 1024, `ann_s_NNN` sample indices and `ann_y_NNN` symbols of the annotations, at 360 Hz. The first
lead is used whole; beats match within 150 ms, ventricular flutter is left out (ANSI/AAMI EC57). `--noise` is
recorded electrode motion, `x` (leads, samples) of any unit, whose first lead is added to the whole record at
18, 12, 6 and 0 dB, over and over. The ratio is that of the noise stress test (Moody, Muldrow and Mark 1984):
a QRS complex of peak-to-peak amplitude A has the power A^2/8. `detectors` are the figures without noise, and
`noisy` those at each level; peers that are not installed are left out. With `--unseen RUNS` each record is
given to the network that was trained without it (`inference.training.beats cross-validate` leaves one a fold
in RUNS), and the noise is the part that none of them has met. They want an older pandas than the
project: give them an environment of their own (`pip install sleepecg neurokit2 wfdb`) and start this there.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_scores import BEATS, Score, figures, score
from benchmarks.peers.beat_detectors import Detector, available
from inference.training.beats.folds import FOLDS, SEEN_MOTION, fold_of
from ingest.beat_network import BeatNetwork
from ingest.beats import BeatDetector, find_together

FS = 360.0
UNITS_PER_MV = 200.0
BASELINE = 1024
BLOCK_S = 60.0  # peers take a whole record at once; how it is cut changes no beat of ours, only the cost
LIVE_DEVICES, LIVE_CHUNK_S, LIVE_S = 64, 1.0, 60  # as ingest takes them together each second
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
    parser.add_argument("--unseen", type=Path, help="directory of cross-validated networks, fold-K.npz")
    parser.add_argument("--json", action="store_true", help="print figures as JSON only")
    options = parser.parse_args()
    detectors = {OURS: r_peaks_of, **available()}
    if options.only:
        unknown = set(options.only) - detectors.keys()
        if unknown:
            raise SystemExit(f"no detector {', '.join(unknown)}; installed are {', '.join(detectors)}")
        detectors = {name: detectors[name] for name in options.only}
    unseen = None if options.unseen is None else unseen_networks(options.data, options.unseen)
    clean = measure(options.data, detectors, None, unseen, is_quiet=options.json)
    answer: dict[str, Any] = {"detectors": with_ratios(clean), "noisy": {}}
    for level_db in LEVELS_DB if options.noise is not None else ():
        noise = Noise(motion_of(options.noise, unseen=unseen is not None), level_db)
        noisy = measure(options.data, detectors, noise, unseen, is_quiet=options.json)
        answer["noisy"][f"{level_db} dB"] = with_ratios(noisy)
    if OURS in detectors:
        answer["detectors"][OURS]["cpu_s_per_hour_live"] = live_cost(options.data)
    print(json.dumps(answer, indent=None if options.json else 2))


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Electrode motion of unit variance (n_samples,), and how far below the QRS complexes it is to lie."""

    motion: NDArray[np.float64]
    level_db: int


def measure(
    data: Path,
    detectors: dict[str, Detector],
    noise: Noise | None = None,
    unseen: dict[str, BeatNetwork] | None = None,
    *,
    is_quiet: bool = True,
) -> dict[str, dict[str, Any]]:
    """Figures of each detector over all records of the file; raises SystemExit when it has none."""
    scores: dict[str, dict[str, Score]] = defaultdict(dict)
    cpu_s: dict[str, float] = defaultdict(float)
    hours = 0.0
    for record in records_of(data):
        samples_mv = record.samples_mv
        if noise is not None:
            samples_mv = samples_mv + noise_for(record, noise)
        hours += len(samples_mv) / FS / 3600
        for name, detect in detectors.items():
            if name == OURS and unseen is not None:
                detect = partial(r_peaks_of, network=unseen[record.name])  # noqa: PLW2901
            started_s = time.process_time()
            found = detect(samples_mv, FS)
            cpu_s[name] += time.process_time() - started_s
            scores[name][record.name] = score(found, record.at, record.symbols, FS, len(samples_mv))
        if not is_quiet:
            each = (f"{name} {s[record.name].se:.4f} {s[record.name].ppv:.4f}" for name, s in scores.items())
            print(f"{record.name} Se and +P: {', '.join(each)}", file=sys.stderr)
    if not scores:
        raise SystemExit(f"{data} holds no recordings: no array is named dx_...")
    return {
        name: {
            **figures(list(each.values())),
            "cpu_s_per_hour": round(cpu_s[name] / hours, 4),
            "records": {record: [round(s.se, 5), round(s.ppv, 5)] for record, s in each.items()},
        }
        for name, each in scores.items()
    }


def with_ratios(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The same, with each detector's cost over that of the cheapest peer."""
    peers = [each["cpu_s_per_hour"] for name, each in found.items() if name != OURS]
    if not peers:
        return found
    return {
        name: {**each, "cost_over_cheapest_peer": round(each["cpu_s_per_hour"] / min(peers), 2)}
        for name, each in found.items()
    }


def live_cost(data: Path) -> float:
    """CPU seconds of a patient-hour as ingest spends them: many devices together, a second at a time."""
    record = next(records_of(data))
    detectors = [BeatDetector(FS) for _ in range(LIVE_DEVICES)]
    n, spent_s = round(LIVE_CHUNK_S * FS), 0.0
    starts = np.arange(LIVE_DEVICES) * (len(record.samples_mv) // (2 * LIVE_DEVICES))
    for second in range(LIVE_S):
        samples_mv = record.samples_mv[(starts + second * n)[:, None] + np.arange(n)]
        started_s = time.process_time()
        find_together(detectors, samples_mv)
        spent_s += time.process_time() - started_s
    return round(spent_s / (LIVE_S * LIVE_CHUNK_S * LIVE_DEVICES) * 3600, 4)


def unseen_networks(data: Path, runs: Path) -> dict[str, BeatNetwork]:
    """For each record the network of the fold that it was left out of, as cross-validation deals them."""
    networks = [BeatNetwork.load(runs / f"fold-{fold}.npz") for fold in range(FOLDS)]
    return {name: networks[k] for name, k in fold_of(record.name for record in records_of(data)).items()}


def records_of(data: Path) -> Iterator[Record]:
    """The recordings of the file, one after the other."""
    with np.load(data) as recordings:
        for name in (each.removeprefix("dx_") for each in recordings.files if each.startswith("dx_")):
            units = np.cumsum(recordings[f"dx_{name}"][0], dtype=np.int16)
            samples_mv = (units.astype(np.float64) - BASELINE) / UNITS_PER_MV
            yield Record(name, samples_mv, recordings[f"ann_s_{name}"], recordings[f"ann_y_{name}"])


def motion_of(noise: Path, *, unseen: bool = False) -> NDArray[np.float64]:
    """Electrode motion (n_samples,) of unit variance; without the part that cross-validation trained with."""
    with np.load(noise) as recorded:
        motion = recorded["x"][0].astype(np.float64)
    motion = (motion - motion.mean()) / motion.std()
    return np.asarray(motion[round(SEEN_MOTION * len(motion)) if unseen else 0 :])


def noise_for(record: Record, noise: Noise) -> NDArray[np.float64]:
    """Electrode motion (n_samples,) mV for this record, over and over."""
    half = round(QRS_S * FS)
    beats = record.at[np.isin(record.symbols, BEATS)]
    beats = beats[(beats >= half) & (beats < len(record.samples_mv) - half)]
    complexes = record.samples_mv[beats[:, None] + np.arange(-half, half + 1)]
    power = float(np.median(np.ptp(complexes, axis=1))) ** 2 / 8
    repeats = -(-len(record.samples_mv) // len(noise.motion))
    size_mv = float(np.sqrt(power / 10 ** (noise.level_db / 10)))
    return size_mv * np.tile(noise.motion, repeats)[: len(record.samples_mv)]


def r_peaks_of(
    samples_mv: NDArray[np.float64], fs: float, network: BeatNetwork | None = None
) -> NDArray[np.int64]:
    """R peaks of one whole record, taken in stretches of a minute."""
    detector = BeatDetector(fs, network)
    step = round(BLOCK_S * fs)
    return np.concatenate([detector.push(samples_mv[k : k + step]) for k in range(0, len(samples_mv), step)])


if __name__ == "__main__":
    main()
