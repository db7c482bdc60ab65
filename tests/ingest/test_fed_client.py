"""The seam with paho: it reads what it is fed and never its socket."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from functools import partial

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ingest.fed_client import FedClient

CONNACK = b"\x20\x02\x00\x00"
KEEPALIVE_S = 5


class Far:
    """A client, and the broker's end of its connection."""

    def __init__(self, server: socket.socket) -> None:
        self.told: list[str] = []
        self.client = FedClient(
            CallbackAPIVersion.VERSION2, "t", protocol=MQTTProtocolVersion.MQTTv311, manual_ack=True
        )
        self.client.on_connect = lambda *_: self.told.append("connected")
        self.client.on_disconnect = lambda *_: self.told.append("disconnected")
        host, port = server.getsockname()
        self.client.connect(host, port, keepalive=KEEPALIVE_S)
        self.end, _ = server.accept()
        assert self.end.recv(1000).startswith(b"\x10")

    def close(self) -> None:
        self.client.disconnect()
        self.end.close()


@pytest.fixture
def far() -> Iterator[Far]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = Far(server)
        yield found
        found.close()


def test_paho_reads_what_it_is_fed_and_not_its_socket(far: Far) -> None:
    far.end.sendall(b"\x32\x05\x00\x01t\x00\x01")
    far.client.loop_read()
    assert far.told == []
    far.client.feed(CONNACK)
    assert far.told == ["connected"]
    sock = far.client.socket()
    assert isinstance(sock, socket.socket)
    assert sock.recv(100) == b"\x32\x05\x00\x01t\x00\x01"


def test_paho_is_told_the_end_even_in_the_middle_of_a_packet(far: Far) -> None:
    far.client.feed(CONNACK + b"\x40\x02")
    assert far.told == ["connected"]
    far.client.end()
    assert far.told == ["connected", "disconnected"]
    assert far.client.socket() is None


def test_all_packets_of_one_feeding_are_answered(far: Far) -> None:
    far.client.feed(CONNACK)
    sent = [far.client.publish("t", b"x", qos=1) for _ in range(3)]
    assert not any(each.is_published() for each in sent)
    far.client.feed(b"".join(b"\x40\x02" + each.mid.to_bytes(2, "big") for each in sent))
    assert all(each.is_published() for each in sent)


@given(acknowledged=st.lists(st.integers(1, 8), max_size=12))
def test_publications_are_settled_as_paho_settles_them(acknowledged: list[int]) -> None:
    """Known, unknown and repeated ones, and those that wait for room. Behind a PINGRESP all is paho's."""
    left = []
    pubacks = b"".join(b"\x40\x02" + mid.to_bytes(2, "big") for mid in acknowledged)
    for packets in (pubacks, b"\xd0\x00" + pubacks):
        with socket.create_server(("127.0.0.1", 0)) as server:
            far = Far(server)
            far.client._max_inflight_messages = 3
            far.client.feed(CONNACK)
            sent = [far.client.publish("t", b"x", qos=1) for _ in range(6)]
            far.client.feed(packets)
            in_flight = [(mid, each.state) for mid, each in far.client._out_messages.items()]
            n_in_flight, settled = far.client._inflight_messages, [each.is_published() for each in sent]
            far.client.disconnect()
            written = b"".join(iter(partial(far.end.recv, 1000), b""))
            left.append((in_flight, n_in_flight, settled, written))
            far.close()
    assert left[0] == left[1]


def test_a_write_that_fails_while_settling_is_told_and_what_is_not_settled_comes_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = Far(server)
        far.client._max_inflight_messages = 2
        far.client.feed(CONNACK)
        sent = [far.client.publish("t", b"x", qos=1) for _ in range(4)]
        far.end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # gone with a reset
        far.end.close()
        far.client.feed(b"\x40\x02\x00\x01" + b"\x40\x02\x00\x02")
        assert far.told == ["connected", "disconnected"]
        assert [each.is_published() for each in sent] == [True, True, False, False]
        far.client.reconnect()
        far.end, _ = server.accept()
        assert far.end.recv(1000).startswith(b"\x10")
        far.client.feed(CONNACK)
        far.client.disconnect()
        written = b"".join(iter(partial(far.end.recv, 1000), b""))
        assert [written.count(b"\x00\x01t\x00" + bytes([mid]) + b"x") for mid in (1, 2, 3, 4)] == [0, 0, 1, 1]
        far.close()


@pytest.mark.parametrize("heard", ["something", "nothing"])
def test_what_arrived_elsewhere_answers_for_the_pong(
    far: Far, heard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [mqtt.time_func()]
    monkeypatch.setattr(mqtt, "time_func", lambda: now_s[0])
    far.client.feed(CONNACK)
    now_s[0] += KEEPALIVE_S
    far.client.loop_misc()
    assert far.end.recv(100) == b"\xc0\x00"
    if heard == "something":
        far.client.note_alive()
    now_s[0] += KEEPALIVE_S
    far.client.loop_misc()
    assert (far.client.socket() is not None) == (heard == "something")


def test_acknowledgements_follow_the_packet_that_paho_is_in_the_middle_of(far: Far) -> None:
    far.client.feed(CONNACK)
    far.client.publish("t", bytes(20_000_000), qos=0)
    assert far.client.want_write()
    far.client.confirm([7, 8])
    got = bytearray()
    while far.client.want_write():
        far.client.loop_write()
        got += far.end.recv(1 << 20)
    far.client.confirm([9])
    while got[-4:] != b"\x40\x02\x00\x09":
        got += far.end.recv(1 << 20)
    assert got.endswith(b"\x40\x02\x00\x07\x40\x02\x00\x08\x40\x02\x00\x09")
    assert len(got) > 20_000_000


def test_a_broker_that_takes_no_acknowledgement_is_given_up(far: Far) -> None:
    far.client.feed(CONNACK)
    far.client._keepalive = 0  # else this test would wait for it
    sock = far.client.socket()
    assert isinstance(sock, socket.socket)
    with pytest.raises(BlockingIOError):
        sock.recv(1)
    for _ in range(100):  # until all buffers between the two are full
        far.client.confirm(range(1, 65_536))
        with contextlib.suppress(BlockingIOError):
            if sock.recv(1) == b"":
                return
    pytest.fail("it goes on writing")
