"""One group commit <-> one block of a segment file: header, device names, index, payloads as they came.

All numbers are little-endian; docs/store.md shows the layout byte by byte. Readers take the index with one
numpy call and skip the payloads; a block counts only when its checksums say that all of it is there.
"""

import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import ChunkFlag
from ingest.store.rows import ReceivedChunk
from ingest.store.vitals_rows import FORMER_VITALS_ROW, VITALS_ROW, vitals_rows
from ingest.store.waveforms import PLACE
from ingest.vitals import Vitals

MAGIC = b"WLB1"
HEADER = struct.Struct("<4sHHIIIQqqI")  # 48 bytes
MAX_HEAD_BYTES = 1 << 28  # names and index; a header that promises more is no header

CONFIRMED = 1  # flag of a block: what the database was to take with all earlier blocks, it has taken
HISTORIC = 1  # flag of an entry: it came by the backfill topic, or says so itself

# device: number in the block's table of names; offset: from the block's first payload byte
ENTRY = np.dtype(
    [
        ("device", "<u4"), ("flags", "<u4"), ("session", "<i8"), ("first_sample", "<i8"),
        ("n_samples", "<u4"), ("received_us", "<i8"), ("offset", "<u4"), ("length", "<u4"), ("crc", "<u4"),
    ]
)  # fmt: skip
_pack_entry = struct.Struct("<IIqqIqIII").pack


class BlockKind(IntEnum):
    """What a block holds."""

    CHUNKS = 1  # index of ENTRY, then payloads
    FORMER_VITALS = 2  # index of FORMER_VITALS_ROW, no payloads; read, not written any more
    SEALED_CHUNKS = 3  # one device: index of ENTRY, offsets into what the packed payloads unpack to
    FORMER_SEALED_VITALS = 4  # one device: no index, packed FORMER_VITALS_ROW
    DIRECTORY = 5  # of a sealed file: one row for each of its other blocks
    VITALS = 6  # index of VITALS_ROW, no payloads
    SEALED_VITALS = 7  # one device: no index, packed VITALS_ROW


# of a sealed file, one row for each other block; places are first_sample <= i < end_sample
DIRECTORY_ROW = np.dtype(
    [
        ("device", "<u4"), ("kind", "<u4"), ("session", "<i8"), ("first_sample", "<i8"),
        ("end_sample", "<i8"), ("first_us", "<i8"), ("last_us", "<i8"), ("start", "<u8"),
    ]
)  # fmt: skip
INDEX_DTYPE: dict[int, np.dtype[Any]] = {
    BlockKind.CHUNKS: ENTRY,
    BlockKind.FORMER_VITALS: FORMER_VITALS_ROW,
    BlockKind.SEALED_CHUNKS: ENTRY,
    BlockKind.FORMER_SEALED_VITALS: FORMER_VITALS_ROW,
    BlockKind.DIRECTORY: DIRECTORY_ROW,
    BlockKind.VITALS: VITALS_ROW,
    BlockKind.SEALED_VITALS: VITALS_ROW,
}


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: two arrays have no single truth value
class Block:
    """What a reader keeps of a block: everything but its payloads."""

    kind: BlockKind
    flags: int
    devices: tuple[str, ...]
    index: NDArray[Any]  # (n_entries,) of the kind's dtype
    first_us: int  # earliest and latest arrival of its entries, Unix microseconds
    last_us: int
    start: int  # of the block in its file
    payload_start: int
    end: int


def chunk_block(chunks: Sequence[ReceivedChunk], flags: int = 0) -> bytes:
    """The block of one group commit's chunks."""
    numbers: dict[str, int] = {}
    entries, payloads, offset = [], [], 0
    for each in chunks:
        chunk, payload = each.chunk, each.payload
        number = numbers.setdefault(chunk.device, len(numbers))
        historic = HISTORIC if chunk.flags and chunk.flags & ChunkFlag.HISTORIC else 0  # `&` takes 0.4 us
        n_samples, length = len(chunk.samples_mv), len(payload)
        entries.append(
            _pack_entry(
                number, historic, chunk.session, chunk.first_sample, n_samples, each.received_us, offset,
                length, zlib.crc32(payload),
            )
        )  # fmt: skip
        payloads.append(payload)
        offset += length
    arrivals = [each.received_us for each in chunks]
    index, span_us = b"".join(entries), (min(arrivals), max(arrivals))
    return build_block(BlockKind.CHUNKS, numbers, index, len(chunks), span_us, payloads=payloads, flags=flags)


