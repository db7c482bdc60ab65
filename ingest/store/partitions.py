"""Waveforms and vitals in PostgreSQL: tables partitioned by the day of arrival, dropped whole.

Chunks come by COPY in the transaction that takes all else that belongs to them.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text

from ingest.chunk import ChunkFlag, Place
from ingest.store.rows import ReceivedChunk
from ingest.store.schema import told_by
from ingest.store.vitals_rows import SIGNALS, UNKNOWN_COUNT, UNKNOWN_TENTHS, VITALS_ROW, as_vitals
from ingest.store.waveforms import PLACE, Arrivals, NewPlaces, Stored, longest_of_each_place
from ingest.vitals import Vitals
from ingest.wire import MAX_SAMPLES

DAY_US = 86_400_000_000
_LOCK = 0x77_6C  # advisory, held while tables are made: IF NOT EXISTS alone lets two services collide

# Indexes instead of keys: a key would have to hold the arrival, by which tables are partitioned.
_TABLES = """
CREATE TABLE IF NOT EXISTS waveform (
    device text NOT NULL, session bigint NOT NULL, first_sample bigint NOT NULL, n_samples integer NOT NULL,
    received_us bigint NOT NULL, historic boolean NOT NULL, payload bytea NOT NULL
) PARTITION BY RANGE (received_us);
CREATE INDEX IF NOT EXISTS waveform_by_place ON waveform (device, session, first_sample);
CREATE INDEX IF NOT EXISTS waveform_by_arrival ON waveform (device, received_us);
CREATE TABLE IF NOT EXISTS vital_sign (
    device text NOT NULL, at_us bigint NOT NULL, session bigint NOT NULL, last_sample bigint NOT NULL,
    heart_rate_bpm double precision, signal text NOT NULL, PRIMARY KEY (device, at_us)
) PARTITION BY RANGE (at_us);
ALTER TABLE vital_sign
    ADD COLUMN IF NOT EXISTS rmssd_ms double precision, ADD COLUMN IF NOT EXISTS sdnn_ms double precision,
    ADD COLUMN IF NOT EXISTS ectopic_per_min integer, ADD COLUMN IF NOT EXISTS irregular boolean
