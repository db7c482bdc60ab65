import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import msgspec
import pytest

from ingest.link import LinkError, Message, MqttLink
from ingest.topics import service_topic
from tests.conftest import Mosquitto

pytestmark = pytest.mark.broker


def until(is_met: Callable[[], object], *links: MqttLink, within_s: float = 10.0) -> None:
    """Serve the links until the condition holds."""
    deadline = time.monotonic() + within_s
    while not is_met():
        assert time.monotonic() < deadline, "not met in time"
        for link in links:
            link.poll(0.01)


class Listener:
    """A link that keeps what it receives."""

    def __init__(self, link: MqttLink, topic: str) -> None:
        self.link, self.messages = link, list[Message]()
        link.connect()
        link.subscribe(topic)
        deadline = time.monotonic() + 0.1  # the subscription reaches the broker
        self.listen(lambda: time.monotonic() > deadline)

    def listen(self, is_met: Callable[[], object], *others: MqttLink, within_s: float = 10.0) -> None:
        deadline = time.monotonic() + within_s
        while True:
            self.messages += self.link.poll(0.02)
            for other in others:
                other.poll(0.0)
            if is_met():
                return
            assert time.monotonic() < deadline, f"not met in time, {len(self.messages)} messages"

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]


@pytest.fixture
def linked(mosquitto: Mosquitto) -> Iterator[Callable[..., MqttLink]]:
    links = []

    def link(client_id: str, **options: object) -> MqttLink:
        links.append(MqttLink(mosquitto.address, client_id, **options))  # type: ignore[arg-type]  # as given
        return links[-1]

    yield link
    for each in links:
        each.close()


Linked = Callable[..., MqttLink]


def connected(link: MqttLink) -> MqttLink:
    link.connect()
    return link


def drop(link: MqttLink) -> None:
    """As if the process were killed: no goodbye, nothing more is sent."""
    sock = link._client.socket()
    assert sock is not None
    sock.close()
    link._client._sock = None


def test_no_broker_is_said_with_its_address(free_port: int) -> None:
    link = MqttLink(("127.0.0.1", free_port), "t")
    with pytest.raises(LinkError, match=f"no MQTT broker answers at 127.0.0.1:{free_port}"):
        link.connect(within_s=0.2)


def test_messages_arrive_once_and_in_order(linked: Linked) -> None:
    listener = Listener(linked("l"), "t/#")
    sender = connected(linked("s"))
    for k in range(1500):  # more than one burst
        sender.publish("t/a", b"%d" % k)
    listener.listen(lambda: len(listener.messages) >= 1500, sender)
    assert listener.payloads == [b"%d" % k for k in range(1500)]
    assert not any(message.retained for message in listener.messages)


def test_what_waited_for_a_persistent_session_is_not_lost_while_connecting(linked: Linked) -> None:
    first = Listener(linked("p", persistent=True, manual_ack=True), "t/#")
    first.link.close()
    sender = connected(linked("s"))
    for k in range(700):
        sender.publish("t/a", b"%d" % k)
    until(lambda: not sender._client._out_messages, sender)
    again = Listener(linked("p", persistent=True, manual_ack=True), "t/#")
    again.listen(lambda: len(again.messages) >= 700)
    assert again.payloads == [b"%d" % k for k in range(700)]


def test_what_was_not_acknowledged_comes_again_and_the_rest_does_not(linked: Linked) -> None:
    listener = Listener(linked("p", persistent=True, manual_ack=True), "t/#")
    sender = connected(linked("s"))
    for k in range(10):
        sender.publish("t/a", b"%d" % k)
    listener.listen(lambda: len(listener.messages) == 10, sender)
    listener.link.acknowledge(*listener.messages[:6])
    listener.link.reconnect()
    listener.messages.clear()
    sender.publish("t/a", b"last")
    listener.listen(lambda: b"last" in listener.payloads, sender)
    assert listener.payloads == [b"6", b"7", b"8", b"9", b"last"]


