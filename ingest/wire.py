"""Wire format v1: the bytes of one MQTT message -> `Chunk`, and a `Chunk` -> bytes.

Two spellings carry the same thing: binary (a 48-byte little-endian header, then samples) and JSON for people
and small devices; the first byte tells them apart. Anything else is refused with a `WireError`.
"""

import struct
from functools import lru_cache
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.chunk import NO_FLAGS, Chunk, ChunkFlag, Lead
from ingest.encoding import (
    NV_PER_MV,
    NV_PER_UV,
    Encoding,
    WireError,
    check_samples,
    decode_int16,
    decode_samples,
    encode_samples,
    mv_per_unit,
)

__all__ = [
    "MAX_PAYLOAD_BYTES",
    "MAX_SAMPLES",
    "Encoding",
    "WireError",
    "decode",
    "encode_binary",
    "encode_json",
]

_T = TypeVar("_T")

VERSION = 1
MAGIC = b"\xec\x47"
HEADER = struct.Struct("<2sBBBBBBIIQqqIHH")  # 48 bytes
_unpack_place = struct.Struct("<8xIIQqq").unpack_from  # of the header: session to device nanoseconds ...
_FORM_BEGIN, _FORM_END = slice(0, 8), slice(40, 48)  # ... and what stands before and after
MAX_PAYLOAD_BYTES = 1 << 20  # 1 MiB: a minute of 12 leads fits; a flood of memory does not
MAX_SAMPLES = 0xFFFF  # per lead, the header's u16
MAX_LEADS = 12
FS_RANGE_HZ = (1.0, 10_000.0)
END_OF_INDICES = 1 << 63  # indices and counts must fit the store's signed 64 bits
END_OF_TIME_US = 253_402_300_800_000_000  # the year 10000, where calendars in software end
_ALL_FLAGS = sum(ChunkFlag)
_FLAGS_OF_BITS = tuple(ChunkFlag(bits) for bits in range(_ALL_FLAGS + 1))  # looked up, not built each time
_UNITS_NV = {"uV": NV_PER_UV, "mV": NV_PER_MV}
_NAME_OF_LEAD = {lead: lead.name for lead in Lead} | {Lead.UNKNOWN: "unknown", Lead.CHEST: "chest"}
_LEAD_OF_NAME = {name: lead for lead, name in _NAME_OF_LEAD.items()}
_FLAG_OF_NAME = {str(flag.name).lower(): flag for flag in ChunkFlag}


class _Form(NamedTuple):
    """What a sound header of int16 says besides its place: of a device the same each time."""

    fs: float  # Hz
    leads: tuple[Lead, ...]
    flags: ChunkFlag
    shape: tuple[int, int]  # (n_samples, n_leads)
    mv_per_unit: NDArray[np.float32]
    n_bytes: int  # of a whole message
    end_first_sample: int  # one past the largest


class _JsonChunk(msgspec.Struct, frozen=True):
    """The JSON spelling; numbers above 2^53 come as strings."""

    v: int
    sess: str
    seq: int
    i0: int | str
    t0_us: int | str
    fs: float
    lead: str | list[str]  # a list when there are several; then `y` is interleaved by time
    unit: str
    y: list[float]
    flags: list[str] = []
    td_ns: int | str = 0


_json_decoder = msgspec.json.Decoder(_JsonChunk)


def decode(payload: bytes, device: str) -> Chunk:
    """One message of `device` ("site/device") -> its Chunk, samples float32 mV of shape (n_samples, n_leads).

    Raises WireError, and nothing else, for whatever is malformed.
    """
    if not 0 < len(payload) <= MAX_PAYLOAD_BYTES:
        raise WireError(f"payload is {len(payload)} bytes, want 1 to {MAX_PAYLOAD_BYTES}")
    if payload[:1] == b"{":
        return _decode_json(payload, device)
    return _decode_usual(payload, device) or _decode_binary(payload, device)


def encode_binary(chunk: Chunk, encoding: Encoding = Encoding.INT16, nv_per_unit: int = NV_PER_UV) -> bytes:
    """Chunk -> binary wire v1; integers are rounded to `nv_per_unit`.

    Raises WireError when a sample does not fit the encoding or the leads are not neighbours in wire code.
    """
    check_samples(chunk.samples_mv)
    _check_fields(chunk.fs, chunk.first_sample, chunk.wall_time_us, chunk.samples_mv.shape)
    if _leads_from(chunk.leads[0], len(chunk.leads)) != chunk.leads:
        raise WireError(f"leads {[lead.name for lead in chunk.leads]}, binary wants neighbours in wire code")
    if not 1 <= nv_per_unit <= 0xFFFF:
        raise WireError(f"nV per unit is {nv_per_unit}, want 1 to 65535")
    try:
        header = HEADER.pack(
            MAGIC, VERSION, chunk.flags, encoding, len(chunk.leads), chunk.leads[0], 0, chunk.session,
            chunk.seq, chunk.first_sample, chunk.wall_time_us, chunk.device_ns, round(chunk.fs * 1000),
            chunk.n_samples, nv_per_unit,
        )  # fmt: skip
    except struct.error as error:
        raise WireError(
            f"session {chunk.session}, seq {chunk.seq}, device_ns {chunk.device_ns}: {error}"
        ) from None
    return header + encode_samples(chunk.samples_mv, encoding, nv_per_unit)


