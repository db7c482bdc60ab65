"""A complete segment file -> a compressed one, sorted by device, and its chunks and vitals back.

Nothing is left out and nothing rounded: every message comes back byte for byte. The new file is complete on
the disk before it takes its name, and has its name before the old one goes: no crash loses
anything.
"""

import contextlib
import logging
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Place
from ingest.store.appending import SEALED, SEGMENT, lock, sync, sync_folder
from ingest.store.blocks import (
    DIRECTORY_ROW,
    ENTRY,
    HISTORIC,
    Block,
    BlockKind,
    build_block,
    places_of,
    read_block,
)
from ingest.store.growing import GrowingSegment
from ingest.store.packing import pack, unpack
from ingest.store.vitals_rows import FORMER_VITALS_ROW, VITALS_ROW, with_rhythm
from ingest.store.waveforms import PLACE, Arrivals, Span, Stored, is_touched

PACKED_TOGETHER_BYTES = 1 << 20  # of one device; unpacked as a whole to read any of it, in about 5 ms
REST = 4.0  # pauses for so many times as long as each device took: a fifth of one core at most
UNFINISHED = ".sealing"
UNPACKED_AT_ONCE = 8  # of all sealed files of a process: 8 MB
VITALS_KINDS = {BlockKind.SEALED_VITALS: VITALS_ROW, BlockKind.FORMER_SEALED_VITALS: FORMER_VITALS_ROW}
_TRAILER_BYTES = 8  # where the directory begins

logger = logging.getLogger(__name__)


def seal(path: Path, rest: float = REST) -> Path | None:
    """Compress a segment file that nobody appends to any more; the new path.

    None when it held nothing, and when another process compresses it or did.
    Raises ValueError when the file is damaged (it stays as it is), OSError when the disk is full.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_alone_on(path))
        except (BlockingIOError, FileNotFoundError):
            return None
        segment = GrowingSegment(path)
        stack.callback(segment.close)
        segment.follow()
        if segment.damaged:
            raise ValueError("a commit in it is damaged, the file is left as it is")
        if segment.good_bytes == 0:
            path.unlink(missing_ok=True)
            return None
        unfinished, sealed = path.with_suffix(UNFINISHED), path.with_suffix(SEALED)
        with unfinished.open("wb") as file:
            for part in _sealed_blocks(segment, rest):
                file.write(part)
            file.flush()
            sync(file.fileno())
        unfinished.rename(sealed)
        sync_folder(path.parent)
        path.unlink(missing_ok=True)
    logger.info("compressed %s", sealed)
    return sealed


@contextlib.contextmanager
def _alone_on(path: Path) -> Iterator[None]:
    """Hold the file's lock; raises BlockingIOError when another has it, FileNotFoundError when it is gone."""
    fd = os.open(path, os.O_RDONLY)
    try:
        lock(fd)
        path.stat()  # who had it before may have finished: then the compressed file is not to be made again
        yield
    finally:
        os.close(fd)


def finish_seals(folder: Path) -> None:
    """Clear what a crash left: files that were not finished, and originals whose compressed file is."""
    for sealed in folder.glob(f"*{SEALED}"):
        sealed.with_suffix(SEGMENT).unlink(missing_ok=True)


