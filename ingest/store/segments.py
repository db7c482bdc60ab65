"""Waveforms and vitals in files on this machine: append-only segments, one for each hour and writer.

A file belongs to the process that made it, which alone appends to it; nobody else ever changes a byte, so
that several ingest processes write side by side and readers in any process follow without locks.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from ingest.chunk import Place
from ingest.store.appending import SEALED, SEGMENT, SegmentWriter, begin_us
from ingest.store.blocks import CONFIRMED, chunk_block, vitals_block
from ingest.store.errors import told
from ingest.store.growing import GrowingSegment
from ingest.store.rows import ReceivedChunk
from ingest.store.sealed import SealedSegment, finish_seals, seal
from ingest.store.vitals_rows import VITALS_ROW, as_vitals
from ingest.store.waveforms import (
    Arrivals,
    NewPlaces,
    Stored,
    in_order_of_arrival,
    longest_of_each_place,
)
from ingest.vitals import Vitals

LEFT_ALONE_US = 2 * 3_600_000_000  # after its hour began, a file may still have a writer for so long

logger = logging.getLogger(__name__)


class SegmentStore:
    """The files of one folder; implements Waveforms. Many processes may hold one on a folder."""

    def __init__(self, folder: Path, clock_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self.folder = folder
        self._clock_us = clock_us
        self._lock = threading.RLock()
        self._segments: dict[str, GrowingSegment | SealedSegment] = {}  # by stem, which sorts by hour
        self._writer = SegmentWriter(folder, clock_us)
        self._new: NewPlaces | None = None  # until the first append
        self._unreadable: set[str] = set()  # names of damaged files
        self._damaged: set[str] = set()  # names of those that can be read in part, and are not compressed
        self._unconfirmed: set[Place] = set()
        self._unconfirmed_vitals: set[tuple[str, int]] = set()
        self._sealing: threading.Thread | None = None

    def append(
        self,
        chunks: Sequence[ReceivedChunk],
        vitals: Sequence[Vitals] = (),
        transaction: Connection | None = None,  # noqa: ARG002 - files are on the disk on return
    ) -> frozenset[Place]:
        """See Waveforms."""
        with self._lock, told(self.folder):
            new = self._new_places(chunks)
            kept = new.of(chunks, self._known)
            if self._unconfirmed_vitals:
                vitals = [
                    each for each in vitals if (each.device, each.at_us) not in self._unconfirmed_vitals
                ]
            blocks = chunk_block(kept, 0 if self._unconfirmed else CONFIRMED) if kept else b""
            if vitals:
                blocks += vitals_block(vitals)
            if blocks:
                self._writer.write(blocks)
            again = {each.chunk.place for each in chunks} & self._unconfirmed if self._unconfirmed else set()
            places = new.note(kept)
            self._unconfirmed |= places
            self._unconfirmed_vitals |= {(each.device, each.at_us) for each in vitals}
            return places | again

    def confirm(self) -> None:
        """See Waveforms."""
        self._unconfirmed.clear()
        self._unconfirmed_vitals.clear()

    def overlapping(self, chunks: Sequence[ReceivedChunk]) -> list[tuple[str, Stored]]:
        """See Waveforms."""
        with self._lock, told(self.folder):
            doubtful = self._new_places(chunks).doubtful(chunks)
        if not doubtful:
            return []
        with self._reading() as segments:
            return [
                (device, each)
                for (device, session), spans in doubtful.items()
                for segment in segments
                for each in segment.overlapping(device, session, spans)
            ]

    def between_samples(self, device: str, session: int, first_sample: int, end_sample: int) -> list[Stored]:
        """See Waveforms."""
        with self._reading() as segments:
            found = [
                each
                for segment in segments
                for each in segment.between_samples(device, session, first_sample, end_sample)
            ]
        return sorted(found, key=lambda each: each.received_us)

    def between_arrivals(self, device: str, from_us: int, to_us: int) -> list[Stored]:
        """See Waveforms."""
        with self._reading() as segments:
            found = [
                each
                for segment in segments
                if segment.first_us < to_us and segment.last_us >= from_us
                for each in segment.between_arrivals(device, from_us, to_us)
            ]
        return longest_of_each_place(sorted(found, key=lambda each: each.received_us))

    def places(self, device: str, from_us: int, to_us: int) -> NDArray[Any]:
        """See Waveforms."""
        with self._reading() as segments:
            return in_order_of_arrival([each.places(device, from_us, to_us) for each in segments])

    def vitals(self, device: str, from_us: int, to_us: int) -> list[Vitals]:
        """See Waveforms."""
        return as_vitals(device, self.vitals_rows(device, from_us, to_us))

    def vitals_rows(self, device: str, from_us: int, to_us: int) -> NDArray[Any]:
        """See Waveforms; of two at the same moment the one that was written first."""
        with self._reading() as segments:
            parts = [each.vitals_rows(device, from_us, to_us) for each in segments]
        rows = np.concatenate([np.empty(0, VITALS_ROW), *parts])
        _, firsts = np.unique(rows["at_us"], return_index=True)
        found: NDArray[Any] = rows[firsts]
        return found

    def devices(self, since_us: int = 0) -> dict[str, int]:
        """See Waveforms."""
        found: dict[str, int] = {}
        with self._reading() as segments:
            for segment in [each for each in segments if each.last_us >= since_us]:
                for device, (_, last_us) in segment.last_arrivals().items():
                    found[device] = max(last_us, found.get(device, last_us))
        return found

    def extent(self, device: str) -> tuple[int, int] | None:
        """See Waveforms."""
        with self._reading() as segments:
            spans = [span for each in segments if (span := each.extent(device)) is not None]
        return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None

    def first_arrival_us(self, device: str, session: int, first_sample: int) -> int | None:
        """See Waveforms."""
        with self._reading() as segments:
            arrivals = [each.first_arrival_us(device, session, first_sample) for each in segments]
        return min((us for us in arrivals if us is not None), default=None)

    def arrivals(self) -> Iterator[Arrivals]:
        """See Waveforms."""
        with self._reading() as segments:
            for segment in segments:
                yield from segment.arrivals()

    def drop_before(self, us: int) -> int:
        """See Waveforms; a file that may still have a writer stays."""
        n_dropped = 0
        with self._reading(), told(self.folder):
            for stem, segment in list(self._segments.items()):
                if self._is_complete(stem) and segment.last_us < us:
                    segment.close()
                    del self._segments[stem]
                    for suffix in (SEALED, SEGMENT):  # the segment first would bring nothing back either
                        (self.folder / (stem + suffix)).unlink(missing_ok=True)
                    n_dropped += 1
                    logger.info("dropped the waveforms of %s: older than they are to be kept", stem)
        return n_dropped

    def tidy(self) -> None:
        """Begin a new file when the hour is over; compress complete ones on a thread, one after the other."""
        with self._lock, told(self.folder):
            self._writer.rotate_if_due()
            if self._sealing is not None and self._sealing.is_alive():
                return
            if not self.folder.is_dir():
                return
            finish_seals(self.folder)
            complete = [
                path
                for path in sorted(self.folder.glob(f"*{SEGMENT}"))
                if self._is_complete(path.stem) and path.name not in self._damaged
            ]
            if complete:
                self._sealing = threading.Thread(
                    target=self._seal, args=(complete,), name="seal", daemon=True
                )
                self._sealing.start()

    def _seal(self, paths: list[Path]) -> None:
        for path in paths:
            try:
                seal(path)
            except OSError as error:  # it stays as it is, readable, and is tried again
                logger.warning("%s cannot be compressed now: %s", path, error)
            except ValueError as error:
                self._damaged.add(path.name)
                logger.warning("%s is not compressed: %s", path, error)

    def wait_until_tidy(self) -> None:
        """Wait for the thread that compresses, if there is one."""
        if self._sealing is not None:
            self._sealing.join()

    def close(self) -> None:
        """See Waveforms."""
        with self._lock:
            self._writer.close()
            for segment in self._segments.values():
                segment.close()
            self._segments.clear()

    def _is_complete(self, stem: str) -> bool:
        """True when nobody appends to the file any more: its hour is over, or it is an old one of ours."""
        if stem == self._writer.stem:
            return False
        return self._writer.is_mine(stem) or self._clock_us() - begin_us(stem) > LEFT_ALONE_US

    @contextlib.contextmanager
    def _reading(self) -> Iterator[list[GrowingSegment | SealedSegment]]:
        """All segments as they are on the disk now, oldest first."""
        with self._lock, told(self.folder):
            self._refresh()
            yield [self._segments[stem] for stem in sorted(self._segments)]

    def _refresh(self) -> None:
        there = self._files()
        if not self._segments.keys() <= there.keys():  # dropped; or sealed while the folder was being read
            there |= self._files()
        for stem, segment in list(self._segments.items()):
            if there.get(stem) != segment.path.name:
                segment.close()
                del self._segments[stem]
        for stem, name in there.items():
            if stem not in self._segments:
                self._open(stem, name)
        for segment in self._segments.values():
            segment.follow()

    def _files(self) -> dict[str, str]:
        """The name of each file that counts, by stem: of a sealed one and its original the sealed one."""
        try:
            with os.scandir(self.folder) as entries:
                names = [each.name for each in entries]
        except FileNotFoundError:  # nothing was ever written
            return {}
        there = {name.removesuffix(SEGMENT): name for name in names if name.endswith(SEGMENT)}
        return there | {name.removesuffix(SEALED): name for name in names if name.endswith(SEALED)}

    def _open(self, stem: str, name: str) -> None:
        if name in self._unreadable:
            return
        kind = SealedSegment if name.endswith(SEALED) else GrowingSegment
        try:
            self._segments[stem] = kind(self.folder / name)
        except FileNotFoundError:  # dropped, or sealed just now: seen next time
            pass
        except ValueError as error:  # one damaged file must not keep the others from being read
            self._unreadable.add(name)
            logger.error("%s; restore it from a copy if you have one", error)  # noqa: TRY400 - one line

    def _new_places(self, chunks: Sequence[ReceivedChunk]) -> NewPlaces:
        """What is there already, read once; with very many sessions, of those of the chunks alone."""
        if self._new is None:
            newest: dict[tuple[str, int], int] = {}
            with self._reading() as segments:
                for segment in segments:
                    for session, first in segment.newest().items():
                        newest[session] = max(first, newest.get(session, first))
                    self._unconfirmed |= segment.unconfirmed()
            self._new = NewPlaces(newest)
        unknown = self._new.unknown(chunks)
        if unknown:
            with self._reading() as segments:
                found = {
                    session: max((each.newest_of(*session) for each in segments), default=-1)
                    for session in unknown
                }
            self._new.learn(found)
        return self._new

    def _known(self, places: Iterable[Place]) -> dict[Place, int]:
        """How many samples are stored at those of the places that are known."""
        found: dict[Place, int] = {}
        by_session: dict[tuple[str, int], list[int]] = {}  # of 20,000 places each for itself took 2 minutes
        for device, session, first_sample in places:
            by_session.setdefault((device, session), []).append(first_sample)
        with self._reading() as segments:
            for (device, session), first_samples in by_session.items():
                for segment in segments:
                    for first, n in segment.n_samples_at(device, session, first_samples).items():
                        found[device, session, first] = max(n, found.get((device, session, first), 0))
        return found
