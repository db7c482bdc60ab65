"""A mapped chunk -> wire v1 bytes that decode to exactly its samples, in the fewest bytes a sample."""

import numpy as np

from ingest.chunk import Chunk
from ingest.encoding import NV_PER_MV, NV_PER_UV
from ingest.wire import Encoding, encode_binary

_INT16_MAX = (1 << 15) - 1
_INT32_MAX = (1 << 31) - 1


def encode_exactly(chunk: Chunk) -> bytes:
    """Integers of 1 uV or 1 nV where these give the same float32 back, else float32.

    Raises WireError where wire v1 cannot hold the chunk at all.
    """
    samples = chunk.samples_mv
    for nv in (NV_PER_UV, 1):
        units = np.rint(samples.astype(np.float64) * (NV_PER_MV / nv))
        largest = np.abs(units).max()
        if largest > _INT32_MAX:
            continue
        if np.array_equal(units.astype(np.float32) * np.float32(nv / NV_PER_MV), samples):
            return encode_binary(chunk, Encoding.INT16 if largest <= _INT16_MAX else Encoding.INT32, nv)
    return encode_binary(chunk, Encoding.FLOAT32)
