"""Laws of wire v1. `PYTHONPATH=. python tests/ingest/test_wire.py` writes the golden bytes anew."""

import json
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.chunk import NO_FLAGS, Chunk, ChunkFlag, Lead
from ingest.wire import (
    HEADER,
    MAGIC,
    MAX_PAYLOAD_BYTES,
    Encoding,
    WireError,
    _decode_binary,
    _decode_usual,
    decode,
    encode_binary,
    encode_json,
)

GOLDEN = Path(__file__).with_name("wire_v1_golden.json")
DEVICE = "demo/bed-01"


def chunk_of(
    samples_mv: NDArray[np.float32], leads: tuple[Lead, ...] = (Lead.I,), flags: ChunkFlag = NO_FLAGS
) -> Chunk:
    return Chunk(
        device=DEVICE,
        session=0x9F3C21D0,
        seq=4711,
        first_sample=343_903,
        wall_time_us=1_790_000_000_123_456,
        device_ns=77_000_000_001,
        fs=512.0,
        leads=leads,
        samples_mv=samples_mv,
        flags=flags,
    )


def golden_messages() -> dict[str, bytes]:
    one = chunk_of(np.array([[-0.012], [0.003], [1.25], [-2.0]], np.float32), flags=ChunkFlag.LEAD_OFF)
    two = chunk_of(np.array([[0.1, -0.1], [0.2, -0.3]], np.float32), leads=(Lead.I, Lead.II))
    binary = {f"{e.name.lower()}_one_lead": encode_binary(one, e) for e in Encoding}
    return binary | {
        "int16_two_leads": encode_binary(two),
        "varint_two_leads": encode_binary(two, Encoding.VARINT),
        "json_one_lead": encode_json(one),
        "json_two_leads": encode_json(two),
    }


@st.composite
def chunks(draw: st.DrawFn) -> Chunk:
    n_leads = draw(st.integers(1, 12))
    first = draw(st.sampled_from([0, 1])) if n_leads > 1 else draw(st.sampled_from(list(Lead)))
    leads = tuple(Lead(first + i if first else 0) for i in range(n_leads))
    n_samples = draw(st.integers(1, 40))
    seed = draw(st.integers(0, 2**32 - 1))
    amplitude_mv = draw(st.sampled_from([0.0, 0.05, 3.0, 32.0]))
    samples = np.random.default_rng(seed).uniform(-amplitude_mv, amplitude_mv, (n_samples, n_leads))
    return Chunk(
        device=DEVICE,
        session=draw(st.integers(0, 2**32 - 1)),
        seq=draw(st.integers(0, 2**32 - 1)),
        first_sample=draw(st.integers(0, 2**63 - 100)),
        wall_time_us=draw(st.integers(0, 253_402_300_799_999_999)),
        device_ns=draw(st.integers(-(2**63), 2**63 - 1)),
        fs=draw(st.integers(1_000, 10_000_000)) / 1000,
        leads=leads,
        samples_mv=samples.astype(np.float32),
        flags=ChunkFlag(draw(st.integers(0, 63))),
    )


def assert_same(got: Chunk, sent: Chunk, lsb_mv: float) -> None:
    for name in ("device", "session", "seq", "first_sample", "wall_time_us", "device_ns", "leads", "flags"):
        assert getattr(got, name) == getattr(sent, name), name
    assert got.fs == pytest.approx(sent.fs, abs=0.0005)
    assert got.samples_mv.dtype == np.float32
    np.testing.assert_allclose(got.samples_mv, sent.samples_mv, atol=lsb_mv * 0.51, rtol=1e-6)


@given(chunks(), st.sampled_from(Encoding), st.sampled_from([1000, 2500, 65535]))
def test_binary_decode_of_encode_is_the_same_to_one_unit(
    chunk: Chunk, encoding: Encoding, nv_per_unit: int
) -> None:
    lsb_mv = 0.0 if encoding == Encoding.FLOAT32 else nv_per_unit / 1e6
    assert_same(decode(encode_binary(chunk, encoding, nv_per_unit), DEVICE), chunk, lsb_mv)


