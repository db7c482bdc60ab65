"""A window that has a verdict: its samples, from the store or from what the hub still holds, and why.

A store that cannot be read is told in words, and costs the live page nothing.
"""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.hub import Hub
from dashboard.monitor import HISTORY_S
from dashboard.past import Past
from dashboard.patient_state import Segment
from inference.explain.explanation import Explanation
from inference.explain.records import explanations_of
from ingest.store.errors import StoreError
from ingest.window import WINDOW_S

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: two arrays have no single truth value
class Stretch:
    """Ten seconds of one lead; samples that never came are NaN."""

    samples_mv: NDArray[np.float32]  # (n_samples,)
    fs: float  # Hz
    is_stored: bool


class WindowSource:
    """Finds the samples behind a verdict."""

    def __init__(self, past: Past, hub: Hub) -> None:
        self._past = past
        self._hub = hub

    def stretch(self, device: str, session: int, first_sample: int) -> Stretch | None:
        """The window that begins at `first_sample`; None when nothing of it is left.

        Raises StoreError when the store cannot be read and the hub does not hold it either.
        """
        try:
            window = self._past.window(device, session, first_sample)
        except StoreError as error:  # ingest may run elsewhere, or not at all
            logger.warning("no window from the store: %s", error)
            held = joined(self._hub.history(device, HISTORY_S), session, first_sample)
            if held is None:
                raise
            return held
        if window is not None:
            return Stretch(window.samples_mv, window.fs, is_stored=True)
        return joined(self._hub.history(device, HISTORY_S), session, first_sample)

    def explanations(self, device: str, session: int, first_sample: int) -> tuple[Explanation, ...]:
        """All that is stored of why the model answered so; raises StoreError when it cannot be read."""
        place = (device, session, first_sample)
        return tuple(self._past.ask(lambda engine: explanations_of(engine, place)))


def joined(segments: list[Segment], session: int, first_sample: int) -> Stretch | None:
    """Segments -> the ten seconds from `first_sample`, NaN where none came; None when none did."""
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
