"""Which seconds the quality gate refuses: of signals that nobody can read, and of good ones.

    python -m benchmarks.quality --data DIR --json

DIR holds handheld recordings labelled by cardiologists (CinC 2017: noisy, normal, AF, other), MIT-BIH with
annotations and recorded electrode motion to add, and PTB-XL with its superclasses. Each recording goes second
by second through the beat detector and the gate, as in ingest; the first 3 s, in which the gate has too
little to go by, do not count. `unusable` is the share of seconds refused where beats cannot be trusted: noisy
recordings, and seconds in noise in which a beat was told wrongly within 2 s. `good` is the share refused
where they can. `named` is how often noise of a known kind, added until the gate refuses, is given its name.
With `--unseen RUNS` recordings of CinC 2017 and MIT-BIH are judged by networks that never met them
(`inference.training.beats cross-validate`).
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import beats as recorded
from benchmarks.beat_scores import BEATS, matches
from inference.training.beats.folds import FOLDS, fold_of
from inference.training.dataset import load_records
from inference.training.unlabelled import HANDHELD_FS, load_handheld
from inference.verdict import Superclass
from ingest.beat_network import BeatNetwork, released
from ingest.beats import BeatDetector
from ingest.quality import Noise, SignalQuality, SignalState, noise_of

SETTLE_S = 3
WRONG_S = 2.0
LEVELS_DB = (12, 6, 0)
PTBXL_FS = 100.0
NAMED_FS = 360.0
PTBXL_FOLD = 9  # in no training of the beat network
REFUSED = {SignalState.NOISY, SignalState.FLAT, SignalState.SATURATED}

Floats = NDArray[np.floating]


def main() -> None:
    """Print shares of refused seconds as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="directory of recordings")
    parser.add_argument("--unseen", type=Path, help="directory of cross-validated networks, fold-K.npz")
    parser.add_argument("--every", type=int, default=1, help="take one of so many handheld recordings")
    parser.add_argument("--json", action="store_true", help="on one line")
    options = parser.parse_args()
    networks = [released()] * FOLDS
    if options.unseen is not None:
        networks = [BeatNetwork.load(options.unseen / f"fold-{k}.npz") for k in range(FOLDS)]
    handheld = handheld_shares(options.data, networks, options.every)
    unusable, good = in_motion(options.data, networks)
    answer = {
        "unusable": {"cinc2017 noisy": handheld.pop("~"), **unusable},
        "good": {
            **{f"cinc2017 {name}": found for name, found in handheld.items()},
            **good,
            **by_superclass(options.data),
        },
        "named": named(options.data),
    }
    print(json.dumps(answer, indent=None if options.json else 2))


def seconds_of(samples_mv: Floats, fs: float, network: BeatNetwork) -> tuple[list[bool], NDArray[np.int64]]:
    """Whether each whole second is refused, and the R peaks of all."""
    detector, quality, n = BeatDetector(fs, network), SignalQuality(fs), round(fs)
    refused, found = [], []
    for start in range(0, len(samples_mv) - n + 1, n):
        second_mv = samples_mv[start : start + n].astype(np.float32)
        quality.push(second_mv, lead_off=False, clipped=False)
        found.append(detector.push(second_mv))
        quality.read(detector.unreadable)
        refused.append(quality.state() in REFUSED)
    return refused, np.concatenate(found) if found else np.zeros(0, np.int64)


def share(counts: list[bool]) -> dict[str, float]:
    """Seconds, and the share of them that is refused."""
    return {"seconds": len(counts), "refused": round(float(np.mean(counts)), 4) if counts else 0.0}


def handheld_shares(data: Path, networks: list[BeatNetwork], every: int) -> dict[str, dict[str, float]]:
    """Of the recordings of each label."""
    handheld = load_handheld(data)
    if handheld is None:
        raise SystemExit(f"{data} holds no recordings of CinC 2017")
    refused: dict[str, list[bool]] = {"~": [], "N": [], "A": [], "O": []}
    for k in range(0, len(handheld.ecg_uv), every):
        seconds, _ = seconds_of(handheld.ecg_uv[k] / 1000.0, HANDHELD_FS, networks[k % len(networks)])
        refused[str(handheld.label[k])] += seconds[SETTLE_S:]
    return {label: share(seconds) for label, seconds in refused.items()}


