"""Bytes of a strap, written out by hand from the published format."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.gateways.polar.decoder import (
    Frame,
    FrameError,
    decode_battery,
    decode_contact,
    decode_frame,
    decode_reply,
    decode_settings,
    start_command,
)
from tests.ingest.gateways.polar.simulated_strap import frame_bytes

INT24 = st.integers(-(2**23), 2**23 - 1)
FRAMES = st.builds(frame_bytes, st.integers(0, 2**63 - 1), st.lists(INT24, min_size=1, max_size=200))


def test_a_frame_written_out_by_hand() -> None:
    data = bytes.fromhex(
        "00"  # ECG
        "a8c809c9feb5a20b"  # the least byte first
        "00"  # plain int24
        "5affff"  # -166 uV, as Polar Sensor Logger prints it
        "000000"
        "010000"
        "ffff7f"  # the largest
        "000080"  # the smallest
    )
    frame = decode_frame(data)
    assert frame.last_ns == 838_432_586_543_515_816
    assert frame.samples_uv.tolist() == [-166, 0, 1, 8_388_607, -8_388_608]


def test_the_start_command_and_its_replies_byte_for_byte() -> None:
    assert start_command(130, 14) == bytes.fromhex("02000001820001010e00")
    reply = decode_reply(bytes.fromhex("f0010000 00 00018200 01010e00"))
    assert (reply.command, reply.error) == (1, 0)
    assert decode_settings(reply.parameters) == {0: (130,), 1: (14,)}
    assert decode_reply(bytes.fromhex("f0020006")).refusal == "already in this state"
    assert decode_reply(bytes.fromhex("f00200c8")).refusal == "error 200"


def test_contact_and_battery() -> None:
    assert decode_contact(bytes.fromhex("1046 0203")) is None  # RR intervals, contact not supported
    assert decode_contact(bytes.fromhex("0446")) is False
    assert decode_contact(bytes.fromhex("0646")) is True
    assert decode_battery(b"\x64") == 100


@given(st.integers(0, 2**63 - 1), st.lists(INT24, min_size=1, max_size=100))
def test_what_is_encoded_is_decoded(last_ns: int, samples: list[int]) -> None:
    frame = decode_frame(frame_bytes(last_ns, samples))
    assert frame.last_ns == last_ns
    assert frame.samples_uv.tolist() == samples
    assert frame.samples_uv.dtype == np.int32


@given(FRAMES, st.data())
def test_a_cut_or_spoilt_frame_is_refused_or_whole(data: bytes, draw: st.DataObject) -> None:
    cut = data[: draw.draw(st.integers(0, len(data)))]
    place = draw.draw(st.integers(0, len(data) - 1))
    spoilt = data[:place] + draw.draw(st.binary(min_size=1, max_size=3)) + data[place + 1 :]
    for each in (cut, spoilt):
        try:
            frame = decode_frame(each)
        except FrameError:
            continue
        assert isinstance(frame, Frame)
        assert len(frame.samples_uv) == (len(each) - 10) / 3 >= 1


@given(st.binary(max_size=40))
def test_nothing_that_comes_crashes_a_decoder(data: bytes) -> None:
    for decode in (decode_frame, decode_reply, decode_settings, decode_contact, decode_battery):
        with contextlib.suppress(FrameError):
            decode(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame_bytes(1, [1])[:12], "want 10 and 3 for each sample"),
        (b"\x02" + frame_bytes(1, [1])[1:], "measurement 2"),
        (frame_bytes(1, [1])[:9] + b"\x80" + b"123", "frame type 128"),
        (frame_bytes(1, [1]) + b"1", "1 bytes more"),
        (frame_bytes(2**63, [1]), "less than 2"),
    ],
)
def test_a_refusal_says_what_was_wrong(data: bytes, reason: str) -> None:
    with pytest.raises(FrameError, match=reason):
        decode_frame(data)
