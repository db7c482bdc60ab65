"""Handheld recordings on disk become arrays at 100 Hz, and those become 10 s windows.

PhysioNet/CinC Challenge 2017 (Clifford et al. 2017, ODC-By 1.0), labels of version 3, as `unlabelled` reads
them. The resampled recordings are kept unfiltered: each window is filtered on its own, as in serving.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from inference.preprocess import MODEL_FS, MODEL_SAMPLES, resample
from inference.training.dataset import UV_PER_MV
from inference.training.labels import DatasetError
from inference.training.unlabelled import HANDHELD_FS, HANDHELD_PATTERN, load_handheld

PREPARED_NAME = "recordings.npz"
LABELS = ("N", "A", "O", "~")  # in Rhythm order


@dataclass(frozen=True, slots=True, eq=False)
class Recordings:
    """Recordings of any length end to end; number i lies at offset[i]..offset[i + 1]."""

    ecg_uv: NDArray[np.int16]  # (samples,) at 100 Hz
    offset: NDArray[np.int64]  # (n + 1,)
    rhythm: NDArray[np.int64]  # (n,) index into LABELS

    def __len__(self) -> int:
        return len(self.rhythm)

    def window_mv(self, number: int, start: int) -> NDArray[np.float32]:
        """(1000,) mV from sample `start` of a recording, NaN beyond its end."""
        first = int(self.offset[number]) + start
        part = self.ecg_uv[first : min(first + MODEL_SAMPLES, int(self.offset[number + 1]))]
        window = np.full(MODEL_SAMPLES, np.nan, dtype=np.float32)
        window[: len(part)] = part / np.float32(UV_PER_MV)
        return window

    def last_start(self, number: int) -> int:
        """The latest start of a whole window; 0 in a recording shorter than one."""
        return max(0, int(self.offset[number + 1] - self.offset[number]) - MODEL_SAMPLES)

    def starts(self, number: int, hop: int) -> NDArray[np.int64]:
        """Starts at least `hop` samples apart, evenly from the first to the last whole window if two fit."""
        last = self.last_start(number)
        return np.linspace(0, last, 1 + last // hop).astype(np.int64)


def load_recordings(data: Path, run: Path) -> Recordings:
    """What `prepare_recordings` kept in `run`, or prepare it now; DatasetError where neither is possible."""
    path = run / PREPARED_NAME
    if not path.is_file():
        prepare_recordings(data, run)
    with np.load(path) as stored:
        return Recordings(**{name: stored[name] for name in Recordings.__dataclass_fields__})


def prepare_recordings(data: Path, run: Path) -> Path:
    """Keep what `read_recordings` reads in `run`; returns the file."""
    recordings = read_recordings(data)
    run.mkdir(parents=True, exist_ok=True)
    path = run / PREPARED_NAME
    np.savez(path, **{name: getattr(recordings, name) for name in Recordings.__dataclass_fields__})
    return path


def read_recordings(data: Path) -> Recordings:
    """The handheld recordings of a directory, resampled to 100 Hz; DatasetError where it has none."""
    handheld = load_handheld(data)
    if handheld is None:
        raise DatasetError(f"{data} holds no handheld recordings: want {HANDHELD_PATTERN}")
    parts = [resampled_uv(ecg_uv) for ecg_uv in tqdm(handheld.ecg_uv, desc="resampling", leave=False)]
    return Recordings(
        ecg_uv=np.concatenate(parts),
        offset=np.cumsum([0, *map(len, parts)], dtype=np.int64),
        rhythm=np.array([LABELS.index(code) for code in handheld.label], dtype=np.int64),
    )


def resampled_uv(stored_uv: NDArray[np.int16]) -> NDArray[np.int16]:
    """(n,) uV at 300 Hz -> uV at 100 Hz, anti-aliased."""
    n_out = round(len(stored_uv) * MODEL_FS / HANDHELD_FS)
    ecg = resample(stored_uv.astype(np.float64), HANDHELD_FS, n_out)
    return np.clip(np.rint(ecg), -32768, 32767).astype(np.int16)


def split(recordings: Recordings, folds: int, seed: int) -> NDArray[np.int64]:
    """(n,) fold of each recording, 0..folds-1, each rhythm spread evenly."""
    rng = np.random.default_rng(seed)
    fold = np.zeros(len(recordings), dtype=np.int64)
    for rhythm in range(len(LABELS)):
        rows = rng.permutation(np.flatnonzero(recordings.rhythm == rhythm))
        fold[rows] = np.arange(len(rows)) % folds
    return fold
