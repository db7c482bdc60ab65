"""What a person sets -> the engine, and the lines of the log that it makes, with what was there before."""

import msgspec

from inference.alarms.alarm import Alarm
from inference.alarms.engine import AlarmEngine
from inference.alarms.events import Discharge, SetPause
from inference.alarms.limits import SetLimits
from inference.alarms.memory import HOUSE
from inference.alarms.records import SettingChange

Setting = SetLimits | Discharge | SetPause


def apply_setting(alarms: AlarmEngine, event: Setting) -> tuple[list[Alarm], list[SettingChange]]:
    """Push the event; what changed, and what is to be logged.

    Raises LimitsError, and changes nothing, for limits that cannot be.
    """
    scope, before, was_paused = (
        scope_of(event),
        _limits_json(alarms, scope_of(event)),
        alarms.pause is not None,
    )
    changes = alarms.push(event)
    lines: list[SettingChange] = []
    match event:
        case SetPause():
            said = ("off", "on")
            lines.append(
                SettingChange(event.at_us, event.who, "pause", scope, said[was_paused], said[event.is_on])
            )
        case Discharge():
            lines.append(SettingChange(event.at_us, event.who, "discharge", scope, None, None))
    after = _limits_json(alarms, scope)
    if before != after:
        lines.append(SettingChange(event.at_us, event.who, "limits", scope, before, after))
    return changes, lines


def scope_of(event: Setting) -> str:
    """Whom it concerns: "site/device", "site", or all."""
    match event:
        case SetLimits():
            return event.scope
        case Discharge():
            return event.device
    return HOUSE


def _limits_json(alarms: AlarmEngine, scope: str) -> str | None:
    entry = alarms.limits.entries.get(scope)
    return None if entry is None else msgspec.json.encode(entry.limits.stated()).decode()
