"""MQTT messages of others -> what the notifier takes in; and the JSON of a channel's state."""

from dataclasses import dataclass

import msgspec

from inference.alarms.alarm import Alarm, AlarmPriority
from inference.notify.notice import Ended
from inference.notify.outbox import Outbox
from inference.notify.texts import MAX_NAME
from ingest.topics import device_of
from ingest.vitals import Vitals

MAX_WHO = 64  # characters


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


class _Who(msgspec.Struct, frozen=True):
    who: str


class _Meta(msgspec.Struct, frozen=True):
    name: str | None = None


_alarm_decoder = msgspec.json.Decoder(Alarm)
_who_decoder = msgspec.json.Decoder(_Who)
_meta_decoder = msgspec.json.Decoder(_Meta)
_vitals_decoder = msgspec.json.Decoder(list[Vitals])


def decode_alarm(topic: str, payload: bytes) -> Alarm | Ended:
    """The newest state of an alarm; an empty payload says that it is off. Raises ValueError."""
    device, kind = device_of(topic), topic.rsplit("/", 1)[1]
    if not payload:
        return Ended(device, kind)
    alarm = _alarm_decoder.decode(payload)
    if (alarm.device, alarm.kind.value) != (device, kind):
        raise ValueError(f"the alarm is {alarm.kind} of {alarm.device}, its topic says {kind} of {device}")
    return alarm


def decode_test(payload: bytes) -> str:
    """Who asks for a test. Raises ValueError."""
    who = _printable(_who_decoder.decode(payload).who, MAX_WHO)
    if not who:
        raise ValueError("a test needs a name in who")
    return who


def decode_name(payload: bytes) -> str | None:
    """The name that a device gives itself; None where it has none. Raises ValueError."""
    name = _meta_decoder.decode(payload).name if payload else None
    return _printable(name or "", MAX_NAME) or None


def decode_vitals(payload: bytes) -> list[Vitals]:
    """One second of a site. Raises ValueError."""
    return _vitals_decoder.decode(payload)


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


def _printable(text: str, most: int) -> str:
    return "".join(each for each in text if each.isprintable()).strip()[:most]
