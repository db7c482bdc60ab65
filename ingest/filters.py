"""Causal filters that carry their state from chunk to chunk, designed once for each sampling rate."""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt, sosfilt_zi


@lru_cache(maxsize=256)  # a design costs about 1 ms; every device of one rate shares it
def butterworth(
    order: int, edges_hz: tuple[float, ...], kind: Literal["lowpass", "highpass", "bandpass"], fs: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Second-order sections (n_sections, 6) of a Butterworth filter, and their settled state for input 1."""
    edges = edges_hz if len(edges_hz) > 1 else edges_hz[0]
    sos = np.ascontiguousarray(butter(order, edges, kind, fs=fs, output="sos"), np.float64)
    settled = np.asarray(sosfilt_zi(sos), np.float64)
    settled.flags.writeable = False  # shared by every device; sosfilt wants the sections writable
    return sos, settled


class StreamFilter:
    """Filter consecutive stretches of one lead; the result does not depend on where they were cut.

    It starts settled on the first sample: from zero a 0.8 mV electrode offset would ring for a second.
    """

    def __init__(self, design: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
        self._sos, self._settled = design
        self._state: NDArray[np.float64] | None = None

    def push(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """Filter (n_samples,) and keep the state for the next."""
        if not len(samples):
            return samples
        if self._state is None:
            self._state = self._settled * samples[0]
        filtered, self._state = sosfilt(self._sos, samples, zi=self._state)
        return filtered

    def settle(self) -> None:
        """Forget the past: the next sample is taken as what always was."""
        self._state = None
