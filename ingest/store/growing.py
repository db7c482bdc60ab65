"""A segment file as it grows -> its chunks and vitals; readers in any process follow it by offset."""

import logging
import os
import weakref
import zlib
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Place
from ingest.store.blocks import (
    CONFIRMED,
    ENTRY,
    HISTORIC,
    MAGIC,
    Block,
    BlockKind,
    is_whole,
    places_of,
    read_block,
)
from ingest.store.vitals_rows import VITALS_ROW, with_rhythm
from ingest.store.waveforms import Arrivals, Span, Stored, is_touched

# An entry as it is kept in memory: device is a number in the file, offset one from its begin.
HELD = np.dtype([(name, "<i8" if name == "offset" else ENTRY[name]) for name in ENTRY.names or ()])
_RESYNC_BYTES = 1 << 20  # read at a time when looking for a block behind a damaged one

logger = logging.getLogger(__name__)


class GrowingSegment:
    """One segment file. `follow` takes in what was appended since; the other methods answer from memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first_us, self.last_us = (1 << 63) - 1, -(1 << 63)  # arrivals
        self.damaged = 0  # places in the file where blocks were unreadable
        self._fd = os.open(path, os.O_RDONLY)
        self.close = weakref.finalize(self, os.close, self._fd)  # nothing can be read after it
        self._size = 0  # when it was last followed
        self._end = 0  # of the last good block
        self._numbers: dict[str, int] = {}
        self._held: NDArray[Any] = np.empty(64, HELD)
        self._held_by: list[array[int]] = []  # each device's places in `_held`: no search of a million
        self._n = 0
        self._n_confirmed = 0  # of the entries
        self._vitals: list[tuple[int, int, int]] = []  # (first_us, last_us, start) of each block

    def follow(self) -> None:
        """Take in the blocks that were appended; a torn or unfinished one is left for the next time."""
        size = os.fstat(self._fd).st_size
        if size == self._size:
            return
        if size < self._end:  # its writer took back a block that was seen before the disk refused it
            self._end, self._n, self._n_confirmed, self._vitals = 0, 0, 0, []
            self._held_by = [array("I") for _ in self._numbers]
        self._size = size
        while self._end < size:
            block = read_block(self._fd, self._end, size)
            if block is None:
                block = self._next_good(size)
            if block is None or (block.end == size and not is_whole(self._fd, block)):
                return
            self._take(block)

    @property
    def good_bytes(self) -> int:
        """Bytes up to the end of the last good block."""
        return self._end

    @property
    def devices(self) -> tuple[str, ...]:
        """Every device in the file."""
        return tuple(self._numbers)

    def entries(self, device: str) -> NDArray[Any]:
        """A device's index entries, (n,) of HELD, in the order in which they were written."""
        number = self._numbers.get(device)
        if number is None or not self._held_by[number]:
            return self._held[:0]
        return self._held[np.frombuffer(self._held_by[number], np.uint32)]

    def newest(self) -> dict[tuple[str, int], int]:
        """(device, session) -> first sample of the newest place."""
        held, names = self._entries, self.devices
        order = np.lexsort((held["first_sample"], held["session"], held["device"]))
        device, session, first = (held[name][order] for name in ("device", "session", "first_sample"))
        is_last = np.append((device[1:] != device[:-1]) | (session[1:] != session[:-1]), True)[: len(held)]
        found = zip(device[is_last].tolist(), session[is_last].tolist(), first[is_last].tolist(), strict=True)
        return {(names[number], session): first for number, session, first in found}

    def newest_of(self, device: str, session: int) -> int:
        """First sample of the newest place of one session; -1 when it has none here."""
        held = self.entries(device)
        return int(held["first_sample"][held["session"] == session].max(initial=-1))

    def unconfirmed(self) -> set[Place]:
        """Places of which nobody knows whether the database took what belongs to them."""
        names = self.devices
        places = self._entries[self._n_confirmed :][["device", "session", "first_sample"]]
        return {(names[number], session, first) for number, session, first in places.tolist()}

    def last_arrivals(self) -> dict[str, tuple[int, int]]:
        """First and last arrival of each device that has chunks."""
        return {name: span for name in self.devices if (span := self.extent(name)) is not None}

    def extent(self, device: str) -> tuple[int, int] | None:
        """First and last arrival of a device; None when it has no chunk here."""
        received_us = self.entries(device)["received_us"]
        return (int(received_us.min()), int(received_us.max())) if len(received_us) else None

    def between_samples(self, device: str, session: int, first_sample: int, end_sample: int) -> list[Stored]:
        """Chunks with samples in the span, in the order in which they were written."""
        held = self.entries(device)
        ends = held["first_sample"] + held["n_samples"]
        is_in = (held["session"] == session) & (held["first_sample"] < end_sample) & (ends > first_sample)
        return self.read(held[is_in])

    def overlapping(self, device: str, session: int, spans: Sequence[Span]) -> list[Stored]:
        """Chunks with samples in one of the joined spans."""
        held = self.entries(device)
        held = held[held["session"] == session]
        return self.read(held[is_touched(held["first_sample"], held["n_samples"], spans)])

    def between_arrivals(self, device: str, from_us: int, to_us: int) -> list[Stored]:
        """Chunks that came in the span, in the order in which they were written."""
        held = self.entries(device)
        return self.read(held[(held["received_us"] >= from_us) & (held["received_us"] < to_us)])

    def first_arrival_us(self, device: str, session: int, first_sample: int) -> int | None:
        """When the first chunk came that reaches beyond `first_sample`; None when none did."""
        held = self.entries(device)
        ends = held["first_sample"] + held["n_samples"]
        arrivals = held["received_us"][(held["session"] == session) & (ends > first_sample)]
        return int(arrivals.min()) if len(arrivals) else None

    def n_samples_at(self, device: str, session: int, first_samples: Sequence[int]) -> dict[int, int]:
        """Samples of the longest chunk that begins at each; those where none does are left out."""
        held = self.entries(device)
        held = held[held["session"] == session]
        held = held[np.isin(held["first_sample"], np.array(first_samples, held["first_sample"].dtype))]
        held = held[np.argsort(held["n_samples"])]  # of one place the last counts
        return dict(zip(held["first_sample"].tolist(), held["n_samples"].tolist(), strict=True))

    def places(self, device: str, from_us: int, to_us: int) -> NDArray[Any]:
        """Where the chunks belong that came in the span, (n,) of PLACE."""
        return places_of(self.entries(device), from_us, to_us)

    def vitals_rows(self, device: str, from_us: int, to_us: int) -> NDArray[Any]:
        """Vitals of the span, (n,) of VITALS_ROW, in the order in which they were written."""
        found = [np.empty(0, VITALS_ROW)]
        for first_us, last_us, start in self._vitals:
            if first_us < to_us and last_us >= from_us:
                names, rows = self._vitals_rows(start)
                if device in names:
                    found.append(rows[rows["device"] == names.index(device)])
        kept = np.concatenate(found)
        in_span: NDArray[Any] = kept[(kept["at_us"] >= from_us) & (kept["at_us"] < to_us)]
        return in_span

    def arrivals(self) -> Iterator[Arrivals]:
        """Everything in the file."""
        held = self._entries
        order = np.argsort(held["device"], kind="stable")
        numbers = held["device"][order]
        for number, name in enumerate(self.devices):
            part = held[order[np.searchsorted(numbers, number) : np.searchsorted(numbers, number, "right")]]
            if len(part):
                yield Arrivals(name, part["session"], part["first_sample"], part["received_us"])

    def all_vitals(self) -> dict[str, NDArray[Any]]:
        """Each device's vitals, (n,) of VITALS_ROW, in the order in which they were written."""
        numbers: dict[str, int] = {}
        parts = []
        for _, _, start in self._vitals:
            names, rows = self._vitals_rows(start)
            rows = rows.copy()
            rows["device"] = np.array([numbers.setdefault(name, len(numbers)) for name in names])[
                rows["device"]
            ]
            parts.append(rows)
        joined = np.concatenate([np.empty(0, VITALS_ROW), *parts])
        joined = joined[np.argsort(joined["device"], kind="stable")]
        ends = np.searchsorted(joined["device"], np.arange(len(numbers)), "right")
        return dict(zip(numbers, np.split(joined, ends[:-1]), strict=True)) if numbers else {}

    def read(self, held: NDArray[Any]) -> list[Stored]:
        """The chunks of these entries; a damaged one is said and left out."""
        found = []
        for _, flags, session, first, n_samples, received_us, offset, length, checksum in held.tolist():
            payload = os.pread(self._fd, length, offset)
            if zlib.crc32(payload) != checksum:
                self.damaged += 1
                logger.error("%s is damaged: a chunk of %d bytes at %d is lost", self.path, length, offset)
                continue
            found.append(Stored(session, first, n_samples, received_us, bool(flags & HISTORIC), payload))
        return found

    @property
    def _entries(self) -> NDArray[Any]:
        return self._held[: self._n]

    def _vitals_rows(self, start: int) -> tuple[tuple[str, ...], NDArray[Any]]:
        block = read_block(self._fd, start, self._size)
        return ((), np.empty(0, VITALS_ROW)) if block is None else (block.devices, with_rhythm(block.index))

    def _take(self, block: Block) -> None:
        self._end = block.end
        self.first_us, self.last_us = min(self.first_us, block.first_us), max(self.last_us, block.last_us)
        if block.kind in {BlockKind.VITALS, BlockKind.FORMER_VITALS}:
            self._vitals.append((block.first_us, block.last_us, block.start))
            return
        if block.flags & CONFIRMED:
            self._n_confirmed = self._n
        numbers = [self._numbers.setdefault(name, len(self._numbers)) for name in block.devices]
        self._held_by += [array("I") for _ in range(len(self._numbers) - len(self._held_by))]
        n = self._n + len(block.index)
        if n > len(self._held):
            larger = np.empty(max(n, len(self._held) + len(self._held) // 2), HELD)  # untouched costs nothing
            larger[: self._n] = self._entries
            self._held = larger
        part = self._held[self._n : n]
        for name in ENTRY.names or ():
            part[name] = block.index[name]
        part["device"] = np.array(numbers, np.uint32)[block.index["device"]]
        part["offset"] += block.payload_start
        for place, number in enumerate(part["device"].tolist(), self._n):
            self._held_by[number].append(place)
        self._n = n

    def _next_good(self, size: int) -> Block | None:
        """The block behind a damaged one; None when none follows: then the file ends torn or unfinished."""
        at = self._end + 1
        while at < size:
            found = os.pread(self._fd, _RESYNC_BYTES + len(MAGIC) - 1, at).find(MAGIC)
            if found < 0:
                at += _RESYNC_BYTES
                continue
            block = read_block(self._fd, at + found, size)
            if block is not None and is_whole(self._fd, block):
                self.damaged += 1
                lost = block.start - self._end
                logger.error("%s is damaged: %d bytes from %d on are unreadable", self.path, lost, self._end)
                return block
            at += found + 1
        return None
