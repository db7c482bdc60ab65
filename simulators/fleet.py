"""Devices -> real MQTT: every device of one process, each with its own connection, in one loop."""

import heapq
import logging
import os
import selectors
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ingest.metrics import Observe
from ingest.topics import service_topic
from simulators.connection import Connection
from simulators.device import CHUNK_S, Device
from simulators.faults import Kind, Outgoing

START_WITHIN_S = 10.0  # for the broker's first answer
FAREWELL_S = 5.0  # for the last acknowledgements
HEARTBEAT_S = 1.0  # the dashboard must name a missing service within 3 s
LOG_HEADER = b"device,session,first_sample,n_samples,published_us,acked_us,kind\n"

logger = logging.getLogger(__name__)


class FleetError(RuntimeError):
    """The fleet cannot start; the message says why and what to do."""


class PublishedLog:
    """Acknowledged chunks as CSV lines, written through at once so that they survive a kill -9."""

    def __init__(self, path: Path | None) -> None:
        self._file: BinaryIO | None = None
        if path is None:
            return
        try:
            self._file = path.open("a+b", buffering=0)
            if self._drop_torn_line(self._file) == 0:
                self._file.write(LOG_HEADER)
        except OSError as error:
            raise FleetError(f"cannot write the published log {path}: {error.strerror}") from None

    def append(self, message: Outgoing, sent_us: int, acknowledged_us: int) -> None:
        """One line for a chunk, a duplicate or a corrupt one; nothing for notices."""
        if message.kind is not Kind.NOTICE:
            self.append_lines(
                f"{message.device},{message.session},{message.first_sample},{message.n_samples},"
                f"{sent_us},{acknowledged_us},{message.kind}\n"
            )

    def append_lines(self, lines: str) -> None:
        """Whole lines, in one write."""
        if self._file is None or not lines:
            return
        try:
            self._file.write(lines.encode())
        except OSError as error:
            raise FleetError(
                f"cannot write the published log {self._file.name}: {error.strerror}; "
                "free some space there, or do without --published-log"
            ) from None

    @staticmethod
    def _drop_torn_line(file: BinaryIO) -> int:
        """Cut off what a kill or a full disk left unfinished; return the size left."""
        file.seek(0)
        return file.truncate(file.read().rfind(b"\n") + 1)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class Fleet:
    """All devices of a process. With `service` a retained presence with counters is published each second."""

    def __init__(
        self,
        address: tuple[str, int],
        devices: Sequence[Device],
        *,
        service: str | None = None,
        published_log: Path | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.on_beat: Observe | None = None  # is told each second how it goes, connected or not
        self._address = address
        self._devices = list(devices)
        self._log = PublishedLog(published_log)
        self._selector = selectors.DefaultSelector()
        self._offset_s = time.time() - time.monotonic()  # the devices' clocks never jump
        self._started_us = self._wall_us()
        self._connections = [
            self._connect(_client_id(device.device), device.will, device.greeting, self.counters)
            for device in self._devices
        ]
        self._service = service
        self._heart: Connection | None = None
        if service is not None:
            self._heart = self._connect(_client_id(service), _absence(service), list, Counter())

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Drive all devices until `should_stop`, then send what is left and say goodbye.

        Raises FleetError when no broker answers within 10 s of the start; later it is looked for for ever.
        """
        try:
            self._await_broker(should_stop)
            if not should_stop():
                self._drive(should_stop)
                self._end()
        finally:
            for connection in self._connections + ([self._heart] if self._heart else []):
                connection.close()
            self._log.close()
            self._selector.close()

    def snapshot(self) -> dict[str, int]:
        """The counters: messages published, acknowledged, dropped ..., and what waits."""
        return dict(self.counters) | {
            "devices": len(self._devices),
            "connected": sum(connection.is_connected for connection in self._connections),
            "dropped": sum(device.dropped for device in self._devices),
            "waiting": sum(connection.waiting for connection in self._connections),
        }

    def _connect(
        self,
        client_id: str,
        will: Outgoing,
        greeting: Callable[[], Sequence[Outgoing]],
        counters: Counter[str],
    ) -> Connection:
        return Connection(
            self._address,
            client_id,
            self._selector,
            will=will,
            greeting=greeting,
            acknowledged=self._on_acknowledged,
            wall_us=self._wall_us,
            counters=counters,
        )

    def _await_broker(self, should_stop: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + START_WITHIN_S
        first = self._connections[0]
        while not first.was_connected and not should_stop():
            if time.monotonic() > deadline_s:
                host, port = self._address
                raise FleetError(f"no MQTT broker answers at {host}:{port}: start one there, or set --broker")
            first.tend(time.monotonic())
            self._select(0.05)

    def _drive(self, should_stop: Callable[[], bool]) -> None:
        """Step each device every 250 ms, the devices spread evenly over that time."""
        now_s = time.monotonic()
        due = [(now_s + CHUNK_S * at / len(self._devices), at) for at in range(len(self._devices))]
        beat_at_s = now_s
        while not should_stop():
            while due[0][0] <= time.monotonic():
                due_s, at = due[0]
                self._turn(at)
                heapq.heapreplace(due, (max(due_s + CHUNK_S, time.monotonic()), at))
            if time.monotonic() >= beat_at_s:
                beat_at_s = time.monotonic() + HEARTBEAT_S
                self._beat()
            self._select(due[0][0] - time.monotonic())

    def _turn(self, at: int) -> None:
        device, connection = self._devices[at], self._connections[at]
        now_s = time.monotonic()
        messages = device.step(now_s + self._offset_s)
        if device.is_out_of_reach(now_s + self._offset_s):
            connection.break_off()
        else:
            connection.tend(now_s)
        connection.send(messages)

    def _end(self) -> None:
        """Send what is left, retain `online: false`, wait a little for the acknowledgements."""
        for device, connection in zip(self._devices, self._connections, strict=True):
            connection.send([*device.flush(), device.will])
        deadline_s = time.monotonic() + FAREWELL_S
        while self.snapshot()["waiting"] and time.monotonic() < deadline_s:
            for connection in self._connections:
                connection.tend(time.monotonic())
            self._select(0.02)
        left = self.snapshot()["waiting"]
        if left:
            logger.warning("%s messages were not acknowledged before the end", left)
        if self._heart is not None and self._service is not None:
            self._beat()
            self._heart.send([_absence(self._service)])
            while self._heart.waiting and time.monotonic() < deadline_s + 1.0:
                self._select(0.02)

    def _beat(self) -> None:
        if self.on_beat is not None:
            self.on_beat(observed(self.snapshot()))
        if self._heart is None or self._service is None:
            return
        self._heart.tend(time.monotonic())
        if self._heart.is_connected and self._heart.waiting == 0:  # an old heartbeat is worth nothing
            self._heart.send([_presence(self._service, self._started_us, self._wall_us(), self.snapshot())])

    def _select(self, timeout_s: float) -> None:
        if not self._selector.get_map():
            time.sleep(max(0.0, timeout_s))
            return
        for key, events in self._selector.select(max(0.0, timeout_s)):
            key.data.ready(events)

    def _on_acknowledged(self, message: Outgoing, sent_us: int) -> None:
        self._log.append(message, sent_us, self._wall_us())

    def _wall_us(self) -> int:
        return round((time.monotonic() + self._offset_s) * 1e6)


def observed(counters: Mapping[str, float]) -> dict[str, Any]:
    """A heartbeat for metrics. Connected means that a device is: some stay away on purpose."""
    is_connected = counters["connected"] > 0
    return {"connected": is_connected, "subscribed": is_connected, "counters": counters}


def _client_id(name: str) -> str:
    return f"wristlead-{name.replace('/', '-')}"


def _presence(service: str, started_us: int, at_us: int, counters: dict[str, int]) -> Outgoing:
    payload = {
        "online": True,
        "pid": os.getpid(),
        "started_us": started_us,
        "at_us": at_us,
        "counters": counters,
    }
    return Outgoing(service_topic(service), msgspec.json.encode(payload), retain=True)


def _absence(service: str) -> Outgoing:
    return Outgoing(service_topic(service), b'{"online":false}', retain=True)