def test_an_acknowledgement_never_crosses_a_reconnect(linked: Linked) -> None:
    """Message ids start anew: an old one would acknowledge a stranger."""
    listener = Listener(linked("p", persistent=True, manual_ack=True), "t/#")
    sender = connected(linked("s"))
    sender.publish("t/a", b"old")
    listener.listen(lambda: listener.messages, sender)
    old = list(listener.messages)
    listener.link.reconnect()
    listener.listen(lambda: len(listener.messages) == 2)
    listener.link.acknowledge(*old)
    listener.link.reconnect()
    listener.listen(lambda: len(listener.messages) == 3)
    assert listener.payloads == [b"old"] * 3


def test_acknowledging_reads_what_a_killed_broker_left_in_the_socket(
    linked: Linked, mosquitto: Mosquitto
) -> None:
    """The broker has told the devices that these messages are safe."""
    listener = Listener(linked("p", persistent=True, manual_ack=True), "t/#")
    sender = connected(linked("s"))
    sender.publish("t/a", b"first")
    listener.listen(lambda: listener.messages, sender)
    for k in range(20):
        sender.publish("t/a", b"%d" % k)
    until(lambda: not sender._client._out_messages, sender)
    mosquitto.kill()
    listener.link.acknowledge(*listener.messages)
    for _ in range(3):
        listener.link.publish("u", b"a window")  # the second write meets the end of the connection
    listener.messages.clear()
    listener.listen(lambda: len(listener.messages) == 20, within_s=2.0)
    assert listener.payloads == [b"%d" % k for k in range(20)]


def test_after_a_killed_broker_everything_goes_on(linked: Linked, mosquitto: Mosquitto) -> None:
    listener = Listener(linked("l"), "t/#")
    sender = connected(linked("s"))
    mosquitto.kill()
    until(lambda: not sender.is_connected, sender, listener.link)
    sender.publish("t/a", b"dropped", qos=0)
    sender.publish("t/a", b"kept")
    mosquitto.start()
    until(lambda: listener.link.is_connected, listener.link)
    listener.listen(lambda: listener.messages, sender)
    sender.publish("t/a", b"later")
    listener.listen(lambda: b"later" in listener.payloads, sender)
    assert listener.payloads == [b"kept", b"later"]


def test_what_waits_unread_when_a_link_comes_back_comes_once(linked: Linked) -> None:
    """Else it would be taken before what was sent earlier and comes again."""
    listener = Listener(linked("p", persistent=True, manual_ack=True), "t/#")
    sender = connected(linked("s"))
    for k in range(2000):
        sender.publish("t/a", b"%d" % k)
    listener.listen(lambda: listener.messages, sender)
    until(lambda: not sender._client._out_messages, sender)
    listener.link.reconnect()
    listener.messages.clear()
    listener.listen(lambda: len(listener.messages) >= 2000)
    assert listener.payloads == [b"%d" % k for k in range(2000)]