"""
_VITALS_COLUMNS = {
    "device": "text", "at_us": "bigint", "session": "bigint", "last_sample": "bigint",
    "heart_rate_bpm": "double precision", "signal": "text", "rmssd_ms": "double precision",
    "sdnn_ms": "double precision", "ectopic_per_min": "integer", "irregular": "boolean",
}  # fmt: skip


def _bounded(value: str, unknown: int) -> str:
    """A number of a column as a row of a file keeps it: less than `unknown`, which stands for null."""
    return f"(CASE WHEN {value} IS NULL THEN {unknown} ELSE least({value}, {unknown - 1}) END)::int8"


# Every field preceded by its length, the row by their number; see PostgreSQL's manual on COPY BINARY.
_COPIED_NAMES = {
    "session": "session", "at_us": "at_us", "last_sample": "last_sample",
    "heart_rate_bpm": "coalesce(heart_rate_bpm, 'NaN')",
    "signal": f"array_position(ARRAY{[state.value for state in SIGNALS]}, signal)::int8 - 1",
    "rmssd": _bounded("round(rmssd_ms * 10)", UNKNOWN_TENTHS),
    "sdnn": _bounded("round(sdnn_ms * 10)", UNKNOWN_TENTHS),
    "ectopic_per_min": _bounded("ectopic_per_min", UNKNOWN_COUNT),
    "irregular": f"coalesce(irregular::int, {UNKNOWN_COUNT})::int8",
}  # fmt: skip
_COPIED_VITALS = np.dtype(
    [("n", ">i2")]
    + [
        field
        for name in _COPIED_NAMES
        for field in ((f"{name}_bytes", ">i4"), (name, ">f8" if name == "heart_rate_bpm" else ">i8"))
    ]
)
_COPY_HEAD_BYTES, _COPY_TAIL_BYTES = 19, 2
_COPY_VITALS = (
    f"COPY (SELECT {', '.join(_COPIED_NAMES.values())} FROM vital_sign"  # noqa: S608 - our own names
    " WHERE device = %s AND at_us >= %s AND at_us < %s ORDER BY at_us) TO STDOUT (FORMAT BINARY)"
)
_COLUMNS = "session, first_sample, n_samples, received_us, historic, payload"

logger = logging.getLogger(__name__)


class PartitionStore:
    """The partitioned tables of one database; implements Waveforms."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._days: set[tuple[str, int]] = set()  # known to have their partition
        self._making: set[tuple[str, int]] = set()
        self._new = NewPlaces({}, is_all=False)
        self._appended: list[ReceivedChunk] = []  # in a transaction that is not confirmed yet
        with self._transaction() as connection:
            _make_tables(connection)

    def append(
        self, chunks: Sequence[ReceivedChunk], vitals: Sequence[Vitals], transaction: Connection
    ) -> frozenset[Place]:
        """See Waveforms; on the disk with the transaction's commit."""
        new = self._new_places(chunks)
        self._making.clear()
        kept = new.of(chunks, lambda places: _known(transaction, places))
        self._make_partitions(transaction, "waveform", {each.received_us // DAY_US for each in kept})
        self._make_partitions(transaction, "vital_sign", {each.at_us // DAY_US for each in vitals})
        if kept:
            _copy_chunks(transaction, kept)
        if vitals:
            _insert_vitals(transaction, vitals)
        self._appended = kept
        return frozenset(each.chunk.place for each in kept)

    def confirm(self) -> None:
        """See Waveforms."""
        self._new.note(self._appended)
        self._appended = []
        self._days |= self._making
        self._making.clear()

    def overlapping(self, chunks: Sequence[ReceivedChunk]) -> list[tuple[str, Stored]]:
        """See Waveforms."""
        return [
            (device, each)
            for (device, session), spans in self._new_places(chunks).doubtful(chunks).items()
            for first, end in spans
            for each in self.between_samples(device, session, first, end)
        ]

    def between_samples(self, device: str, session: int, first_sample: int, end_sample: int) -> list[Stored]:
        """See Waveforms."""
        return self._stored(
            "device = :device AND session = :session AND first_sample > :low AND first_sample < :end"
            " AND first_sample + n_samples > :first",
            device=device,
            session=session,
            low=first_sample - MAX_SAMPLES,
            first=first_sample,
            end=end_sample,
        )

    def between_arrivals(self, device: str, from_us: int, to_us: int) -> list[Stored]:
        """See Waveforms."""
        return longest_of_each_place(
            self._stored(
                "device = :device AND received_us >= :from_us AND received_us < :to_us",
                device=device, from_us=from_us, to_us=to_us,
            )
        )  # fmt: skip

    def places(self, device: str, from_us: int, to_us: int) -> NDArray[Any]:
        """See Waveforms."""
        rows = self._rows(
            "SELECT session, first_sample, n_samples, received_us, historic FROM waveform"
            " WHERE device = :device AND received_us >= :from_us AND received_us < :to_us"
            " ORDER BY received_us",
            device=device, from_us=from_us, to_us=to_us,
        )  # fmt: skip
        return np.array([tuple(row) for row in rows], PLACE)

    def vitals(self, device: str, from_us: int, to_us: int) -> list[Vitals]:
        """See Waveforms."""
        return as_vitals(device, self.vitals_rows(device, from_us, to_us))

    def vitals_rows(self, device: str, from_us: int, to_us: int) -> NDArray[Any]:
        """See Waveforms; by binary COPY, whose rows without nulls are of fixed size."""
        with self._transaction() as connection:
            driver: Any = connection.connection.driver_connection
            with driver.cursor() as cursor, cursor.copy(_COPY_VITALS, [device, from_us, to_us]) as copy:
                sent = b"".join(copy)
        copied = np.frombuffer(sent[_COPY_HEAD_BYTES:-_COPY_TAIL_BYTES], _COPIED_VITALS)
        rows = np.zeros(len(copied), VITALS_ROW)
        for name in _COPIED_NAMES:
            rows[name] = copied[name]
        return rows

    def devices(self, since_us: int = 0) -> dict[str, int]:
        """See Waveforms."""
        found: dict[str, int] = {}
        device = ""
        # From name to name along the index: a distinct over a month of chunks takes minutes.
        while rows := self._rows(
            "SELECT device, received_us FROM waveform WHERE device = (SELECT min(device) FROM waveform"
            " WHERE device > :device) ORDER BY received_us DESC LIMIT 1",
            device=device,
        ):
            device, found[device] = rows[0].device, rows[0].received_us
        return {name: us for name, us in found.items() if us >= since_us}

    def extent(self, device: str) -> tuple[int, int] | None:
        """See Waveforms."""
        [(first, last)] = self._rows(
            "SELECT min(received_us), max(received_us) FROM waveform WHERE device = :device", device=device
        )
        return None if first is None else (first, last)

    def first_arrival_us(self, device: str, session: int, first_sample: int) -> int | None:
        """See Waveforms."""
        rows = self._rows(
            "SELECT min(received_us) FROM waveform WHERE device = :device AND session = :session"
            " AND first_sample > :low AND first_sample + n_samples > :first",
            device=device, session=session, low=first_sample - MAX_SAMPLES, first=first_sample,
        )  # fmt: skip
        arrived_us = rows[0][0]
        return None if arrived_us is None else int(arrived_us)

    def arrivals(self) -> Iterator[Arrivals]:
        """See Waveforms."""
        for device in self.devices():
            rows = self._rows(
                "SELECT session, first_sample, received_us FROM waveform WHERE device = :device",
                device=device,
            )
            sessions, firsts, received = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 3).T
            yield Arrivals(device, sessions, firsts, received)

    def drop_before(self, us: int) -> int:
        """See Waveforms; a day goes when all of it is older."""
        n_dropped = 0
        for table in ("waveform", "vital_sign"):
            for row in self._rows(
                "SELECT inhrelid::regclass::text AS name FROM pg_inherits"
                " WHERE inhparent = CAST(:parent AS regclass)",
                parent=table,
            ):
                day = int(row.name.rpartition("_d")[2])
                if (day + 1) * DAY_US <= us:
                    with self._transaction() as connection:
                        connection.execute(text("SET LOCAL lock_timeout = '2s'"))  # a reader may hold it
                        connection.execute(text(f"DROP TABLE IF EXISTS {row.name}"))
                    self._days.discard((table, day))
                    n_dropped += 1
                    when = datetime.fromtimestamp(day * DAY_US / 1e6, UTC)
                    logger.info("dropped %s of %s: older than it is to be kept", table, when.date())
        return n_dropped

    def tidy(self) -> None:
        """See Waveforms; PostgreSQL's autovacuum does what is to be done."""

    def close(self) -> None:
        """See Waveforms; the engine is its owner's."""

    def _new_places(self, chunks: Sequence[ReceivedChunk]) -> NewPlaces:
        """What is there already of their sessions, each looked up once: all together take minutes."""
        unknown = sorted(self._new.unknown(chunks))
        if unknown:
            rows = self._rows(
                "SELECT p.device, p.session, coalesce((SELECT max(w.first_sample) FROM waveform w"
                " WHERE w.device = p.device AND w.session = p.session), -1) AS first"
                " FROM unnest(CAST(:devices AS text[]), CAST(:sessions AS bigint[])) AS p(device, session)",
                devices=[device for device, _ in unknown],
                sessions=[session for _, session in unknown],
            )
            self._new.learn({(row.device, row.session): row.first for row in rows})
        return self._new

    def _stored(self, condition: str, **values: Any) -> list[Stored]:
        query = f"SELECT {_COLUMNS} FROM waveform WHERE {condition} ORDER BY received_us"  # noqa: S608 - ours
        return [
            Stored(session, first, n_samples, received_us, historic, bytes(payload))
            for session, first, n_samples, received_us, historic, payload in self._rows(query, **values)
        ]

    def _rows(self, query: str, **values: Any) -> Sequence[Any]:
        with self._transaction() as connection:
            return connection.execute(text(query), values).all()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with told_by(self._engine.url), self._engine.begin() as connection:
            yield connection

    def _make_partitions(self, connection: Connection, table: str, days: set[int]) -> None:
        missing = {day for day in days if (table, day) not in self._days}
        if not missing:
            return
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        for day in missing:
            span = f"FROM ({day * DAY_US}) TO ({(day + 1) * DAY_US})"
            name = f"{table}_d{day:06d}"
            connection.execute(
                text(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} FOR VALUES {span}")
            )
            if table == "waveform":  # compressed by PostgreSQL where it is worth it, kept in line where not
                connection.execute(text(f"ALTER TABLE {name} ALTER payload SET STORAGE MAIN"))
            self._making.add((table, day))  # known once this transaction is committed


def _make_tables(connection: Connection) -> None:
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    for statement in _TABLES.split(";"):
        connection.execute(text(statement))


def _known(connection: Connection, places: Iterable[Place]) -> dict[Place, int]:
    devices, sessions, firsts = zip(*places, strict=True)
    query = text(
        "SELECT w.device, w.session, w.first_sample, max(w.n_samples) AS n FROM waveform w"
        " JOIN unnest(CAST(:devices AS text[]), CAST(:sessions AS bigint[]), CAST(:firsts AS bigint[]))"
        " AS p(device, session, first_sample) USING (device, session, first_sample) GROUP BY 1, 2, 3"
    )
    values = {"devices": list(devices), "sessions": list(sessions), "firsts": list(firsts)}
    return {(row.device, row.session, row.first_sample): row.n for row in connection.execute(query, values)}


def _copy_chunks(connection: Connection, kept: Sequence[ReceivedChunk]) -> None:
    driver: Any = connection.connection.driver_connection
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY waveform (device, {_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(["text", "int8", "int8", "int4", "int8", "bool", "bytea"])
        for each in kept:
            chunk = each.chunk
            is_historic = ChunkFlag.HISTORIC in chunk.flags
            copy.write_row(
                (
                    chunk.device, chunk.session, chunk.first_sample, chunk.n_samples, each.received_us,
                    is_historic, each.payload,
                )
            )  # fmt: skip


def _insert_vitals(connection: Connection, vitals: Sequence[Vitals]) -> None:
    rows = [
        (
            v.device, v.at_us, v.session, v.last_sample, v.heart_rate_bpm, str(v.signal), v.rmssd_ms,
            v.sdnn_ms, v.ectopic_per_min, v.irregular,
        )
        for v in vitals
    ]  # fmt: skip
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _VITALS_COLUMNS.items())
    connection.execute(
        text(
            f"INSERT INTO vital_sign ({', '.join(_VITALS_COLUMNS)}) SELECT * FROM unnest({arrays})"  # noqa: S608 - our own names
            " ON CONFLICT DO NOTHING"
        ),
        dict(zip(_VITALS_COLUMNS, map(list, zip(*rows, strict=True)), strict=True)),
    )
