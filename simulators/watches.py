"""A fleet of watches for one machine: thousands of MQTT connections of real-looking ECG in one cheap loop.

Unlike `simulators.fleet` (the demo's devices, each with its own patient) all watches share some sixty rings
of prepared samples, and each starts at its own place of its ring. Their chunks are spread evenly over time.
"""

import logging
import math
import os
import resource
import secrets
import selectors
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ingest.metrics import Observe
from ingest.publisher import Address, Publisher, publish_packet
from ingest.topics import ID_PATTERN, service_topic
from simulators.faults import NO_FAULTS, FaultPlan
from simulators.fleet import FleetError, PublishedLog, observed
from simulators.rings import allot
from simulators.watch import OFFLINE, Shape, Watch

MAX_WATCHES = 20_000  # connections from one address; a port each
STARTS_PER_S = 500  # a broker's queue of connections not yet accepted holds about 100
START_WITHIN_S = 10.0  # for the broker's first answer
FAREWELL_S = 5.0  # for the last acknowledgements; a supervisor kills after 8 s
LOG_EVERY_S = 1.0
READ_EVERY_S = 0.02  # acknowledgements are read together; one by one they wake the loop twice a message
TURN_S = 0.004  # shortest sleep: a change of context for each chunk would cost a third more
OTHER_FILES = 64
GOLDEN = 0.618033988749895  # multiples of it, modulo 1, are spread evenly
CHUNK_MS_RANGE = (50, 2000)  # shorter is no watch; longer would need keepalive pings
SERVICE = "simulators"
UNSUPPORTED = ("corrupt", "lead_off")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """How many watches, and what they do."""

    n_watches: int
    site: str = "fleet"  # the first id in their topics
    chunk_ms: int = 1000
    faults: FaultPlan = NO_FAULTS
    spread_s: float = 10.0  # over which they start: windows of 10 s then close evenly, as strangers' do