@pytest.mark.parametrize("gather_s", [0.0, 0.0625])
def test_only_a_link_that_gathers_lets_messages_wait_and_not_after_a_pause(
    linked: Linked, gather_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener(linked("l", gather_s=gather_s), "t/#")
    sender = connected(linked("s"))
    now_s, slept_s = [round(time.monotonic()) + 1000.0], list[float]()
    monkeypatch.setattr("ingest.link.time.sleep", slept_s.append)
    monkeypatch.setattr("ingest.link.time.monotonic", lambda: now_s[0])
    for k in range(2):
        sender.publish("t/a", b"%d" % k)
        while not (found := listener.link.poll(0.05)):
            sender.poll(0.0)
            now_s[0] += 1.0
        assert [each.payload for each in found] == [b"%d" % k]
        assert slept_s == [], "it waits after a pause"
        listener.link.poll(0.03125)
        listener.link.poll(0.1)
        assert slept_s == ([0.03125, 0.0625] if gather_s else [])
        slept_s.clear()
        now_s[0] += 1.0


WELCOME = b"\x20\x02\x00\x00"
PUBLICATION = b"\x32\x06\x00\x01t\x00\x07x"  # x on t, QoS 1, number 7


class Far:
    """A link, and the broker's end of its connection."""

    def __init__(self, server: socket.socket, *, manual_ack: bool = False) -> None:
        self.link = MqttLink(server.getsockname(), "t", persistent=True, manual_ack=manual_ack)
        self.link.poll(0.0)
        self.end, _ = server.accept()
        self.end.settimeout(5.0)
        assert self.end.recv(1000).startswith(b"\x10")

    def welcome(self) -> None:
        self.end.sendall(WELCOME)
        until(lambda: self.link.is_connected, self.link)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


def test_what_comes_with_the_welcome_is_acknowledged(server: socket.socket) -> None:
    """Else it stays the broker's, and comes again at each reconnect."""
    far = Far(server)
    with far.end:
        far.end.sendall(WELCOME + PUBLICATION)
        until(lambda: far.link.is_connected, far.link)
        assert far.end.recv(100) == b"\x40\x02\x00\x07"
    far.link.close()


def test_what_a_lost_connection_left_is_kept_by_one_who_would_leave_it(server: socket.socket) -> None:
    """A killed broker has told the devices that it is safe, and does not send it again."""
    far = Far(server, manual_ack=True)
    far.welcome()
    far.end.sendall(PUBLICATION)
    far.end.close()
    deadline = time.monotonic() + 5.0
    while far.link.is_connected:  # the second write meets the end of the connection
        far.link.publish("u", b"a window")
        assert time.monotonic() < deadline
    far.link.reconnect()
    assert [each.payload for each in far.link.poll(0.0)] == [b"x"]
    far.link.close()


def test_nothing_is_read_after_a_goodbye_that_cannot_be_written(server: socket.socket) -> None:
    """It would be taken before what was sent earlier and comes again."""
    far = Far(server, manual_ack=True)
    with far.end:
        far.welcome()
        far.link.publish("u", bytes(20_000_000), qos=0)
        assert far.link._client.want_write()
        far.link.reconnect()
        assert not far.link.is_connected
        far.end.sendall(PUBLICATION)
        assert far.link.poll(0.0) == []
    far.link.close()


@pytest.mark.parametrize("broken", [b"\x32\xff\xff\xff\xff\x01", b"\x30\x01\x00"])
def test_what_is_no_mqtt_ends_the_connection_and_not_the_service(broken: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = MqttLink(server.getsockname(), "t")
        link.poll(0.0)
        end, _ = server.accept()
        with end:
            end.sendall(b"\x20\x02\x00\x00\x30\x04\x00\x01tx" + broken)
            found: list[Message] = []
            until_s = time.monotonic() + 5.0
            while link.is_connected or not found:
                found += link.poll(0.1)
                assert time.monotonic() < until_s
        assert [(each.topic, each.payload) for each in found] == [("t", b"x")]
        link.close()


def test_presence_and_counters_beat_each_second(linked: Linked) -> None:
    listener = Listener(linked("l"), service_topic("x"))
    calls: list[int] = []

    def counters() -> dict[str, int]:
        calls.append(1)
        return {"calls": len(calls)}

    service = connected(linked("svc", service="x", counters=counters))
    listener.listen(lambda: len(listener.messages) >= 3, service)
    beats = [msgspec.json.decode(payload) for payload in listener.payloads]
    assert [beat["counters"]["calls"] for beat in beats] == [1, 2, 3]
    assert all(beat["online"] for beat in beats)
    gaps_s = [(b["at_us"] - a["at_us"]) / 1e6 for a, b in pairwise(beats)]
    assert all(0.9 < gap_s < 2.0 for gap_s in gaps_s)


@pytest.mark.parametrize("ending", ["killed", "closed"])
def test_a_service_that_ends_is_shown_offline(linked: Linked, ending: str) -> None:
    listener = Listener(linked("l"), service_topic("x"))
    service = connected(linked("svc", service="x"))
    listener.listen(lambda: listener.messages, service)
    drop(service) if ending == "killed" else service.close()
    listener.listen(lambda: listener.payloads[-1] == b'{"online":false}', within_s=3.0)
    late = Listener(linked("late"), service_topic("x"))
    late.listen(lambda: late.messages)
    assert late.payloads[0] == b'{"online":false}'
    assert late.messages[0].retained


def test_a_server_that_accepts_and_never_answers_is_no_broker(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)) as server:
        accepted: list[socket.socket] = []

        def accept() -> None:
            accepted.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        link = MqttLink(("127.0.0.1", free_port), "t")
        with pytest.raises(LinkError):
            link.connect(within_s=0.3)
        for each in accepted:
            each.close()
