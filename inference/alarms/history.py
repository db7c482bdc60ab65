"""What became of alarms: the stored transitions of one episode, and of many; nothing is written.

An episode is one alarm from its beginning until it is off: (device, kind, since_us) names it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Select, func, select

from inference.alarms.alarm import AlarmKind, AlarmPriority, AlarmState
from inference.alarms.records import Transition, as_transition
from ingest.store.schema import alarm_transition_table

MOST = 200  # episodes of one answer: more than a person reads


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which episodes; None is any."""

    from_us: int = 0  # those that began at or after
    to_us: int | None = None  # and before
    device: str | None = None
    kind: AlarmKind | None = None
    priority: AlarmPriority | None = None  # that the episode has now, or ended with
    state: AlarmState | None = None


@dataclass(frozen=True, slots=True)
class PastEpisode:
    """One alarm as its log tells it."""

    device: str
    kind: AlarmKind
    priority: AlarmPriority
    state: AlarmState
    text: str  # the newest words
    since_us: int
    ended_us: int | None  # when the condition was over; None while it is there
    count: int  # how often the condition came within the episode
    peak: float | None  # the most extreme value, in the text's unit
    escalation: int  # how many times it was passed on because nobody acknowledged
    who: str | None  # who acknowledged last


def transitions_of(engine: Engine, device: str, kind: AlarmKind, since_us: int) -> list[Transition]:
    """Every transition of one episode, oldest first; none when it is unknown."""
    table = alarm_transition_table.c
    query = (
        select(alarm_transition_table)
        .where(table.device == device, table.at_us >= since_us)  # the index by time
        .where(table.kind == kind.value, table.since_us == since_us)
        .order_by(table.id)
    )
    return _transitions(engine, query)


def past_episodes(engine: Engine, wanted: Wanted, most: int = MOST) -> list[PastEpisode]:
    """The newest episodes, those that began last first."""
    table = alarm_transition_table.c
    newest = _newest(wanted)
    if wanted.priority is not None:
        newest = newest.where(table.priority == wanted.priority.value)
    if wanted.state is not None:
        newest = newest.where(table.state == wanted.state.value)
    chosen = newest.order_by(table.since_us.desc(), table.device, table.kind).limit(most).subquery()
    query = (
        select(alarm_transition_table)
        .join(
            chosen,
            (chosen.c.device == table.device)
            & (chosen.c.kind == table.kind)
            & (chosen.c.since_us == table.since_us)
            & table.at_us.between(chosen.c.since_us, chosen.c.at_us),  # so that the index by time serves
        )
        .order_by(table.id)
    )
    logs: dict[tuple[str, AlarmKind, int], list[Transition]] = defaultdict(list)
    for each in _transitions(engine, query):
        logs[each.device, each.kind, each.since_us].append(each)
    found = [episode_of(log) for log in logs.values()]
    return sorted(found, key=lambda each: (-each.since_us, each.device, each.kind))


def episode_of(log: Sequence[Transition]) -> PastEpisode:
    """The transitions of one episode, oldest first -> the episode."""
    newest = log[-1]
    is_there = newest.state in {AlarmState.ON, AlarmState.ACK}
    return PastEpisode(
        device=newest.device,
        kind=newest.kind,
        priority=newest.priority,
        state=newest.state,
        text=newest.text,
        since_us=newest.since_us,
        ended_us=None if is_there else _ended_us(log),
        count=newest.count,
        peak=next((each.peak for each in reversed(log) if each.peak is not None), None),
        escalation=max(each.escalation for each in log),
        who=next((each.who for each in reversed(log) if each.who), None),
    )


def _ended_us(log: Iterable[Transition]) -> int | None:
    """When the condition was last seen to be over: latched, or off without having been latched."""
    ended_us = None
    for each in log:
        if each.state in {AlarmState.ON, AlarmState.ACK}:
            ended_us = None
        elif ended_us is None:
            ended_us = each.at_us
    return ended_us


def _newest(wanted: Wanted) -> Select[Any]:
    """The newest transition of each episode that is wanted."""
    table = alarm_transition_table.c
    # No transition comes before its episode began: the first condition alone lets the index by time help.
    last = select(func.max(table.id)).where(table.at_us >= wanted.from_us, table.since_us >= wanted.from_us)
    if wanted.device is not None:
        last = last.where(table.device == wanted.device)
    if wanted.to_us is not None:
        last = last.where(table.since_us < wanted.to_us)
    if wanted.kind is not None:
        last = last.where(table.kind == wanted.kind.value)
    last = last.group_by(table.device, table.kind, table.since_us)
    return select(alarm_transition_table).where(table.id.in_(last))


def _transitions(engine: Engine, query: Select[Any]) -> list[Transition]:
    with engine.connect() as connection:
        return [as_transition(row) for row in connection.execute(query)]
