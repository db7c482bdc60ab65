"""Letters out, outcomes back, each attempt in a thread of its own: a channel that hangs holds up no other.

Threads are daemons, because those of the standard pools are waited for at the end of the process, and an
attempt that hangs would hold that up.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from inference.notify.delivery import Deliver
from inference.notify.texts import Letter

DEADLINE_S = 20.0  # of one attempt; apprise waits 4 s for a server and 4 s for its answer, 15 s for e-mail
MAX_HANGING = 3  # attempts on one channel that were given up and still hang; then no more are begun

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivered:
    """How an attempt ended; `number` as it was given, `reason` None when it was taken."""

    channel: str
    number: int
    reason: str | None


@dataclass(slots=True)
class _Attempt:
    channel: str
    number: int
    ends_s: float  # monotonic
    is_given_up: bool = False


class Couriers:
    """All attempts on their way; `send` and `collect` are called by one thread and never wait."""

    def __init__(
        self,
        delivers: Mapping[str, Deliver],
        *,
        deadline_s: float = DEADLINE_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._delivers = delivers
        self._deadline_s = deadline_s
        self._monotonic_s = monotonic_s
        self._attempts: list[_Attempt] = []
        self._ended: SimpleQueue[tuple[_Attempt, str | None]] = SimpleQueue()

    @property
    def n_hanging(self) -> int:
        """Attempts that were given up and have not returned."""
        return sum(each.is_given_up for each in self._attempts)

    def send(self, channel: str, number: int, letter: Letter) -> None:
        """Begin an attempt; its outcome comes with `collect`."""
        attempt = _Attempt(channel, number, self._monotonic_s() + self._deadline_s)
        hanging = sum(each.is_given_up and each.channel == channel for each in self._attempts)
        self._attempts.append(attempt)
        if hanging >= MAX_HANGING:
            self._ended.put((attempt, f"{hanging} attempts before this one still hang"))
            return
        deliver = self._delivers[channel]

        def carry() -> None:
            try:
                reason = deliver(letter)
            except Exception as error:
                logger.exception("sending on %s failed", channel)
                reason = f"sending failed: {type(error).__name__}"
            self._ended.put((attempt, reason))

        threading.Thread(target=carry, name=f"notify-{channel}", daemon=True).start()

    def collect(self) -> list[Delivered]:
        """Outcomes since the last call: of what ended, and of what took too long."""
        outcomes = []
        while True:
            try:
                attempt, reason = self._ended.get_nowait()
            except Empty:
                break
            self._attempts.remove(attempt)
            if not attempt.is_given_up:
                outcomes.append(Delivered(attempt.channel, attempt.number, reason))
        now_s = self._monotonic_s()
        for attempt in self._attempts:
            if not attempt.is_given_up and now_s >= attempt.ends_s:
                attempt.is_given_up = True
                reason = f"it did not answer within {self._deadline_s:g} s"
                outcomes.append(Delivered(attempt.channel, attempt.number, reason))
        return outcomes
