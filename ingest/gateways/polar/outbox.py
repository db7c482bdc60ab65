"""Which chunks of the buffer are to be sent now, and how: what is new live, what waited as backfill.

Live chunks go first. What was made while no broker answered follows beside them in order, oldest first, as
backfill: it never passes for the present. A chunk is forgotten some seconds after its acknowledgement; if the
connection is lost before, it is sent again (docs/wire.md: a broker that dies forgets what came last).
"""

from collections import deque
from dataclasses import dataclass

from ingest.gateways.polar.buffer import Buffer, Kept

MAX_INFLIGHT = 20  # sent and not yet acknowledged
LIVE_WITHIN_S = 3.0  # what is younger when the broker is back is still the present
AGAIN_S = 4.0  # docs/wire.md


@dataclass(frozen=True, slots=True)
class Send:
    """One chunk to be published under this message id."""

    message_id: int
    payload: bytes
    is_late: bool


class Outbox:
    """What goes to the broker; `buffer` is written by its owner. Times are Unix microseconds."""

    def __init__(self, buffer: Buffer) -> None:
        self.acknowledged = 0
        self._buffer = buffer
        self._live: deque[Kept] = deque()
        self._inflight: dict[int, int] = {}  # message id: chunk id
        self._acked: deque[tuple[int, int]] = deque()  # (when, chunk id), to be forgotten
        self._is_up = False
        self._late_after_id = 0  # chunks up to here were sent on this connection
        self._late_end_id = 0  # chunks from here on are live
        self._next_message_id = 1

    @property
    def waiting(self) -> int:
        """Chunks that are in the buffer and not acknowledged on this connection, or nearly."""
        return max(0, self._buffer.n_chunks - len(self._acked))

    @property
    def is_done(self) -> bool:
        """True when everything was acknowledged."""
        return not self._inflight and not self._live and self._late_after_id >= self._late_end_id - 1

    def add(self, kept: Kept) -> None:
        """A chunk was made."""
        if self._is_up:
            self._live.append(kept)

    def connected(self, now_us: int) -> None:
        """The broker answers: everything in the buffer is to be sent. Raises StorageError."""
        self._is_up = True
        self._late_after_id = 0
        live_id = self._buffer.made_since(now_us - round(LIVE_WITHIN_S * 1e6))
        self._late_end_id = max(live_id, self._buffer.next_id - MAX_INFLIGHT)  # clocks are set back, too
        self._live.extend(self._buffer.after(self._late_end_id - 1, self._buffer.next_id, MAX_INFLIGHT))

    def lost(self) -> None:
        """The connection is gone: what is not yet forgotten will be sent again."""
        self._is_up = False
        self._live.clear()
        self._inflight.clear()
        self._acked.clear()

    def take(self) -> list[Send]:
        """What may be sent now. Raises StorageError."""
        if not self._is_up:
            return []
        sends = []
        while self._live and len(self._inflight) < MAX_INFLIGHT:
            sends.append(self._send(self._live.popleft(), is_late=False))
        room = MAX_INFLIGHT - len(self._inflight)
        if room and self._late_after_id < self._late_end_id - 1:
            late = self._buffer.after(self._late_after_id, self._late_end_id, room)
            sends += [self._send(each, is_late=True) for each in late]
            self._late_after_id = late[-1].id if len(late) == room else self._late_end_id - 1
        return sends

    def acknowledge(self, message_id: int, now_us: int) -> None:
        """The broker has this message."""
        chunk_id = self._inflight.pop(message_id, None)
        if chunk_id is not None:
            self.acknowledged += 1
            self._acked.append((now_us, chunk_id))

    def forget_old(self, now_us: int) -> None:
        """Let go of what was acknowledged some seconds ago. Raises StorageError."""
        old = []
        while self._acked and self._acked[0][0] <= now_us - round(AGAIN_S * 1e6):
            old.append(self._acked.popleft()[1])
        self._buffer.forget(old)

    def forget_acknowledged(self) -> None:
        """The end: the broker was up to the last, so what it acknowledged is safe. Raises StorageError."""
        self._buffer.forget([chunk_id for _, chunk_id in self._acked])
        self._acked.clear()

    def _send(self, kept: Kept, *, is_late: bool) -> Send:
        message_id = self._next_message_id
        self._next_message_id = message_id % 0x7FFF + 1  # the upper half is for what is no chunk
        self._inflight[message_id] = kept.id
        return Send(message_id, kept.payload, is_late)
