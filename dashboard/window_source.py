"""The samples of a window that has a verdict: from the store, else from what the hub still holds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.hub import Hub
from dashboard.monitor import Segment

WINDOW_S = 10.0


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: two arrays have no single truth value
class Stretch:
    """Ten seconds of one lead; samples that never came are NaN."""

    samples_mv: NDArray[np.float32]  # (n_samples,)
    fs: float  # Hz
    is_stored: bool


class WindowSource:
    """Finds the samples behind a verdict."""

    def __init__(self, store_address: str, hub: Hub) -> None:
        self._store_address = store_address
        self._hub = hub

    def stretch(self, device: str, session: int, first_sample: int) -> Stretch | None:
        """The window that begins at `first_sample`; None when nothing of it is left."""
        return joined(self._hub.history(device, 60.0), session, first_sample)


def joined(segments: list[Segment], session: int, first_sample: int) -> Stretch | None:
    """Segments -> the ten seconds from `first_sample`, NaN where none came."""
    segments = [segment for segment in segments if segment.session == session]
    if not segments:
        return None
    fs = segments[-1].fs
    samples = np.full(round(WINDOW_S * fs), np.nan, dtype=np.float32)
    for segment in segments:
        start = segment.first_sample - first_sample
        low, high = max(start, 0), min(start + len(segment.samples_mv), len(samples))
        if low < high:
            samples[low:high] = segment.samples_mv[low - start : high - start]
    return Stretch(samples, fs, is_stored=False)
