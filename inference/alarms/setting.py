"""What a person sets -> the engine, and the lines of the log that it makes, with what was there before."""

import msgspec

from inference.alarms.alarm import Alarm
from inference.alarms.engine import AlarmEngine
from inference.alarms.events import Discharge, SetPause
from inference.alarms.limits import SetLimits
from inference.alarms.memory import HOUSE
from inference.alarms.names import SetName
from inference.alarms.records import SettingChange

Setting = SetLimits | SetName | Discharge | SetPause


def apply_setting(alarms: AlarmEngine, event: Setting) -> tuple[list[Alarm], list[SettingChange]]:
    """Push the event; what changed, and what is to be logged.

    Raises LimitsError or NamesError, and changes nothing, for what cannot be set. A discharge of nobody
    changes nothing and is not logged.
    """
    scope, was_paused = scope_of(event), alarms.pause is not None
    before = _set_for(alarms, scope)
    if isinstance(event, Discharge) and not alarms.is_anybody(scope):
        return [], []
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
    after = _set_for(alarms, scope)
    lines += [
        SettingChange(event.at_us, event.who, what, scope, before[what], after[what])
        for what in before
        if before[what] != after[what]
    ]
    return changes, lines


def scope_of(event: Setting) -> str:
    """Whom it concerns: "site/device", "site", or all."""
    match event:
        case SetLimits() | SetName():
            return event.scope
        case Discharge():
            return event.device
    return HOUSE


def _set_for(alarms: AlarmEngine, scope: str) -> dict[str, str | None]:
    """What people have set for the scope, as the log tells it: JSON of the limits, the name as it is."""
    limits, name = alarms.limits.entries.get(scope), alarms.names.entries.get(scope)
    return {
        "limits": None if limits is None else msgspec.json.encode(limits.limits.stated()).decode(),
        "name": None if name is None else name.name,
    }
