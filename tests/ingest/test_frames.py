import socket
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from ingest import frames
from ingest.fed_client import FedClient
from ingest.frames import Frames, Message

MANY = 1 << 20
OTHERS = (b"\x20\x02\x00\x00", b"\x40\x02\x00\x07", b"\x90\x03\x00\x01\x01", b"\xd0\x00")


def packet(kind: int, body: bytes) -> bytes:
    size, left = bytearray(), len(body)
    while left >= 128:
        size.append(left & 127 | 128)
        left >>= 7
    return bytes([kind]) + size + bytes([left]) + body


def publication(topic: str, payload: bytes, *, qos: int = 1, mid: int = 1, retained: bool = False) -> bytes:
    name = topic.encode()
    place = mid.to_bytes(2, "big") if qos else b""
    body = len(name).to_bytes(2, "big") + name + place + payload
    return packet(0x30 | qos << 1 | retained, body)


topics = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
payloads = st.one_of(st.binary(max_size=40), st.integers(100, 20_000).map(bytes))  # lengths of 1 to 3 bytes
publications = st.builds(
    publication,
    topics,
    payloads,
    qos=st.sampled_from((0, 1)),
    mid=st.integers(1, 65_535),
    retained=st.booleans(),
)
streams = st.lists(st.one_of(publications, st.sampled_from(OTHERS)), max_size=12)


@given(streams, st.data())
def test_any_cutting_of_the_stream_gives_the_same_messages(packets: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(packets)
    whole = Frames(7)
    whole.push(stream)
    expected = whole.take(MANY, 0)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    at_most = data.draw(st.integers(1, 3))
    reader, messages, others = Frames(7), list[Message](), b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.push(stream[start:end])
        while reader.may_be_whole:
            more, rest = reader.take(at_most, len(messages))
            assert len(more) <= at_most
            messages, others = messages + more, others + rest
    assert (messages, others) == expected
    assert others == b"".join(each for each in packets if each in OTHERS)
    assert [each.received_us for each in messages] == list(range(len(messages)))
    assert not reader.is_broken


@given(st.lists(publications, min_size=1, max_size=5))
def test_a_publication_is_read_as_paho_reads_it(packets: list[bytes]) -> None:
    read: list[Any] = []
    client = FedClient(CallbackAPIVersion.VERSION2, manual_ack=True)
    client.on_message = lambda _client, _userdata, each: read.append(
        (each.topic, each.payload, each.retain, each.mid, each.qos)
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client._sock = ours
        client.feed(b"".join(packets))
        client._sock = None
    reader = Frames(7)
    reader.push(b"".join(packets))
    messages, others = reader.take(MANY, 0)
    assert not others
    assert [(m.topic, m.payload, m.retained, m._mid, m._qos) for m in messages] == read
    assert {m._connection for m in messages} == {7}


def test_publications_of_qos_2_are_left_to_paho() -> None:
    reader, exactly_once = Frames(1), publication("t", b"x", qos=2)
    reader.push(exactly_once + publication("t", b"y"))
    messages, others = reader.take(MANY, 0)
    assert [each.payload for each in messages] == [b"y"]
    assert others == exactly_once


@pytest.mark.parametrize(
    "broken",
    [
        b"\x32\xff\xff\xff\xff\x01",  # a length of more than four bytes
        b"\x20\x80\x80\x80\x80",
        packet(0x30, b""),  # no topic
        packet(0x30, b"\x00"),
        packet(0x30, b"\x00\x00payload"),  # an empty one
        packet(0x30, b"\x00\x05topi"),  # one that is longer than the packet
        packet(0x32, b"\x00\x01t\x00"),  # half an id
    ],
)
@pytest.mark.parametrize("behind", [publication("t", b"never"), b""])
def test_what_is_no_mqtt_ends_the_stream_after_the_last_good_message(broken: bytes, behind: bytes) -> None:
    reader = Frames(1)
    reader.push(publication("t", b"good") + broken + behind)
    messages, others = reader.take(MANY, 0)
    assert [each.payload for each in messages] == [b"good"]
    assert not others
    assert reader.is_broken
    reader.push(publication("t", b"never"))
    assert reader.take(MANY, 0) == ([], b"")


def test_a_large_packet_is_looked_at_when_it_is_whole() -> None:
    reader, large = Frames(1), publication("t", bytes(5_000_000))
    reader.push(large[:100])
    assert reader.take(MANY, 0) == ([], b"")
    for start in range(100, len(large), 100_000):
        assert not reader.may_be_whole
        reader.push(large[start : start + 100_000])
    (message,), _ = reader.take(MANY, 0)
    assert len(message.payload) == 5_000_000


def test_topics_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "TOPICS_KEPT", 10)
    reader = Frames(1)
    names = [*(f"t/{k % 25}" for k in range(60)), "long/" * 100, "t/0"]
    for name in names:
        reader.push(publication(name, b""))
    assert [each.topic for each in reader.take(MANY, 0)[0]] == names
    assert len(reader._topics) <= 10
    assert max(map(len, reader._topics)) <= frames.TOPIC_KEPT_BYTES


def test_a_topic_that_is_no_text_is_nobodys() -> None:
    reader = Frames(1)
    reader.push(packet(0x30, b"\x00\x02\xff\xfe"))
    assert reader.take(MANY, 0)[0][0].topic == "\ufffd\ufffd"
    assert mqtt.topic_matches_sub("ecg/v1/+/+/chunk", "\ufffd\ufffd") is False