@settings(max_examples=60, deadline=None)
@given(
    encoding=st.sampled_from([Encoding.INT16, Encoding.INT32, Encoding.VARINT]),
    n_leads=st.integers(1, 3),
    nv_per_unit=st.integers(1, 0xFFFF),
    units=st.lists(st.integers(-(2**15), 2**15 - 1), min_size=3, max_size=300),
)
def test_a_sample_is_its_unit_times_the_scale_rounded_once_in_single_precision(
    encoding: Encoding, n_leads: int, nv_per_unit: int, units: list[int]
) -> None:
    sent = np.array(units[: len(units) // n_leads * n_leads]).reshape(-1, n_leads)
    chunk = chunk_of((sent * (nv_per_unit / 1e6)).astype(np.float32), (Lead.I, Lead.II, Lead.III)[:n_leads])
    found = decode(encode_binary(chunk, encoding, nv_per_unit), DEVICE)
    wanted = np.multiply(sent.astype(np.float32), np.float32(nv_per_unit / 1e6), dtype=np.float32)
    assert found.samples_mv.tobytes() == wanted.tobytes()


@given(chunks())
def test_json_decode_of_encode_is_the_same_to_one_microvolt(chunk: Chunk) -> None:
    assert_same(decode(encode_json(chunk), DEVICE), chunk, 0.001)


@pytest.mark.parametrize("encoding", Encoding)
@settings(max_examples=300)
@given(data=st.data())
def test_one_corrupted_byte_is_refused_or_keeps_the_shape(encoding: Encoding, data: st.DataObject) -> None:
    chunk = data.draw(chunks())
    payload = bytearray(encode_binary(chunk, encoding))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        got = decode(bytes(payload), DEVICE)
    except WireError:
        return
    assert got.samples_mv.shape == chunk.samples_mv.shape
    assert np.isfinite(got.samples_mv).all()


def test_every_value_of_every_header_byte_is_refused_or_keeps_the_shape() -> None:
    for name, message in golden_messages().items():
        if name.startswith("json"):
            continue
        shape = decode(message, DEVICE).samples_mv.shape
        for at in range(48):
            for value in range(256):
                changed = message[:at] + bytes([value]) + message[at + 1 :]
                try:
                    assert decode(changed, DEVICE).samples_mv.shape == shape
                except WireError:
                    assert changed != message


@settings(max_examples=500)
@given(data=st.data())
def test_corrupted_json_is_refused_or_is_a_sound_chunk(data: st.DataObject) -> None:
    payload = bytearray(encode_json(data.draw(chunks())))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        got = decode(bytes(payload), DEVICE)
    except WireError:
        return
    assert np.isfinite(got.samples_mv).all()


@settings(max_examples=500)
@given(st.binary(max_size=200), st.sampled_from([b"", b"{", b"\xec\x47\x01\x00\x01\x01\x01\x00"]))
def test_random_bytes_never_crash(tail: bytes, head: bytes) -> None:
    try:
        got = decode(head + tail, DEVICE)
    except WireError:
        return
    assert got.n_samples > 0


def told_by(read: Callable[[bytes, str], Chunk], payload: bytes) -> object:
    """All that a reader makes of a message: the chunk to the bit, or the refusal in its words."""
    try:
        chunk = read(payload, DEVICE)
    except WireError as error:
        return str(error)
    rest = [getattr(chunk, name) for name in Chunk.__struct_fields__ if name != "samples_mv"]
    samples_mv = chunk.samples_mv
    return rest, samples_mv.dtype, samples_mv.shape, samples_mv.tobytes(), samples_mv.flags.writeable


@settings(max_examples=400)
@given(
    chunk=chunks(),
    encoding=st.sampled_from([Encoding.INT16, Encoding.INT16, *Encoding]),
    nv_per_unit=st.sampled_from([1000, 2500, 65535]),
    changes=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=3),
    longer=st.integers(-60, 3),
)
def test_the_short_way_of_the_usual_message_reads_what_the_long_way_reads(
    chunk: Chunk, encoding: Encoding, nv_per_unit: int, changes: list[tuple[int, int]], longer: int
) -> None:
    message = bytearray(encode_binary(chunk, encoding, nv_per_unit))
    for at, value in changes:
        message[at % len(message)] = value
    message[:2] = MAGIC
    for sound in (message, message[:longer] if longer < 0 else message + bytes(longer)):
        payload = bytes(sound)
        assert told_by(decode, payload or b"?") == told_by(_decode_binary, payload or b"?")


@pytest.mark.parametrize(
    ("first_sample", "n_samples", "found"),
    [(2**63 - 4, 3, tuple), (2**63 - 3, 3, str), (2**64 - 1, 3, str), (5, 0, str)],
)
def test_the_ends_of_what_a_header_may_say_are_those_of_the_long_way(
    first_sample: int, n_samples: int, found: type
) -> None:
    place = (7, 1, first_sample, 1_700_000_000_000_000, 0)
    header = HEADER.pack(MAGIC, 1, 0, Encoding.INT16, 1, Lead.I, 0, *place, 250_000, n_samples, 1000)
    payload = header + bytes(2 * n_samples)
    assert told_by(decode, payload) == told_by(_decode_binary, payload)
    assert isinstance(told_by(decode, payload), found)


def test_a_usual_message_takes_the_short_way() -> None:
    """Else the law above compares the long way with itself."""
    assert _decode_usual(golden_messages()["int16_two_leads"], DEVICE) is not None
    assert _decode_usual(golden_messages()["float32_one_lead"], DEVICE) is None


def test_what_a_header_promises_is_not_made_to_check_it() -> None:
    """Else a flood of 48 bytes each, none with the header of another, takes 2.4 ms and 5 MB a message."""
    rest = (0, 0, 12, 1, 0, 1, 1, 0, 0, 0)
    tracemalloc.start()
    for fs_mhz in range(200_000, 200_010):
        with pytest.raises(WireError, match="its header promises"):
            decode(HEADER.pack(MAGIC, 1, *rest, fs_mhz, 65_535, 1000), DEVICE)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 100_000


def test_the_golden_bytes_stay() -> None:
    golden = {name: bytes.fromhex(text) for name, text in json.loads(GOLDEN.read_text()).items()}
    assert golden_messages() == golden
    assert len(golden) == 8


def test_a_message_written_from_the_format_page_alone_is_understood() -> None:
    header = struct.pack(
        "<2sBBBBBBIIQqqIHH",
        bytes.fromhex("EC47"),
        1,  # version
        1 | 8,  # lead_off, gap_before
        0,  # int16
        1,  # one lead
        7,  # V1
        0,
        0x9F3C21D0,
        4711,
        343_903,
        1_790_000_000_123_456,
        5_000,
        512_617,  # mHz
        3,
        2_500,  # nV per unit
    )
    assert len(header) == 48
    chunk = decode(header + struct.pack("<3h", -400, 0, 800), DEVICE)
    assert (chunk.session, chunk.seq, chunk.first_sample) == (0x9F3C21D0, 4711, 343_903)
    assert (chunk.wall_time_us, chunk.device_ns, chunk.fs) == (1_790_000_000_123_456, 5_000, 512.617)
    assert chunk.leads == (Lead.V1,)
    assert chunk.flags == ChunkFlag.LEAD_OFF | ChunkFlag.GAP_BEFORE
    np.testing.assert_allclose(chunk.samples_mv, [[-1.0], [0.0], [2.0]], atol=1e-7)


def test_the_json_example_of_the_format_page_is_understood() -> None:
    chunk = decode(
        b'{"v":1,"sess":"9f3c21d0","seq":4711,"i0":343903,"t0_us":1790000000123456,"fs":512.0,'
        b'"lead":"I","unit":"uV","y":[-12,3],"flags":["lead_off"]}',
        DEVICE,
    )
    assert (chunk.device, chunk.session, chunk.leads) == (DEVICE, 0x9F3C21D0, (Lead.I,))
    assert chunk.flags == ChunkFlag.LEAD_OFF
    np.testing.assert_allclose(chunk.samples_mv, [[-0.012], [0.003]], atol=1e-8)


def test_sizes_are_those_the_format_promises() -> None:
    strap = chunk_of(np.zeros((73, 1), np.float32))
    assert len(encode_binary(strap)) < 256
    assert len(encode_binary(chunk_of(np.zeros((512, 1), np.float32)))) == 1_072


def changed_header(at: int, new: bytes) -> bytes:
    message = encode_binary(chunk_of(np.zeros((4, 1), np.float32)))
    return message[:at] + new + message[at + len(new) :]


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"", "payload is 0 bytes"),
        (bytes(MAX_PAYLOAD_BYTES + 1), "payload is 1048577 bytes"),
        (b"hello", "message starts 6865"),
        (changed_header(2, b"\x02"), "version 2"),
        (changed_header(3, b"\x40"), "flags are 0x40"),
        (changed_header(4, b"\x04"), "encoding 4"),
        (changed_header(5, b"\x0d"), "13 leads"),
        (changed_header(6, b"\x0d"), r"lead codes \[13\]"),
        (changed_header(16, b"\xff" * 8), "first sample is 18446744073709551615"),
        (changed_header(24, b"\xff" * 8), "device clock is -1 us"),
        (changed_header(40, b"\x00" * 4), "fs is 0.0 Hz"),
        (changed_header(44, b"\x00\x00"), "0 samples"),
        (changed_header(46, b"\x00\x00"), "nV per unit is 0"),
        (changed_header(4, b"\x01"), "8 whole varints, the header promises 4"),
        (changed_header(0, b"\xec\x47") + b"\x00", "payload is 57 bytes, its header promises 56"),
        (b'{"v":1}', "JSON is not a v1 chunk"),
        (b'{"x":' + b"[" * 100_000, "JSON is not a v1 chunk"),
        (b"{\xff", "JSON is not a v1 chunk"),
    ],
)
def test_malformed_messages_say_what_came(payload: bytes, text: str) -> None:
    with pytest.raises(WireError, match=text):
        decode(payload, DEVICE)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("v", 2, "version 2"),
        ("sess", "9f3c", "want 8 hex digits"),
        ("sess", "+0x12345", "want 8 hex digits"),
        ("seq", 1 << 32, "seq is 4294967296"),
        ("i0", -1, "i0 is -1"),
        ("i0", "1e5", "want an integer"),
        ("i0", "9" * 5000, "want an integer"),
        ("i0", 1 << 63, "i0 is 9223372036854775808"),
        ("fs", 20_000, "fs is 20000.0 Hz"),
        ("lead", "X", "want one of unknown, I, II"),
        ("lead", [], "0 leads"),
        ("lead", ["I", "II"], "3 numbers for 2 leads"),
        ("unit", "V", "want one of uV, mV"),
        ("y", [], "0 samples"),
        ("y", [1, 2, 1e300], "not a finite number"),
        ("flags", ["odd"], "want one of lead_off"),
    ],
)
def test_json_fields_out_of_bounds_are_named(field: str, value: object, text: str) -> None:
    message = json.loads(encode_json(chunk_of(np.zeros((3, 1), np.float32))))
    with pytest.raises(WireError, match=text):
        decode(json.dumps(message | {field: value}).encode(), DEVICE)


