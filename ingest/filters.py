"""Causal filters that carry their state from chunk to chunk, designed once for each sampling rate."""

from collections.abc import Sequence
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
        self.sos, self._settled = design
        self.state: NDArray[np.float64] | None = None  # (n_sections, 2); None before the first sample

    def push(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """Filter (n_samples,) and keep the state for the next."""
        if not len(samples):
            return samples
        filtered, self.state = sosfilt(self.sos, samples, zi=self.state_before(samples[0]))
        return filtered

    def state_before(self, sample: float) -> NDArray[np.float64]:
        """The state (n_sections, 2) in which `sample`, the next one, is met."""
        return self._settled * sample if self.state is None else self.state

    def settle(self) -> None:
        """Forget the past: the next sample is taken as what always was."""
        self.state = None


def filter_together(
    filters: Sequence[StreamFilter], samples: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Filter stretches (n_filters, n_samples) of filters of one design, each as if it were alone.

    Returns what came out and the states after it (n_filters, n_sections, 2). The filters are left as they
    are: the owner of each puts its state in. One call for all, because scipy spends 25 us on any call.
    """
    zi = np.array([each.state_before(first) for each, first in zip(filters, samples[:, 0], strict=True)])
    filtered, states = sosfilt(filters[0].sos, samples, axis=-1, zi=zi.swapaxes(0, 1))
    return filtered, states.swapaxes(0, 1)
