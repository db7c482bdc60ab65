"""Verdicts on windows that came late -> what rule 6 says of them, for review; none was ever an alarm."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby

from sqlalchemy import Engine

from inference.alarms.alarm import Alarm, AlarmKind, AlarmState
from inference.alarms.engine import AlarmEngine
from inference.alarms.rules import Limits
from inference.records import verdicts_between
from inference.verdict import Verdict


@dataclass(frozen=True, slots=True)
class RetrospectiveEvent:
    """An episode found in late windows; times are the device's clock, Unix microseconds."""

    device: str
    session: int
    kind: AlarmKind
    text: str  # as at its onset
    from_us: int  # the window by which it was found
    to_us: int | None  # the window by which it was over; None where the late windows end before
    peak: float | None
    model: str | None


def retrospective_events(engine: Engine, device: str, from_us: int, to_us: int) -> list[RetrospectiveEvent]:
    """Episodes in late windows that begin in [from_us, to_us) of the device's clock, oldest first."""
    return find_episodes(verdicts_between(engine, device, from_us, to_us))


def find_episodes(verdicts: Iterable[Verdict]) -> list[RetrospectiveEvent]:
    """Rule 6 over the late ones of these verdicts, each session in the order of its samples."""
    late = sorted((v for v in verdicts if v.historic), key=lambda v: v.place)
    found: list[RetrospectiveEvent] = []
    for (_, session), windows in groupby(late, key=lambda v: (v.device, v.session)):
        found += _episodes_of(session, windows)
    return sorted(found, key=lambda event: event.from_us)


def _episodes_of(session: int, windows: Iterable[Verdict]) -> list[RetrospectiveEvent]:
    alarms = AlarmEngine(Limits())
    began: dict[AlarmKind, Alarm] = {}
    found: list[RetrospectiveEvent] = []
    for window in windows:  # as if each had been decided when it was recorded
        for alarm in alarms.push(replace(window, historic=False, decided_us=window.wall_time_us)):
            first = began.setdefault(alarm.kind, alarm)
            if alarm.state is AlarmState.OFF:
                found.append(_event(session, first, alarm.peak, alarm.at_us))
                del began[alarm.kind]
    peaks = {alarm.kind: alarm.peak for alarm in alarms.active()}
    return found + [_event(session, first, peaks[kind], None) for kind, first in began.items()]


def _event(session: int, first: Alarm, peak: float | None, to_us: int | None) -> RetrospectiveEvent:
    return RetrospectiveEvent(
        first.device, session, first.kind, first.text, first.at_us, to_us, peak, first.model
    )
