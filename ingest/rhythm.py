"""RR intervals of one session -> what they tell about its rhythm: ectopy, variability, irregularity.

Each interval waits 3 s before it counts, because noise is told up to 3 s late, and for the interval behind
it, whose length may show that its beat came early.
"""

from collections import deque
from typing import NamedTuple

import msgspec

from ingest.ectopy import EctopyDetector
from ingest.irregularity import FORGOTTEN_S, Irregularity
from ingest.variability import Variability

NOISE_SPAN_S = 3.0  # beats this far before a bad verdict were inside the stretch that it judged
MINUTE_S = 60.0
COVERED_S = 45.0  # of the minute; a count over less says little about a minute


class RhythmNumbers(NamedTuple):
    """The fields of `Vitals` of these names; None is unknown."""

    rmssd_ms: float | None = None
    sdnn_ms: float | None = None
    ectopic_per_min: int | None = None  # of the minute that ended 3 s ago
    newest_is_ectopic: bool | None = None
    irregular: bool | None = None
    irregular_for_s: float | None = None


UNKNOWN_RHYTHM = RhythmNumbers()


class _Interval(msgspec.Struct, gc=False):
    end_sample: int
    rr: int
    follows: bool  # on the interval before, without a hole
    is_known: bool  # what is usual was known when it came
    is_ectopic: bool  # the beat at its end
    is_long: bool


class RhythmFollower:
    """Follow the intervals of one session; intervals and places are samples at fs Hz."""

    def __init__(self, fs: float) -> None:
        self._settled, self._minute, self._covered = (
            round(each * fs) for each in (NOISE_SPAN_S, MINUTE_S, COVERED_S)
        )
        self._forgotten = FORGOTTEN_S * fs
        self._ectopy = EctopyDetector()
        self._variability = Variability(fs)
        self._irregularity = Irregularity(fs)
        self._pending: deque[_Interval] = deque()
        self._of_minute: deque[_Interval] = deque()
        self._minute_sum = self._n_ectopic = 0
        self._before: _Interval | None = None  # the newest that counted
        self._was_normal = False  # and whether it was normal to normal
        self._newest: _Interval | None = None

    def push(self, end_sample: int, rr: int) -> None:
        """Take the next interval; `end_sample` is the place of its R peak."""
        newest = self._newest
        follows = newest is not None and newest.end_sample == end_sample - rr
        if not follows:
            self._ectopy.gap()
            if newest is not None and end_sample - newest.end_sample > self._forgotten:
                self._ectopy.forget()
        is_early, was_early = self._ectopy.push(rr)
        if was_early and newest is not None:
            newest.is_ectopic = True
        is_known, is_long = self._ectopy.usual is not None, self._ectopy.is_long(rr)
        self._newest = _Interval(end_sample, rr, follows, is_known, is_early, is_long)
        self._pending.append(self._newest)

    def forget_after(self, sample: int) -> None:
        """Intervals that end beyond were measured in noise."""
        while self._pending and self._pending[-1].end_sample > sample:
            self._pending.pop()
            self._newest = None

    def snapshot(self, end_sample: int) -> RhythmNumbers:
        """What is known where the samples end at `end_sample`."""
        pending, until = self._pending, end_sample - self._settled
        while len(pending) > 1 and pending[0].end_sample <= until:  # nothing will change it any more
            self._count(pending.popleft())
        irregular, irregular_for_s = self._irregularity.snapshot(end_sample)
        rmssd_ms, sdnn_ms = self._variability.snapshot(end_sample) or (None, None)
        if irregular:  # without a basic rhythm no beat comes early
            return RhythmNumbers(rmssd_ms, sdnn_ms, None, None, irregular, irregular_for_s)
        newest, ectopic_per_min = self._newest, self._ectopic_per_min(end_sample)
        newest_is_ectopic = newest.is_ectopic if newest is not None and newest.is_known else None
        return RhythmNumbers(
            rmssd_ms, sdnn_ms, ectopic_per_min, newest_is_ectopic, irregular, irregular_for_s
        )

    def _count(self, each: _Interval) -> None:
        before = self._before if each.follows else None
        has_early_beat = each.is_ectopic or (before is not None and before.is_ectopic)
        if self._irregularity.push(each.end_sample, each.rr, is_normal=not has_early_beat):
            self._variability.clear()
        is_normal = False
        # Without one before nobody knows whether this is the pause behind an early beat.
        if before is not None and each.is_known and not (has_early_beat or each.is_long):
            is_normal = not self._irregularity.is_irregular
            if is_normal:
                self._variability.push(each.end_sample, each.rr, before.rr if self._was_normal else None)
        if each.is_known:
            self._of_minute.append(each)
            self._minute_sum += each.rr
            self._n_ectopic += each.is_ectopic
        self._before, self._was_normal = each, is_normal

    def _ectopic_per_min(self, end_sample: int) -> int | None:
        held, oldest = self._of_minute, end_sample - self._settled - self._minute
        while held and held[0].end_sample <= oldest:
            gone = held.popleft()
            self._minute_sum -= gone.rr
            self._n_ectopic -= gone.is_ectopic
        return None if self._minute_sum < self._covered else self._n_ectopic
