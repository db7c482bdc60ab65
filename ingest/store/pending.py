"""Which windows are to be cut again: noted with the late samples that ask for it, until the window is stored.

A note is written in the transaction that stores the samples, so that a crash forgets none; several notes for
one place are one.
"""

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, text

from ingest.backfill import LIVE_FIRST_US, QUIET_US, Late, Slot, in_turn, slots_of
from ingest.chunk import Lead, Place
from ingest.sequence import SAME_FS
from ingest.store.insertion import insert_for
from ingest.store.schema import pending_table, window_table
from ingest.window import Window

FAR_US = 2 * LIVE_FIRST_US  # due later than any note can be: our clock was set back since

# From name to name along the index: nothing is sorted, were it a day of one device or a thousand devices.
_DEVICES_DUE = text(
    "WITH RECURSIVE turn(device) AS ("
    " SELECT min(device) FROM pending_window WHERE device > :after UNION ALL"
    " SELECT (SELECT min(p.device) FROM pending_window p WHERE p.device > turn.device)"
    " FROM turn WHERE turn.device IS NOT NULL)"
    " SELECT device FROM turn WHERE device IS NOT NULL AND ("
    " EXISTS (SELECT 1 FROM pending_window p WHERE p.device = turn.device AND p.due_us <= :now_us) OR"
    " EXISTS (SELECT 1 FROM pending_window p WHERE p.device = turn.device AND p.due_us > :far_us)) LIMIT :n"
)
_SLOTS_DUE = text(
    "SELECT session, first_sample, fs, lead, due_us FROM pending_window"
    " WHERE device = :device AND (due_us <= :now_us OR due_us > :far_us)"
    " ORDER BY due_us, session, first_sample LIMIT :n"
)


def note_late(connection: Connection, late: Sequence[Late], new_chunks: frozenset[Place]) -> None:
    """Note the windows that hold the late samples, unless their chunk was stored before."""
    wanted = sorted((each for each in late if each.chunk is None or each.chunk in new_chunks), key=_stream_of)
    rows: dict[Place, dict[str, Any]] = {}
    for (device, session, fs), several in groupby(wanted, _stream_of):
        members = list(several)
        grid_fs = _stored_fs(connection, device, session, fs, members[0].first_sample)
        for slot in (slot for each in members for slot in slots_of(each, grid_fs)):
            place = (device, session, slot.first_sample)
            due_us = max(slot.due_us, rows[place]["due_us"] if place in rows else 0)
            rows[place] = {
                "device": device, "session": session, "first_sample": slot.first_sample, "fs": slot.fs,
                "lead": int(slot.lead), "due_us": due_us,
            }  # fmt: skip
    if rows:
        connection.execute(_upsert(connection.dialect.name), list(rows.values()))


def note_met(connection: Connection, windows: Sequence[Window]) -> None:
    """Note live windows with holes whose place has a historic one: each may lack what the other holds.

    Late samples were cut into that one before the live stream closed its own, as after a long pause.
    """
    historic = {each.place for each in windows if each.historic}
    partial = [each for each in windows if not each.historic and each.coverage < 1.0]
    note_windows(
        connection,
        [each for each in partial if each.place in historic or _is_historic(connection, each)],
    )


def note_windows(connection: Connection, windows: Sequence[Window]) -> None:
    """Note the places of these windows."""
    rows = {
        each.place: {
            "device": each.device, "session": each.session, "first_sample": each.first_sample, "fs": each.fs,
            "lead": int(each.lead), "due_us": each.closed_us + QUIET_US,
        }
        for each in windows
    }  # fmt: skip
    if rows:
        connection.execute(_upsert(connection.dialect.name), list(rows.values()))


def due_slots(connection: Connection, now_us: int, limit: int, after: str = "") -> list[Slot]:
    """At most `limit` places whose windows may be cut by `now_us`: devices in turn, of each the longest due.

    Turns go by name and begin behind the device `after`, who had the last one: whoever has such a place gets
    its turn after at most one of each other device, however many places that one has.
    """
    values = {"now_us": now_us, "far_us": now_us + FAR_US, "n": limit}
    devices = connection.scalars(_DEVICES_DUE, {**values, "after": after}).all()
    if after and len(devices) < limit:  # round again, from the first name
        first = connection.scalars(_DEVICES_DUE, {**values, "after": ""}).all()
        devices = list(dict.fromkeys((*devices, *first)))[:limit]
    queues = [
        [
            Slot(device, row.session, row.first_sample, row.fs, Lead(row.lead), row.due_us)
            for row in connection.execute(_SLOTS_DUE, {**values, "device": device})
        ]
        for device in devices
    ]
    return in_turn(queues)[:limit]


def forget_slots(connection: Connection, done: Sequence[Slot]) -> None:
    """Strike the notes of windows that were cut, unless they were asked for anew since they were read."""
    if done:
        rows = [
            {"at_device": s.device, "at_session": s.session, "at_sample": s.first_sample, "at_due": s.due_us}
            for s in done
        ]
        connection.execute(_forget(), rows)


def _stream_of(late: Late) -> tuple[str, int, float]:
    return late.device, late.session, late.fs


def _is_historic(connection: Connection, window: Window) -> bool:
    table = window_table.c
    place = (
        table.device == window.device,
        table.session == window.session,
        table.first_sample == window.first_sample,
    )
    return bool(connection.scalar(select(table.historic).where(*place)))


def _stored_fs(connection: Connection, device: str, session: int, fs: float, first_sample: int) -> float:
    """The rate of the session's stored grid when it is near the claimed one, Hz; else the claim itself."""
    table = window_table.c
    query = select(table.fs).where(table.device == device, table.session == session).limit(1)
    before = query.where(table.first_sample <= first_sample).order_by(table.first_sample.desc())
    after = query.where(table.first_sample > first_sample).order_by(table.first_sample)
    for nearest in (connection.scalar(before), connection.scalar(after)):
        if nearest is not None and abs(nearest - fs) <= SAME_FS * nearest:
            return float(nearest)
    return fs


@cache
def _upsert(dialect: str) -> Any:
    statement = insert_for(dialect, pending_table)
    new, old = statement.excluded, pending_table.c
    greater = func.greatest if dialect == "postgresql" else func.max  # of two values: SQLite's name for it
    values = {"fs": new.fs, "lead": new.lead, "due_us": greater(new.due_us, old.due_us)}
    return statement.on_conflict_do_update(
        index_elements=list(pending_table.primary_key.columns), set_=values
    )


@cache
def _forget() -> Any:
    table = pending_table.c
    return delete(pending_table).where(
        table.device == bindparam("at_device"),
        table.session == bindparam("at_session"),
        table.first_sample == bindparam("at_sample"),
        table.due_us == bindparam("at_due"),
    )
