"""On the very first start too, what a broker acknowledges to a device waits for ingest."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.broker import broker_command
from ingest.link import MqttLink
from ingest.settings import Settings, load_settings
from ingest.standing_session import CLIENT_ID, wake_session
from tests.conftest import wait_until_listening

pytestmark = pytest.mark.broker


class Broker:
    """The product's own, with its own configuration."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(broker_command(self.settings), stderr=subprocess.DEVNULL)
        wait_until_listening(self.settings.broker_port)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def broker(tmp_path: Path, free_port: int) -> Iterator[Broker]:
    broker = Broker(load_settings(data_dir=tmp_path, broker_port=free_port))
    yield broker
    broker.kill()


def publish(settings: Settings) -> None:
    device = MqttLink(settings.broker_address, "device")
    device.connect()
    device.publish("ecg/v1/a/one/chunk", b"precious")
    while device._client._out_messages:
        device.poll(0.01)
    device.close()


def heard_by_ingest(settings: Settings) -> list[bytes]:
    """What waits for it, before it has subscribed itself."""
    ingest = MqttLink(settings.broker_address, CLIENT_ID, persistent=True)
    ingest.connect()
    deadline_s, heard = time.monotonic() + 5.0, list[bytes]()
    while not heard and time.monotonic() < deadline_s:
        heard += [message.payload for message in ingest.poll(0.05)]
    ingest.close()
    return heard


def test_a_device_that_is_faster_than_the_first_ingest_is_heard(broker: Broker) -> None:
    wake_session(broker.settings, broker.process.pid)
    publish(broker.settings)
    assert heard_by_ingest(broker.settings) == [b"precious"]


def test_a_device_that_is_faster_than_ingest_is_heard_after_the_broker_was_killed(broker: Broker) -> None:
    wake_session(broker.settings, broker.process.pid)
    for _ in range(2):
        broker.kill()
        broker.start()
        wake_session(broker.settings, broker.process.pid)
        publish(broker.settings)
        assert heard_by_ingest(broker.settings) == [b"precious"]


def test_what_waits_is_not_taken_from_ingest(broker: Broker) -> None:
    wake_session(broker.settings, broker.process.pid)
    publish(broker.settings)
    wake_session(broker.settings, broker.process.pid)
    assert heard_by_ingest(broker.settings) == [b"precious"]
