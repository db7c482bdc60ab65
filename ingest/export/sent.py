"""A stored message -> the numbers its device sent, before any conversion to mV."""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Chunk
from ingest.encoding import NV_PER_MV, NV_PER_UV, Encoding, decode_units
from ingest.wire import HEADER, MAGIC

LARGEST_NV = 1 << 53  # 9 kV; beyond it a float64 no longer holds every integer


class _Numbers(msgspec.Struct):
    unit: str
    y: list[float]


_decode_numbers = msgspec.json.Decoder(_Numbers).decode


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: arrays have no single truth value
class Sent:
    """The numbers of one message as they were sent: integers (int64), or decimals (float32 or float64)."""

    numbers: NDArray[Any]  # (n_samples, n_leads)
    nv_per_unit: int

    @property
    def is_decimal(self) -> bool:
        """True when the format allows fractions: JSON and float32."""
        return self.numbers.dtype.kind == "f"


def sent_numbers(chunk: Chunk, payload: bytes) -> Sent:
    """The numbers in `payload`, from which `chunk` was decoded."""
    shape = (chunk.n_samples, len(chunk.leads))
    if payload[:2] == MAGIC:
        encoding, nv_per_unit = payload[4], HEADER.unpack_from(payload)[-1]
        units = decode_units(payload, HEADER.size, encoding, shape)
        if encoding == Encoding.FLOAT32:
            return Sent(units, NV_PER_MV)
        return Sent(units.astype(np.int64), int(nv_per_unit))
    if payload[:1] == b"{":
        message = _decode_numbers(payload)
        numbers = np.array(message.y, np.float64).reshape(shape)
        return Sent(numbers, NV_PER_UV if message.unit == "uV" else NV_PER_MV)
    return Sent(chunk.samples_mv, NV_PER_MV)


def whole_nv(sent: Sent) -> tuple[NDArray[np.int64], float]:
    """Decimals as integers of 1 nV, and the largest error of that in nV.

    The error is 0 when every integer gives back the very number that was sent (a float32 in float32).
    Raises ValueError for numbers beyond 9 kV.
    """
    exact_nv = sent.numbers.astype(np.float64) * sent.nv_per_unit
    if np.abs(exact_nv).max() >= LARGEST_NV:
        raise ValueError(f"a sample is {np.abs(exact_nv).max() / NV_PER_MV:g} mV, want less than 9 kV")
    nv = np.rint(exact_nv)
    given_back = (nv / sent.nv_per_unit).astype(sent.numbers.dtype)
    loss_nv = 0.0 if np.array_equal(given_back, sent.numbers) else float(np.abs(nv - exact_nv).max())
    return nv.astype(np.int64), loss_nv