class SealedSegment:
    """One sealed file; only its directory is held in memory, and no file open: a month has hundreds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _opened(path) as fd:
            self._size = os.fstat(fd).st_size
            at = max(0, self._size - _TRAILER_BYTES)
            directory = read_block(fd, int.from_bytes(os.pread(fd, _TRAILER_BYTES, at), "little"), self._size)
        if directory is None or directory.kind is not BlockKind.DIRECTORY:
            raise ValueError(f"{path} is damaged: its directory is unreadable")
        self.devices = directory.devices
        self.first_us, self.last_us = directory.first_us, directory.last_us
        self._numbers = {name: number for number, name in enumerate(self.devices)}
        self._rows = directory.index.copy()  # lets go of the names' bytes; device by device
        self._begins = np.searchsorted(self._rows["device"], np.arange(len(self.devices) + 1))

    def follow(self) -> None:
        """A sealed file never changes."""

    def close(self) -> None:
        """Nothing is held open."""

    def newest(self) -> dict[tuple[str, int], int]:
        """(device, session) -> first sample of the newest place, or a later sample of that chunk."""
        found: dict[tuple[str, int], int] = {}
        for number, kind, session, _, end_sample, *_ in self._rows.tolist():
            if kind == BlockKind.SEALED_CHUNKS:
                place = (self.devices[number], session)
                found[place] = max(end_sample - 1, found.get(place, -1))
        return found

    def newest_of(self, device: str, session: int) -> int:
        """The same of one session; -1 when it has none here."""
        rows = self._of(device, BlockKind.SEALED_CHUNKS)
        return int(rows["end_sample"][rows["session"] == session].max(initial=0)) - 1

    def unconfirmed(self) -> set[Place]:
        """Places of which nobody knows whether the database took what belongs to them: none so late."""
        return set()

    def last_arrivals(self) -> dict[str, tuple[int, int]]:
        """First and last arrival of each device that has chunks."""
        found: dict[str, tuple[int, int]] = {}
        for number, kind, _, _, _, first, last, _ in self._rows.tolist():
            if kind == BlockKind.SEALED_CHUNKS:
                known = found.get(self.devices[number], (first, last))
                found[self.devices[number]] = (min(first, known[0]), max(last, known[1]))
        return found

    def extent(self, device: str) -> tuple[int, int] | None:
        """First and last arrival of a device; None when it has no chunk here."""
        rows = self._of(device, BlockKind.SEALED_CHUNKS)
        return (int(rows["first_us"].min()), int(rows["last_us"].max())) if len(rows) else None

    def between_samples(self, device: str, session: int, first_sample: int, end_sample: int) -> list[Stored]:
        """Chunks with samples in the span."""
        rows = self._of(device, BlockKind.SEALED_CHUNKS)
        is_in = (rows["session"] == session) & (rows["first_sample"] < end_sample)
        found = []
        for block in self._blocks(rows[is_in & (rows["end_sample"] > first_sample)]):
            first, ends = block.index["first_sample"], block.index["first_sample"] + block.index["n_samples"]
            found += self._read(block, (first < end_sample) & (ends > first_sample))
        return found

    def overlapping(self, device: str, session: int, spans: Sequence[Span]) -> list[Stored]:
        """Chunks with samples in one of the joined spans."""
        rows = self._of(device, BlockKind.SEALED_CHUNKS)
        rows = rows[rows["session"] == session]
        lengths = rows["end_sample"] - rows["first_sample"]
        found = []
        for block in self._blocks(rows[is_touched(rows["first_sample"], lengths, spans)]):
            index = block.index
            found += self._read(block, is_touched(index["first_sample"], index["n_samples"], spans))
        return found

    def between_arrivals(self, device: str, from_us: int, to_us: int) -> list[Stored]:
        """Chunks that came in the span."""
        rows = self._of(device, BlockKind.SEALED_CHUNKS)
        found = []
        for block in self._blocks(rows[(rows["first_us"] < to_us) & (rows["last_us"] >= from_us)]):
            received_us = block.index["received_us"]
            found += self._read(block, (received_us >= from_us) & (received_us < to_us))
        return found

    def first_arrival_us(self, device: str, session: int, first_sample: int) -> int | None:
        """When the first chunk came that reaches beyond `first_sample`; None when none did."""
        rows = self._of(device, BlockKind.SEALED_CHUNKS)
        arrivals: list[int] = []
        for block in self._blocks(rows[(rows["session"] == session) & (rows["end_sample"] > first_sample)]):
            ends = block.index["first_sample"] + block.index["n_samples"]
            arrivals += block.index["received_us"][ends > first_sample].tolist()
        return min(arrivals, default=None)

    def n_samples_at(self, device: str, session: int, first_samples: Sequence[int]) -> dict[int, int]:
        """Samples of the longest chunk that begins at each; those where none does are left out."""
        rows = self._of(device, BlockKind.SEALED_CHUNKS)
        is_in = (rows["session"] == session) & (rows["first_sample"] <= max(first_samples))
        found: dict[int, int] = {}
        for block in self._blocks(rows[is_in & (rows["end_sample"] > min(first_samples))]):
            firsts = block.index["first_sample"]
            held = block.index[np.isin(firsts, np.array(first_samples, firsts.dtype))]
            for first, n in zip(held["first_sample"].tolist(), held["n_samples"].tolist(), strict=True):
                found[first] = max(n, found.get(first, 0))
        return found

    def places(self, device: str, from_us: int, to_us: int) -> NDArray[Any]:
        """Where the chunks belong that came in the span, (n,) of PLACE."""
        rows = self._of(device, BlockKind.SEALED_CHUNKS)
        blocks = self._blocks(rows[(rows["first_us"] < to_us) & (rows["last_us"] >= from_us)])
        return np.concatenate([np.empty(0, PLACE), *(places_of(b.index, from_us, to_us) for b in blocks)])

    def vitals_rows(self, device: str, from_us: int, to_us: int) -> NDArray[Any]:
        """Vitals of the span, (n,) of VITALS_ROW."""
        found = [np.empty(0, VITALS_ROW)]
        for kind, dtype in VITALS_KINDS.items():
            rows = self._of(device, kind)
            for block in self._blocks(rows[(rows["first_us"] < to_us) & (rows["last_us"] >= from_us)]):
                packed = _unpacked(self.path, block.payload_start, block.end)
                kept = with_rhythm(np.frombuffer(packed, dtype))
                found.append(kept[(kept["at_us"] >= from_us) & (kept["at_us"] < to_us)])
        return np.concatenate(found)

    def arrivals(self) -> Iterator[Arrivals]:
        """Everything in the file."""
        for name in self.devices:
            for block in self._blocks(self._of(name, BlockKind.SEALED_CHUNKS)):
                index = block.index
                yield Arrivals(name, index["session"], index["first_sample"], index["received_us"])

    def _of(self, device: str, kind: BlockKind) -> NDArray[Any]:
        number = self._numbers.get(device)
        if number is None:
            return self._rows[:0]
        of_device = self._rows[self._begins[number] : self._begins[number + 1]]
        rows: NDArray[Any] = of_device[of_device["kind"] == kind]
        return rows

    def _blocks(self, rows: NDArray[Any]) -> Iterator[Block]:
        if not len(rows):
            return
        with contextlib.suppress(FileNotFoundError), _opened(self.path) as fd:  # dropped just now: too old
            for start in rows["start"].tolist():
                block = read_block(fd, start, self._size)
                if block is None:
                    logger.error("%s is damaged: the block at %d is lost", self.path, start)
                else:
                    yield block

    def _read(self, block: Block, is_wanted: NDArray[np.bool_]) -> list[Stored]:
        if not is_wanted.any():
            return []
        joined = _unpacked(self.path, block.payload_start, block.end)
        found = []
        for _, flags, session, first, n_samples, received_us, offset, length, checksum in block.index[
            is_wanted
        ].tolist():
            payload = joined[offset : offset + length]
            if zlib.crc32(payload) != checksum:
                logger.error("%s is damaged: a chunk of %d bytes is lost", self.path, length)
                continue
            found.append(Stored(session, first, n_samples, received_us, bool(flags & HISTORIC), payload))
        return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


@lru_cache(maxsize=UNPACKED_AT_ONCE)
def _unpacked(path: Path, start: int, end: int) -> bytes:
    """Kept for the chunk after this one; b"" when the bytes are damaged. Raises OSError."""
    with _opened(path) as fd:
        packed = os.pread(fd, end - start, start)
    try:
        return unpack(packed)
    except ValueError as error:
        logger.error("%s at %d: %s", path, start, error)  # noqa: TRY400 - one line
        return b""


def _sealed_blocks(segment: GrowingSegment, rest: float) -> Iterator[bytes]:
    """The bytes of the sealed file, part by part."""
    rows, names, start = [], list(segment.devices), 0
    vitals = segment.all_vitals()
    names += [name for name in vitals if name not in set(names)]
    for number, name in enumerate(names):
        begun_s = time.thread_time()
        parts = [(BlockKind.SEALED_CHUNKS, *part) for part in _chunk_parts(segment, name)]
        if name in vitals:
            parts.append((BlockKind.SEALED_VITALS, *_vitals_part(name, vitals[name])))
        for kind, place, span_us, block in parts:
            rows.append((number, kind, *place, *span_us, start))
            start += len(block)
            yield block
        time.sleep(rest * (time.thread_time() - begun_s))
    directory = np.array(rows, DIRECTORY_ROW)
    span_us = (segment.first_us, segment.last_us)
    yield build_block(BlockKind.DIRECTORY, names, directory.tobytes(), len(rows), span_us)
    yield start.to_bytes(_TRAILER_BYTES, "little")


_Part = tuple[tuple[int, int, int], tuple[int, int], bytes]  # (session, first, end), arrivals, block


def _chunk_parts(segment: GrowingSegment, device: str) -> Iterator[_Part]:
    """A device's chunks by session, else in their order, as many together as are packed together."""
    entries = segment.entries(device)
    entries = entries[np.argsort(entries["session"], kind="stable")]
    begin_of_part = np.cumsum(entries["length"], dtype=np.int64) // PACKED_TOGETHER_BYTES
    is_first = np.diff(entries["session"], prepend=0) != 0
    is_first |= np.diff(begin_of_part, prepend=0) != 0
    for part in np.split(entries, np.flatnonzero(is_first)):
        if not len(part):
            continue
        stored = segment.read(part)
        if len(stored) != len(part):
            raise ValueError(f"{len(part) - len(stored)} chunks are damaged, the file is left as it is")
        index = part.astype(ENTRY)
        index["device"] = 0
        index["offset"] = np.cumsum(part["length"]) - part["length"]
        ends = part["first_sample"] + part["n_samples"]
        span_us = (int(part["received_us"].min()), int(part["received_us"].max()))
        packed = pack([each.payload for each in stored])
        block = build_block(
            BlockKind.SEALED_CHUNKS, (device,), index.tobytes(), len(part), span_us, payloads=(packed,)
        )
        place = (int(part["session"][0]), int(part["first_sample"].min()), int(ends.max()))
        yield place, span_us, block


def _vitals_part(device: str, rows: NDArray[Any]) -> _Part:
    span_us = (int(rows["at_us"].min()), int(rows["at_us"].max()))
    columns = np.zeros(len(rows), VITALS_ROW)
    columns[:] = rows
    columns["device"] = 0
    packed = pack([columns.tobytes()])
    return (
        (0, 0, 0),
        span_us,
        build_block(BlockKind.SEALED_VITALS, (device,), b"", 0, span_us, payloads=(packed,)),
    )
