"""Recordings without a superclass become single-lead windows to pre-train on, and electrode noise to add.

    cinc2017_300hz_*.npz               handheld, PhysioNet/CinC Challenge 2017 (Clifford et al. 2017)
    mitdb_360hz_*.npz                  ambulatory, MIT-BIH Arrhythmia Database (Moody & Mark 2001)
    nstdb_electrode_motion_360hz.npz   MIT-BIH Noise Stress Test Database (Moody et al. 1984)
All ODC-By 1.0, all stored as first differences (the noise as it is). No label is read from any of them here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly
from tqdm import tqdm

from inference.preprocess import MODEL_LENGTH_S, MODEL_SAMPLES, resample
from inference.training.labels import DatasetError

HANDHELD_PATTERN = "cinc2017_300hz_*.npz"
HANDHELD_FS = 300.0  # Hz, 1 uV a unit
AMBULATORY_PATTERN = "mitdb_360hz_*.npz"
AMBULATORY_FS = 360.0  # Hz
AMBULATORY_UV = 5.0  # a unit; 200 units a mV
AMBULATORY_BASELINE = 1024  # units
NOISE_NAME = "nstdb_electrode_motion_360hz.npz"
NOISE_RATIO = (5, 18)  # 360 -> 100 Hz
CACHE_NAME = "unlabelled.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Handheld:
    """Single-lead handheld recordings of 9 to 61 s."""

    ecg_uv: list[NDArray[np.int16]]  # each (n_samples,) at 300 Hz
    label: NDArray[np.str_]  # (n,) N A O or ~: normal, atrial fibrillation, other, noisy


def load_unlabelled(directory: Path, run: Path) -> NDArray[np.int16]:
    """Every recorded second of one lead -> (n, 1000) uV at 100 Hz, windows of 10 s.

    A recording is cut into as few windows as cover it, so neighbours may overlap; those shorter than 10 s are
    left out. Both leads of an ambulatory recording count on their own.

    Args:
        directory: of the recordings.
        run: where the windows are kept after the first time; later calls read them there.

    Raises:
        DatasetError: neither kind of recording is in the directory.
    """
    cache = run / CACHE_NAME
    if not cache.is_file():
        parts = [*_handheld_windows(directory), *_ambulatory_windows(directory)]
        if not parts:
            raise DatasetError(f"{directory} holds neither {HANDHELD_PATTERN} nor {AMBULATORY_PATTERN}")
        run.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(cache, ecg_uv=np.concatenate(parts))
    with np.load(cache) as stored:
        return np.asarray(stored["ecg_uv"], dtype=np.int16)


def load_handheld(directory: Path) -> Handheld | None:
    """The handheld recordings as they were taken; None where the directory has none."""
    recordings, labels = [], []
    for path in sorted(directory.glob(HANDHELD_PATTERN)):
        with np.load(path) as stored:
            offset, dx = stored["offset"], stored["dx"]
            labels.append(stored["label"])
        recordings += [np.cumsum(dx[first:last], dtype=np.int16) for first, last in pairwise(offset)]
    return Handheld(recordings, np.concatenate(labels)) if labels else None


def load_motion_noise(directory: Path) -> NDArray[np.float32]:
    """Thirteen minutes of recorded electrode motion -> (2, samples) at 100 Hz, mean 0, variance 1 each.

    Raises:
        DatasetError: the directory has none.
    """
    path = directory / NOISE_NAME
    if not path.is_file():
        raise DatasetError(f"{path} is missing")
    with np.load(path) as stored:
        at_360_hz = stored["x"].astype(np.float64)
    noise = resample_poly(at_360_hz - at_360_hz.mean(axis=1, keepdims=True), *NOISE_RATIO, axis=1)
    noise -= noise.mean(axis=1, keepdims=True)
    return np.asarray(noise / noise.std(axis=1, keepdims=True), dtype=np.float32)


def windows_of(ecg_uv: NDArray[np.floating] | NDArray[np.int16], fs: float) -> NDArray[np.int16]:
    """(n_samples,) uV at fs Hz -> (windows, 1000) uV at 100 Hz that cover it; none when shorter than 10 s."""
    length = round(MODEL_LENGTH_S * fs)
    if len(ecg_uv) < length:
        return np.zeros((0, MODEL_SAMPLES), dtype=np.int16)
    starts = np.linspace(0, len(ecg_uv) - length, -(-len(ecg_uv) // length)).astype(np.int64)
    cut = np.stack([ecg_uv[start : start + length] for start in starts]).astype(np.float64)
    limits = np.iinfo(np.int16)
    resampled = np.rint(resample(cut, fs, MODEL_SAMPLES))
    return np.clip(resampled, limits.min, limits.max).astype(np.int16)


def _handheld_windows(directory: Path) -> Iterator[NDArray[np.int16]]:
    handheld = load_handheld(directory)
    for ecg_uv in tqdm(handheld.ecg_uv if handheld else [], desc="handheld", unit="", leave=False):
        yield windows_of(ecg_uv, HANDHELD_FS)


def _ambulatory_windows(directory: Path) -> Iterator[NDArray[np.int16]]:
    for path in sorted(directory.glob(AMBULATORY_PATTERN)):
        with np.load(path) as stored:
            names = [name for name in stored.files if name.startswith("dx_")]
            for name in tqdm(names, desc="ambulatory", unit="", leave=False):
                units = np.cumsum(stored[name], axis=-1, dtype=np.int16)
                for lead in (units - AMBULATORY_BASELINE) * AMBULATORY_UV:
                    yield windows_of(lead, AMBULATORY_FS)
