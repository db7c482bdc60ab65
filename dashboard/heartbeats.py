"""Heartbeats of services -> how each is and what it does, for the page that asks; no I/O.

Rates are those of the newest `SPAN_S` of one process: a restart begins them anew.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from dashboard.house import EXPECTED_SERVICES
from inference.alarms.person import printable
from ingest import topics

MAX_SERVICES = 64  # a stranger who invents services must not fill the memory
MAX_BEAT_BYTES = 65_536  # ingest's has 3 kB
MAX_COUNTERS = 64  # of a heartbeat; ingest has 30
SPAN_S = 15.0
MAX_WORDS = 200  # characters of a counter that is a text


@dataclass(frozen=True, slots=True)
class Beat:
    """The newest that a service said of itself; None is what it did not say."""

    received_us: int
    pid: int | None
    version: str | None
    started_us: int | None
    cpu_s: float | None
    memory_bytes: int | None
    counters: Mapping[str, float]
    words: Mapping[str, str]  # counters that are texts: the store's state, the model's version


@dataclass(slots=True)
class Service:
    """What is known of one service."""

    name: str
    beats: deque[Beat] = field(default_factory=deque)  # of one process, oldest first
    heard_us: int | None = None  # when its newest heartbeat came, or was said
    offline_us: int | None = None  # since when it is known to have left

    @property
    def newest(self) -> Beat | None:
        """The newest heartbeat."""
        return self.beats[-1] if self.beats else None

    def per_s(self, counter: str) -> float | None:
        """How fast a counter grows; None while that is not known."""
        return self._slope(lambda beat: beat.counters.get(counter))

    def cpu_share(self) -> float | None:
        """Of one core."""
        return self._slope(lambda beat: beat.cpu_s)

    def _slope(self, read: Any) -> float | None:
        if len(self.beats) < 2:
            return None
        first, last = self.beats[0], self.beats[-1]
        before, now = read(first), read(last)
        took_s = (last.received_us - first.received_us) / 1e6
        if before is None or now is None or took_s <= 0 or now < before:
            return None
        return float(now - before) / took_s


class _Said(msgspec.Struct, frozen=True):
    online: bool = False
    at_us: int = 0
    pid: int | None = None
    version: str | None = None
    started_us: int | None = None
    cpu_s: float | None = None
    memory_bytes: int | None = None
    counters: dict[str, Any] = {}


_decoder = msgspec.json.Decoder(_Said)


class Heartbeats:
    """Of every service that was heard, and of the broker what it tells of itself."""

    def __init__(self) -> None:
        self._services: dict[str, Service] = {}
        self.broker: dict[str, str] = {}  # by the name of the topic under $SYS/broker

    def push(self, topic: str, payload: bytes, received_us: int, *, retained: bool) -> bool:
        """Take a message if it is a heartbeat or the broker's, True for the latter, of no concern to others.

        Raises ValueError for what cannot be read.
        """
        if topic in topics.BROKER_FACTS:
            self.broker[topic] = printable(payload[:MAX_WORDS].decode(errors="replace"), MAX_WORDS)
        elif topic.startswith("wl/v1/service/"):
            self._take(topic.removeprefix("wl/v1/service/"), payload, received_us, retained=retained)
        return topic.startswith("$SYS/")

    def services(self) -> dict[str, Service]:
        """By name."""
        return dict(self._services)

    def _take(self, name: str, payload: bytes, received_us: int, *, retained: bool) -> None:
        if not topics.ID_PATTERN.fullmatch(name) or len(payload) > MAX_BEAT_BYTES:
            raise ValueError(f"no service is called {name[:80]!r}, or says {len(payload)} bytes of itself")
        said = _decoder.decode(payload) if payload else _Said()
        is_new = name not in self._services and name not in EXPECTED_SERVICES  # those always find room
        if is_new and len(self._services) >= MAX_SERVICES:
            raise ValueError(f"service {name} is one more than the {MAX_SERVICES} kept")
        service = self._services.setdefault(name, Service(name))
        if not said.online:
            service.offline_us = received_us if service.offline_us is None else service.offline_us
            return
        at_us = min(said.at_us, received_us) if retained else received_us
        service.heard_us, service.offline_us = at_us, None
        beat = _beat(said, at_us)
        if service.newest is not None and service.newest.pid != beat.pid:
            service.beats.clear()
        service.beats.append(beat)
        while service.beats[0].received_us < at_us - SPAN_S * 1e6:
            service.beats.popleft()


def _beat(said: _Said, at_us: int) -> Beat:
    counters: dict[str, float] = {}
    told = dict(islice(said.counters.items(), MAX_COUNTERS))
    for key, value in told.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            counters[key] = float(value)
        elif isinstance(value, dict):  # by state, reason and so on: their sum
            counters[key] = _total(value)
    words = {k: printable(v, MAX_WORDS) for k, v in told.items() if isinstance(v, str)}
    version = None if said.version is None else printable(said.version, MAX_WORDS)
    return Beat(at_us, said.pid, version, said.started_us, said.cpu_s, said.memory_bytes, counters, words)


def _total(value: Any) -> float:
    if isinstance(value, dict):
        return sum(_total(each) for each in value.values())
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else 0.0
