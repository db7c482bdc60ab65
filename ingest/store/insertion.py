"""Rows -> the store: inserts that meet what is already there, in SQLite and PostgreSQL alike."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from ingest.store.rows import Refused, refused_row
from ingest.store.schema import refused_table

MAX_REFUSED_PER_DEVICE = 20  # enough to see what a device does wrong, too few to fill a disk


def insert_unknown(connection: Connection, table: Table) -> Any:
    """INSERT that leaves rows with a known unique key alone, in the store's own dialect."""
    return _insert(connection, table).on_conflict_do_nothing()


def _insert(connection: Connection, table: Table) -> Any:
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


def insert_new(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]]
) -> frozenset[tuple[str, int, int]]:
    """Insert rows; returns the keys (device, session, first_sample) that were not there yet.

    A row with a known key replaces the old one only when it has more samples: a device that cut its
    chunks anew must not lose the rest.
    """
    longest: dict[tuple[str, int, int], dict[str, Any]] = {}
    for row in rows:
        key = (row["device"], row["session"], row["first_sample"])
        if key not in longest or longest[key]["n_samples"] < row["n_samples"]:
            longest[key] = row
    if not longest:
        return frozenset()
    key_columns = [table.c.device, table.c.session, table.c.first_sample]
    statement = _insert(connection, table)
    others = {c.name: statement.excluded[c.name] for c in table.c if c not in key_columns and c.name != "id"}
    statement = statement.on_conflict_do_update(
        index_elements=key_columns, set_=others, where=statement.excluded.n_samples > table.c.n_samples
    ).returning(*key_columns)
    return frozenset(tuple(row) for row in connection.execute(statement, list(longest.values())))


def insert_refused(connection: Connection, refused: Sequence[Refused]) -> None:
    """Insert, and keep only the newest of each device."""
    for device in {each.device for each in refused}:
        newest = [each for each in refused if each.device == device][-MAX_REFUSED_PER_DEVICE:]
        rows = [refused_row(each) for each in newest]
        connection.execute(insert(refused_table), rows)
        table = refused_table.c
        kept = select(table.id).where(table.device == device).order_by(table.id.desc())
        oldest_kept = kept.offset(MAX_REFUSED_PER_DEVICE - 1).limit(1).scalar_subquery()
        connection.execute(delete(refused_table).where(table.device == device, table.id < oldest_kept))
