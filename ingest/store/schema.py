"""All tables, and the engine that opens them; SQLite by default, any SQLAlchemy URL.

Times are Unix microseconds; `device` is "site/device"; (device, session, first_sample) names a place in a
device's stream in every table. A store of an earlier version gains the columns it lacks when it is opened, so
a column that comes later is nullable or has a `server_default`.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
    false,
    inspect,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor, ExceptionContext
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from ingest.store.errors import StoreError, explain

STORE_OK = "ok"  # what a service's heartbeat says of the store; else the reason
WAL_RETRY_S = 0.02
BUSY_WAIT_MS = 10_000  # another service's commit takes milliseconds; a stuck one must be said, not waited for

FORMER_INDEXES = ("pending_window_by_due",)  # of earlier versions: no query needs them any more

metadata = MetaData()
RowId = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows only in INTEGER keys


def _where(condition: str) -> dict[str, Any]:
    """An index of the rows that meet the condition, a column of truth values."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


window_table = Table(
    "window",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("device", String(129), nullable=False),
    Column("session", BigInteger, nullable=False),
    Column("first_sample", BigInteger, nullable=False),
    Column("n_samples", Integer, nullable=False),
    Column("wall_time_us", BigInteger, nullable=False),
    Column("fs", Float, nullable=False),
    Column("lead", Integer, nullable=False),
    Column("coverage", Float, nullable=False),
    Column("lead_off", Float, nullable=False),
    Column("clipped", Float, nullable=False),
    Column("historic", Boolean, nullable=False),
    Column("closed_us", BigInteger, nullable=False),
    UniqueConstraint("device", "session", "first_sample", name="one_window"),
    Index("window_by_close", "closed_us"),  # work still to do
    Index("window_by_device", "device", "closed_us"),  # the newest of one device
    Index("window_by_device_time", "device", "wall_time_us", **_where("historic")),  # placed by that alone
)

pending_table = Table(  # windows to be cut again because samples came late (backfill.py)
    "pending_window",
    metadata,
    Column("device", String(129), nullable=False),
    Column("session", BigInteger, nullable=False),
    Column("first_sample", BigInteger, nullable=False),
    Column("fs", Float, nullable=False),
    Column("lead", Integer, nullable=False),
    Column("due_us", BigInteger, nullable=False),  # not to be cut before
    PrimaryKeyConstraint("device", "session", "first_sample"),
    Index("pending_window_by_turn", "device", "due_us"),
)

verdict_table = Table(
    "verdict",
    metadata,
    Column("device", String(129), nullable=False),
    Column("session", BigInteger, nullable=False),
    Column("first_sample", BigInteger, nullable=False),
    Column("wall_time_us", BigInteger, nullable=False),
    Column("model", String(64), nullable=False),
    Column("decided_us", BigInteger, nullable=False),
    Column("historic", Boolean, nullable=False),
    Column("indeterminate", String(64)),  # the reason, or null when there are findings
    Column("findings", String, nullable=False),  # JSON list of Finding
    Column("rhythm", String, nullable=False, server_default="[]"),  # JSON list of RhythmFinding
    Column("lead", String(8)),  # as which the window was read
    Column("lead_inferred", Boolean, nullable=False, server_default=false()),
    Column("coverage", Float),  # of the window that was judged; null in verdicts of earlier versions
    PrimaryKeyConstraint("device", "session", "first_sample"),
    Index("verdict_by_device_time", "device", "wall_time_us", **_where("historic")),
)

