"""What is known of one alarm and of the samples around it -> what its page says; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard import texts
from dashboard.strip import AFTER_S, SECOND_US, Piece
from inference.alarms.alarm import Alarm
from inference.alarms.records import Transition

WAIT_S = 5.0  # beyond the strip's end: the last chunk is under way, and committed
AHEAD_S = 60.0  # clocks differ; an event further ahead than this is a link that nobody sent


@dataclass(frozen=True, slots=True)
class EventView:
    """The page of one alarm; `is_final` when asking again would tell nothing new of the samples."""

    note: str  # why there is no strip, or less than all of it; empty when it is whole
    is_known: bool
    is_final: bool


def event_view(  # noqa: PLR0913 - what is known comes from five places
    *,
    moment_us: int,
    now_us: int,
    keep_days: float | None,
    transitions: Sequence[Transition],
    active: Alarm | None,
    pieces: Sequence[Piece],
) -> EventView:
    """Say in words what is missing, and whether it may still come."""
    age_s = (now_us - moment_us) / SECOND_US
    if not transitions and active is None:
        return EventView(texts.EVENT_UNKNOWN, is_known=False, is_final=age_s > WAIT_S or age_s < -AHEAD_S)
    if age_s < AFTER_S:
        note = texts.EVENT_TO_COME.format(seconds=int(AFTER_S - max(age_s, 0.0)) + 1)
        return EventView(note, is_known=True, is_final=False)
    is_final = age_s > AFTER_S + WAIT_S
    if pieces:
        return EventView("", is_known=True, is_final=is_final)
    if keep_days is not None and age_s > keep_days * 86_400:
        return EventView(texts.EVENT_GONE.format(days=f"{keep_days:g}"), is_known=True, is_final=True)
    return EventView(texts.EVENT_EMPTY, is_known=True, is_final=is_final)