def in_motion(
    data: Path, networks: list[BeatNetwork]
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """MIT-BIH with and without electrode motion: seconds near a wrongly told beat, and the others."""
    path = next(iter(sorted(data.glob("mitdb_360hz_*.npz"))))
    motion = recorded.motion_of(data / "nstdb_electrode_motion_360hz.npz", unseen=True)
    left_out = fold_of(record.name for record in recorded.records_of(path))
    wrong: dict[str, list[bool]] = {}
    right: dict[str, list[bool]] = {}
    for level_db in (None, *LEVELS_DB):
        name = "mitdb clean" if level_db is None else f"mitdb, motion at {level_db} dB"
        wrong[name], right[name] = [], []
        for record in recorded.records_of(path):
            samples_mv = record.samples_mv
            if level_db is not None:
                samples_mv = samples_mv + recorded.noise_for(record, recorded.Noise(motion, level_db))
            network = networks[left_out[record.name]]
            refused, found = seconds_of(samples_mv, recorded.FS, network)
            is_wrong = _near_wrong(record, found, len(refused))
            for second in range(SETTLE_S, len(refused)):
                (wrong if is_wrong[second] else right)[name].append(refused[second])
    return {k: share(v) for k, v in wrong.items()}, {k: share(v) for k, v in right.items()}


def _near_wrong(record: recorded.Record, found: NDArray[np.int64], n_seconds: int) -> NDArray[np.bool_]:
    """(n_seconds,) True where, at its end, a beat of the last 2 s was missed or made up."""
    beats = record.at[np.isin(record.symbols, BEATS)]
    is_matched, is_right = matches(beats, found, round(0.15 * recorded.FS))
    wrong_s = np.concatenate([beats[~is_matched], found[~is_right]]) / recorded.FS
    ends_s = np.arange(1, n_seconds + 1)
    apart_s = ends_s[:, None] - wrong_s[None]
    return np.asarray(((apart_s >= 0) & (apart_s <= WRONG_S)).any(axis=1))


def by_superclass(data: Path) -> dict[str, dict[str, float]]:
    """Lead I of PTB-XL recordings that no training met, with one superclass alone."""
    records = load_records(data).of_folds([PTBXL_FOLD])
    shares = {}
    for k, superclass in enumerate(Superclass):
        alone = (records.targets[:, k] == 1) & (records.targets.sum(axis=1) == 1)
        refused: list[bool] = []
        for ecg_mv in records.rows(alone).lead_mv("I"):
            refused += seconds_of(ecg_mv, PTBXL_FS, released())[0][SETTLE_S:]
        shares[f"ptbxl {superclass.value}, lead I"] = share(refused)
    return shares


def named(data: Path) -> dict[str, float]:
    """How often noise of each kind is called by its name, where it is large enough to be refused."""
    path = next(iter(sorted(data.glob("mitdb_360hz_*.npz"))))
    motion = recorded.motion_of(data / "nstdb_electrode_motion_360hz.npz", unseen=True)
    rng = np.random.default_rng(0)
    right: dict[Noise, list[bool]] = {noise: [] for noise in Noise}
    for record in recorded.records_of(path):
        start = int(rng.integers(len(record.samples_mv) - round(10 * NAMED_FS)))
        ecg_mv = record.samples_mv[start : start + round(10 * NAMED_FS)]
        for noise, unit in _noises(rng, motion, len(ecg_mv)):
            for size_mv in (0.25, 0.5, 1.0, 2.0, 4.0):
                noisy_mv = ecg_mv + size_mv * unit
                if seconds_of(noisy_mv, NAMED_FS, released())[0][-1]:
                    right[noise].append(noise_of(noisy_mv[-round(3 * NAMED_FS) :], NAMED_FS) is noise)
                    break
    return {noise.value: round(float(np.mean(told)), 3) for noise, told in right.items() if told}


def _noises(rng: np.random.Generator, motion: Floats, n: int) -> Iterator[tuple[Noise, Floats]]:
    """Each kind (n,) with unit variance."""
    t = np.arange(n) / NAMED_FS
    white = rng.standard_normal(n + 1)
    start = int(rng.integers(len(motion) - n))
    yield Noise.MAINS, np.sqrt(2) * np.sin(2 * np.pi * rng.choice([50.0, 60.0]) * t)
    yield Noise.MUSCLE, (white[1:] - white[:-1]) / np.sqrt(2)
    yield Noise.MOTION, motion[start : start + n] / motion[start : start + n].std()
    yield Noise.WANDER, 6 * np.sin(2 * np.pi * rng.uniform(0.15, 0.5) * t + rng.uniform(0, 6))


if __name__ == "__main__":
    main()