class WatchFleet:
    """All watches of a process, and a retained presence with counters each second.

    The published log is written once a second: a kill -9 of this process loses at most a second of lines, and
    never leaves a line for what was not acknowledged.

    Raises FleetError for what cannot be had.
    """

    def __init__(
        self,
        address: tuple[str, int],
        plan: FleetPlan,
        published_log: Path | None = None,
    ) -> None:
        _check(plan)
        _allow_files(plan.n_watches + OTHER_FILES)
        self.counters: Counter[str] = Counter()
        self.on_beat: Observe | None = None  # is told each second how it goes, connected or not
        self._host = address
        self._address = _address_of(address)
        self._selector = selectors.DefaultSelector()
        self._log = PublishedLog(published_log)
        self._lines: list[str] = []
        self._latest_s = 0.0  # the worst lateness of a turn
        self._ready_cpu_s = 0.0  # CPU until the first chunk: imports and rings
        self._chunk_s = plan.chunk_ms / 1000
        to_wall_s = time.time() - time.monotonic()  # the watches' clocks never jump
        self._started_us = round((time.monotonic() + to_wall_s) * 1e6)
        self._watches = self._build(plan, Shape(self._chunk_s, plan.faults, to_wall_s))
        self._heart = Publisher(
            self._address,
            f"wristlead-fleet-{plan.site}",
            self._selector,
            will=(service_topic(SERVICE), OFFLINE),
            welcomed=lambda: None,
            acknowledged=lambda _message_id: None,
            lost=lambda: None,
        )

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Drive all watches until `should_stop`, then wait for the last acknowledgements and say goodbye.

        Raises FleetError when no broker answers within 10 s of the start; later it is looked for for ever.
        """
        try:
            self._await_broker(should_stop)
            self._drive(should_stop)
            self._end()
        finally:
            for watch in self._watches:
                watch.close()
            self._heart.close(publish_packet(service_topic(SERVICE), OFFLINE, 1, retain=True))
            self._write_log()
            self._log.close()
            self._selector.close()

    def snapshot(self) -> dict[str, float]:
        """The counters, what waits, and what this generator costs itself."""
        names = ("published", "acknowledged", "duplicated", "resent", "dropped", "overflowed", "reconnects")
        return {name: self.counters[name] for name in names} | {
            "devices": len(self._watches),
            "connected": sum(watch.is_up for watch in self._watches),
            "waiting": sum(watch.waiting for watch in self._watches),
            "latest_ms": round(1000 * self._latest_s, 1),
            "cpu_s": round(time.process_time() - self._ready_cpu_s, 2),
        }

    def _build(self, plan: FleetPlan, shape: Shape) -> list[Watch]:
        n_watches = plan.n_watches
        laps = max(1, math.ceil(max(plan.spread_s, n_watches / STARTS_PER_S) / shape.chunk_s))
        start_s = time.monotonic() + 0.5
        watches = []
        for number, (ring, offset, own) in enumerate(allot(n_watches)):  # the same ECGs each time
            phase = number * GOLDEN % 1.0  # even over the chunk, whatever the number of watches
            begins_s = start_s + shape.chunk_s * (number * laps // n_watches + phase)
            device = f"{plan.site}/watch-{number:05d}"
            watch = Watch(
                device,
                session=secrets.randbits(32),
                ring=ring,
                offset=offset,
                start_s=begins_s,
                shape=shape,
                rng=own,
            )
            watches.append(watch)
        for number, watch in enumerate(watches):
            spread = number * GOLDEN % 1.0
            watch.connect(self._address, self._selector, spread, self.counters, self._lines.append)
        return watches

    def _await_broker(self, should_stop: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + START_WITHIN_S
        while not self._heart.is_up and not should_stop():
            if time.monotonic() > deadline_s:
                host, port = self._host
                raise FleetError(f"no MQTT broker answers at {host}:{port}: start one there, or set --broker")
            self._heart.tend(time.monotonic())
            self._select(0.05)
        self._ready_cpu_s = time.process_time()
        behind_s = time.monotonic() - self._watches[0].start_s
        for watch in self._watches:
            watch.start_s += max(0.0, behind_s)

    def _drive(self, should_stop: Callable[[], bool]) -> None:
        """Step each watch once a chunk, in the order of their phases; a turn that comes late is caught up."""
        turns = sorted((watch.start_s, number) for number, watch in enumerate(self._watches))
        begin_s = turns[0][0]
        phases = sorted(((start_s - begin_s) % self._chunk_s, number) for start_s, number in turns)
        lap, at, log_at_s, read_at_s = 0, 0, 0.0, 0.0
        while not should_stop():
            now_s = time.monotonic()
            due_s = begin_s + lap * self._chunk_s + phases[at][0]
            while due_s <= now_s:
                watch = self._watches[phases[at][1]]
                if now_s >= watch.start_s:
                    watch.step(now_s)
                    self._latest_s = max(self._latest_s, now_s - due_s)
                at += 1
                if at == len(phases):
                    at, lap = 0, lap + 1
                due_s = begin_s + lap * self._chunk_s + phases[at][0]
            if now_s >= log_at_s:
                log_at_s = now_s + LOG_EVERY_S
                self._beat(now_s)
            if now_s >= read_at_s:
                read_at_s = now_s + READ_EVERY_S
                self._select(0.0)
            time.sleep(max(TURN_S, min(due_s, read_at_s) - time.monotonic()))

    def _beat(self, now_s: float) -> None:
        """Each second: the log is written, and presence with counters retained."""
        self._write_log()
        self._heart.tend(now_s)
        if self.on_beat is not None:
            self.on_beat(observed(self.snapshot()))
        if not self._heart.is_up:
            return
        beat = {
            "online": True,
            "pid": os.getpid(),
            "started_us": self._started_us,
            "at_us": time.time_ns() // 1000,
            "counters": self.snapshot(),
        }
        self._heart.write(publish_packet(service_topic(SERVICE), msgspec.json.encode(beat), 1, retain=True))

    def _end(self) -> None:
        deadline_s = time.monotonic() + FAREWELL_S
        while any(watch.waiting for watch in self._watches) and time.monotonic() < deadline_s:
            for watch in self._watches:
                watch.tend(time.monotonic())
            self._select(0.05)
        self._beat(time.monotonic())
        if left := self.snapshot()["waiting"]:
            logger.warning("%s chunks were not acknowledged before the end", left)

    def _select(self, timeout_s: float) -> None:
        if not self._selector.get_map():
            time.sleep(max(0.0, timeout_s))
            return
        ready = self._selector.select(max(0.0, timeout_s))
        now_s = time.monotonic()
        for key, events in ready:
            key.data.ready(events, now_s)

    def _write_log(self) -> None:
        lines = "".join(self._lines)
        self._lines.clear()
        self._log.append_lines(lines)


def _check(plan: FleetPlan) -> None:
    if not 1 <= plan.n_watches <= MAX_WATCHES:
        raise FleetError(f"--fleet is {plan.n_watches}, want 1 to {MAX_WATCHES} watches a process")
    low, high = CHUNK_MS_RANGE
    if not low <= plan.chunk_ms <= high:
        raise FleetError(f"--chunk-ms is {plan.chunk_ms}, want {low} to {high}")
    if not ID_PATTERN.fullmatch(plan.site):
        raise FleetError(f"--site is {plan.site!r}, want 1 to 64 of [A-Za-z0-9_-]")
    for name in UNSUPPORTED:
        if getattr(plan.faults, name):
            raise FleetError(f"--fault {name} is not for a fleet: use --patients instead of --fleet")


def _address_of(address: tuple[str, int]) -> Address:
    try:
        return Address.of(*address)
    except OSError as error:
        raise FleetError(f"the broker's host {address[0]} has no address: {error}") from None


def _allow_files(n_wanted: int) -> None:
    """Raise the soft limit of open files to what the connections need; raises FleetError where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= n_wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n_wanted, hard))
    except (ValueError, OSError):
        raise FleetError(
            f"{n_wanted} open files are needed, one for each watch, and {hard} are allowed: "
            f"run `ulimit -n {n_wanted}` first, or use fewer watches"
        ) from None
