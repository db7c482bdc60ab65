"""Metrics and health of real services, while a real broker goes and comes back."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine

from inference.explain.service import ExplainService
from ingest.link import MqttLink
from ingest.metrics import FOR_PEOPLE, METRICS
from ingest.metrics_port import PORT_OFFSETS
from ingest.topics import SERVICES
from tests.conftest import Mosquitto, find_free_port

ROOT = Path(__file__).parent.parent.parent
COMMANDS = {
    "ingest": ["ingest"],
    "inference": ["inference"],
    "alarms": ["alarms"],
    "dashboard": ["dashboard"],
    "simulate": ["simulate", "--demo"],
}
SHARED_COUNTERS = {"store"}  # its metric is that of every service
pytestmark = pytest.mark.broker


class House:
    """Real services on a broker, each with its metrics."""

    def __init__(self, broker: Mosquitto, folder: Path) -> None:
        self.base_port = find_free_port()
        environment = {
            **os.environ,
            "WRISTLEAD_BROKER": f"127.0.0.1:{broker.port}",
            "WRISTLEAD_DATA_DIR": str(folder / "data"),
            "WRISTLEAD_METRICS_PORT": str(self.base_port),
            "WRISTLEAD_DASHBOARD_PORT": str(find_free_port()),
        }
        self.processes = {
            name: subprocess.Popen(
                [sys.executable, "-m", "wristlead", *command],
                cwd=ROOT,
                env=environment,
                stderr=subprocess.DEVNULL,
            )
            for name, command in COMMANDS.items()
        }

    def get(self, service: str, path: str) -> tuple[int, str]:
        """Status and text; 0 while nobody listens."""
        address = f"http://127.0.0.1:{self.base_port + PORT_OFFSETS[service]}{path}"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except urllib.error.URLError:
            return 0, ""

    def statuses(self, path: str) -> dict[str, int]:
        return {service: self.get(service, path)[0] for service in COMMANDS}

    def sample(self, service: str, name: str) -> float | None:
        families = text_string_to_metric_families(self.get(service, "/metrics")[1])
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return samples[0].value if samples else None

    def await_that(self, is_met: Callable[[], object], within_s: float = 45.0) -> None:
        deadline = time.monotonic() + within_s
        while not is_met():
            assert time.monotonic() < deadline, {s: self.get(s, "/health/ready") for s in COMMANDS}
            assert all(process.poll() is None for process in self.processes.values())
            time.sleep(0.1)


def all_are(status: int) -> dict[str, int]:
    return dict.fromkeys(COMMANDS, status)


@pytest.fixture
def house(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[House]:
    house = House(mosquitto, tmp_path)
    yield house
    for process in house.processes.values():
        process.send_signal(signal.SIGTERM)
    for process in house.processes.values():
        try:
            process.wait(10)
        finally:
            process.kill()


def heartbeats(broker: Mosquitto) -> dict[str, dict[str, Any]]:
    """The counters that each service publishes."""
    link = MqttLink(broker.address, "listener")
    link.subscribe(SERVICES)
    link.connect()
    found: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + 15.0
    while len(found) < len(COMMANDS) and time.monotonic() < deadline:
        for message in link.poll(0.1):
            beat = msgspec.json.decode(message.payload)
            name = message.topic.rpartition("/")[2].replace("simulators", "simulate")
            found |= {name: beat["counters"]} if beat["online"] else {}
    link.close()
    return found


def test_ready_follows_the_broker_while_live_stays_and_nothing_told_is_left_out(
    house: House, mosquitto: Mosquitto
) -> None:
    house.await_that(lambda: house.statuses("/health/ready") == all_are(200))
    assert house.statuses("/health/live") == all_are(200)
    house.await_that(lambda: (house.sample("ingest", "wristlead_ingest_stored_total") or 0) >= 8)
    told = heartbeats(mosquitto)
    assert set(told) == set(COMMANDS)
    for service, counters in told.items():
        known = {metric.key for metric in METRICS[service]} | SHARED_COUNTERS | FOR_PEOPLE
        assert set(counters) <= known, f"{service} tells what is not in ingest/metrics.py"

    mosquitto.kill()
    house.await_that(lambda: house.statuses("/health/ready") == all_are(503))
    assert house.statuses("/health/live") == all_are(200)
    assert "the broker is not connected" in house.get("alarms", "/health/ready")[1]
    assert house.sample("ingest", "wristlead_broker_connected") == 0.0

    mosquitto.start()
    house.await_that(lambda: house.statuses("/health/ready") == all_are(200))
    assert house.statuses("/health/live") == all_are(200)
    assert house.sample("ingest", "wristlead_broker_reconnects_total") == 1.0
    before = house.sample("ingest", "wristlead_ingest_stored_total") or 0.0
    house.await_that(lambda: (house.sample("ingest", "wristlead_ingest_stored_total") or 0.0) > before)


def test_what_explain_tells_is_exported_too() -> None:
    engine = create_engine("sqlite://")
    service = ExplainService(cast("Any", None), engine, cast("Any", SimpleNamespace(version="a model")))
    known = {metric.key for metric in METRICS["explain"]} | SHARED_COUNTERS | FOR_PEOPLE
    assert set(service.counters()) <= known
    engine.dispose()