def test_large_json_integers_may_come_as_strings() -> None:
    message = json.loads(encode_json(chunk_of(np.ones((3, 1), np.float32))))
    message |= {"i0": str(2**60), "unit": "mV", "y": [1, 1.5, -2]}
    chunk = decode(json.dumps(message).encode(), DEVICE)
    assert chunk.first_sample == 2**60
    np.testing.assert_array_equal(chunk.samples_mv.ravel(), np.array([1, 1.5, -2], np.float32))


@pytest.mark.parametrize(
    ("chunk", "text"),
    [
        (chunk_of(np.full((2, 1), 40.0, np.float32)), "does not fit int16"),
        (chunk_of(np.full((2, 1), np.nan, np.float32)), "finite"),
        (chunk_of(np.zeros((2, 2), np.float32), leads=(Lead.II, Lead.I)), "neighbours"),
        (chunk_of(np.zeros((0, 1), np.float32)), "0 samples"),
        (chunk_of(np.zeros((2, 0), np.float32), leads=()), "0 leads"),
    ],
)
def test_what_the_wire_cannot_carry_is_refused(chunk: Chunk, text: str) -> None:
    with pytest.raises(WireError, match=text):
        encode_binary(chunk)


def test_decoded_samples_cannot_be_changed() -> None:
    chunk = decode(encode_binary(chunk_of(np.zeros((4, 1), np.float32))), DEVICE)
    with pytest.raises(ValueError, match="read-only"):
        chunk.samples_mv[0, 0] = 1.0


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({k: v.hex() for k, v in golden_messages().items()}, indent=1) + "\n")
