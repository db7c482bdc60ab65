"""RR intervals -> whether the rhythm is irregularly irregular, as in atrial fibrillation; with its onset.

The coefficient of sample entropy of Lake and Moorman (Am J Physiol Heart Circ Physiol 300:H319, 2011): how
badly the next interval is told by the one before, at a tolerance that fits the intervals, less the logarithm
of their mean. We differ in three ways. 32 intervals in place of 12, as a monitor can wait for half a minute
and twelve mistake runs of ectopy. It is asked of two sequences, all intervals and those that have nothing to
do with premature beats, and both must be irregular: the first is low in sinus arrhythmia, where each interval
resembles the one before, the second in sinus rhythm with ectopy, however frequent. And there is a higher
limit for the onset than for the end. `python -m benchmarks.rhythm` measures the limits.
"""

from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from math import log
from operator import sub

import numpy as np
from numpy.typing import NDArray

KEPT = 32  # intervals
FEWEST = 16
TOLERANCE_S = 0.03  # at least; more where fewer than half as many pairs as intervals match
STEADY_SHARE = 0.06  # neighbours that differ by less on the mean: entropy was never above -0.9 on recordings
EVERY_S = 8.0  # of the session's own time, so that a restart looks at the same moments
ONSET_ALL, ONSET_NORMAL = -0.6, -1.1  # nats; both must be above
END_ALL, END_NORMAL = -1.0, -1.6  # the end: either is below
SILENT_S = 15.0  # without an interval for so long nobody knows
FORGOTTEN_S = 60.0


class Irregularity:
    """Follow the intervals of one session; intervals and places are samples at fs Hz."""

    def __init__(self, fs: float) -> None:
        self._fs = fs
        self._every = round(EVERY_S * fs)
        self._silent, self._forgotten = SILENT_S * fs, FORGOTTEN_S * fs
        self._all: deque[int] = deque(maxlen=KEPT)
        self._normal: deque[int] = deque(maxlen=KEPT)
        self._newest: int | None = None  # where the newest interval ended
        self._is_irregular: bool | None = None
        self._onset: int | None = None  # where the irregularity began

    def push(self, end_sample: int, rr: int, *, is_normal: bool) -> bool:
        """Take the next interval; True where an irregularity was found just now.

        `is_normal`: no premature beat at its end or beginning.
        """
        before, self._newest = self._newest, end_sample
        if before is not None and end_sample - before > self._forgotten:
            self._forget()
        self._all.append(rr)
        if is_normal:
            self._normal.append(rr)
        if before is None or before // self._every == end_sample // self._every:
            return False
        return self._look(end_sample)

    def snapshot(self, end_sample: int) -> tuple[bool | None, float | None]:
        """Whether the rhythm is irregular, and for how many seconds; None where nobody knows."""
        if self._newest is None or end_sample - self._newest > self._silent:
            return None, None
        if self._onset is None:
            return self._is_irregular, None
        return True, (end_sample - self._onset) / self._fs

    @property
    def is_irregular(self) -> bool:
        """True from the onset to the end."""
        return self._onset is not None

    def _look(self, end_sample: int) -> bool:
        if len(self._all) < FEWEST:
            return False
        limit_all, limit_normal = (END_ALL, END_NORMAL) if self.is_irregular else (ONSET_ALL, ONSET_NORMAL)
        is_irregular = not is_steady(self._all) and entropy(self._all, self._fs) > limit_all
        if is_irregular:
            if len(self._normal) < FEWEST:
                return False  # nobody can tell
            is_irregular = entropy(self._normal, self._fs) > limit_normal
        is_onset = is_irregular and not self.is_irregular
        if is_onset:
            self._onset = end_sample - sum(self._all)
        elif not is_irregular:
            self._onset = None
        self._is_irregular = is_irregular
        return is_onset

    def _forget(self) -> None:
        self._all.clear()
        self._normal.clear()
        self._is_irregular = self._onset = None


def is_steady(rr: deque[int]) -> bool:
    """True where the intervals differ too little from one to the next to be worth their entropy."""
    steps: Iterator[int] = map(sub, rr, islice(rr, 1, None))
    return sum(map(abs, steps)) < STEADY_SHARE * sum(rr)


def entropy(rr: deque[int], fs: float) -> float:
    """Coefficient of sample entropy of the intervals (samples at fs Hz), nats; about 0 in fibrillation."""
    n = len(rr)
    first, second = _pairs(n - 1)
    intervals = np.array(rr, np.float64)
    apart: NDArray[np.float64] = np.abs(intervals[first] - intervals[second])
    apart_next = np.abs(intervals[1:][first] - intervals[1:][second])
    both = np.maximum(apart, apart_next)
    tolerance = max(TOLERANCE_S * fs, float(np.partition(both, n // 2 - 1)[n // 2 - 1]))
    n_both, n_one = np.count_nonzero(both <= tolerance), np.count_nonzero(apart <= tolerance)
    return log(n_one / n_both) + log(2.0 * tolerance * n / sum(rr))


@lru_cache(maxsize=KEPT)
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All pairs of different places below n."""
    first, second = np.triu_indices(n, 1)
    return first, second
