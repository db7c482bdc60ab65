"""Alarms, their transitions, people's settings and the engine's memory -> the store, and back again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, select

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmState
from ingest.store.insertion import insert_replacing
from ingest.store.schema import (
    alarm_memory_table,
    alarm_setting_table,
    alarm_table,
    alarm_transition_table,
)

Span = tuple[int | None, int | None]  # Unix microseconds, the end excluded; None is open
ALWAYS: Span = (None, None)


@dataclass(frozen=True, slots=True)
class Transition:
    """One line of the log: what an alarm became, when, by whom, under which limits.

    Its strip is what is stored of the device from 10 s before `at_us` to 20 s after it; `session` and
    `sample` say where its stream was then.
    """

    device: str
    kind: AlarmKind
    at_us: int
    state: AlarmState
    priority: AlarmPriority
    text: str
    since_us: int
    who: str | None
    model: str | None
    count: int = 1
    peak: float | None = None
    escalation: int = 0
    limits_bpm: tuple[float, float, float, float] | None = None  # extreme low, low, high, extreme high
    session: int | None = None
    sample: int | None = None


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One line of what people set."""

    at_us: int
    who: str
    what: str  # "limits", "name", "pause", "discharge" or "annotation"; "retention" is ingest's
    scope: str  # "site/device", "site", or "*" for everything
    before: str | None  # JSON of limits, retention or annotation, a name, "on" or "off"; None: nothing
    after: str | None


def save_alarms(
    engine: Engine,
    transitions: Sequence[Alarm],
    memory: Mapping[str, bytes],
    settings: Sequence[SettingChange] = (),
) -> None:
    """Log every transition and setting, keep the newest state of each alarm and the memory, or nothing.

    Raises sqlalchemy.exc.SQLAlchemyError when the store does not take it.
    """
    newest = {(alarm.device, alarm.kind): alarm for alarm in transitions}
    with engine.begin() as connection:
        if transitions:
            connection.execute(insert(alarm_transition_table), [_log_row(alarm) for alarm in transitions])
        for alarm in newest.values():
            _save_newest(connection, alarm)
        if memory:
            rows = [{"device": name, "memory": known.decode()} for name, known in memory.items()]
            connection.execute(insert_replacing(connection.dialect.name, alarm_memory_table), rows)
        if settings:
            connection.execute(insert(alarm_setting_table), [asdict(change) for change in settings])


def load_memory(engine: Engine) -> dict[str, bytes]:
    """What was remembered of each device and of the house, for `AlarmEngine.restore`."""
    with engine.connect() as connection:
        return {row.device: row.memory.encode() for row in connection.execute(select(alarm_memory_table))}


def active_alarms(engine: Engine) -> list[Alarm]:
    """The newest state of every alarm that is not off."""
    query = select(alarm_table.c.alarm).order_by(alarm_table.c.device, alarm_table.c.kind)
    with engine.connect() as connection:
        return [msgspec.json.decode(text, type=Alarm) for text in connection.scalars(query)]


def alarm_history(
    engine: Engine,
    device: str | None = None,
    limit: int = 200,
    *,
    site: str | None = None,
    span_us: Span = ALWAYS,
) -> list[Transition]:
    """The newest transitions of a device, of a site or of all, in a span, newest first."""
    table = alarm_transition_table.c
    query = select(alarm_transition_table).order_by(table.id.desc()).limit(limit)
    query = query.where(*where_transitions(device, site, span_us))
    with engine.connect() as connection:
        return [as_transition(row) for row in connection.execute(query)]


def setting_changes(engine: Engine, scope: str | None = None, limit: int = 200) -> list[SettingChange]:
    """What people set for one scope, or for all, newest first."""
    table = alarm_setting_table.c
    query = select(alarm_setting_table).order_by(table.id.desc()).limit(limit)
    if scope is not None:
        query = query.where(table.scope == scope)
    with engine.connect() as connection:
        return [
            SettingChange(row.at_us, row.who, row.what, row.scope, row.before, row.after)
            for row in connection.execute(query)
        ]


def where_transitions(device: str | None, site: str | None, span_us: Span) -> list[ColumnElement[bool]]:
    """The conditions of a question about transitions."""
    table = alarm_transition_table.c
    from_us, to_us = span_us
    return [
        *([] if device is None else [table.device == device]),
        *([] if site is None else [table.device.startswith(f"{site}/", autoescape=True)]),
        *([] if from_us is None else [table.at_us >= from_us]),
        *([] if to_us is None else [table.at_us < to_us]),
    ]


def as_transition(row: Any) -> Transition:
    """One row of the log."""
    return Transition(
        device=row.device,
        kind=AlarmKind(row.kind),
        at_us=row.at_us,
        state=AlarmState(row.state),
        priority=AlarmPriority(row.priority),
        text=row.text,
        since_us=row.since_us,
        who=row.who,
        model=row.model,
        count=row._mapping["count"],  # noqa: SLF001 - a row is a tuple, whose own count is a method
        peak=row.peak,
        escalation=row.escalation,
        limits_bpm=None
        if row.limits is None
        else msgspec.json.decode(row.limits, type=tuple[float, float, float, float]),
        session=row.session,
        sample=row.sample,
    )


def _save_newest(connection: Connection, alarm: Alarm) -> None:
    if alarm.state is not AlarmState.OFF:
        row = {
            "device": alarm.device,
            "kind": alarm.kind.value,
            "alarm": msgspec.json.encode(alarm).decode(),
        }
        connection.execute(insert_replacing(connection.dialect.name, alarm_table), row)
        return
    of_kind = alarm_table.c.kind == alarm.kind.value
    connection.execute(delete(alarm_table).where(alarm_table.c.device == alarm.device, of_kind))


def _log_row(alarm: Alarm) -> dict[str, Any]:
    return {
        "device": alarm.device,
        "kind": alarm.kind.value,
        "at_us": alarm.at_us,
        "state": alarm.state.value,
        "priority": alarm.priority.value,
        "text": alarm.text,
        "since_us": alarm.since_us,
        "who": alarm.who,
        "model": alarm.model,
        "count": alarm.count,
        "peak": alarm.peak,
        "escalation": alarm.escalation,
        "limits": None if alarm.limits_bpm is None else msgspec.json.encode(alarm.limits_bpm).decode(),
        "session": alarm.session,
        "sample": alarm.sample,
    }
