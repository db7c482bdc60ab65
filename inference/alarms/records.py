"""Alarms, their transitions and the engine's memory -> the store, and back again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, delete, insert, select

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmState
from ingest.store.insertion import insert_replacing
from ingest.store.schema import alarm_memory_table, alarm_table, alarm_transition_table


@dataclass(frozen=True, slots=True)
class Transition:
    """One line of the log: what an alarm became, when, and by whom."""

    device: str
    kind: AlarmKind
    at_us: int
    state: AlarmState
    priority: AlarmPriority
    text: str
    since_us: int
    who: str | None
    model: str | None


def save_alarms(engine: Engine, transitions: Sequence[Alarm], memory: Mapping[str, bytes]) -> None:
    """Log every transition, keep the newest state of each alarm and the memory of each device, or nothing.

    Raises sqlalchemy.exc.SQLAlchemyError when the store does not take it.
    """
    newest = {(alarm.device, alarm.kind): alarm for alarm in transitions}
    with engine.begin() as connection:
        if transitions:
            connection.execute(insert(alarm_transition_table), [_log_row(alarm) for alarm in transitions])
        for alarm in newest.values():
            _save_newest(connection, alarm)
        if memory:
            rows = [{"device": device, "memory": known.decode()} for device, known in memory.items()]
            connection.execute(insert_replacing(connection.dialect.name, alarm_memory_table), rows)


def load_memory(engine: Engine) -> dict[str, bytes]:
    """What was remembered of each device, for `AlarmEngine.restore`."""
    with engine.connect() as connection:
        return {row.device: row.memory.encode() for row in connection.execute(select(alarm_memory_table))}


def active_alarms(engine: Engine) -> list[Alarm]:
    """The newest state of every alarm that is not off."""
    query = select(alarm_table.c.alarm).order_by(alarm_table.c.device, alarm_table.c.kind)
    with engine.connect() as connection:
        return [msgspec.json.decode(text, type=Alarm) for text in connection.scalars(query)]


def alarm_history(engine: Engine, device: str | None = None, limit: int = 200) -> list[Transition]:
    """The newest transitions of one device, or of all, newest first."""
    query = select(alarm_transition_table).order_by(alarm_transition_table.c.id.desc()).limit(limit)
    if device is not None:
        query = query.where(alarm_transition_table.c.device == device)
    with engine.connect() as connection:
        return [
            Transition(
                device=row.device,
                kind=AlarmKind(row.kind),
                at_us=row.at_us,
                state=AlarmState(row.state),
                priority=AlarmPriority(row.priority),
                text=row.text,
                since_us=row.since_us,
                who=row.who,
                model=row.model,
            )
            for row in connection.execute(query)
        ]


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
    }