def encode_json(chunk: Chunk) -> bytes:
    """Chunk -> JSON wire v1 in whole microvolts."""
    check_samples(chunk.samples_mv)
    _check_fields(chunk.fs, chunk.first_sample, chunk.wall_time_us, chunk.samples_mv.shape)
    names = [_NAME_OF_LEAD[lead] for lead in chunk.leads]
    message: dict[str, object] = {
        "v": VERSION,
        "sess": f"{chunk.session:08x}",
        "seq": chunk.seq,
        "i0": _safe_integer(chunk.first_sample),
        "t0_us": _safe_integer(chunk.wall_time_us),
        "fs": round(chunk.fs, 3),
        "lead": names[0] if len(names) == 1 else names,
        "unit": "uV",
        "y": np.rint(chunk.samples_mv.astype(np.float64) * 1000).astype(np.int64).ravel().tolist(),
    }
    if chunk.flags:
        message["flags"] = [name for name, flag in _FLAG_OF_NAME.items() if flag in chunk.flags]
    if chunk.device_ns:
        message["td_ns"] = str(chunk.device_ns)
    return msgspec.json.encode(message)


def _decode_usual(payload: bytes, device: str) -> Chunk | None:
    """A sound binary message in int16, by a look at what its header said before; None for any other."""
    form = _form_of(payload[_FORM_BEGIN] + payload[_FORM_END])
    if form is None:
        return None
    fs, leads, flags, shape, unit_mv, n_bytes, end_first_sample = form
    if len(payload) != n_bytes:
        return None
    session, seq, first_sample, wall_time_us, device_ns = _unpack_place(payload)
    if first_sample >= end_first_sample or not 0 <= wall_time_us < END_OF_TIME_US:
        return None
    samples_mv = decode_int16(payload, HEADER.size, shape, unit_mv)
    return Chunk(device, session, seq, first_sample, wall_time_us, device_ns, fs, leads, samples_mv, flags)


@lru_cache(maxsize=1024)  # forms that devices use at a time
def _form_of(header: bytes) -> _Form | None:
    """The form in a header without its place; None of what is not sound, or not int16."""
    if len(header) != HEADER.size - 32:
        return None
    n_samples = int.from_bytes(header[12:14], "little")
    # Checked with one sample: to make as many as it promises costs 2 ms, and a flood promises most each time.
    one = header[:8] + bytes(32) + header[8:12] + b"\x01\x00" + header[14:]
    magic, _, flags, encoding, n_leads, *_, nv_per_unit = HEADER.unpack(one)
    if magic != MAGIC or encoding != Encoding.INT16 or n_samples == 0:
        return None
    try:
        chunk = _decode_binary(one + bytes(2 * n_leads), "")
    except WireError:
        return None  # the long way says what is wrong with it
    n_bytes = HEADER.size + 2 * n_samples * n_leads
    shape, unit_mv = (n_samples, n_leads), mv_per_unit(nv_per_unit)
    return _Form(
        chunk.fs, chunk.leads, _FLAGS_OF_BITS[flags], shape, unit_mv, n_bytes, END_OF_INDICES - n_samples
    )


def _decode_binary(payload: bytes, device: str) -> Chunk:
    if len(payload) < HEADER.size or payload[:2] != MAGIC:
        raise WireError(
            f"message starts {payload[:2].hex()} and has {len(payload)} bytes, want '{{' or "
            f"{MAGIC.hex()} and a header of {HEADER.size} bytes"
        )
    (
        _, version, flags, encoding, n_leads, lead, reserved, session, seq, first_sample, wall_time_us,
        device_ns, fs_mhz, n_samples, nv_per_unit,
    ) = HEADER.unpack_from(payload)  # fmt: skip
    if version != VERSION or reserved != 0:
        raise WireError(f"version {version}, reserved {reserved}, want version {VERSION}, reserved 0")
    if flags & ~_ALL_FLAGS:
        raise WireError(f"flags are {flags:#x}, want none but {_ALL_FLAGS:#x}")
    _check_fields(fs_mhz / 1000, first_sample, wall_time_us, (n_samples, n_leads))
    return Chunk(
        device=device,
        session=session,
        seq=seq,
        first_sample=first_sample,
        wall_time_us=wall_time_us,
        device_ns=device_ns,
        fs=fs_mhz / 1000,
        leads=_leads_from(lead, n_leads),
        samples_mv=decode_samples(payload, HEADER.size, encoding, (n_samples, n_leads), nv_per_unit),
        flags=_FLAGS_OF_BITS[flags],
    )