def vitals_block(vitals: Sequence[Vitals]) -> bytes:
    """The block of one group commit's vitals: only what people look back at."""
    numbers: dict[str, int] = {}
    rows = vitals_rows(vitals, [numbers.setdefault(each.device, len(numbers)) for each in vitals])
    span_us = (int(rows["at_us"].min()), int(rows["at_us"].max()))
    return build_block(BlockKind.VITALS, numbers, rows.tobytes(), len(rows), span_us)


def places_of(entries: NDArray[Any], from_us: int, to_us: int) -> NDArray[Any]:
    """Index entries of one device -> those that came in the span, (n,) of PLACE."""
    kept = entries[(entries["received_us"] >= from_us) & (entries["received_us"] < to_us)]
    places = np.empty(len(kept), PLACE)
    for name in ("session", "first_sample", "n_samples", "received_us"):
        places[name] = kept[name]
    places["historic"] = kept["flags"] & HISTORIC != 0
    return places


def build_block(  # noqa: PLR0913 - the fields of the header
    kind: BlockKind,
    devices: Sequence[str] | dict[str, int],
    index: bytes,
    n_entries: int,
    span_us: tuple[int, int],
    *,
    payloads: Sequence[bytes] = (),
    flags: int = 0,
) -> bytes:
    """All bytes of a block."""
    names = "\0".join(devices).encode()  # MQTT forbids the character in topics, and ids do not have it
    n_payload_bytes = sum(map(len, payloads))
    fields = (MAGIC, kind, flags, len(devices), len(names), n_entries, n_payload_bytes, *span_us)
    head = HEADER.pack(*fields, 0)[:-4]
    checksum = zlib.crc32(index, zlib.crc32(names, zlib.crc32(head)))
    return b"".join((head, checksum.to_bytes(4, "little"), names, index, *payloads))


def read_block(fd: int, start: int, size: int) -> Block | None:
    """The block at `start` of a file of `size` bytes; None when no whole, undamaged one is there.

    Payloads are not read: see `is_whole` for the last block of a file.
    """
    header = os.pread(fd, HEADER.size, start)
    if len(header) < HEADER.size or header[:4] != MAGIC:
        return None
    _, kind, flags, n_devices, n_name_bytes, n_entries, n_payload_bytes, first_us, last_us, checksum = (
        HEADER.unpack(header)
    )
    if kind not in INDEX_DTYPE:
        return None
    dtype = INDEX_DTYPE[kind]
    n_head_bytes = n_name_bytes + n_entries * dtype.itemsize
    payload_start = start + HEADER.size + n_head_bytes
    if n_head_bytes > MAX_HEAD_BYTES or payload_start + n_payload_bytes > size:
        return None
    head = os.pread(fd, n_head_bytes, start + HEADER.size)
    if zlib.crc32(head, zlib.crc32(header[:-4])) != checksum:
        return None
    devices = tuple(head[:n_name_bytes].decode().split("\0"))
    if len(devices) != n_devices:
        return None
    return Block(
        kind=BlockKind(kind),
        flags=flags,
        devices=devices,
        index=np.frombuffer(head, dtype, offset=n_name_bytes),
        first_us=first_us,
        last_us=last_us,
        start=start,
        payload_start=payload_start,
        end=payload_start + n_payload_bytes,
    )


def is_whole(fd: int, block: Block) -> bool:
    """True when every payload of the block is there as it was written.

    Only a file's last block can be torn: each was on the disk before the next was begun.
    """
    if block.kind is not BlockKind.CHUNKS:
        return True
    payloads = os.pread(fd, block.end - block.payload_start, block.payload_start)
    return all(
        zlib.crc32(payloads[offset : offset + length]) == checksum
        for offset, length, checksum in block.index[["offset", "length", "crc"]].tolist()
    )
