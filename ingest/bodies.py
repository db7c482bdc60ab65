"""Messages that hold much (exports of up to 64 MB) -> taken one part a turn, so that all others go on."""

from collections import deque
from collections.abc import Callable, Iterator

from ingest.link import Message

WAITING_BYTES = 128 << 20  # two of the largest; more are left to the broker

Parts = Callable[[Message], Iterator[None]]  # each step takes one part into the batch


class Bodies:
    """A queue of large messages. One part of 512 Hz x 30 s takes 4 ms, cutting 42 MB into parts 24 ms."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._waiting: deque[tuple[Message, Iterator[None]]] = deque()
        self._n_bytes = 0
        self._n_left = 0

    def __len__(self) -> int:
        """Messages that are not wholly taken, or were left to the broker."""
        return len(self._waiting) + self._n_left

    @property
    def is_waiting(self) -> bool:
        """True when `step` has something to do."""
        return bool(self._waiting)

    def add(self, message: Message) -> None:
        """Queue a message; with too many bytes waiting it is left to the broker."""
        if self._waiting and self._n_bytes + len(message.payload) > WAITING_BYTES:
            self._n_left += 1
            return
        self._n_bytes += len(message.payload)
        self._waiting.append((message, self._parts(message)))

    def step(self) -> Message | None:
        """Take one part of the oldest; return its message when that was the last."""
        message, parts = self._waiting[0]
        for _ in parts:
            return None
        self._waiting.popleft()
        self._n_bytes -= len(message.payload)
        return message

    def must_fetch(self) -> bool:
        """True once, when all are taken and some were left: the broker sends those again at a reconnect."""
        if self._waiting or not self._n_left:
            return False
        self._n_left = 0
        return True
