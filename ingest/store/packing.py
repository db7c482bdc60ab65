"""Messages of one device <-> few bytes, bit-exact: differences of neighbouring samples, in planes, then zstd.

Lossless ECG compression by differences is old (Jalaleddine et al. 1990, IEEE Trans Biomed Eng 37:329); we
leave the entropy coding to zstd, which codes the low and the high bytes best when they lie apart.
`benchmarks/storage.py` measures this against other ways.
"""

import struct
from collections.abc import Sequence

import numpy as np
import zstandard
from numpy.typing import NDArray

from ingest.encoding import Encoding
from ingest.wire import HEADER as WIRE_HEADER
from ingest.wire import MAGIC as WIRE_MAGIC

LEVEL = 3  # see benchmarks/storage.py
MAX_UNPACKED_BYTES = 1 << 30  # a packed block that promises more is damaged
_PLAIN = 0
_INT16 = 1
_PREFIX = struct.Struct("<BBIQ")  # method, leads, messages, unpacked bytes
_AT_ENCODING, _AT_N_LEADS = 4, 5  # bytes of the wire's header


def pack(messages: Sequence[bytes]) -> bytes:
    """Messages -> packed bytes; `unpack` gives back their concatenation exactly."""
    joined = b"".join(messages)
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    if _are_int16(messages):
        packed = _PREFIX.pack(_INT16, messages[0][_AT_N_LEADS], len(messages), len(joined))
        packed += compressor.compress(_planes(messages))
        if unpack(packed) == joined:
            return packed
    return _PREFIX.pack(_PLAIN, 0, len(messages), len(joined)) + compressor.compress(joined)


def unpack(packed: bytes) -> bytes:
    """The messages one after the other; raises ValueError when the bytes are damaged."""
    if len(packed) < _PREFIX.size:
        raise ValueError(f"a packed block has {len(packed)} bytes, want at least {_PREFIX.size}")
    method, n_leads, n_messages, n_bytes = _PREFIX.unpack_from(packed)
    if n_bytes > MAX_UNPACKED_BYTES:
        raise ValueError(f"a packed block promises {n_bytes} bytes, want at most {MAX_UNPACKED_BYTES}")
    try:
        body = zstandard.ZstdDecompressor().decompress(packed[_PREFIX.size :], max_output_size=n_bytes)
    except zstandard.ZstdError as error:
        raise ValueError(f"a packed block is damaged: {error}") from None
    return body if method == _PLAIN else _messages(body, n_messages, n_leads)


def differences(samples: NDArray[np.int16]) -> NDArray[np.uint16]:
    """Each sample of (n_samples, n_leads) less the one before, as the wire's zigzag: 0, -1, 1, -2, ..."""
    steps = np.diff(samples, axis=0, prepend=np.zeros((1, samples.shape[1]), np.int16))  # wraps: exact
    return ((steps << 1) ^ (steps >> 15)).view(np.uint16)


def samples_of(zigzag: NDArray[np.uint16]) -> NDArray[np.int16]:
    """The samples whose `differences` these are."""
    steps = (zigzag >> 1).view(np.int16) ^ -(zigzag & 1).view(np.int16)
    return np.cumsum(steps, axis=0, dtype=np.int16)


def _are_int16(messages: Sequence[bytes]) -> bool:
    """True when all are binary messages in int16 with the same leads."""
    if not messages or len(messages[0]) < WIRE_HEADER.size:
        return False
    n_leads = messages[0][_AT_N_LEADS]
    return n_leads > 0 and all(
        message[:2] == WIRE_MAGIC
        and len(message) >= WIRE_HEADER.size
        and message[_AT_ENCODING] == Encoding.INT16
        and message[_AT_N_LEADS] == n_leads
        and len(message) == WIRE_HEADER.size + 2 * n_leads * WIRE_HEADER.unpack_from(message)[-2]
        for message in messages
    )


def _planes(messages: Sequence[bytes]) -> bytes:
    """Headers by column, as steps; then the high and the low bytes of the differences."""
    n_leads = messages[0][_AT_N_LEADS]
    headers = np.frombuffer(b"".join(message[: WIRE_HEADER.size] for message in messages), np.uint8)
    headers = headers.reshape(len(messages), WIRE_HEADER.size)
    steps = np.diff(headers, axis=0, prepend=np.zeros((1, WIRE_HEADER.size), np.uint8))
    samples = np.frombuffer(b"".join(message[WIRE_HEADER.size :] for message in messages), "<i2")
    zigzag = differences(samples.reshape(-1, n_leads))
    high, low = (zigzag >> 8).astype(np.uint8), zigzag.astype(np.uint8)
    return steps.T.tobytes() + high.T.tobytes() + low.T.tobytes()


def _messages(body: bytes, n_messages: int, n_leads: int) -> bytes:
    n_header_bytes = n_messages * WIRE_HEADER.size
    steps = np.frombuffer(body, np.uint8, n_header_bytes).reshape(WIRE_HEADER.size, n_messages)
    headers = np.cumsum(steps.T, axis=0, dtype=np.uint8).tobytes()
    high, low = np.frombuffer(body, np.uint8, offset=n_header_bytes).reshape(2, n_leads, -1)
    samples = samples_of(((high.astype(np.uint16) << 8) | low).astype(np.uint16).T).astype("<i2").tobytes()
    parts: list[bytes] = []
    start = 0
    for number in range(n_messages):
        header = headers[number * WIRE_HEADER.size : (number + 1) * WIRE_HEADER.size]
        end = start + 2 * n_leads * int(WIRE_HEADER.unpack(header)[-2])
        parts += (header, samples[start:end])
        start = end
    return b"".join(parts)
