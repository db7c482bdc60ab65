"""The fleet on a real broker: nothing made is left unacknowledged, and presence tells the truth."""

import csv
import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ingest.settings import load_settings
from ingest.wire import WireError, decode
from simulators import connection
from simulators.device import Device
from simulators.faults import FaultPlan, Kind, Outgoing, parse_faults
from simulators.fleet import Fleet, FleetError, PublishedLog
from simulators.patients import build_patient
from simulators.service import DEMO_BEDS, demo_devices, simulate

ROOT = Path(__file__).parents[2]


class Broker(Protocol):
    """The `mosquitto` of conftest: a real broker that can be killed and started again."""

    address: tuple[str, int]

    def start(self) -> None: ...
    def kill(self) -> None: ...


class Listener:
    """Everything the broker says on some topics."""

    def __init__(self, address: tuple[str, int], *topics: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _c, _u, m: self.heard.append((m.topic, bytes(m.payload)))
        self._client.connect(*address)
        self._client.subscribe([(topic, 1) for topic in topics])

    def listen(self, until: Callable[[], bool] = lambda: False, within_s: float = 5.0) -> bool:
        deadline_s = time.monotonic() + within_s
        while not until() and time.monotonic() < deadline_s:
            self._client.loop(0.05)
        return until()

    def read(self) -> None:
        self._client.loop(0.001)

    def last(self, topic: str) -> object:
        found = [payload for name, payload in self.heard if name == topic]
        return json.loads(found[-1]) if found else None

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop(0.05)


def device_of(name: str, faults: FaultPlan = FaultPlan(), patient: str = "sinus") -> Device:  # noqa: B008 - frozen
    rng = np.random.default_rng(1)
    return Device(f"test/{name}", name, build_patient(patient, rng), 7, rng, faults=faults)


def after(seconds: float, *deeds: tuple[float, Callable[[], None]]) -> Callable[[], bool]:
    """A stop condition that does each deed at its time on the way."""
    start_s = time.monotonic()
    left = list(deeds)

    def should_stop() -> bool:
        now_s = time.monotonic() - start_s
        if left and now_s >= left[0][0]:
            left.pop(0)[1]()
        return now_s >= seconds

    return should_stop


def rows_of(path: Path, device: str) -> list[dict[str, str]]:
    with path.open() as file:
        return [row for row in csv.DictReader(file) if row["device"] == device]


@pytest.mark.broker
def test_a_fleet_that_loses_its_broker_gets_everything_acknowledged_in_the_end(
    mosquitto: Broker, tmp_path: Path
) -> None:
    log = tmp_path / "published.csv"
    fleet = Fleet(
        mosquitto.address, [device_of("a"), device_of("b")], service="simulators", published_log=log
    )
    fleet.run(after(4.0, (1.0, mosquitto.kill), (2.0, mosquitto.start)))
    counters = fleet.snapshot()
    assert counters["reconnects"] == 2
    assert counters["waiting"] == 0
    assert counters["published"] == counters["acknowledged"] >= 28
    for name in ("a", "b"):
        rows = rows_of(log, f"test/{name}")
        first_samples = sorted(int(row["first_sample"]) for row in rows)
        assert first_samples == list(range(0, 125 * len(rows), 125))
        assert {row["kind"] for row in rows} == {"chunk"}
        assert {row["session"] for row in rows} == {"7"}
        assert all(int(row["published_us"]) <= int(row["acked_us"]) for row in rows)
    assert sum(len(rows_of(log, f"test/{name}")) for name in ("a", "b")) == counters["acknowledged"]
    listener = Listener(mosquitto.address, "ecg/v1/+/+/status", "wl/v1/service/+")
    assert listener.listen(lambda: len(listener.heard) == 3)
    assert {payload for _, payload in listener.heard} == {b'{"online":false}'}
    listener.close()


@pytest.mark.broker
def test_faults_on_the_way_are_logged_for_what_they_are(mosquitto: Broker, tmp_path: Path) -> None:
    log = tmp_path / "published.csv"
    plan = parse_faults(["drop=0.1", "duplicate=0.2", "corrupt=0.2", "reorder=0.1", "disconnect=1/3"])
    listener = Listener(mosquitto.address, "ecg/v1/#")
    device = device_of("a", plan)
    fleet = Fleet(mosquitto.address, [device], published_log=log)
    fleet.run(after(4.0, *[(at / 100, listener.read) for at in range(400)]))
    assert listener.listen(lambda: listener.last("ecg/v1/test/a/status") == {"online": False})
    rows = rows_of(log, "test/a")
    counters = fleet.snapshot()
    assert counters["reconnects"] == 1
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in ("chunk", "duplicate", "corrupt")}
    assert len(kinds["chunk"]) == counters["acknowledged"] > 0
    assert len(kinds["duplicate"]) == counters["duplicated"] > 0
    assert len(kinds["corrupt"]) == counters["corrupted"] > 0
    assert counters["dropped"] > 0
    n_made = len(kinds["chunk"]) + len(kinds["corrupt"]) + counters["dropped"]
    assert n_made * 125 > max(int(row["first_sample"]) for row in rows)
    refused, heard = 0, []
    for topic, payload in listener.heard:
        if not topic.endswith("/chunk"):
            continue
        try:
            heard.append(decode(payload, "test/a").first_sample)
        except WireError:
            refused += 1
    assert refused >= len(kinds["corrupt"])
    assert set(heard) == {int(row["first_sample"]) for row in kinds["chunk"]}
    statuses = [json.loads(p) for t, p in listener.heard if t.endswith("/status")]
    assert [status["online"] for status in statuses] == [True, False, True, False]
    listener.close()


