"""Beat detectors of other projects, for comparison; each takes a whole record at once, with its defaults."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Detector = Callable[[NDArray[np.float64], float], NDArray[np.int64]]  # (samples_mv (n,), fs) -> R peaks


def available() -> dict[str, Detector]:
    """The peers that are installed here, by name."""
    found: dict[str, Detector] = {}
    for name, (package, adapt) in _PEERS.items():
        try:
            found[name] = adapt(importlib.import_module(package))
        except ImportError:
            continue
    return found


def _sleepecg(package: Any) -> Detector:
    """Pan and Tompkins' method in C (Brunner et al., JOSS 2023)."""
    return lambda samples_mv, fs: np.asarray(package.detect_heartbeats(samples_mv, fs), np.int64)


def _neurokit2(package: Any) -> Detector:
    """Makowski et al., Behavior Research Methods 2021; its own cleaning, then its own peaks."""

    def detect(samples_mv: NDArray[np.float64], fs: float) -> NDArray[np.int64]:
        cleaned = package.ecg_clean(samples_mv, sampling_rate=round(fs))
        _, found = package.ecg_peaks(cleaned, sampling_rate=round(fs))
        return np.asarray(found["ECG_R_Peaks"], np.int64)

    return detect


def _xqrs(package: Any) -> Detector:
    """PhysioNet's XQRS: learns from, and searches back over, the record; not causal."""
    return lambda samples_mv, fs: np.asarray(package.xqrs_detect(samples_mv, fs, verbose=False), np.int64)


_PEERS: dict[str, tuple[str, Callable[[Any], Detector]]] = {
    "sleepecg": ("sleepecg", _sleepecg),
    "neurokit2": ("neurokit2", _neurokit2),
    "xqrs": ("wfdb.processing", _xqrs),
}
