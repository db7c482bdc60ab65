"""A run on one machine, told afterwards: devices' log, store and heartbeats -> the figures of the demo."""

import dataclasses
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import func, select

from ingest.broker import describe
from ingest.link import MqttLink
from ingest.settings import Settings
from ingest.store.accounting import Account, account
from ingest.store.schema import alarm_transition_table, open_store
from ingest.supervisor import Supervisor
from ingest.topics import SERVICES, service_topic

SETTLE_S = 20.0  # how long the last chunks and verdicts may take after the devices stopped
PROGRESS_EVERY_S = 10.0


class RunReport:
    """Listens to ingest's heartbeats during a run, and accounts for everything at its end."""

    def __init__(self, settings: Settings, published_log: Path) -> None:
        self._log = published_log
        self._broker = describe(settings)
        self._engine = open_store(settings.store_address)
        self._link = MqttLink(settings.broker_address, "wristlead-report")
        self._link.subscribe(SERVICES, 0)
        self._ingest: dict[int, dict[str, Any]] = {}  # by process: its counters start anew in each
        self._say_at_s = time.monotonic() + PROGRESS_EVERY_S

    def listen(self, seconds: float) -> None:
        """Hear heartbeats for a while."""
        for message in self._link.poll(seconds):
            if message.topic == service_topic("ingest") and message.payload:
                beat = msgspec.json.decode(message.payload)
                if beat.get("counters"):
                    self._ingest[beat["pid"]] = beat["counters"]

    @property
    def is_ingest_up(self) -> bool:
        """True once ingest has said that it is there, which it does after subscribing."""
        return bool(self._ingest)

    def say_progress(self, left_s: float) -> None:
        """A line now and then when the run is for a limited time."""
        if math.isfinite(left_s) and time.monotonic() >= self._say_at_s:
            self._say_at_s += PROGRESS_EVERY_S
            chunks = sum(counters["chunks"] for counters in self._ingest.values())
            print(f"{left_s:5.0f} s to go, {chunks} chunks received", file=sys.stderr)  # noqa: T201 - for people

    def settle(self, supervisor: Supervisor) -> bool:
        """Wait for the last chunks and verdicts; False when some never came."""
        end_s = time.monotonic() + SETTLE_S
        while time.monotonic() < end_s:
            supervisor.watch()
            self.listen(0.5)
            if _is_complete(self._account()):
                return True
        return False

    def figures(self, supervisor: Supervisor) -> dict[str, Any]:
        """All figures, under the keys of `wristlead demo --json`."""
        found = self._account()
        stored_ms = [each["chunk_stored_ms"] for each in self._ingest.values()]
        return {
            "published": found.published,
            "stored": found.stored,
            "duplicates": sum(each["duplicates"] for each in self._ingest.values()),
            "lost": found.lost,
            "refused": sum(each["refused"] for each in self._ingest.values()),
            "windows": found.windows,
            "eligible": found.eligible,
            "verdicts": found.verdicts,
            "indeterminate": found.indeterminate,
            "alarms": self._alarms(),
            "latency_ms": {
                "chunk_stored": {q: _worst([each[q] for each in stored_ms]) for q in ("p50", "p99")},
                "publish_arrival": dataclasses.asdict(found.publish_arrival_ms),
                "window_verdict": dataclasses.asdict(found.window_verdict_ms),
            },
            "cpu_s": {name: round(s, 2) for name, s in supervisor.cpu_s().items()},
            "peak_rss_mb": {name: round(mb, 1) for name, mb in supervisor.peak_rss_mb().items()},
            "restarts": supervisor.restarts(),
            "broker": self._broker,
        }

    def _account(self) -> Account:
        return account(self._engine, self._log)

    def _alarms(self) -> int:
        """Episodes: one alarm from its beginning to its end, whatever happened in between."""
        transition = alarm_transition_table.c
        episodes = select(transition.device, transition.kind, transition.since_us).distinct().subquery()
        with self._engine.connect() as connection:
            return connection.scalars(select(func.count()).select_from(episodes)).one()


def in_words(figures: dict[str, Any]) -> str:
    """The figures of a run in a few lines for people."""
    stored, verdict = figures["latency_ms"]["chunk_stored"], figures["latency_ms"]["window_verdict"]
    counts = f"{figures['duplicates']} duplicates dropped, {figures['refused']} refused"
    unclear = ", ".join(f"{reason} {n}" for reason, n in figures["indeterminate"].items()) or "none"
    lines = [
        (
            f"chunks    {figures['published']} published, {figures['stored']} stored, "
            f"{figures['lost']} lost, {counts}"
        ),
        (
            f"windows   {figures['windows']}, of them {figures['eligible']} with enough data, "
            f"{figures['verdicts']} verdicts; indeterminate: {unclear}"
        ),
        f"alarms    {figures['alarms']}",
        (
            f"latency   chunk to stored p50 {_ms(stored['p50'])}, p99 {_ms(stored['p99'])}; "
            f"window to verdict p50 {_ms(verdict['p50'])}, p99 {_ms(verdict['p99'])}"
        ),
    ]
    return "\n".join(lines)


def as_json(figures: dict[str, Any]) -> str:
    """The figures of a run for programs."""
    return json.dumps(figures, indent=2)


def _is_complete(found: Account) -> bool:
    return found.published > 0 and found.lost == 0 and found.missing_verdicts == 0


def _worst(values: list[float | None]) -> float | None:
    """Of several ingest processes (one was killed and came back) the slowest; None when none measured."""
    return max((value for value in values if value is not None), default=None)


def _ms(value: float | None) -> str:
    return "--" if value is None else f"{value:.1f} ms"
