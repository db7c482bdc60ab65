import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ingest import broker
from ingest.batch import HELD_MESSAGES
from ingest.broker import broker_command, describe, mosquitto_config, require_free_port
from ingest.chunk import Chunk, Lead
from ingest.link import MqttLink
from ingest.service import IngestService
from ingest.settings import Settings, load_settings
from ingest.store.archive import Archive
from ingest.topics import device_topic
from ingest.window import decode_window
from ingest.wire import encode_binary
from tests.conftest import wait_until_listening

BROKER = "from ingest.settings import load_settings; from ingest.broker import run; run(load_settings())"


def without_mosquitto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)


def with_mosquitto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found only outside the PATH, as Debian has it."""
    monkeypatch.setattr(
        shutil,
        "which",
        lambda _name, path=None: "/usr/sbin/mosquitto" if path and "/usr/sbin" in path else None,
    )


def test_mosquitto_is_taken_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_mosquitto(monkeypatch)
    settings = load_settings(data_dir=tmp_path, broker_port=4321)
    command = broker_command(settings)
    assert command == ["/usr/sbin/mosquitto", "-c", str(tmp_path / "broker" / "mosquitto.conf")]
    assert "Mosquitto at 127.0.0.1:4321; carries about 10,000 messages/s" in describe(settings)


def test_else_the_embedded_broker_says_what_it_cannot_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_mosquitto(monkeypatch)
    settings = load_settings(data_dir=tmp_path, broker_port=4321)
    assert broker_command(settings) == [sys.executable, "-m", "wristlead", "broker"]
    assert "embedded amqtt at 127.0.0.1:4321, for a demo only: carries about 500 messages/s" in describe(
        settings
    )
    assert not (tmp_path / "broker").exists()


def test_a_broker_of_ones_own_means_none_is_started() -> None:
    settings = load_settings(broker="example.org:1884")
    assert describe(settings) == "Broker: yours at example.org:1884; none is started here."


def test_mosquitto_demanded_and_missing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_mosquitto(monkeypatch)
    with pytest.raises(SystemExit, match="mosquitto is not installed: install it"):
        broker_command(load_settings(data_dir=tmp_path, broker_kind="mosquitto"))


def test_a_configuration_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_mosquitto(monkeypatch)
    (tmp_path / "broker").write_text("in the way")
    with pytest.raises(SystemExit, match="cannot write the broker's configuration"):
        broker_command(load_settings(data_dir=tmp_path))


def test_the_configuration_drops_nothing_that_was_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    lines = mosquitto_config(("127.0.0.1", 4321), Path("/data/broker")).splitlines()
    assert lines[0] == "listener 4321 127.0.0.1"
    wanted = {
        "persistence true",
        "persistence_location /data/broker/",
        "autosave_interval 1",
        f"max_inflight_messages {broker.MAX_INFLIGHT}",
        f"max_queued_messages {broker.MAX_QUEUED}",
    }
    assert wanted <= set(lines)
    assert broker.MAX_INFLIGHT < 65_535  # else message ids are used twice
    assert "user root" not in lines


def test_a_busy_port_is_one_clear_sentence(free_port: int) -> None:
    require_free_port("127.0.0.1", free_port, "broker")
    with (
        socket.create_server(("127.0.0.1", free_port)),
        pytest.raises(SystemExit, match=f"the broker cannot listen on 127.0.0.1:{free_port} .*--broker-port"),
    ):
        require_free_port("127.0.0.1", free_port, "broker")
    require_free_port("127.0.0.1", free_port, "broker")


def chunk(k: int) -> Chunk:
    samples = np.random.default_rng(k).normal(0, 0.2, (125, 1)).astype(np.float32)
    return Chunk("a/b", 1, k, k * 125, 1_700_000_000_000_000, 0, 500.0, (Lead.I,), samples)


@pytest.fixture(params=[pytest.param("mosquitto", marks=pytest.mark.broker), "amqtt"])
def served(tmp_path: Path, free_port: int, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """A broker process started as `wristlead broker` does."""
    settings = load_settings(data_dir=tmp_path, broker_port=free_port, broker_kind=request.param)
    environment = {**os.environ, **settings.as_environment()}
    with subprocess.Popen([sys.executable, "-c", BROKER], env=environment, stderr=subprocess.PIPE) as process:
        wait_until_listening(free_port)
        yield settings
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10)
        assert process.returncode == 0
        assert b"Traceback" not in said
        assert b"ERROR" not in said


def test_chunks_become_stored_windows_and_wait_while_the_service_is_away(served: Settings) -> None:
    devices, listener = (
        MqttLink(served.broker_address, "devices"),
        MqttLink(served.broker_address, "listener"),
    )
    windows: list[int] = []

    def poll() -> None:
        devices.poll(0.01)
        windows.extend(decode_window(message.payload).first_sample for message in listener.poll(0.01))

    def turn_until_stored(service: IngestService, n_chunks: int) -> None:
        deadline = time.monotonic() + 15.0
        while len(archive.chunks_since("a/b", 0)) < n_chunks or len(windows) < n_chunks * 125 // 5000:
            assert time.monotonic() < deadline
            service.turn()
            poll()

    archive = Archive.open(served.store_address)
    listener.subscribe("wl/v1/window/#")
    devices.connect()
    listener.connect()
    for part in range(2):
        service = IngestService(served, archive)
        service.start()
        for k in range(45 * part, 45 * part + 25):
            devices.publish(device_topic("a/b", "chunk"), encode_binary(chunk(k)))
            poll()
        turn_until_stored(service, 45 * part + 25)
        service.stop()
        service.serve()  # only says goodbye
        for k in range(45 * part + 25, 45 * part + 45):  # they wait at the broker
            devices.publish(device_topic("a/b", "chunk"), encode_binary(chunk(k)))
            poll()
    service = IngestService(served, archive)
    service.start()
    turn_until_stored(service, 90)
    stored = [each.chunk.first_sample for each in archive.chunks_since("a/b", 0)]
    assert sorted(stored) == [k * 125 for k in range(90)]
    assert windows == [0, 5000]
    service.stop()
    service.serve()
    devices.close()
    listener.close()


def test_what_was_not_acknowledged_waits_for_a_client_that_died(served: Settings) -> None:
    def died_after(n_messages: int) -> list[bytes]:
        """Payloads received and never acknowledged by a client that ends without a word."""
        link = MqttLink(served.broker_address, "service", persistent=True, manual_ack=True)
        link.subscribe("t/#")
        link.connect()
        found: list[bytes] = []
        deadline, subscribed_s = time.monotonic() + 10.0, time.monotonic() + 0.4
        while len(set(found)) < n_messages or time.monotonic() < subscribed_s:
            assert time.monotonic() < deadline
            found += [message.payload for message in link.poll(0.02)]
            sender.poll(0.0)
        sock = link._client.socket()
        assert sock is not None
        sock.close()
        time.sleep(0.3)  # no process starts again sooner
        return found

    sender = MqttLink(served.broker_address, "sender")
    sender.connect()
    died_after(0)
    for k in range(30):
        sender.publish("t/a", b"%d" % k)
    wanted = {b"%d" % k for k in range(30)}
    assert set(died_after(30)) == wanted
    assert set(died_after(30)) == wanted
    sender.close()


def test_a_busy_port_ends_the_broker_with_its_sentence(served: Settings) -> None:
    environment = {**os.environ, **served.as_environment()}
    second = subprocess.run(
        [sys.executable, "-c", BROKER], env=environment, capture_output=True, timeout=20, check=False
    )
    assert second.returncode == 1
    assert b"the broker cannot listen on" in second.stderr
    assert b"Traceback" not in second.stderr


def test_a_returning_session_hears_only_what_it_asked_for(served: Settings) -> None:
    other = MqttLink(served.broker_address, "other")
    other.subscribe("theirs/#")
    other.connect()
    other.publish("theirs/state", b"x", retain=True)
    other.publish("ours/state", b"y", retain=True)
    topics: set[str] = set()
    for _ in range(2):  # the second time its session is known
        ours = MqttLink(served.broker_address, "ours", persistent=True)
        ours.subscribe("ours/#")
        ours.connect()
        deadline = time.monotonic() + 15.0
        topics.clear()
        while not topics and time.monotonic() < deadline:
            other.poll(0.01)
            topics |= {message.topic for message in ours.poll(0.1)}
        topics |= {message.topic for message in ours.poll(0.3)}
        ours.close()
    assert topics == {"ours/state"}


def test_the_broker_gets_as_many_files_as_the_system_allows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limits = {"now": (256, 4096)}
    monkeypatch.setattr(resource, "getrlimit", lambda _which: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _which, new: limits.update(now=new))
    assert broker.allow_connections(1000) == 1000
    assert limits["now"] == (1000, 4096)
    assert broker.allow_connections(500) == 500
    assert limits["now"] == (1000, 4096)
    assert not caplog.records
    assert broker.allow_connections(5000) == 4096
    assert limits["now"] == (4096, 4096)
    assert "about 4096 connections" in caplog.text


def test_a_slow_store_turns_no_message_away() -> None:
    """All that the broker sends before anything is acknowledged finds room."""
    assert broker.MAX_INFLIGHT <= HELD_MESSAGES
