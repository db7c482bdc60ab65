"""Rows -> the store: inserts that meet what is already there, in SQLite and PostgreSQL alike."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, case, delete, func, insert, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from ingest.chunk import Place
from ingest.store.rows import Refused, refused_row
from ingest.store.schema import refused_table, verdict_table, window_table
from ingest.window import MIN_COVERAGE

MISSING_DATA = "missing data"  # why a window with too few samples has no findings (wire.md)
MAX_REFUSED_PER_DEVICE = 20  # enough to see what a device does wrong, too few to fill a disk


@cache
def insert_unknown(dialect: str, table: Table) -> Any:
    """INSERT that leaves rows with a known unique key alone; returns the key of what it wrote.

    Not its row count: that of an INSERT is not known with every driver.
    """
    return insert_for(dialect, table).on_conflict_do_nothing().returning(*table.primary_key.columns)


def insert_windows(connection: Connection, rows: Sequence[dict[str, Any]]) -> frozenset[Place]:
    """Insert windows, one a place; returns the places of those that are new or better than what was there.

    Better is one with more samples; of two as good, the live one, which alone may raise an alarm.
    """
    if not rows:
        return frozenset()
    statement = insert_better_window(connection.dialect.name)
    return frozenset(tuple(row) for row in connection.execute(statement, rows))


@cache
def insert_better_window(dialect: str) -> Any:
    """INSERT that replaces the window of the same place only by a better one; returns what it wrote."""
    statement = insert_for(dialect, window_table)
    old, new = window_table.c, statement.excluded
    key = [old.device, old.session, old.first_sample]
    others = {c.name: new[c.name] for c in old if c not in key and c.name != "id"}
    is_live_again = and_(new.coverage == old.coverage, old.historic, ~new.historic)
    return statement.on_conflict_do_update(
        index_elements=key, set_=others, where=or_(new.coverage > old.coverage, is_live_again)
    ).returning(*key)


def outdoes(new: Any, old: Any) -> ColumnElement[bool]:
    """True where a verdict on a window, the columns `new`, takes the place of the `old` verdict.

    It must rest on more samples; of two on as many, the live one stays or comes. Verdicts of earlier versions
    do not tell theirs: those that missed data had fewer than the model asks for, the others enough.
    """
    at_most = case((old.indeterminate == MISSING_DATA, MIN_COVERAGE - 1e-9), else_=1.0)
    coverage = func.coalesce(old.coverage, at_most)
    is_live_again = and_(new.coverage == coverage, old.historic, ~new.historic)
    return or_(new.coverage > coverage, is_live_again)


@cache
def insert_better_verdict(dialect: str) -> Any:
    """INSERT that replaces the verdict of the same window only by one that outdoes it; returns its key."""
    statement = insert_for(dialect, verdict_table)
    new, old = statement.excluded, verdict_table.c
    others = {c.name: new[c.name] for c in old if not c.primary_key}
    return statement.on_conflict_do_update(
        index_elements=list(verdict_table.primary_key.columns), set_=others, where=outdoes(new, old)
    ).returning(*verdict_table.primary_key.columns)


@cache
def insert_replacing(dialect: str, table: Table) -> Any:
    """INSERT that replaces the row of the same primary key."""
    statement = insert_for(dialect, table)
    others = {c.name: statement.excluded[c.name] for c in table.c if not c.primary_key}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=others)


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


def insert_for(dialect: str, table: Table) -> Any:
    """INSERT of the store's own dialect, which knows what to do about a known key."""
    module: Any = postgresql if dialect == "postgresql" else sqlite
    return module.insert(table)