alarm_table = Table(  # the newest state of each alarm that is not off
    "alarm",
    metadata,
    Column("device", String(129), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("alarm", String, nullable=False),  # JSON of the Alarm
    PrimaryKeyConstraint("device", "kind"),
)

alarm_memory_table = Table(  # what the alarm engine needs of each device to continue identically
    "alarm_memory",
    metadata,
    Column("device", String(129), primary_key=True),
    Column("memory", String, nullable=False),  # JSON
)

alarm_transition_table = Table(
    "alarm_transition",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("device", String(129), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("priority", String(16), nullable=False),
    Column("text", String, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("who", String(64)),
    Column("model", String(64)),
    Column("count", Integer, nullable=False, server_default="1"),
    Column("peak", Float),
    Column("escalation", Integer, nullable=False, server_default="0"),
    Column("limits", String),  # JSON list in bpm: extreme low, low, high, extreme high
    Column("session", BigInteger),  # where the device's stream was; null where that is not known
    Column("sample", BigInteger),
    Index("alarm_transition_by_time", "device", "at_us"),
    Index("alarm_transition_by_at", "at_us"),
)

alarm_setting_table = Table(  # what people set: limits, pauses, discharges
    "alarm_setting",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("at_us", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("what", String(16), nullable=False),
    Column("scope", String(129), nullable=False),  # "site/device", "site", or "*" for everything
    Column("before", String),
    Column("after", String),
    Index("alarm_setting_by_scope", "scope", "id"),
)

annotation_table = Table(  # what people wrote at a moment or a span of a device
    "annotation",
    metadata,
    Column("device", String(129), nullable=False),
    Column("id", String(64), nullable=False),  # chosen by whoever wrote it
    Column("from_us", BigInteger, nullable=False),
    Column("to_us", BigInteger),  # null: a moment
    Column("text", String, nullable=False),
    Column("who", String(64), nullable=False),
    Column("written_us", BigInteger, nullable=False),
    Column("removed_us", BigInteger),
    Column("removed_by", String(64)),
    PrimaryKeyConstraint("device", "id"),
    Index("annotation_by_time", "device", "from_us"),
)

notify_memory_table = Table(  # what the notifier told, so that a restart tells nothing twice
    "notify_memory",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("memory", String, nullable=False),  # JSON
)

explanation_table = Table(  # one for each window, superclass and method
    "explanation",
    metadata,
    Column("device", String(129), nullable=False),
    Column("session", BigInteger, nullable=False),
    Column("first_sample", BigInteger, nullable=False),
    Column("superclass", String(16), nullable=False),
    Column("method", String(32), nullable=False),
    Column("model", String(64), nullable=False),
    Column("made_us", BigInteger, nullable=False),
    Column("completeness_error", Float, nullable=False),  # logits
    Column("explanation", String, nullable=False),  # JSON of the Explanation, about 12 kB
    PrimaryKeyConstraint("device", "session", "first_sample", "superclass", "method"),
)

refused_table = Table(  # a bounded sample per device, for inspection
    "refused",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("device", String(129), nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("reason", String, nullable=False),
    Column("payload", LargeBinary, nullable=False),  # its first bytes
    Index("refused_by_device", "device", "id"),
)


@contextmanager
def told_by(url: URL) -> Iterator[None]:
    """Turn the database's errors into a StoreError that names it, without its password."""
    try:
        yield
    except SQLAlchemyError as error:
        place = url.render_as_string(hide_password=True)
        raise StoreError(explain(place, getattr(error, "orig", None) or error)) from error


def open_store(url: str | URL, *, busy_wait_ms: int = BUSY_WAIT_MS) -> Engine:
    """Connect to the store and add what it lacks; SQLite waits `busy_wait_ms` for another writer.

    Raises sqlalchemy.exc.OperationalError when the place cannot be opened or written.
    """
    engine = create_engine(make_url(url))
    if engine.dialect.name == "sqlite":

        def make_durable(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
            """WAL so that readers never wait; FULL so that a returned commit is on the disk already."""
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={busy_wait_ms}")
            _write_ahead(cursor, time.monotonic() + busy_wait_ms / 1000)
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.close()

        event.listen(engine, "connect", make_durable)
    event.listen(engine, "handle_error", _distrust)
    _create_missing(engine)
    _add_missing_columns(engine)
    return engine


def _write_ahead(cursor: DBAPICursor, deadline_s: float) -> None:
    """Journal ahead; SQLite does not wait by itself for another who writes a file that does not do so yet."""
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline_s:
                raise
            time.sleep(WAL_RETRY_S)
        else:
            return


def _distrust(context: ExceptionContext) -> None:
    """Use no connection again that saw the store fail: the next one to ask for it gets another.

    SQLite opens a file that it may not write for reading only, and stays with that when it may be written.
    Not `is_disconnect`: SQLAlchemy would close it under an open cursor, which keeps the file open.
    """
    if context.connection is not None and isinstance(context.sqlalchemy_exception, OperationalError):
        context.connection.connection.invalidate(soft=True)


def add_column(column: Column[Any], dialect: Dialect) -> str:
    """The statement that adds the column to its table; PostgreSQL does so only if it is missing."""
    table = dialect.identifier_preparer.format_table(column.table)
    condition = "" if dialect.name == "sqlite" else "IF NOT EXISTS "
    definition = CreateColumn(column).compile(dialect=dialect)
    return f"ALTER TABLE {table} ADD COLUMN {condition}{definition}"


def _create_missing(engine: Engine) -> None:
    """Make the missing tables and indexes; services that start together do not collide."""
    with engine.begin() as connection:
        for name in FORMER_INDEXES:
            connection.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
        for table in metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))


def _add_missing_columns(engine: Engine) -> None:
    """Bring tables of an earlier version up to date in place."""
    with engine.connect() as connection:
        if not _missing_columns(connection):
            return
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":  # it cannot add "if missing": services look and add in turn
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        for column in _missing_columns(connection):
            connection.exec_driver_sql(add_column(column, engine.dialect))


def _missing_columns(connection: Connection) -> list[Column[Any]]:
    inspector = inspect(connection)
    missing: list[Column[Any]] = []
    for table in metadata.sorted_tables:
        known = {column["name"] for column in inspector.get_columns(table.name)}
        missing += [column for column in table.columns if column.name not in known]
    return missing
