"""Notices -> title and body in plain words, with as much of the patient as the channel may say."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from inference.alarms.alarm import URGENCY, Alarm, AlarmPriority, AlarmState
from inference.notify.configuration import Channel
from inference.notify.notice import Line, Notice
from ingest.topics import OWN_SITE

RESEARCH_USE = "For education and research. Not a medical device: do not use it to watch or treat a patient."
MAX_SHOWN = 8  # alarms spelled out in one message; the rest is counted
MAX_NAME = 64
STARS = {
    AlarmPriority.HIGH: "***",
    AlarmPriority.MEDIUM: "**",
    AlarmPriority.LOW: "*",
    AlarmPriority.ADVISORY: "Model:",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """What a channel sends."""

    title: str
    body: str
    priority: AlarmPriority | None  # the most urgent alarm that somebody has to act on; None: nobody has


@dataclass(frozen=True, slots=True)
class Wording:
    """What messages may say beside the alarm itself."""

    dashboard_url: str | None = None  # without a slash at its end; None leaves links out
    names: Mapping[str, str] | None = None  # of patients and sites; used where a channel shows names


def write_letter(notice: Notice, channel: Channel, wording: Wording) -> Letter:
    """The message of a notice: one alarm in full, or a summary with counts and the worst of them."""
    names = (wording.names or {}) if channel.show_names else {}
    pressing = [line.alarm.priority for line in notice.lines if not line.is_follow_up]
    priority = max(pressing, key=URGENCY.__getitem__, default=None)
    shown, left = notice.lines[:MAX_SHOWN], notice.lines[MAX_SHOWN:]
    if len(notice.lines) == 1:
        title = _title_of_one(notice.lines[0], names)
    else:
        title = _title_of_many(notice.lines, priority, names)
    parts = ["\n".join(_describe(line, channel, wording, names)) for line in shown]
    if left:
        parts.append(f"and {len(left)} more: {_counts(left)}")
    return Letter(title, "\n\n".join([*parts, RESEARCH_USE]), priority)


def write_test(channel: Channel, who: str, at_us: int) -> Letter:
    """The message of a test; who asked for it leaves only where the channel shows names."""
    asked = f"asked for by {who}" if channel.show_names else "asked for"
    body = f"A test of the channel {channel.name}, {asked} at {_time(at_us)}. It is about no patient."
    return Letter("Test from Wristlead", f"{body}\n\n{RESEARCH_USE}", None)


def _title_of_one(line: Line, names: Mapping[str, str]) -> str:
    where = _where(line.alarm, names)
    if line.is_follow_up:
        return f"{_outcome(line.alarm)}: {line.alarm.text} - {where}"
    return f"{STARS[line.alarm.priority]} {line.alarm.text} - {where}"


def _title_of_many(lines: tuple[Line, ...], priority: AlarmPriority | None, names: Mapping[str, str]) -> str:
    sites = sorted({line.alarm.device.partition("/")[0] for line in lines})
    where = names.get(sites[0], sites[0]) if len(sites) == 1 else f"{len(sites)} sites"
    pressing = [line for line in lines if not line.is_follow_up]
    if priority is None:
        return f"{len(lines)} alarms ended or acknowledged - {where}"
    patients = len({line.alarm.device for line in pressing})
    count = "1 alarm" if len(pressing) == 1 else f"{len(pressing)} alarms"
    places = "1 device" if patients == 1 else f"{patients} devices"
    return f"{STARS[priority]} {count} ({_counts(pressing)}) of {places} - {where}"


def _describe(line: Line, channel: Channel, wording: Wording, names: Mapping[str, str]) -> list[str]:
    alarm = line.alarm
    mark = f"{_outcome(alarm)}:" if line.is_follow_up else STARS[alarm.priority]
    said = [f"{mark} {alarm.text}", _where(alarm, names), f"Since {_time(alarm.since_us)}"]
    if not line.is_follow_up and alarm.state is not AlarmState.ON:
        said.append(_outcome(alarm))
    if alarm.state in (AlarmState.ACK, AlarmState.OFF) and alarm.who is not None and channel.show_names:
        said.append(f"Acknowledged by {alarm.who}")
    if alarm.count > 1:
        said.append(f"{alarm.count} times in this episode")
    if line.earlier:
        said.append(f"{line.earlier} more before it, which no message had room for")
    if alarm.escalation and alarm.state in (AlarmState.ON, AlarmState.LATCHED):
        said.append(f"Passed on to level {alarm.escalation}: nobody has acknowledged it")
    if wording.dashboard_url is not None and not alarm.device.startswith(f"{OWN_SITE}/"):
        place = f"{alarm.device}/{alarm.kind.value}/{alarm.since_us}"
        said.append(f"{wording.dashboard_url}/event/{place}")
    return said


def _outcome(alarm: Alarm) -> str:
    return {
        AlarmState.ACK: "Acknowledged",
        AlarmState.OFF: "Ended",
        AlarmState.LATCHED: "Ended, not yet seen by anybody",
    }.get(alarm.state, "On")


def _where(alarm: Alarm, names: Mapping[str, str]) -> str:
    name, site = names.get(alarm.device), names.get(alarm.device.partition("/")[0])
    called = ", ".join(each for each in (name, site) if each is not None)
    return f"{called} ({alarm.device})" if called else alarm.device


def _counts(lines: tuple[Line, ...] | list[Line]) -> str:
    by = Counter(line.alarm.priority for line in lines)
    return ", ".join(f"{by[priority]} {priority}" for priority in AlarmPriority if by[priority])


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
