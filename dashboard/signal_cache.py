"""Stored samples in blocks of a minute, kept in memory for the next picture: a person zooms and pans.

Bounded in number and in age: late samples may still come into a block.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

BLOCK_S = 60
MAX_BLOCKS = 256  # 4 h; 39 MB at 512 Hz
MAX_AGE_S = 120.0

Samples = tuple[NDArray[np.float32], NDArray[np.bool_]]  # (n,) in mV, NaN where none came; came late
Stream = tuple[str, int, float]  # device, session, fs in Hz
Read = Callable[[int, int], Samples]  # of first <= i < end


class SignalCache:
    """Samples of any session by index; `read` brings what is not there. May be used from many threads."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[str, int, int], tuple[float, Samples]] = OrderedDict()

    def samples(self, stream: Stream, first: int, end: int, read: Read, *, keep_until: int) -> Samples:
        """Samples first <= i < end; blocks that end beyond `keep_until` may still grow and are not kept."""
        device, session, fs = stream
        size = max(1, round(BLOCK_S * fs))
        wanted = range(first // size, (end - 1) // size + 1)
        blocks = {number: self._kept((device, session, number)) for number in wanted}
        missing = [number for number in wanted if blocks[number] is None]
        for _, run in groupby(enumerate(missing), lambda pair: pair[1] - pair[0]):
            numbers = [number for _, number in run]
            samples_mv, is_late = read(numbers[0] * size, (numbers[-1] + 1) * size)
            for k, number in enumerate(numbers):
                part = (
                    samples_mv[k * size : (k + 1) * size].copy(),
                    is_late[k * size : (k + 1) * size].copy(),
                )
                blocks[number] = part
                if (number + 1) * size <= keep_until:
                    self._keep((device, session, number), part)
        parts = [block for block in blocks.values() if block is not None]
        low = first - wanted.start * size
        samples_mv, is_late = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
        return samples_mv[low : low + end - first], is_late[low : low + end - first]

    def _kept(self, place: tuple[str, int, int]) -> Samples | None:
        with self._lock:
            made_s, samples = self._blocks.get(place, (0.0, None))
            if samples is None:
                return None
            if self._monotonic_s() - made_s > MAX_AGE_S:
                del self._blocks[place]
                return None
            self._blocks.move_to_end(place)
            return samples

    def _keep(self, place: tuple[str, int, int], samples: Samples) -> None:
        with self._lock:
            self._blocks[place] = (self._monotonic_s(), samples)
            while len(self._blocks) > MAX_BLOCKS:
                self._blocks.popitem(last=False)
