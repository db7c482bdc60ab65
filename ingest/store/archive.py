"""Chunks, windows, vitals and refused payloads -> the store; and back again.

Waveforms are on the disk before the rest is committed: a crash between the two leaves chunks that nobody was
told of, which come again.

Only ingest writes these tables. What a crash repeats (a chunk sent again, a window found again) meets a
unique key and changes nothing.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Row, exists, func, select
from sqlalchemy.engine import make_url

from ingest.backfill import Rework, Slot, best_windows
from ingest.chunk import Chunk, Lead, Place
from ingest.store.contradictions import agrees, contradicting
from ingest.store.errors import StoreError
from ingest.store.former import move_former
from ingest.store.insertion import insert_refused, insert_windows, outdoes
from ingest.store.location import waveforms_of
from ingest.store.pending import due_slots, forget_slots, note_late, note_met, note_windows
from ingest.store.retention import drop_windows
from ingest.store.rows import (
    ReceivedChunk,
    Refused,
    RefusedCount,
    place_samples,
    window_row,
)
from ingest.store.schema import (
    BUSY_WAIT_MS,
    open_store,
    refused_table,
    told_by,
    verdict_table,
    window_table,
)
from ingest.store.set_by_people import SetLine, newest_line, windows_before, write_line
from ingest.store.waveforms import as_received, longest_of_each_place
from ingest.vitals import Vitals
from ingest.window import Window
from ingest.wire import END_OF_TIME_US

__all__ = ["Archive", "Committed", "StoreError"]

MAX_DISPUTED = 10_000  # sessions whose windows are compared with what is stored

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Committed:
    """What one commit added."""

    new_chunks: frozenset[Place]
    new_windows: frozenset[Place]  # new, or better than what was there
    contradicting: tuple[ReceivedChunk, ...] = ()  # not stored: other samples are at their places


class Archive:
    """The store as ingest writes it and as every service reads it back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.waveforms = waveforms_of(engine)
        self._disputed: set[tuple[str, int]] = set()  # (device, session) that contradicted what is stored

    @classmethod
    def open(cls, url: str, *, busy_wait_ms: int = BUSY_WAIT_MS) -> "Archive":
        """The store at an SQLAlchemy URL, made when missing; raises StoreError when it cannot be used."""
        with told_by(make_url(url)):
            engine = open_store(url, busy_wait_ms=busy_wait_ms)
            archive = cls(engine)
            move_former(engine, archive.waveforms)
        return archive

    def commit(
        self,
        chunks: Sequence[ReceivedChunk] = (),
        windows: Sequence[Window] = (),
        vitals: Sequence[Vitals] = (),
        refused: Sequence[Refused] = (),
        rework: Rework | None = None,
    ) -> Committed:
        """Write everything; when it returns, the data is on the disk.

        Chunks with other samples than are stored at their places are told and left out, and so are windows
        that hold such samples.
        Raises StoreError when the store is full, read-only, locked or gone. Then none of it counts: commit it
        again, when some of its chunks may be stored already and are told as new all the same.
        """
        refusing = contradicting(chunks, self._stored_at(chunks))
        if refusing:
            numbers = {id(each) for each in refusing}
            chunks = [each for each in chunks if id(each) not in numbers]
        disputed = self._disputed_windows(windows, chunks, refusing)
        windows = [each for each in windows if each not in disputed] if disputed else windows
        with self._transaction() as connection:
            new_chunks = self.waveforms.append(chunks, vitals, connection)
            if rework:
                forget_slots(connection, rework.done)  # first: what is late now was not seen by their cutting
            note_met(connection, windows)
            note_windows(connection, disputed)  # cut from what is stored, they hold nothing else
            new_windows = insert_windows(connection, [window_row(each) for each in best_windows(windows)])
            insert_refused(connection, refused)
            if rework:
                note_late(connection, rework.late, new_chunks)
        self.waveforms.confirm()
        return Committed(new_chunks, new_windows, tuple(refusing))

    def due_slots(self, now_us: int, limit: int, after: str = "") -> list[Slot]:
        """Places whose windows are to be cut again by `now_us`: devices in turn, from behind `after` on.

        Turns go by name; of each device the longest due comes first.
        """
        with self._transaction() as connection:
            return due_slots(connection, now_us, limit, after)

    def chunks_at(self, device: str, session: int, first_sample: int, n_samples: int) -> list[ReceivedChunk]:
        """The stored chunks that hold one of these samples, in order of arrival."""
        found = self.waveforms.between_samples(device, session, first_sample, first_sample + n_samples)
        return as_received(device, longest_of_each_place(found))

    def samples(  # noqa: PLR0913 - a place in a stream, and which of its samples are wanted
        self,
        device: str,
        session: int,
        first_sample: int,
        n_samples: int,
        *,
        lead: Lead | None = None,
        received_by_us: int | None = None,
    ) -> NDArray[np.float32]:
        """The stored samples of one lead, (n_samples,) in mV; NaN where none came.

        `lead` None means each chunk's first. With `received_by_us`, samples that came later are left out.
        Where chunks overlap, the first to arrive counts.
        """
        samples = np.full(n_samples, np.nan, np.float32)
        found = self.waveforms.between_samples(device, session, first_sample, first_sample + n_samples)
        if received_by_us is not None:
            found = [each for each in found if each.received_us <= received_by_us]
        for each in reversed(
            as_received(device, longest_of_each_place(found))
        ):  # the first to arrive is written last
            place_samples(each.chunk, lead, first_sample, samples)
        return samples

    def window(self, device: str, session: int, first_sample: int) -> Window | None:
        """One stored window with the samples it was closed with; None when there is none."""
        table = window_table.c
        place = (table.device == device, table.session == session, table.first_sample == first_sample)
        with self._transaction() as connection:
            row = connection.execute(select(window_table).where(*place)).one_or_none()
        return None if row is None else self._as_window(row)

    def windows_without_verdict(
        self, closed_before_us: int, limit: int, closed_after_us: int = 0
    ) -> list[Window]:
        """Windows closed in (closed_after_us, closed_before_us] without a verdict, oldest first.

        A window that was cut again with more samples than its verdict rests on has none.
        """
        window, verdict = window_table.c, verdict_table.c
        has_verdict = exists().where(
            verdict.device == window.device,
            verdict.session == window.session,
            verdict.first_sample == window.first_sample,
            ~outdoes(window, verdict),
        )
        query = (
            select(window_table)
            .where(window.closed_us > closed_after_us, window.closed_us <= closed_before_us, ~has_verdict)
            .order_by(window.closed_us)
            .limit(limit)
        )
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [self._as_window(row) for row in rows]

    def latest_windows(self, device: str, n: int) -> list[Window]:
        """The newest `n` windows of a device, oldest first."""
        table = window_table.c
        query = (
            select(window_table)
            .where(table.device == device)
            .order_by(table.closed_us.desc(), table.id.desc())
            .limit(n)
        )
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [self._as_window(row) for row in reversed(rows)]

    def newest_window(self, device: str, *, historic: bool) -> Window | None:
        """The live or historic window of a device that was closed last; None before the first."""
        table = window_table.c
        query = select(window_table).where(table.device == device, table.historic == historic)
        with self._transaction() as connection:
            row = connection.execute(query.order_by(table.closed_us.desc(), table.id.desc()).limit(1)).first()
        return None if row is None else self._as_window(row)

    def newest_closing_us(self) -> int | None:
        """When the newest of all windows was closed: whatever was done by then is stored; None before any."""
        with self._transaction() as connection:
            newest_us: int | None = connection.scalar(select(func.max(window_table.c.closed_us)))
        return newest_us

    def first_arrival_us(self, device: str, session: int, first_sample: int) -> int | None:
        """When the first chunk came that holds `first_sample` or what follows; None while there is none."""
        return self.waveforms.first_arrival_us(device, session, first_sample)

    def devices(self, since_us: int = 0) -> dict[str, int]:
        """Every device that has chunks, and when it was last heard, Unix microseconds.

        Those last heard before `since_us` may be left out.
        """
        return self.waveforms.devices(since_us)

    def heard_us(self, device: str) -> int | None:
        """When the newest chunk of one device came, Unix microseconds; None when it has none."""
        extent = self.waveforms.extent(device)
        return None if extent is None else extent[1]

    def chunks_since(self, device: str, received_us: int) -> list[ReceivedChunk]:
        """A device's chunks that came at or after `received_us`, in order of arrival."""
        found = self.waveforms.between_arrivals(device, received_us, END_OF_TIME_US)
        return as_received(device, found)

    def vitals_between(self, device: str, from_us: int, to_us: int) -> list[Vitals]:
        """Stored vitals of a device with from_us <= at_us < to_us, oldest first; the rest is left unset."""
        return self.waveforms.vitals(device, from_us, to_us)

    def tidy(self) -> None:
        """Close and compress files that are complete, on a thread of their own."""
        self.waveforms.tidy()

    def drop_partitions(self, before_us: int) -> int:
        """Remove the waveforms and vitals that came before, whole partitions only; how many."""
        return self.waveforms.drop_before(before_us)

    def drop_windows(self, before_us: int, at_most: int) -> int:
        """Remove the oldest windows closed before, with their verdicts and explanations; how many."""
        with self._transaction() as connection:
            return drop_windows(connection, before_us, at_most)

    def windows_before(self, us: int) -> tuple[int | None, int, int]:
        """When the oldest window closed before `us` was, how many there are, and of how many devices."""
        with self._transaction() as connection:
            return windows_before(connection, us)

    def newest_set(self, what: str) -> SetLine | None:
        """What people set last of that kind; None where nobody ever did."""
        with self._transaction() as connection:
            return newest_line(connection, what)

    def write_set(self, line: SetLine) -> None:
        """Log what a person set."""
        with self._transaction() as connection:
            write_line(connection, line)

    def refused(self, device: str) -> list[Refused]:
        """The newest payloads of a device that were refused, oldest first, at most 20 of 4 KiB."""
        query = select(refused_table).where(refused_table.c.device == device).order_by(refused_table.c.id)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [Refused(row.device, row.received_us, row.reason, row.payload) for row in rows]

    def refused_counts(self) -> list[RefusedCount]:
        """Every device of which refused payloads are kept, by name."""
        table = refused_table.c
        facts = (func.count(), func.min(table.received_us), func.max(table.received_us))
        query = select(table.device, *facts).group_by(table.device).order_by(table.device)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [RefusedCount(*row) for row in rows]

    def _stored_at(self, chunks: Sequence[ReceivedChunk]) -> list[Chunk]:
        return [
            each.chunk
            for device, stored in self.waveforms.overlapping(chunks)
            for each in as_received(device, [stored])
        ]

    def _disputed_windows(
        self, windows: Sequence[Window], chunks: Sequence[ReceivedChunk], refusing: Sequence[ReceivedChunk]
    ) -> list[Window]:
        """The windows that hold samples of contradicting chunks, which a pipeline may take for new."""
        if len(self._disputed) > MAX_DISPUTED:
            self._disputed.clear()  # the next contradiction brings its session back
        self._disputed |= {(each.chunk.device, each.chunk.session) for each in refusing}
        return [
            each
            for each in windows
            if (each.device, each.session) in self._disputed
            and not agrees(each, chunks, self._samples_of(each))
        ]

    def _samples_of(self, window: Window) -> NDArray[np.float32]:
        n_samples = len(window.samples_mv)
        return self.samples(window.device, window.session, window.first_sample, n_samples, lead=window.lead)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with told_by(self._engine.url), self._engine.begin() as connection:
            yield connection

    def _as_window(self, row: Row[Any]) -> Window:
        lead = Lead(row.lead)
        place = (row.device, row.session, row.first_sample, row.n_samples)
        return Window(
            device=row.device,
            session=row.session,
            first_sample=row.first_sample,
            wall_time_us=row.wall_time_us,
            fs=row.fs,
            lead=lead,
            samples_mv=self.samples(*place, lead=lead, received_by_us=row.closed_us),
            coverage=row.coverage,
            lead_off=row.lead_off,
            clipped=row.clipped,
            historic=row.historic,
            closed_us=row.closed_us,
        )
