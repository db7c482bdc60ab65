"""A fleet of watches: valid wire v1, real beats, and QoS 1 that survives the broker, cheaply."""

import csv
import selectors
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from ingest.chunk import Lead
from ingest.link import MqttLink
from ingest.publisher import Address, connect_packet, publish_packet
from ingest.wire import decode
from simulators.faults import FaultPlan
from simulators.fleet import FleetError
from simulators.rings import FS, EcgRing, build_rings
from simulators.watch import AGAIN_S, OFFLINE, Shape, Watch
from simulators.watches import FleetPlan, WatchFleet


class Broker(Protocol):
    """The `mosquitto` of conftest: a real broker that can be killed and started again."""

    address: tuple[str, int]

    def start(self) -> None: ...
    def kill(self) -> None: ...


class Listener:
    """Every chunk the broker hands on, in order, over a persistent session, as ingest reads it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.places: dict[str, list[int]] = {}
        self.said: dict[str, bytes] = {}
        self._link = MqttLink(address, "listener", persistent=True, manual_ack=True)
        self._link.subscribe("ecg/v1/#")
        self._link.connect()

    def listen(self) -> None:
        messages = self._link.poll(0.01)
        for message in messages:
            device = "/".join(message.topic.split("/")[2:4])
            if message.topic.endswith("/chunk"):
                self.places.setdefault(device, []).append(decode(message.payload, device).first_sample)
            else:
                self.said[message.topic] = message.payload
        self._link.acknowledge(*messages)

    def await_broker(self) -> None:
        while not self._link.is_connected:
            self.listen()
        for _ in range(20):
            self.listen()

    def close(self) -> None:
        self._link.close()


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


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def rings() -> list[EcgRing]:
    return build_rings(np.random.default_rng(0))


def watch_of(ring: EcgRing, chunk_s: float, faults: FaultPlan = FaultPlan()) -> Watch:  # noqa: B008 - frozen
    shape = Shape(chunk_s, faults, to_wall_s=1.79e9)
    rng = np.random.default_rng(1)
    return Watch("t/w", session=0xFEDCBA98, ring=ring, offset=12_345, start_s=5.0, shape=shape, rng=rng)


@pytest.mark.parametrize("chunk_ms", [50, 143, 250, 1000, 2000])
def test_payloads_are_wire_v1_and_join_without_a_gap_whatever_the_chunk(
    rings: list[EcgRing], chunk_ms: int
) -> None:
    watch = watch_of(rings[0], chunk_ms / 1000)
    numbers = range(round(130_000 / chunk_ms))  # more than two rounds of the ring
    chunks = [decode(watch.payload(number), "t/w") for number in numbers]
    assert {(c.session, c.fs, c.leads) for c in chunks} == {(0xFEDCBA98, FS, (Lead.I,))}
    for before, chunk in pairwise(chunks):
        assert chunk.first_sample == before.end_sample
        assert chunk.seq == before.seq + 1
        taken_us = 1_790_000_005_000_000 + chunk.first_sample / FS * 1e6
        assert abs(chunk.wall_time_us - taken_us) <= 1
    joined_mv = np.concatenate([c.samples_mv[:, 0] for c in chunks])
    at = (12_345 + np.arange(len(joined_mv))) % rings[0].n_samples
    once = np.frombuffer(rings[0].samples(0, rings[0].n_samples), "<i2")
    np.testing.assert_allclose(joined_mv, once[at] / 1000, atol=1e-6)


def test_faults_of_sensor_and_clock_reach_the_payload(rings: list[EcgRing]) -> None:
    plain = decode(watch_of(rings[0], 1.0).payload(7), "t/w")
    faults = FaultPlan(inverted=True, untold=True, clock=2.0)
    faulty = decode(watch_of(rings[0], 1.0, faults).payload(7), "t/w")
    np.testing.assert_array_equal(faulty.samples_mv, -plain.samples_mv)
    assert faulty.leads == (Lead.UNKNOWN,)
    assert faulty.wall_time_us == plain.wall_time_us - 2_000_000


def test_rings_close_within_a_heartbeat_and_hold_many_rates(rings: list[EcgRing]) -> None:
    rates = set()
    for ring in rings:
        lap = np.frombuffer(ring.samples(0, ring.n_samples), "<i2").astype(np.float64)
        seam_uv = abs(lap[0] - lap[-1])
        assert seam_uv <= max(np.abs(np.diff(lap)).max(), 50.0), ring.name
        assert np.ptp(lap) > 300, ring.name
        spectrum = np.abs(np.fft.rfft(np.abs(np.diff(lap)) - np.abs(np.diff(lap)).mean()))
        rates.add(int(np.argmax(spectrum[: len(lap) // 128])))
    assert len(rates) > 20


def test_packets_are_those_of_the_standard() -> None:
    assert connect_packet("ab", "t", b"x") == (
        b"\x10\x14\x00\x04MQTT\x04\x2e\x00\x05\x00\x02ab\x00\x01t\x00\x01x"
    )
    assert publish_packet("t", b"xy", 258, retain=True) == b"\x33\x07\x00\x01t\x01\x02xy"
    assert publish_packet("t", bytes(200), 1)[:6] == b"\x32\xcd\x01\x00\x01t"


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (FleetPlan(n_watches=0), "--fleet is 0, want 1 to"),
        (FleetPlan(n_watches=1, chunk_ms=10), "--chunk-ms is 10, want 50 to 2000"),
        (FleetPlan(n_watches=1, site="a/b"), "--site is 'a/b'"),
        (FleetPlan(n_watches=1, faults=FaultPlan(corrupt=0.1)), "corrupt is not for a fleet"),
    ],
)
def test_what_a_fleet_cannot_do_is_said(plan: FleetPlan, reason: str) -> None:
    with pytest.raises(FleetError, match=reason):
        WatchFleet(("127.0.0.1", 1), plan)


def test_what_was_not_acknowledged_waits_in_order_before_what_came_since(rings: list[EcgRing]) -> None:
    watch = watch_of(rings[0], 1.0, FaultPlan(drop=0.2, duplicate=0.2))
    counters: Counter[str] = Counter()
    lines: list[str] = []
    with selectors.DefaultSelector() as selector:
        watch.connect(Address.of("127.0.0.1", 1), selector, 0.0, counters, lines.append)
        watch._publisher.is_up = True  # packets go nowhere: there is no socket
        watch.step(35.5)
        for message_id in (2, 5, 6):
            watch._on_acknowledged(message_id)
        acknowledged = [int(line.split(",")[2]) // 512 for line in lines]
        watch._on_lost()
        kept = [each.number for each in watch._outbox]
        watch.close()
    assert kept == sorted(kept)
    assert counters["dropped"] > 0
    assert counters["duplicated"] > 0
    assert acknowledged == sorted(acknowledged)
    assert len(set(kept) | set(acknowledged)) == 30 - counters["dropped"]


def test_what_was_acknowledged_just_before_the_broker_went_is_sent_again_and_logged_once(
    rings: list[EcgRing],
) -> None:
    watch = watch_of(rings[0], 1.0)
    lines: list[str] = []
    with selectors.DefaultSelector() as selector:
        watch.connect(Address.of("127.0.0.1", 1), selector, 0.0, Counter(), lines.append)
        watch._publisher.is_up = True  # packets go nowhere: there is no socket
        for second in range(1, 21):
            watch.step(5.0 + second)
            watch._publisher.heard_s = 5.0 + second
            watch._on_acknowledged(second)
        assert len(lines) == 20
        watch._on_lost()
        again = [each.number for each in watch._outbox]
        watch._drain(26.0)
        for message_id in range(21, 21 + len(again)):
            watch._on_acknowledged(message_id)
        watch.close()
    assert again == list(range(20 - int(AGAIN_S) - 1, 20))
    assert len(lines) == 20
    assert watch.waiting == 0


@pytest.mark.broker
def test_a_killed_broker_costs_nothing_acknowledged_and_the_rest_comes_again_in_order(
    mosquitto: Broker, tmp_path: Path
) -> None:
    listener = Listener(mosquitto.address)
    log = tmp_path / "published.csv"
    fleet = WatchFleet(mosquitto.address, FleetPlan(n_watches=8, chunk_ms=100, spread_s=0.0), log)

    def start_again() -> None:
        mosquitto.start()
        listener.await_broker()  # first: this broker may have forgotten its session

    is_over = after(6.0, (3.0, mosquitto.kill), (3.8, start_again))

    def listen_until_over() -> bool:
        listener.listen()
        return is_over()

    fleet.run(listen_until_over)
    figures = fleet.snapshot()
    assert figures["reconnects"] == 8
    assert figures["waiting"] == figures["overflowed"] == 0
    assert figures["published"] == figures["acknowledged"] >= 8 * 40
    rows = rows_of(log)
    assert len(rows) == figures["acknowledged"]
    deadline_s = time.monotonic() + 5.0
    logged = {(row["device"], int(row["first_sample"])) for row in rows}
    heard: set[tuple[str, int]] = set()
    while not logged <= heard and time.monotonic() < deadline_s:
        listener.listen()
        heard = {(device, place) for device, places in listener.places.items() for place in places}
    assert logged <= heard
    for device in {row["device"] for row in rows}:
        of_device = [row for row in rows if row["device"] == device]
        numbers = [round(int(row["first_sample"]) / 51.2) for row in of_device]
        assert sorted(numbers) == list(range(len(numbers)))
        first_heard = list(dict.fromkeys(listener.places[device]))
        assert first_heard == sorted(first_heard)
        assert all(int(row["published_us"]) <= int(row["acked_us"]) for row in of_device)
    while listener.said["ecg/v1/fleet/watch-00003/status"] != OFFLINE and time.monotonic() < deadline_s:
        listener.listen()
    assert listener.said["ecg/v1/fleet/watch-00003/status"] == OFFLINE
    listener.close()


@pytest.mark.broker
def test_only_what_the_broker_acknowledged_is_logged(mosquitto: Broker, tmp_path: Path) -> None:
    log = tmp_path / "published.csv"
    faults = FaultPlan(drop=0.1, duplicate=0.1)
    plan = FleetPlan(n_watches=5, chunk_ms=100, faults=faults, spread_s=0.0)
    fleet = WatchFleet(mosquitto.address, plan, log)
    logged_at_kill: list[int] = []

    def kill() -> None:
        mosquitto.kill()
        logged_at_kill.append(int(fleet.snapshot()["acknowledged"]))

    fleet._end = lambda: None  # type: ignore[method-assign]  # nobody will acknowledge the rest
    fleet.run(after(3.0, (1.5, kill)))
    figures = fleet.snapshot()
    kinds = Counter(row["kind"] for row in rows_of(log))
    assert figures["waiting"] > 0
    assert figures["dropped"] > 0
    assert kinds["chunk"] == figures["acknowledged"]
    assert 0 < logged_at_kill[0] <= figures["acknowledged"] <= logged_at_kill[0] + 5
    assert kinds["duplicate"] > 0


def test_no_broker_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.watches.START_WITHIN_S", 0.2)
    with pytest.raises(FleetError, match=r"no MQTT broker answers at 127\.0\.0\.1:1"):
        WatchFleet(("127.0.0.1", 1), FleetPlan(n_watches=1)).run(lambda: False)
