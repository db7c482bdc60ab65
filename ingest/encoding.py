"""Samples in mV <-> the bytes after a binary message's header, in the four encodings of wire v1."""

from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

NV_PER_UV = 1000
NV_PER_MV = 1_000_000
_MAX_VARINT_BYTES = 5  # a zigzagged difference of two int32 has 33 bits, 7 to a byte


class WireError(ValueError):
    """A message is malformed; the text says what was expected and what came."""


class Encoding(IntEnum):
    """How samples are written after the binary header."""

    INT16 = 0
    VARINT = 1  # zigzag LEB128 of the difference to the same lead's previous sample
    INT32 = 2
    FLOAT32 = 3  # millivolts; integers are units of `nV per unit`


_FLOAT32 = Encoding.FLOAT32  # once: each look at a member of an enum costs 0.1 us on Python 3.11
_INT16 = np.dtype("<i2")
_FIXED: dict[int, np.dtype[Any]] = {
    Encoding.INT16: _INT16,
    Encoding.INT32: np.dtype("<i4"),
    Encoding.FLOAT32: np.dtype("<f4"),
}


def decode_samples(
    payload: bytes, start: int, encoding: int, shape: tuple[int, int], nv_per_unit: int
) -> NDArray[np.float32]:
    """Message bytes from `start` on -> samples_mv of `shape` (n_samples, n_leads); raises WireError."""
    samples_mv: NDArray[np.float32] = decode_units(payload, start, encoding, shape).astype(np.float32)
    if encoding == _FLOAT32:
        check_samples(samples_mv)
        return samples_mv
    if nv_per_unit == 0:
        raise WireError("nV per unit is 0, want 1 to 65535")
    samples_mv *= mv_per_unit(nv_per_unit)
    return samples_mv


def decode_int16(
    payload: bytes, start: int, shape: tuple[int, int], unit_mv: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The same for int16, of a message whose length and unit are known to be right."""
    units: NDArray[Any] = np.ndarray(shape, _INT16, payload, start)
    samples_mv: NDArray[np.float32] = units.astype(np.float32)
    samples_mv *= unit_mv
    return samples_mv


@lru_cache(maxsize=256)  # a device sends the same unit each time
def mv_per_unit(nv_per_unit: int) -> NDArray[np.float32]:
    """One unit in mV, as float32."""
    return np.array(nv_per_unit / NV_PER_MV, np.float32)


def decode_units(payload: bytes, start: int, encoding: int, shape: tuple[int, int]) -> NDArray[Any]:
    """The numbers as they were sent, (n_samples, n_leads): integers in units, or float32 in mV.

    Raises WireError.
    """
    n_samples, n_leads = shape
    count, dtype = n_samples * n_leads, _FIXED.get(encoding)
    if dtype is not None:
        expected = start + count * dtype.itemsize
        if len(payload) != expected:
            raise WireError(
                f"payload is {len(payload)} bytes, its header promises {expected} "
                f"({n_samples} samples x {n_leads} leads, {dtype.name})"
            )
        units: NDArray[Any] = np.ndarray(shape, dtype, payload, start)
    elif encoding == Encoding.VARINT:
        units = _decode_varint(payload, start, count).reshape(shape).cumsum(axis=0)
        if max(int(units.max()), -int(units.min()) - 1) > 0x7FFFFFFF:
            raise WireError(f"varint samples reach {units.min()} to {units.max()}, want signed 32 bits")
    else:
        raise WireError(f"encoding {encoding}, want one of {[e.value for e in Encoding]}")
    return units


def encode_samples(samples_mv: NDArray[np.float32], encoding: Encoding, nv_per_unit: int) -> bytes:
    """samples_mv (n_samples, n_leads) -> bytes; raises WireError when a sample does not fit."""
    if encoding == Encoding.FLOAT32:
        return samples_mv.astype("<f4").tobytes()
    units = np.rint(samples_mv.astype(np.float64) * (NV_PER_MV / nv_per_unit))
    limits = np.iinfo(np.int16 if encoding == Encoding.INT16 else np.int32)
    if units.min() < limits.min or units.max() > limits.max:
        raise WireError(
            f"samples reach {samples_mv.min()} to {samples_mv.max()} mV, which does not fit {limits.dtype} "
            f"at {nv_per_unit} nV per unit"
        )
    if encoding == Encoding.VARINT:
        integers = units.astype(np.int64)
        integers[1:] -= integers[:-1].copy()
        return _encode_varint(integers.ravel())
    coded: NDArray[Any] = units.astype(_FIXED[encoding])
    return coded.tobytes()


def check_samples(samples_mv: NDArray[np.floating]) -> None:
    """Raise WireError unless every sample is a finite float32."""
    if not np.all(np.abs(samples_mv) <= np.finfo(np.float32).max):
        raise WireError("a sample is not a finite number of mV")


def _decode_varint(payload: bytes, start: int, count: int) -> NDArray[np.int64]:
    """LEB128 bytes from `start` on -> `count` zigzag-decoded integers, without a Python loop."""
    coded = np.frombuffer(payload, np.uint8, offset=start)
    ends = np.flatnonzero(coded < 0x80)
    if len(ends) != count or len(coded) == 0 or ends[-1] != len(coded) - 1:
        raise WireError(f"{len(coded)} bytes hold {len(ends)} whole varints, the header promises {count}")
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if int(lengths.max()) > _MAX_VARINT_BYTES:
        raise WireError(f"a varint has {lengths.max()} bytes, want at most {_MAX_VARINT_BYTES}")
    place = np.arange(len(coded)) - np.repeat(starts, lengths)
    zigzag = np.add.reduceat((coded & 0x7F).astype(np.int64) << (7 * place), starts)
    return (zigzag >> 1) ^ -(zigzag & 1)


def _encode_varint(values: NDArray[np.int64]) -> bytes:
    zigzag = (values << 1) ^ (values >> 63)
    digits = (zigzag[:, None] >> (7 * np.arange(_MAX_VARINT_BYTES))) & 0x7F  # (n, 5), least first
    lengths = np.maximum(1, _MAX_VARINT_BYTES - np.argmax(digits[:, ::-1] != 0, axis=1))
    lengths[zigzag == 0] = 1
    place = np.arange(_MAX_VARINT_BYTES)
    coded = digits | np.where(place < lengths[:, None] - 1, 0x80, 0)
    used: NDArray[np.uint8] = coded[place < lengths[:, None]].astype(np.uint8)
    return used.tobytes()
