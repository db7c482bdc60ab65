"""When whose vitals are told: everybody once a second, some at a time, as reading must not wait for all.

A thousand devices take 60 ms, in which nothing is read; a quarter of them 15 ms.
"""

from collections.abc import Callable, Iterable, Sequence


class Rounds:
    """Begins a round each `every_s`, and deals it out in shares of at most `at_once`.

    A round that lasts longer is finished before the next begins: nobody is left out or told twice.
    """

    def __init__(self, every_s: float, at_once: int) -> None:
        self._every_s = every_s
        self._at_once = at_once
        self._next_at_s = 0.0
        self._left: list[str] = []

    @property
    def is_going_on(self) -> bool:
        """True while some of the present round are left."""
        return bool(self._left)

    def begins(self, now_s: float, everybody: Callable[[], Iterable[str]]) -> bool:
        """True when a round begins at `now_s` (monotonic), with whom `everybody` tells then."""
        if self._left or now_s < self._next_at_s:
            return False
        self._next_at_s = now_s + self._every_s
        self._left = list(everybody())
        return True

    def share(self) -> Sequence[str]:
        """The next of this round; empty when all had their turn."""
        share, self._left = self._left[: self._at_once], self._left[self._at_once :]
        return share
