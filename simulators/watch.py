"""One watch of a large fleet: the time -> PUBLISH packets of one ring of ECG, kept until acknowledged.

What a watch keeps of a chunk is its number: samples, place and time follow from it, so that ten minutes
without a broker cost 600 numbers a watch instead of 600 kB.
"""

import struct
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from selectors import BaseSelector

import msgspec
import numpy as np
from numpy.random import Generator

from ingest.chunk import Lead
from ingest.publisher import Address, Publisher, publish_head, publish_packet
from ingest.topics import device_topic
from ingest.wire import HEADER, MAGIC, VERSION, Encoding
from simulators.faults import FaultPlan, FaultyPath, Kind, Outgoing
from simulators.rings import FS, EcgRing

MAX_INFLIGHT = 20  # sent and not yet acknowledged
OUTBOX_LENGTH = 2_400  # 40 minutes of 1-s chunks; then the oldest go, counted as overflowed
AGAIN_S = (
    4.0  # a broker that is killed has not saved what came in its last 2 s (ingest/broker.py); twice that
)
SILENT_S = 10.0  # a broker that acknowledges nothing for this long has gone away without a word
NV_PER_UNIT = 1000  # 1 uV
OFFLINE = b'{"online":false}'
ONLINE = b'{"online":true,"battery":81}'
_MESSAGE_ID = struct.Struct("!H")


@dataclass(slots=True)
class Kept:
    """A chunk that is not acknowledged yet."""

    number: int
    kind: Kind
    sent_us: int = 0  # when it was first sent; 0 before
    acked_s: float = 0.0  # when it was last acknowledged, monotonic; 0 before


@dataclass(frozen=True, slots=True)
class Shape:
    """What all watches of a fleet have in common."""

    chunk_s: float
    faults: FaultPlan
    to_wall_s: float  # what turns monotonic seconds into Unix seconds


