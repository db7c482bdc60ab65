"""Chunks, windows, vitals and refused payloads -> the store, in one transaction; and back again.

Only ingest writes these tables. What a crash repeats (a chunk sent again, a window found again) meets a
unique key and changes nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Row, exists, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from ingest.backfill import Rework, Slot, best_windows
from ingest.chunk import Lead
from ingest.store.insertion import insert_new, insert_refused, insert_unknown, insert_windows, outdoes
from ingest.store.pending import due_slots, forget_slots, note_late
from ingest.store.rows import (
    ReceivedChunk,
    Refused,
    as_chunk,
    chunk_row,
    place_samples,
    vitals_row,
    window_row,
)
from ingest.store.schema import (
    BUSY_WAIT_MS,
    chunk_table,
    open_store,
    refused_table,
    verdict_table,
    vitals_table,
    window_table,
)
from ingest.vitals import SignalState, Vitals
from ingest.window import Window
from ingest.wire import MAX_SAMPLES, decode

# What the store says -> what a person is told.
_REMEDIES = {
    "full": "is full: free some space on that disk",
    "no space": "is full: free some space on that disk",
    "readonly": "cannot be written: make the file and its folder writable",
    "read-only": "cannot be written: make the file and its folder writable",
    "locked": "is locked by another program: close the one that holds it open",
    "unable to open": "cannot be opened: check that its folder exists and is writable",
    "malformed": "is damaged: move the file away, and restore it from a copy if you have one",
    "not a database": "is not a database: set --store-url or --data-dir to another place",
}


class StoreError(RuntimeError):
    """The store did not take or give the data; the message says why and what to do. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What one commit added."""

    new_chunks: frozenset[tuple[str, int, int]]  # (device, session, first_sample)
    new_windows: frozenset[tuple[str, int, int]]  # new, or better than what was there


class Archive:
    """The store as ingest writes it and as every service reads it back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str, *, busy_wait_ms: int = BUSY_WAIT_MS) -> "Archive":
        """The store at an SQLAlchemy URL, made when missing; raises StoreError when it cannot be used."""
        try:
            return cls(open_store(url, busy_wait_ms=busy_wait_ms))
        except SQLAlchemyError as error:
            raise StoreError(_explain(error, make_url(url))) from error

    def commit(
        self,
        chunks: Sequence[ReceivedChunk] = (),
        windows: Sequence[Window] = (),
        vitals: Sequence[Vitals] = (),
        refused: Sequence[Refused] = (),
        rework: Rework | None = None,
    ) -> Committed:
        """Write everything or nothing; when it returns, the data is on the disk.

        Raises StoreError when the store is full, read-only, locked or gone.
        """
        with self._transaction() as connection:
            new_chunks = insert_new(connection, chunk_table, [chunk_row(each) for each in chunks])
            new_windows = insert_windows(connection, [window_row(each) for each in best_windows(windows)])
            if vitals:
                rows = [vitals_row(each) for each in vitals]
                connection.execute(insert_unknown(connection.dialect.name, vitals_table), rows)
            insert_refused(connection, refused)
            if rework:
                forget_slots(connection, rework.done)  # first: what is late now was not seen by their cutting
                note_late(connection, rework.late, new_chunks)
        return Committed(new_chunks, new_windows)

    def due_slots(self, now_us: int, limit: int) -> list[Slot]:
        """Places whose windows are to be cut again by `now_us`, the longest due first."""
        with self._transaction() as connection:
            return due_slots(connection, now_us, limit)

    def chunks_at(self, device: str, session: int, first_sample: int, n_samples: int) -> list[ReceivedChunk]:
        """The stored chunks that hold one of these samples, in order of arrival."""
        table = chunk_table.c
        query = (
            select(table.payload, table.received_us, table.historic)
            .where(table.device == device, table.session == session)
            .where(table.first_sample > first_sample - MAX_SAMPLES)
            .where(table.first_sample < first_sample + n_samples)
            .where(table.first_sample + table.n_samples > first_sample)
            .order_by(table.id)
        )
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [
            ReceivedChunk(as_chunk(payload, device, historic=historic), payload, received)
            for payload, received, historic in rows
        ]

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
        table = chunk_table.c
        query = (
            select(table.payload)
            .where(table.device == device, table.session == session)
            .where(table.first_sample > first_sample - MAX_SAMPLES)
            .where(table.first_sample < first_sample + n_samples)
            .where(table.first_sample + table.n_samples > first_sample)
            .order_by(table.id.desc())  # the first to arrive is written last
        )
        if received_by_us is not None:
            query = query.where(table.received_us <= received_by_us)
        with self._transaction() as connection:
            payloads = connection.scalars(query).all()
        for payload in payloads:
            place_samples(decode(payload, device), lead, first_sample, samples)
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

    def first_arrival_us(self, device: str, session: int, first_sample: int) -> int | None:
        """When the first chunk came that holds `first_sample` or what follows; None while there is none."""
        table = chunk_table.c
        query = (
            select(func.min(table.received_us))
            .where(table.device == device, table.session == session)
            .where(table.first_sample > first_sample - MAX_SAMPLES)
            .where(table.first_sample + table.n_samples > first_sample)
        )
        with self._transaction() as connection:
            arrived_us: int | None = connection.scalar(query)
        return arrived_us

    def devices(self) -> dict[str, int]:
        """Every device that has chunks, and when it was last heard, Unix microseconds."""
        table, found, device = chunk_table.c, dict[str, int](), ""
        with self._transaction() as connection:
            # From name to name along the index: a distinct over a month of chunks takes minutes.
            while device := connection.scalar(select(func.min(table.device)).where(table.device > device)):
                last = select(func.max(table.received_us)).where(table.device == device)
                found[device] = connection.scalars(last).one()
        return found

    def chunks_since(self, device: str, received_us: int) -> list[ReceivedChunk]:
        """A device's chunks that came at or after `received_us`, in order of arrival."""
        table = chunk_table.c
        query = (
            select(table.payload, table.received_us, table.historic)
            .where(table.device == device, table.received_us >= received_us)
            .order_by(table.received_us, table.id)
        )
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [
            ReceivedChunk(as_chunk(payload, device, historic=historic), payload, received)
            for payload, received, historic in rows
        ]

    def vitals_between(self, device: str, from_us: int, to_us: int) -> list[Vitals]:
        """Stored vitals of a device with from_us <= at_us < to_us, oldest first; the rest is left unset."""
        table = vitals_table.c
        query = (
            select(vitals_table)
            .where(table.device == device, table.at_us >= from_us, table.at_us < to_us)
            .order_by(table.at_us)
        )
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [
            Vitals(
                device=row.device,
                session=row.session,
                at_us=row.at_us,
                last_sample=row.last_sample,
                heart_rate_bpm=row.heart_rate_bpm,
                since_beat_s=None,
                signal=SignalState(row.signal),
            )
            for row in rows
        ]

    def refused(self, device: str) -> list[Refused]:
        """The newest payloads of a device that were refused, oldest first, at most 20 of 4 KiB."""
        query = select(refused_table).where(refused_table.c.device == device).order_by(refused_table.c.id)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [Refused(row.device, row.received_us, row.reason, row.payload) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            self._engine.dispose()  # a connection that saw the disk fail is not trusted again
            raise StoreError(_explain(error, self._engine.url)) from error

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


def _explain(error: SQLAlchemyError, url: URL) -> str:
    cause = str(getattr(error, "orig", None) or error)
    place = url.render_as_string(hide_password=True)
    remedy = next((text for sign, text in _REMEDIES.items() if sign in cause.lower()), None)
    return f"the store {place} {remedy} ({cause})" if remedy else f"the store {place} fails: {cause}"
