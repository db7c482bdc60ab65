"""Strangers' messages through a real broker and an ingest service to stored chunks and windows."""

import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ingest.bodies import Bodies
from ingest.link import Message, MqttLink
from ingest.mappers.configuration import parse_mappers
from ingest.service import IngestService, run
from ingest.settings import load_settings
from ingest.store.archive import Archive
from ingest.store.errors import StoreError
from ingest.topics import mapped_chunk_topic
from ingest.vitals import Vitals
from ingest.wire import decode
from tests.ingest.mappers.payloads import NOW_US, batch, export, export_ecg
from tests.ingest.mappers.test_mapped_intake import HOBBY, PHONE, TABLES
from tests.ingest.test_service import House, await_that

pytestmark = pytest.mark.broker

FS = 512
N = 30 * FS


@pytest.fixture
def house(tmp_path: Path, free_port: int) -> Iterator[House]:
    file = tmp_path / "mappers.toml"
    file.write_text(TABLES)
    house = House(load_settings(data_dir=tmp_path, broker_port=free_port, commit_every_s=0.05, mappers=file))
    house.start_broker()
    yield house
    house.close()


def send(link: MqttLink, topic: str, payload: bytes) -> None:
    """Publish and wait until the broker has it."""
    link._client.publish(topic, payload, qos=1)
    await_that(lambda: not link._client._out_messages, lambda: link.poll(0.01))


def stored(house: House, device: str) -> list[tuple[int, int, int]]:
    """(session, first sample, samples) of each stored chunk, in order of arrival."""
    chunks = [each.chunk for each in Archive(house.engine).chunks_since(device, 0)]
    return [(c.session, c.first_sample, c.n_samples) for c in chunks]


def test_a_hobby_source_killed_and_redelivered_is_stored_once_and_makes_windows(house: House) -> None:
    ingest = house.start_ingest()
    house.await_ingest()
    link = house.publisher().link
    for k in range(30):
        send(link, HOBBY, batch(k))
        if k % 10 == 4:
            ingest.send_signal(signal.SIGKILL)
            ingest.wait()
        if k % 10 == 6:
            ingest = house.start_ingest()
            for again in (k - 1, k):  # a source that doubts an acknowledgement
                send(link, HOBBY, batch(again))
    await_that(lambda: len(stored(house, "home/one")) >= 30)
    found = stored(house, "home/one")
    assert len({session for session, _, _ in found}) == 1
    assert sorted((first, n) for _, first, n in found) == [(100 * k, 100) for k in range(30)]
    await_that(lambda: len(house.windows()) == 3)
    samples = np.concatenate([window.samples_mv for window in house.windows()])
    np.testing.assert_array_equal(np.rint(samples * 1000), np.arange(3000) % 997)
    ingest.terminate()
    assert ingest.wait(10) == 0


def test_an_export_is_stored_once_however_often_it_is_sent_and_others_go_on_meanwhile(house: House) -> None:
    link, listener = house.publisher().link, MqttLink(house.settings.broker_address, "listener")
    listener.connect()
    ingest = house.start_ingest()
    house.await_ingest()
    listener.subscribe("wl/v1/#", qos=0)
    body = export(*(export_ecg(1_780_000_000 + 100 * k, N) for k in range(12)))
    assert len(body) > 9 << 20
    send(link, PHONE, body)
    ingest.send_signal(signal.SIGKILL)  # midway, or before it began
    ingest.wait()
    ingest = house.start_ingest()
    send(link, PHONE, body)
    heard = list[Message]()
    for k in range(3):
        send(link, HOBBY, batch(k))
        heard += listener.poll(0.05)
    await_that(lambda: len(stored(house, "home/Watch")) == 12, lambda: heard.extend(listener.poll(0.05)))
    await_that(lambda: len(house.windows()) == 36, lambda: heard.extend(listener.poll(0.05)))
    send(link, PHONE, body)
    beats = [msgspec.json.decode(m.payload) for m in heard if m.topic == "wl/v1/service/ingest"]
    assert beats
    await_that(lambda: len(stored(house, "home/one")) == 3)
    assert {first for _, first, _ in stored(house, "home/Watch")} == {0}
    assert len({session for session, _, _ in stored(house, "home/Watch")}) == 12
    assert all(window.historic and window.coverage == 1.0 for window in house.windows())
    shown = [m for m in heard if m.topic == mapped_chunk_topic("home/one")]
    assert [decode(m.payload, "home/one").first_sample for m in shown] == [0, 100, 200]
    assert not [m for m in heard if m.topic == mapped_chunk_topic("home/Watch")]
    vitals = [
        v for m in heard if "/vitals/" in m.topic for v in msgspec.json.decode(m.payload, type=list[Vitals])
    ]
    assert {v.device for v in vitals} <= {"home/one"}
    listener.close()
    ingest.terminate()
    assert ingest.wait(10) == 0


def test_a_past_that_cannot_be_read_for_a_while_loses_nothing_and_is_asked_for_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive.open(house.settings.store_address)
    service = IngestService(house.settings, archive, parse_mappers(TABLES, "test"))
    asked: list[str] = []
    heard_us = archive.heard_us

    def fail_thrice(device: str) -> int | None:
        asked.append(device)
        if len(asked) <= 3:
            raise StoreError("the store is locked")
        return heard_us(device)

    service.start()
    monkeypatch.setattr(archive, "heard_us", fail_thrice)
    link = house.publisher().link
    for k in range(20):
        link._client.publish(HOBBY, batch(k), qos=1)
    turns = (service.turn, lambda: link.poll(0.0))
    await_that(lambda: "locked" in str(service.counters()["store"]), *turns)
    await_that(lambda: len(stored(house, "home/one")) == 20, *turns)
    await_that(lambda: service.counters()["store"] == "ok", *turns)
    assert len(asked) == 4
    assert [first for _, first, _ in stored(house, "home/one")] == [100 * k for k in range(20)]
    assert service.counters()["turned_away"] == 0
    service.close()


def message(n_bytes: int) -> Message:
    return Message("t", bytes(n_bytes), NOW_US, retained=False, _mid=1, _qos=1, _connection=1)


def test_a_body_is_taken_a_part_a_step_and_told_when_whole() -> None:
    taken: list[int] = []

    def parts(_message: Message) -> Iterator[None]:
        for k in range(3):
            taken.append(k)
            yield

    bodies, one = Bodies(parts), message(10)
    bodies.add(one)
    assert [bodies.step() for _ in range(4)] == [None, None, None, one]
    assert taken == [0, 1, 2]
    assert not bodies.is_waiting


def test_too_many_large_bodies_are_left_to_the_broker_and_fetched_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ingest.bodies.WAITING_BYTES", 25)
    bodies = Bodies(lambda _message: iter(()))
    for _ in range(4):
        bodies.add(message(10))
    assert len(bodies) == 4
    assert not bodies.must_fetch()
    assert [bodies.step() is not None for _ in range(2)] == [True, True]
    assert [bodies.must_fetch() for _ in range(2)] == [True, False]


def test_a_mappers_file_that_is_wrong_refuses_the_start_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('[[mapper]]\ntopic = "a"\npreset = "polar"\ndevice = "d"\nunits = "mV"')
    with pytest.raises(
        SystemExit, match=r"my\.toml: \[\[mapper\]\] 1 key units: unknown key, want one of topic"
    ):
        run(load_settings(data_dir=tmp_path, mappers=file))
