"""A running house, watched from outside: processes and heartbeats -> CPU, memory and backlog by service."""

import contextlib
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import psutil

from benchmarks.soak import growth_of
from ingest.link import MqttLink
from ingest.supervisor import Supervisor
from ingest.topics import SERVICES

STORED_IN_BROKER = "$SYS/broker/store/messages/count"


@dataclass(slots=True)
class Observation:
    """Samples of one measured stretch, one a second; lists are parallel to `at_s` where all services live."""

    cpu_s: dict[str, float] = field(default_factory=dict)  # by service, over the stretch
    rss_mb: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    backlog: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    took_s: float = 0.0
    chunks: int = 0  # that ingest received
    published: int = 0
    vitals_cpu_s: float = 0.0  # of ingest's, for beats and vitals


class Observer:
    """Hears heartbeats all the time; `observe` measures one stretch."""

    def __init__(self, address: tuple[str, int], supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._link = MqttLink(address, "wristlead-observer")
        self._link.subscribe(SERVICES, 0)
        self._link.subscribe(STORED_IN_BROKER, 0)
        self._link.connect()
        self._beats: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)  # by service and process
        self._pids: dict[str, int] = {}  # the newest process of each service
        self._in_broker: float | None = None

    def listen(self, seconds: float) -> None:
        """Hear what is said for a while, and restart what died."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            for message in self._link.poll(min(left_s, 0.2)):
                if message.topic == STORED_IN_BROKER:
                    self._in_broker = float(message.payload)
                elif message.payload:
                    beat = msgspec.json.decode(message.payload)
                    if beat.get("counters"):
                        name = message.topic.rpartition("/")[2]
                        self._beats[name][beat["pid"]] = beat["counters"]
                        self._pids[name] = beat["pid"]
            self._supervisor.watch()

    def is_up(self, *names: str) -> bool:
        """True when each has said that it is there."""
        return all(name in self._pids for name in names)

    def newest(self, service: str) -> dict[str, Any]:
        """The newest counters of a service; empty before its first heartbeat."""
        return self._beats[service].get(self._pids.get(service, 0), {})

    def total(self, service: str, counter: str) -> float:
        """A counter over all lives of a service."""
        return sum(beat.get(counter) or 0 for beat in self._beats[service].values())

    def worst(self, service: str, histogram: str) -> dict[str, float | None]:
        """The quantiles of a service's histogram since its start; of several lives the slowest."""
        found = [beat.get(histogram) or {} for beat in self._beats[service].values()]
        return {
            q: max((each[q] for each in found if each.get(q) is not None), default=None)
            for q in ("p50", "p99")
        }

    def observe(self, seconds: float) -> Observation:
        """Sample each second for a while."""
        seen = Observation()
        began_s = time.monotonic()
        cpu_before = self._supervisor.cpu_s()
        before = self._so_far()
        while (at_s := time.monotonic() - began_s) < seconds:
            self.listen(min(1.0, seconds - at_s + 0.01))
            self._sample(seen, time.monotonic() - began_s)
        seen.took_s = time.monotonic() - began_s
        seen.cpu_s = {name: s - cpu_before.get(name, 0.0) for name, s in self._supervisor.cpu_s().items()}
        after = self._so_far()
        seen.chunks, seen.published = after[0] - before[0], after[1] - before[1]
        seen.vitals_cpu_s = after[2] - before[2]
        return seen

    def _so_far(self) -> tuple[int, int, float]:
        """Chunks received, chunks published, and CPU seconds for vitals, over all lives."""
        chunks, published = self.total("ingest", "chunks"), self.total("simulators", "published")
        return int(chunks), int(published), self.total("ingest", "vitals_cpu_s")

    def _sample(self, seen: Observation, at_s: float) -> None:
        for name in self._supervisor.cpu_s():
            pid = self._supervisor.pid(name)
            with contextlib.suppress(psutil.NoSuchProcess):
                if pid is not None:
                    seen.rss_mb[name].append(psutil.Process(pid).memory_info().rss / 1e6)
        for name in ("ingest", "inference"):
            if "backlog" in self.newest(name):
                seen.backlog[name].append((at_s, float(self.newest(name)["backlog"])))
        behind = self.total("simulators", "acknowledged") - self.total("ingest", "chunks")
        # Less than none means that ingest's heartbeat was the later one: up to a second lies between both.
        seen.backlog["not_received"].append((at_s, float(max(0, behind))))
        if self._in_broker is not None:
            seen.backlog["broker_store"].append((at_s, self._in_broker))


def backlog_figures(samples: list[tuple[float, float]]) -> dict[str, float]:
    """Median, maximum, and growth a second of a backlog."""
    at_s, waiting = np.array(samples).T
    slope = float(np.polyfit(at_s, waiting, 1)[0]) if len(samples) > 2 else 0.0
    return {
        "median": float(np.median(waiting)),
        "max": float(waiting.max()),
        "slope_per_s": round(slope, 3),
    }


def memory_figures(rss_mb: list[float]) -> dict[str, float | None]:
    """Median and largest resident memory, MB, and the last fifth over the second fifth."""
    growth = growth_of(rss_mb)
    return {
        "median_mb": round(statistics.median(rss_mb), 1),
        "max_mb": round(max(rss_mb), 1),
        "growth": None if growth is None else round(growth, 3),
    }