class Watch:
    """Makes a chunk each `chunk_s` from `start_s` on (monotonic), and sends what is not acknowledged.

    After a lost connection it also sends again what was acknowledged in the last seconds before: a broker
    that dies together with its reader forgets that. Ingest drops what it has already.

    `acknowledged(line)` gets the published log's line for each acknowledged chunk. `counters` gains
    published, acknowledged, duplicated, resent, dropped, overflowed and reconnects.
    """

    def __init__(  # noqa: PLR0913 - each is one independent fact of the watch
        self,
        device: str,
        *,
        session: int,
        ring: EcgRing,
        offset: int,
        start_s: float,
        shape: Shape,
        rng: Generator,
    ) -> None:
        self.device = device  # "site/device"
        self.start_s = start_s
        self._session = session
        self._ring = ring
        self._offset = offset
        self._shape = shape
        self._path = FaultyPath(shape.faults, rng) if _has_path(shape.faults) else None
        self._lead = Lead.UNKNOWN if shape.faults.untold else Lead.I
        self._n_made = 0
        self._outbox: deque[Kept] = deque()
        self._inflight: dict[int, Kept] = {}  # by message id, in the order of sending
        self._acked: deque[Kept] = deque()  # in the last AGAIN_S
        self._inflight_s = 0.0  # when the oldest of them was sent, at the latest; monotonic
        self._message_id = 0
        self._topic = device_topic(device, "chunk")
        self._heads: dict[tuple[int, bool], bytes] = {}
        self._was_up = False

    def connect(
        self,
        address: Address,
        selector: BaseSelector,
        spread: float,
        counters: Counter[str],
        acknowledged: Callable[[str], None],
    ) -> None:
        """Give the watch its connection; `step` opens it."""
        self._counters = counters
        self._log = acknowledged
        self._publisher = Publisher(
            address,
            f"wristlead-{self.device.replace('/', '-')}",
            selector,
            will=(device_topic(self.device, "status"), OFFLINE),
            welcomed=self._on_welcome,
            acknowledged=self._on_acknowledged,
            lost=self._on_lost,
            spread=spread,
        )

    @property
    def is_up(self) -> bool:
        """True while the broker listens."""
        return self._publisher.is_up

    @property
    def refusal(self) -> int | None:
        """The code with which the broker refused the connection; None when it did not."""
        return self._publisher.refusal

    @property
    def waiting(self) -> int:
        """Chunks made and not acknowledged."""
        return len(self._outbox) + len(self._inflight)

    def step(self, now_s: float) -> None:
        """Make what is due by `now_s` and send what may be sent."""
        while self.start_s + (self._n_made + 1) * self._shape.chunk_s <= now_s:
            self._make()
        spell = self._shape.faults.disconnect
        if spell is not None and spell.is_on(now_s - self.start_s):
            self._publisher.break_off(now_s)
            return
        if self._inflight and now_s - max(self._inflight_s, self._publisher.heard_s) > SILENT_S:
            self._publisher.break_off(now_s)
        self._publisher.tend(now_s)
        self._drain(now_s)

    def tend(self, now_s: float) -> None:
        """The same without new chunks, at the end of a run."""
        self._publisher.tend(now_s)
        self._drain(now_s)

    def close(self) -> None:
        """Retain `online: false` and say goodbye."""
        topic = device_topic(self.device, "status")
        self._publisher.close(publish_packet(topic, OFFLINE, self._next_id(), retain=True))

    def payload(self, number: int) -> bytes:
        """The bytes of one chunk, wire v1."""
        first, n_samples = self._place(number)
        shape, faults = self._shape, self._shape.faults
        at_us = round((self.start_s + shape.to_wall_s + first / FS - faults.clock) * 1e6)
        header = HEADER.pack(
            MAGIC, VERSION, 0, Encoding.INT16, 1, self._lead, 0, self._session, number & 0xFFFFFFFF, first,
            at_us, round(first / FS * 1e9), round(FS * 1000), n_samples, NV_PER_UNIT,
        )  # fmt: skip
        samples = self._ring.samples(first + self._offset, n_samples)
        if faults.inverted:
            samples = (-np.frombuffer(samples, "<i2")).tobytes()
        return header + samples

    def _place(self, number: int) -> tuple[int, int]:
        """First sample and number of samples."""
        first = round(number * self._shape.chunk_s * FS)
        return first, round((number + 1) * self._shape.chunk_s * FS) - first

    def _make(self) -> None:
        number = self._n_made
        self._n_made += 1
        if self._path is None:
            self._outbox.append(Kept(number, Kind.CHUNK))
        else:
            dropped = self._path.dropped
            made = self._path.push(Outgoing("", b"", kind=Kind.CHUNK, first_sample=number))
            self._counters["dropped"] += self._path.dropped - dropped
            self._outbox.extend(Kept(each.first_sample, each.kind) for each in made)
        while len(self._outbox) > OUTBOX_LENGTH:
            self._outbox.popleft()
            self._counters["overflowed"] += 1

    def _drain(self, now_s: float) -> None:
        while self._outbox and len(self._inflight) < MAX_INFLIGHT and self._publisher.is_up:
            kept = self._outbox.popleft()
            is_repeated = kept.sent_us > 0
            if is_repeated:
                self._counters["resent"] += 1
            else:
                kept.sent_us = round((now_s + self._shape.to_wall_s) * 1e6)
                self._counters["published" if kept.kind is Kind.CHUNK else "duplicated"] += 1
            message_id = self._next_id()
            if not self._inflight:
                self._inflight_s = now_s
            self._inflight[message_id] = kept
            payload = self.payload(kept.number)
            head = self._head(len(payload), is_repeated=is_repeated)
            self._publisher.write(head + _MESSAGE_ID.pack(message_id) + payload)

    def _head(self, n_payload: int, *, is_repeated: bool) -> bytes:
        found = self._heads.get((n_payload, is_repeated))
        if found is None:
            found = publish_head(self._topic, n_payload, repeated=is_repeated)
            self._heads[n_payload, is_repeated] = found
        return found

    def _next_id(self) -> int:
        """Ids go round; with 20 in flight none is used twice."""
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def _on_welcome(self) -> None:
        self._counters["reconnects"] += self._was_up
        self._was_up = True
        meta = {
            "model": "Wristlead fleet",
            "lead": None if self._lead is Lead.UNKNOWN else self._lead.name,
            "unit": "uV",
            "fs": FS,
            "firmware": "1.0",
            "time_zone": "UTC",
            "source": "replay",
            "recording": self._ring.name,
        }
        for kind, payload in (("meta", msgspec.json.encode(meta)), ("status", ONLINE)):
            topic = device_topic(self.device, kind)
            self._publisher.write(publish_packet(topic, payload, self._next_id(), retain=True))

    def _on_acknowledged(self, message_id: int) -> None:
        kept = self._inflight.pop(message_id, None)
        if kept is None:
            return  # meta or status
        now_s = self._publisher.heard_s
        self._inflight_s = now_s
        is_first = kept.acked_s == 0.0
        kept.acked_s = now_s
        if kept.kind is Kind.CHUNK:
            self._acked.append(kept)
        while self._acked and self._acked[0].acked_s < now_s - AGAIN_S:
            self._acked.popleft()
        if is_first:
            self._note_acknowledged(kept, now_s)
        if self._outbox:
            self._drain(now_s)

    def _note_acknowledged(self, kept: Kept, now_s: float) -> None:
        first, n_samples = self._place(kept.number)
        if kept.kind is Kind.CHUNK:
            self._counters["acknowledged"] += 1
        self._log(
            f"{self.device},{self._session},{first},{n_samples},{kept.sent_us},"
            f"{round((now_s + self._shape.to_wall_s) * 1e6)},{kept.kind}\n"
        )

    def _on_lost(self) -> None:
        """What the broker may not have, or may forget, is sent again, in order, before what came since."""
        since_s = self._publisher.heard_s - AGAIN_S
        again = [kept for kept in self._acked if kept.acked_s >= since_s]
        again.extend(self._inflight.values())
        self._outbox.extendleft(sorted(again, key=lambda kept: kept.number, reverse=True))
        self._acked.clear()
        self._inflight.clear()


def _has_path(faults: FaultPlan) -> bool:
    return faults.drop > 0 or faults.duplicate > 0 or faults.reorder > 0