def _decode_json(payload: bytes, device: str) -> Chunk:
    try:
        message = _json_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"JSON is not a v1 chunk: {error}") from None
    if message.v != VERSION:
        raise WireError(f"version {message.v}, want {VERSION}")
    names = [message.lead] if isinstance(message.lead, str) else message.lead
    leads = tuple(_looked_up(_LEAD_OF_NAME, name, "lead") for name in names)
    if not leads or len(message.y) % len(leads):
        raise WireError(f"y has {len(message.y)} numbers for {len(leads)} leads, want a whole number of each")
    first_sample = _integer(message.i0, "i0", 0, END_OF_INDICES)
    wall_time_us = _integer(message.t0_us, "t0_us", 0, END_OF_TIME_US)
    _check_fields(message.fs, first_sample, wall_time_us, (len(message.y) // len(leads), len(leads)))
    samples = np.array(message.y, np.float64).reshape(-1, len(leads))
    samples *= _looked_up(_UNITS_NV, message.unit, "unit") / NV_PER_MV
    check_samples(samples)
    flags = NO_FLAGS
    for name in message.flags:
        flags |= _looked_up(_FLAG_OF_NAME, name, "flag")
    return Chunk(
        device=device,
        session=_session(message.sess),
        seq=_integer(message.seq, "seq", 0, 1 << 32),
        first_sample=first_sample,
        wall_time_us=wall_time_us,
        device_ns=_integer(message.td_ns, "td_ns", -END_OF_INDICES, END_OF_INDICES),
        fs=message.fs,
        leads=leads,
        samples_mv=samples.astype(np.float32),
        flags=flags,
    )


def _check_fields(fs: float, first_sample: int, wall_time_us: int, shape: tuple[int, ...]) -> None:
    """Refuse what no device can mean, the same in both spellings."""
    n_samples, n_leads = shape
    if not 1 <= n_leads <= MAX_LEADS or not 1 <= n_samples <= MAX_SAMPLES:
        raise WireError(f"{n_samples} samples x {n_leads} leads, want 1 to {MAX_SAMPLES} x 1 to {MAX_LEADS}")
    if not FS_RANGE_HZ[0] <= fs <= FS_RANGE_HZ[1]:
        raise WireError(f"fs is {fs} Hz, want {FS_RANGE_HZ[0]:g} to {FS_RANGE_HZ[1]:g}")
    if not 0 <= first_sample < END_OF_INDICES - n_samples:
        raise WireError(f"first sample is {first_sample}, want 0 to 2^63 with its {n_samples} samples")
    if not 0 <= wall_time_us < END_OF_TIME_US:
        raise WireError(f"device clock is {wall_time_us} us, want the years 1970 to 9999")


@lru_cache(maxsize=256)  # a device sends the same leads each time
def _leads_from(code: int, n_leads: int) -> tuple[Lead, ...]:
    """Leads of a binary chunk: the header names the first, the next codes follow (0: all unknown)."""
    codes = [code + step * (code != Lead.UNKNOWN) for step in range(n_leads)]
    try:
        return tuple(Lead(each) for each in codes)
    except ValueError:
        raise WireError(f"lead codes {codes}, want only {[lead.value for lead in Lead]}") from None


def _looked_up(table: dict[str, _T], name: str, what: str) -> _T:
    try:
        return table[name]
    except KeyError:
        raise WireError(f"{what} {name[:40]!r}, want one of {', '.join(table)}") from None


def _session(text: str) -> int:
    if len(text) != 8 or set(text) - set("0123456789abcdefABCDEF"):
        raise WireError(f"sess {text[:40]!r}, want 8 hex digits")
    return int(text, 16)


def _integer(value: int | str, name: str, low: int, end: int) -> int:
    """A JSON integer, or one written as a string, within [low, end)."""
    if isinstance(value, str):
        if not (value.isascii() and value.removeprefix("-").isdigit() and len(value) <= 20):
            raise WireError(f"{name} is {value[:40]!r}, want an integer")
        value = int(value)
    if not low <= value < end:
        raise WireError(f"{name} is {value}, want {low} to {end - 1}")
    return value


def _safe_integer(value: int) -> int | str:
    return value if abs(value) <= 1 << 53 else str(value)
