"""RR intervals -> which beats came too early, by timing alone.

A beat is premature when its RR interval is more than 20 % shorter than the local one (the limit of Malik et
al., Eur Heart J 10:1060, 1989, for intervals that are left out of heart rate variability), or more than 10 %
shorter and followed by a pause longer than the local interval. We differ in what is local: the median of the
last eight means of two neighbouring intervals. A premature beat and its compensatory pause make up two normal
intervals, so that bigeminy, where no interval is normal, has a basic rhythm too.

Shape is not looked at: an ectopic beat in time (fusion, escape, a run at its own steady rate) is not told,
and an early beat of the sinus node is.
"""

from array import array

from ingest.median import median_of

KEPT = 8  # means of two intervals
FEWEST = 4  # fewer say nothing about what is usual
EARLY_SHARE = 0.8
EARLY_WITH_PAUSE_SHARE = 0.9
PAUSE_SHARE = 1.05
LONG_SHARE = 1.5  # of the local interval: a beat was missed, or the heart paused


class EctopyDetector:
    """Tell premature beats; intervals are samples, or any other unit of time."""

    def __init__(self) -> None:
        self._means = array("d")  # numbers side by side: a deque's lie all over a fleet's memory
        self._before: int | None = None  # the interval before
        self._usual_before: float | None = None  # what was usual when it came
        self.usual: float | None = None  # the local interval when the newest came; None until it is known

    def push(self, rr: int) -> tuple[bool, bool]:
        """Take the next interval; whether the beat at its end, and the one at its beginning, came early.

        The second may be true where the answer to the interval before was false: its pause shows it.
        """
        before, usual_before, means = self._before, self._usual_before, self._means
        self.usual = usual = median_of(means) if len(means) >= FEWEST else None
        is_early = usual is not None and rr < EARLY_SHARE * usual
        was_early = (
            before is not None
            and usual_before is not None
            and before < EARLY_WITH_PAUSE_SHARE * usual_before
            and (before < EARLY_SHARE * usual_before or rr > PAUSE_SHARE * usual_before)
        )
        if before is not None:
            means.append((before + rr) / 2)
            if len(means) > KEPT:
                del means[0]
        self._before, self._usual_before = rr, usual
        return is_early, was_early

    def is_long(self, rr: int) -> bool:
        """True for an interval, the newest, in which a beat seems to be missing."""
        return self.usual is not None and rr > LONG_SHARE * self.usual

    def gap(self) -> None:
        """The next interval does not follow the newest one."""
        self._before = self._usual_before = None

    def forget(self) -> None:
        """What was usual is too long ago."""
        self.gap()
        del self._means[:]
        self.usual = None