@pytest.mark.broker
def test_presence_flips_to_offline_when_the_process_is_killed(mosquitto: Broker, tmp_path: Path) -> None:
    log = tmp_path / "published.csv"
    code = (
        "from pathlib import Path; from ingest.settings import Settings; from simulators.service import run; "
        f"run(Settings(broker='127.0.0.1:{mosquitto.address[1]}'), published_log=Path({str(log)!r}))"
    )
    listener = Listener(mosquitto.address, "ecg/v1/demo/+/status", "wl/v1/service/simulators")
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)

    def online() -> list[bool]:
        names = {topic for topic, _ in listener.heard}
        return [bool(listener.last(name)["online"]) for name in names]  # type: ignore[index]  # JSON object

    try:
        assert listener.listen(lambda: len(online()) == 9 and all(online()), 15.0)
        listener.listen(within_s=1.2)
        process.send_signal(signal.SIGKILL)
        assert listener.listen(lambda: not any(online()), 5.0)
    finally:
        process.kill()
        process.wait()
        listener.close()
    assert log.read_text().endswith(",chunk\n")
    assert len(rows_of(log, "demo/bed-01")) >= 3


@pytest.mark.broker
def test_simulate_ends_by_itself_with_the_patients_asked_for(mosquitto: Broker, tmp_path: Path) -> None:
    log = tmp_path / "published.csv"
    settings = load_settings(broker=f"127.0.0.1:{mosquitto.address[1]}")
    old = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    simulate(settings, 3, "af", ["drop=0.2"], seconds=2.0, published_log=log)
    for number, handler in zip((signal.SIGTERM, signal.SIGINT), old, strict=True):
        signal.signal(number, handler)
    with log.open() as file:
        assert {row["device"] for row in csv.DictReader(file)} == {f"sim/patient-00{i}" for i in (1, 2, 3)}


def test_no_broker_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setattr("simulators.fleet.START_WITHIN_S", 0.2)
    fleet = Fleet(("127.0.0.1", free_port), [device_of("a")])
    with pytest.raises(FleetError, match=f"no MQTT broker answers at 127.0.0.1:{free_port}: start one there"):
        fleet.run(lambda: False)


def test_a_stop_before_the_broker_answered_ends_at_once(free_port: int) -> None:
    fleet = Fleet(("127.0.0.1", free_port), [device_of("a")])
    fleet.run(lambda: True)
    assert fleet.snapshot()["waiting"] == 0


@pytest.mark.parametrize(
    ("patients", "rhythm", "faults", "text"),
    [
        (0, "sinus", [], "patients is 0, want 1 to"),
        (1, "waltz", [], "unknown patient 'waltz'"),
        (1, "sinus", ["drop=3"], "fault 'drop=3': want a number"),
    ],
)
def test_what_cannot_be_simulated_is_said(patients: int, rhythm: str, faults: list[str], text: str) -> None:
    with pytest.raises(SystemExit, match=text):
        simulate(load_settings(), patients, rhythm, faults)


@pytest.mark.parametrize("seconds", [-1.0, 0.0, float("nan")])
def test_a_time_that_ends_before_it_begins_is_said(seconds: float) -> None:
    with pytest.raises(SystemExit, match="want more than 0"):
        simulate(load_settings(), seconds=seconds)


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="cannot write the published log"):
        PublishedLog(tmp_path / "no" / "folder.csv")


def test_a_log_whose_disk_is_full_is_said_and_goes_on_whole_later(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    message = Outgoing("t", b"x", kind=Kind.CHUNK, device="a/b")
    log = PublishedLog(path)
    log.append(message, 1, 2)
    whole = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails as on a full disk
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 4, limits[1]))
        log.append(message, 3, 4)  # cut short
        with pytest.raises(FleetError, match="cannot write the published log"):
            log.append(message, 5, 6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    log.close()
    assert path.read_bytes() == whole + b"a/b,"
    PublishedLog(path).close()
    assert path.read_bytes() == whole


def test_a_full_outbox_drops_the_oldest_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OUTBOX_LENGTH", 5)
    fleet = Fleet(("127.0.0.1", 1), [device_of("a")])
    made = [Outgoing("t", bytes([i]), kind=Kind.CHUNK) for i in range(8)]
    fleet._connections[0].send(made)
    assert list(fleet._connections[0]._outbox) == made[3:]
    assert fleet.snapshot()["overflowed"] == 3


def test_the_demo_has_eight_beds_of_which_one_stops_and_one_is_badly_connected() -> None:
    devices = demo_devices()
    assert [device.device for device in devices] == [f"demo/bed-0{i}" for i in range(1, 9)]
    assert [d.patient.source for d in devices] == ["replay"] * 6 + ["synthetic"] * 2
    assert [d.patient.description.split(", ")[1] for d in devices[:6]] == [
        "NORM", "MI", "STTC", "CD", "HYP", "AF",
    ]  # fmt: skip
    assert DEMO_BEDS[6].patient == "asystole"
    assert devices[7].faults == parse_faults(
        ["drop=.02", "duplicate=.02", "reorder=.02", "corrupt=.005", "disconnect=6/60"]
    )
    assert len({device.session for device in devices + demo_devices()}) == 16
