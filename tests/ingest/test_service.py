"""The service against a real broker, started with the configuration the product writes for it."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sqlalchemy import Engine, event, select

from ingest import batch, limits
from ingest.broker import broker_command
from ingest.chunk import Chunk, Lead
from ingest.link import MqttLink
from ingest.pipeline import DevicePipeline
from ingest.service import BUSY_WAIT_MS, IngestService, _open_archive, run
from ingest.settings import Settings, load_settings
from ingest.store.archive import Archive
from ingest.store.location import folder_of
from ingest.store.schema import open_store, window_table
from ingest.topics import (
    RETENTION,
    RETENTION_IN_FORCE,
    device_topic,
    refusal_topic,
    service_topic,
    window_topic,
)
from ingest.vitals import Vitals
from ingest.window import Window, decode_window
from ingest.wire import encode_binary
from tests.conftest import wait_until_listening

pytestmark = pytest.mark.broker

FS = 500.0
N = 125
DEVICES = ("a/one", "a/two", "b/three")
INGEST = "from ingest.settings import load_settings; from ingest.service import run; run(load_settings())"


def chunk(device: str, k: int) -> Chunk:
    rng = np.random.default_rng([k, DEVICES.index(device)])
    samples = rng.integers(-500, 500, (N, 1)).astype(np.float32) * np.float32(0.001)
    return Chunk(device, 1, k, k * N, 1_700_000_000_000_000 + k * 250_000, 0, FS, (Lead.I,), samples)


@dataclass
class Publisher:
    """Devices that publish chunks and know which the broker acknowledged; survives the broker."""

    address: tuple[str, int]
    sent: dict[int, tuple[str, int]] = field(default_factory=dict)
    acknowledged: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.link = MqttLink(self.address, "devices")
        self.link._client.on_publish = self._on_publish
        self.link.connect()

    def publish(self, device: str, k: int) -> None:
        topic = device_topic(device, "chunk")
        sent = self.link._client.publish(topic, encode_binary(chunk(device, k)), qos=1)
        self.sent[sent.mid] = (device, k)

    def settle(self) -> None:
        """Wait until the broker has acknowledged everything."""
        deadline = time.monotonic() + 15.0
        while self.link._client._out_messages:
            self.link.poll(0.02)
            assert time.monotonic() < deadline

    def _on_publish(self, _client: object, _userdata: object, mid: int, *_: object) -> None:
        if mid in self.sent:
            self.acknowledged.add(self.sent[mid])


@dataclass
class House:
    """A broker, a store, and processes that are ended with the test."""

    settings: Settings
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    publishers: list[Publisher] = field(default_factory=list)

    def publisher(self) -> Publisher:
        self.publishers.append(Publisher(self.settings.broker_address))
        return self.publishers[-1]

    def start_broker(self) -> subprocess.Popen[bytes]:
        process = self._start(broker_command(self.settings))
        wait_until_listening(self.settings.broker_port)
        return process

    def start_ingest(self) -> subprocess.Popen[bytes]:
        return self._start([sys.executable, "-c", INGEST])

    def await_ingest(self) -> None:
        """Wait for its presence: then its subscription exists."""
        watcher = MqttLink(self.settings.broker_address, "watcher")
        watcher.connect()
        watcher.subscribe(service_topic("ingest"))
        await_that(lambda: any(b'"online":true' in m.payload for m in watcher.poll(0.1)), lambda: None)
        watcher.close()

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **self.settings.as_environment()}
        self.processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        return self.processes[-1]

    @cached_property
    def engine(self) -> Engine:
        return open_store(self.settings.store_address)

    def close(self) -> None:
        for publisher in self.publishers:
            publisher.link.close()
        self.engine.dispose()
        for process in self.processes:
            process.kill()
            process.wait()

    def broker_has_saved_session(self) -> bool:
        """Killed before, Mosquitto would forget that ingest has subscribed; it saves every 1-2 s."""
        saved = self.settings.data_dir / "broker" / "mosquitto.db"
        return saved.exists() and b"wristlead-ingest" in saved.read_bytes()

    def stored(self) -> list[tuple[str, int]]:
        """(device, number of the chunk), in order of arrival for each device."""
        return [
            (part.device, first // N)
            for part in Archive(self.engine).waveforms.arrivals()
            for first in part.first_samples[np.argsort(part.received_us, kind="stable")].tolist()
        ]

    def windows(self) -> list[Window]:
        table = window_table.c
        query = select(table.device, table.session, table.first_sample)
        with self.engine.connect() as connection:
            places = connection.execute(query.order_by(table.device, table.first_sample)).all()
        found = [Archive(self.engine).window(*place) for place in places]
        return [window for window in found if window is not None]


@pytest.fixture
def house(tmp_path: Path, free_port: int) -> Iterator[House]:
    house = House(load_settings(data_dir=tmp_path, broker_port=free_port, commit_every_s=0.05))
    yield house
    house.close()


def await_that(is_met: Callable[[], object], *turns: Callable[[], object], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_met():
        assert time.monotonic() < deadline, "not met in time"
        for turn in turns or (lambda: time.sleep(0.05),):
            turn()


def assert_windows_as_if_never_killed(house: House, n_chunks: int) -> None:
    wanted = []
    for device in sorted(DEVICES):
        pipeline = DevicePipeline(device)
        wanted += [w for k in range(n_chunks) for w in pipeline.push(chunk(device, k), k * 250_000)]
    found = house.windows()
    assert len(wanted) == len(DEVICES) * (n_chunks * N // 5000)
    assert [(w.device, w.first_sample, w.coverage) for w in found] == [
        (w.device, w.first_sample, w.coverage) for w in wanted
    ]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.samples_mv, other.samples_mv, atol=1e-6)


def stream(publisher: Publisher, first: int, end: int, pause_s: float = 0.015) -> None:
    for k in range(first, end):
        for device in DEVICES:
            publisher.publish(device, k)
        publisher.link.poll(0.0)
        time.sleep(pause_s)


def test_killing_ingest_loses_nothing_that_was_acknowledged(house: House) -> None:
    house.start_broker()
    ingest = house.start_ingest()
    publisher = house.publisher()
    house.await_ingest()
    for part in range(2):
        stream(publisher, 60 * part, 60 * part + 40)
        ingest.send_signal(signal.SIGKILL)
        ingest.wait()
        stream(publisher, 60 * part + 40, 60 * part + 60)
        ingest = house.start_ingest()
    publisher.settle()
    assert len(publisher.acknowledged) == 120 * len(DEVICES)
    await_that(lambda: len(house.stored()) >= 120 * len(DEVICES))
    stored = house.stored()
    assert len(stored) == len(set(stored))
    assert set(stored) == publisher.acknowledged
    await_that(lambda: len(house.windows()) >= len(DEVICES) * 3)
    assert_windows_as_if_never_killed(house, 120)
    ingest.terminate()
    assert ingest.wait(10) == 0


@dataclass
class Present:
    """The service in this process, turn by turn; the store can be made to fail."""

    house: House
    engine: Engine
    service: IngestService
    pragma: str = ""

    def turn(self) -> None:
        self.service.turn()

    def forbid(self, pragma: str) -> None:
        self.pragma = pragma
        self.engine.dispose()

    def counter(self, name: str) -> object:
        return self.service.counters()[name]


@pytest.fixture
def present(house: House) -> Iterator[Present]:
    house.start_broker()
    engine = open_store(house.settings.store_address, busy_wait_ms=20)
    present = Present(house, engine, IngestService(house.settings, Archive(engine)))

    @event.listens_for(engine, "connect")
    def forbid(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(present.pragma)

    present.service.start()
    await_that(lambda: present.service._link.is_connected, present.turn)
    for _ in range(3):
        present.turn()  # the subscription reaches the broker
    yield present
    present.service.close()
    engine.dispose()


def test_killing_the_broker_loses_nothing_that_was_acknowledged(house: House, present: Present) -> None:
    publisher = house.publisher()
    await_that(house.broker_has_saved_session, present.turn, lambda: publisher.link.poll(0.0))
    for part in range(4):
        for k in range(45 * part, 45 * part + 45):
            for device in DEVICES:
                publisher.publish(device, k)
            publisher.link.poll(0.0)
            if k % 3 == 0:  # it lags, so that messages lie in its socket when the broker dies
                present.turn()
        house.processes[-1].kill()
        house.processes[-1].wait()
        house.start_broker()
    await_that(
        lambda: not publisher.link._client._out_messages, present.turn, lambda: publisher.link.poll(0.0)
    )
    assert len(publisher.acknowledged) == 180 * len(DEVICES)
    await_that(lambda: len(house.stored()) >= 180 * len(DEVICES), present.turn)
    stored = house.stored()
    assert len(stored) == len(set(stored))
    assert_windows_as_if_never_killed(house, 180)


def test_a_failing_store_acknowledges_nothing_and_recovers_alone(
    house: House, present: Present, caplog: pytest.LogCaptureFixture
) -> None:
    sentence = "cannot be opened: a file lies where its folder is to be"
    publisher = house.publisher()
    folder_of(present.engine).touch()  # a file where the folder of the waveforms is to be
    for k in range(100):
        publisher.publish("a/one", k)
    publisher.settle()
    await_that(lambda: sentence in str(present.counter("store")), present.turn)
    deadline = time.monotonic() + 1.2
    await_that(lambda: time.monotonic() > deadline, present.turn)  # it tries again, and says it once
    assert len([r for r in caplog.records if sentence in r.getMessage()]) == 1
    assert present.counter("backlog") == 100
    drop_without_a_word(present.service)  # nothing was acknowledged: all of it comes again
    present.service._committer.close()
    folder_of(present.engine).unlink()
    assert house.stored() == []
    present.service = IngestService(house.settings, Archive(present.engine))
    present.service.start()
    await_that(lambda: len(house.stored()) == 100, present.turn)
    assert present.counter("store") == "ok"


def test_what_a_device_over_its_limit_sends_is_acknowledged_without_waiting_for_the_store(
    house: House, present: Present, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a flood fills what may be held, and the chunks of others are left to the broker behind it."""
    monkeypatch.setattr(limits, "BACKLOG_S", 0.6)  # ten chunks of 250 ms
    monkeypatch.setattr(limits, "EARNED_PER_S", 0.0)
    monkeypatch.setattr(limits, "SAMPLE_BURST", 3.0)
    monkeypatch.setattr(limits, "SAMPLE_PER_S", 0.0)
    publisher = house.publisher()
    other = sqlite3.connect(house.settings.data_dir / "wristlead.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    publisher.link.publish(device_topic("a/one", "chunk"), b"garbage")  # which only the database takes
    for k in range(60):
        publisher.publish("a/one", k)
    await_that(lambda: present.counter("over_limit") == 50, present.turn, lambda: publisher.link.poll(0.0))
    assert present.counter("backlog") == 13  # ten chunks, and the sample of what was refused
    present.service._link.reconnect()
    await_that(lambda: present.counter("over_limit") == 63, present.turn)  # those 13 come again, and no other
    other.execute("ROLLBACK")
    await_that(lambda: len(house.stored()) == 10, present.turn)
    await_that(lambda: present.counter("backlog") == 0, present.turn)
    assert present.counter("over_limit") == 63


def drop_without_a_word(service: IngestService) -> None:
    sock = service._link._client.socket()
    assert sock is not None
    sock.close()


def test_a_store_that_works_again_takes_what_was_held_and_what_was_left_to_the_broker(
    house: House, present: Present, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(batch, "HELD_MESSAGES", 41)
    publisher = house.publisher()
    other = sqlite3.connect(house.settings.data_dir / "wristlead.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    publisher.link.publish(device_topic("a/one", "chunk"), b"garbage")  # which only the database takes
    for k in range(100):
        publisher.publish("a/one", k)
    await_that(lambda: present.counter("turned_away") == 60, present.turn, lambda: publisher.link.poll(0.0))
    await_that(lambda: "is locked by another program" in str(present.counter("store")), present.turn)
    assert present.counter("backlog") == 41
    other.execute("ROLLBACK")
    other.close()
    for k in range(100, 120):
        publisher.publish("a/one", k)
    await_that(lambda: len(house.stored()) >= 120, present.turn, lambda: publisher.link.poll(0.0))
    assert house.stored() == [("a/one", k) for k in range(120)]
    await_that(lambda: present.counter("turned_away") == 0, present.turn)
    assert present.counter("duplicates") == 0
    await_that(lambda: len(house.windows()) == 3, present.turn)  # chunks are to be seen a moment earlier
    assert [w.first_sample for w in house.windows()] == [0, 5000, 10_000]
    await_that(lambda: "the store works again" in caplog.text, present.turn)


def test_a_stalled_disk_silences_neither_vitals_nor_heartbeat(
    house: House, present: Present, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_free, commit = threading.Event(), present.service._archive.commit
    monkeypatch.setattr(present.service._archive, "commit", lambda *args: is_free.wait(20) and commit(*args))
    publisher, listener = house.publisher(), MqttLink(house.settings.broker_address, "listener")
    listener.connect()
    listener.subscribe("wl/v1/#")
    heard: list[str] = []
    for k in range(8):
        publisher.publish("a/one", k)
    await_that(
        lambda: heard.count("wl/v1/vitals/a") >= 2 and heard.count(service_topic("ingest")) >= 3,
        present.turn,
        lambda: publisher.link.poll(0.0),
        lambda: heard.extend(message.topic for message in listener.poll(0.0)),
    )
    assert present.counter("backlog") == 8
    assert house.stored() == []
    is_free.set()
    await_that(lambda: present.counter("backlog") == 0, present.turn)
    assert len(house.stored()) == 8
    listener.close()


def test_what_comes_twice_is_stored_once_counted_and_acknowledged(house: House, present: Present) -> None:
    publisher = house.publisher()
    for k in (0, 1, 1, 0, 2):
        publisher.publish("a/one", k)
    await_that(lambda: present.counter("chunks") == 5, present.turn, lambda: publisher.link.poll(0.0))
    await_that(lambda: present.counter("backlog") == 0, present.turn)
    assert present.counter("duplicates") == 2
    present.service._link.reconnect()
    publisher.publish("a/one", 3)
    await_that(lambda: len(house.stored()) == 4, present.turn, lambda: publisher.link.poll(0.0))
    assert present.counter("chunks") == 6  # nothing came again


def test_what_is_refused_is_kept_acknowledged_and_harms_no_other(house: House, present: Present) -> None:
    publisher = house.publisher()
    for k in range(45):
        publisher.publish("b/three", k)
        publisher.link.publish(device_topic("a/one", "chunk"), b"garbage %d" % k)
        publisher.link.publish("ecg/v1/a b/c/chunk", b"whatever")
    await_that(lambda: present.counter("refused") == 90, present.turn, lambda: publisher.link.poll(0.0))
    await_that(lambda: present.counter("backlog") == 0, present.turn)
    assert [w.first_sample for w in house.windows()] == [0]
    assert len(house.stored()) == 45
    kept = Archive(house.engine).refused("a/one")
    assert kept[-1].payload == b"garbage 44"
    assert "want '{' or ec47" in kept[-1].reason
    present.service._link.reconnect()
    publisher.publish("b/three", 45)
    await_that(lambda: len(house.stored()) == 46, present.turn, lambda: publisher.link.poll(0.0))
    assert present.counter("refused") == 90


def test_a_window_is_stored_before_it_is_published(house: House, present: Present) -> None:
    listener = MqttLink(house.settings.broker_address, "inference")
    listener.connect()
    listener.subscribe("wl/v1/window/#")
    publisher = house.publisher()
    seen: list[tuple[str, Window]] = []

    def listen() -> None:
        for message in listener.poll(0.0):
            window = decode_window(message.payload)
            stored = Archive(house.engine).window(window.device, window.session, window.first_sample)
            assert stored is not None
            np.testing.assert_array_equal(stored.samples_mv, window.samples_mv)
            assert stored.closed_us == window.closed_us > 0
            seen.append((message.topic, window))

    for k in range(90):
        publisher.publish("a/two", k)
    await_that(lambda: len(seen) == 2, present.turn, listen, lambda: publisher.link.poll(0.0))
    assert {topic for topic, _ in seen} == {window_topic("a/two")}
    listener.close()


def test_vitals_of_a_site_come_each_second_in_one_message(house: House, present: Present) -> None:
    listener = MqttLink(house.settings.broker_address, "alarms")
    listener.connect()
    listener.subscribe("wl/v1/vitals/#")
    publisher = house.publisher()
    publisher.link.publish(device_topic("a/two", "status"), b'{"online":true,"battery":40}', retain=True)
    for device in DEVICES:
        for k in range(8):
            publisher.publish(device, k)
    seen: dict[str, list[Vitals]] = {}

    def listen() -> None:
        for message in listener.poll(0.0):
            seen.setdefault(message.topic, []).extend(msgspec.json.decode(message.payload, type=list[Vitals]))

    await_that(lambda: len(seen) == 2, present.turn, listen, lambda: publisher.link.poll(0.0))
    assert {vitals.device: vitals.battery for vitals in seen["wl/v1/vitals/a"]} == {
        "a/one": None,
        "a/two": 40,
    }
    assert {vitals.device for vitals in seen["wl/v1/vitals/b"]} == {"b/three"}
    await_that(lambda: Archive(house.engine).vitals_between("b/three", 0, 1 << 62), present.turn)
    listener.close()


def test_the_heartbeat_says_what_happened_and_how_long_it_took(house: House, present: Present) -> None:
    publisher = house.publisher()
    for k in range(50):
        publisher.publish("a/one", k)
    await_that(lambda: present.counter("windows") == 1, present.turn, lambda: publisher.link.poll(0.0))
    await_that(lambda: present.counter("backlog") == 0, present.turn)
    counters = present.service.counters()
    assert (counters["chunks"], counters["duplicates"], counters["refused"]) == (50, 0, 0)
    assert (counters["devices"], counters["store"]) == (1, "ok")
    latency_ms = counters["chunk_stored_ms"]
    assert 0 < latency_ms["p50"] <= latency_ms["p99"] < 2000
    assert counters["disk_free_mb"] > 0
    msgspec.json.encode(counters)


def test_without_a_broker_the_service_refuses_with_one_sentence(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.service.CONNECT_WITHIN_S", 0.2)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit, match="no MQTT broker answers at"):
        run(house.settings)


def test_a_data_folder_that_cannot_be_made_is_refused_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = load_settings(data_dir=tmp_path / "file" / "data")
    with pytest.raises(SystemExit, match=r"cannot make the folder .* set --data-dir to another place"):
        run(settings)


def test_a_store_that_another_service_is_just_making_is_waited_for(tmp_path: Path) -> None:
    with contextlib.closing(
        sqlite3.connect(tmp_path / "wristlead.sqlite", isolation_level=None, check_same_thread=False)
    ) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        done = threading.Timer(2 * BUSY_WAIT_MS / 1000, other.execute, ["COMMIT"])
        done.start()
        assert _open_archive(load_settings(data_dir=tmp_path)).devices() == {}
        done.join()


def test_how_long_things_are_kept_is_asked_confirmed_and_survives_ingest(
    house: House, present: Present
) -> None:
    heard: dict[str, dict[str, Any]] = {}
    person = MqttLink(house.settings.broker_address, "person")
    person.subscribe(RETENTION_IN_FORCE)
    person.subscribe(refusal_topic(RETENTION))
    person.connect()

    def listen() -> None:
        heard.update({each.topic: json.loads(each.payload) for each in person.poll(0.01)})

    def ask_until(is_met: Callable[[dict[str, Any]], object], **request: object) -> dict[str, Any]:
        person.publish(RETENTION, json.dumps({"who": "Ada"} | request).encode())
        await_that(lambda: is_met(heard.get(RETENTION_IN_FORCE, {})), listen, present.turn)
        return heard[RETENTION_IN_FORCE]

    asked = ask_until(lambda said: said.get("asked"), keep_days=7)["asked"]
    ask_until(lambda said: said.get("keep_days") == 7, keep_days=7, confirm=asked["at_us"])
    ask_until(lambda _: refusal_topic(RETENTION) in heard, keep_days=-1)
    assert "want 0.1 to" in heard[refusal_topic(RETENTION)]["reason"]
    person.close()
    again = IngestService(house.settings, Archive(present.engine))
    assert again._desk._keeping.keep_days == 7
    again.close()
