"""Chunks that claim a known place with other samples than are stored there: no duplicates, and no new ones.

A device sends these whose session id begins again after a restart, or whose sample counter wraps. They cannot
be stored where they claim to belong, and must not be taken for a repetition of what is there.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Chunk
from ingest.store.rows import ReceivedChunk, place_samples
from ingest.window import Window

SAME_MV = 1e-6  # the finest unit on the wire, 1 nV: encodings of one sample differ by less ...
SAME_SHARE = 1e-6  # ... or by the rounding of a float32


def contradicting(chunks: Sequence[ReceivedChunk], stored: Iterable[Chunk]) -> list[ReceivedChunk]:
    """Those of `chunks` of which a sample differs from what is stored, or came before it, at the same index.

    `stored` must hold whatever is stored at the places of the chunks.
    """
    known: dict[tuple[str, int], _Known] = {}
    for chunk in stored:
        known.setdefault((chunk.device, chunk.session), _Known()).add(chunk)
    n_of_device = Counter([each.chunk.device for each in chunks])
    stored_of = {device for device, _ in known}
    found = []
    for each in chunks:
        if n_of_device[each.chunk.device] == 1 and each.chunk.device not in stored_of:
            continue  # nothing that it could contradict: so are all of a live fleet
        session = known.setdefault((each.chunk.device, each.chunk.session), _Known())
        if session.contradicts(each.chunk):
            found.append(each)
        else:
            session.add(each.chunk)
    return found


def agrees(window: Window, chunks: Sequence[ReceivedChunk], stored: NDArray[np.float32]) -> bool:
    """True when each sample of the window is the one `stored` there, or that of `chunks` where it is NaN."""
    samples = np.full_like(stored, np.nan)
    end = window.first_sample + len(stored)
    for chunk in (each.chunk for each in reversed(chunks)):  # the first to arrive is written last
        is_its = chunk.device == window.device and chunk.session == window.session
        if is_its and chunk.first_sample < end and chunk.end_sample > window.first_sample:
            place_samples(chunk, window.lead, window.first_sample, samples)
    samples = np.where(np.isnan(stored), samples, stored)
    came = ~np.isnan(window.samples_mv)
    return _is_same(window.samples_mv[came], samples[came])


class _Known:
    """The chunks of one session, by first sample."""

    def __init__(self) -> None:
        self._places: list[tuple[int, int]] = []  # (first sample, number)
        self._chunks: list[Chunk] = []
        self._longest = 0

    def add(self, chunk: Chunk) -> None:
        insort(self._places, (chunk.first_sample, len(self._chunks)))
        self._chunks.append(chunk)
        self._longest = max(self._longest, chunk.n_samples)

    def contradicts(self, chunk: Chunk) -> bool:
        """True when a chunk known here has another sample, or other leads, where both have one."""
        low = bisect_left(self._places, (chunk.first_sample - self._longest, 0))
        high = bisect_left(self._places, (chunk.end_sample, 0))
        return any(_differ(chunk, self._chunks[number]) for _, number in self._places[low:high])


def _differ(a: Chunk, b: Chunk) -> bool:
    low, high = max(a.first_sample, b.first_sample), min(a.end_sample, b.end_sample)
    if low >= high:
        return False
    if a.leads != b.leads:
        return True
    ours = a.samples_mv[low - a.first_sample : high - a.first_sample]
    theirs = b.samples_mv[low - b.first_sample : high - b.first_sample]
    return not _is_same(ours, theirs)


def _is_same(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    return np.allclose(a, b, rtol=SAME_SHARE, atol=SAME_MV, equal_nan=True)
