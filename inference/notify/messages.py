"""MQTT messages of others -> what the notifier takes in; and the JSON of a channel's state."""

from dataclasses import dataclass, field, replace

import msgspec

from inference.alarms.alarm import Alarm, AlarmPriority
from inference.alarms.person import MAX_WHO, decode_who, printable
from inference.notify.notice import Ended
from inference.notify.outbox import Outbox
from inference.notify.texts import MAX_NAME
from ingest.topics import device_of, is_device
from ingest.vitals import RATE_RANGE_BPM, Vitals
from ingest.wire import END_OF_TIME_US

MAX_TEXT = 200  # characters of an alarm's words
MAX_COUNT = 2**31  # of retriggers, and of passing on: no life has as many


@dataclass(frozen=True, slots=True)
class ChannelState:
    """Whether a channel works, as retained on `wl/v1/channel/{name}`."""

    ok: bool
    reason: str | None  # why its newest attempt failed, without the address
    at_us: int  # when that was found
    level: int
    min_priority: AlarmPriority
    sent: int
    failed: int
    last_sent_us: int | None


@dataclass(frozen=True, slots=True)
class Second:
    """One second of a site; a refused record does not cost the others."""

    vitals: list[Vitals] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # reasons


class _Meta(msgspec.Struct, frozen=True):
    name: str | None = None


_alarm_decoder = msgspec.json.Decoder(Alarm)
_meta_decoder = msgspec.json.Decoder(_Meta)
_raw_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_vitals_decoder = msgspec.json.Decoder(Vitals)


def decode_alarm(topic: str, payload: bytes) -> Alarm | Ended:
    """The newest state of an alarm; an empty payload says that it is off. Raises ValueError."""
    device, kind = device_of(topic), topic.rsplit("/", 1)[1]
    if topic.count("/") != 5:
        raise ValueError(f"topic {topic!r} names no alarm: want wl/v1/alarm/site/device/kind")
    if not payload:
        return Ended(device, kind)
    alarm = _alarm_decoder.decode(payload)
    if (alarm.device, alarm.kind.value) != (device, kind):
        raise ValueError(f"the alarm is {alarm.kind} of {alarm.device}, its topic says {kind} of {device}")
    check_numbers(alarm)
    who = None if alarm.who is None else printable(alarm.who, MAX_WHO)
    return replace(alarm, text=printable(alarm.text, MAX_TEXT), who=who or None)


def check_numbers(alarm: Alarm) -> None:
    """Raises ValueError where a time cannot be written as a date, or a count cannot be one."""
    for name, value_us in (("since_us", alarm.since_us), ("at_us", alarm.at_us)):
        if not 0 <= value_us < END_OF_TIME_US:
            raise ValueError(f"{name} is {value_us}, want microseconds of the years 1970 to 9999")
    for name, value in (("count", alarm.count), ("escalation", alarm.escalation)):
        if not 0 <= value < MAX_COUNT:
            raise ValueError(f"{name} is {value}, want 0 to {MAX_COUNT - 1}")


def decode_test(payload: bytes) -> str:
    """Who asks for a test. Raises ValueError."""
    return decode_who(payload)


def decode_name(payload: bytes) -> str | None:
    """The name that a device gives itself; None where it has none. Raises ValueError."""
    name = _meta_decoder.decode(payload).name if payload else None
    return printable(name or "", MAX_NAME) or None


def decode_vitals(payload: bytes) -> Second:
    """One second of a site. Raises ValueError where it is no list at all."""
    second = Second()
    for raw in _raw_list_decoder.decode(payload):
        try:
            vitals = _vitals_decoder.decode(raw)
            _check_vitals(vitals)
            second.vitals.append(vitals)
        except (ValueError, RecursionError) as error:
            second.refused.append(str(error))
    return second


def encode_channel(box: Outbox, started_us: int) -> bytes:
    """The JSON of a channel's state; one that was not used since the start counts as working."""
    channel, memory = box.channel, box.memory
    state = ChannelState(
        ok=memory.reason is None,
        reason=memory.reason,
        at_us=started_us if memory.judged_us is None else memory.judged_us,
        level=channel.level,
        min_priority=channel.min_priority,
        sent=memory.sent,
        failed=memory.failed,
        last_sent_us=memory.last_sent_us,
    )
    return msgspec.json.encode(state)


def _check_vitals(vitals: Vitals) -> None:
    """Raises ValueError where the device cannot be part of a topic, or what is published cannot be true."""
    if not is_device(vitals.device):
        raise ValueError(
            f"device is {vitals.device[:140]!r}, want site/device of [A-Za-z0-9_-], 1 to 64 each"
        )
    rate_bpm, (low, high) = vitals.heart_rate_bpm, RATE_RANGE_BPM
    if rate_bpm is not None and not low <= rate_bpm <= high:
        raise ValueError(
            f"heart_rate_bpm of {vitals.device} is {rate_bpm:g}, want {low:g} to {high:g} or null"
        )
    if vitals.battery is not None and not 0 <= vitals.battery <= 100:
        raise ValueError(f"battery of {vitals.device} is {vitals.battery}, want 0 to 100 or null")
