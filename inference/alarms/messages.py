"""One MQTT message -> the events it carries, with the reason for each part that could not be understood."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from inference.alarms.alarm import AlarmKind
from inference.alarms.events import Acknowledge, ChannelStatus, DeviceEvent, DeviceStatus, ServiceStatus
from inference.verdict import Verdict
from ingest.topics import ID_PATTERN, device_of
from ingest.vitals import Vitals

MAX_WHO = 64  # characters, as stored

MAX_REASON = 200  # characters of a channel's reason
# Ourselves, whom we cannot miss; and simulated patients, whose end is no fault.
UNWATCHED = frozenset({"alarms", "simulate"})


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a message says; a refused record does not cost the others of its message."""

    events: list[DeviceEvent] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # reasons


class _Status(msgspec.Struct, frozen=True):
    online: bool
    battery: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None


class _Channel(msgspec.Struct, frozen=True):
    ok: bool
    reason: str | None = None


class _Presence(msgspec.Struct, frozen=True):
    online: bool


class _Who(msgspec.Struct, frozen=True):
    who: str


_raw_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_vitals_decoder = msgspec.json.Decoder(Vitals)
_verdict_decoder = msgspec.json.Decoder(Verdict)
_status_decoder = msgspec.json.Decoder(_Status)
_channel_decoder = msgspec.json.Decoder(_Channel)
_presence_decoder = msgspec.json.Decoder(_Presence)
_who_decoder = msgspec.json.Decoder(_Who)


def decode_message(topic: str, payload: bytes, received_us: int) -> Decoded:
    """Vitals, a verdict, a device's status or an acknowledgement, told apart by the topic.

    `received_us` (wall clock) is when a status or an acknowledgement counts: these carry no time.
    """
    what = "status" if topic.startswith("ecg/") else topic.split("/")[2]
    try:
        if what == "vitals":
            return _decode_vitals(payload)
        return Decoded(_DECODERS[what](topic, payload, received_us))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Decoded(refused=[str(error)])


def _decode_vitals(payload: bytes) -> Decoded:
    decoded = Decoded()
    for raw in _raw_list_decoder.decode(payload):
        try:
            decoded.events.append(_vitals_decoder.decode(raw))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            decoded.refused.append(str(error))
    return decoded


def _decode_verdict(_topic: str, payload: bytes, _at_us: int) -> list[DeviceEvent]:
    return [_verdict_decoder.decode(payload)]


def _decode_acknowledge(topic: str, payload: bytes, at_us: int) -> list[DeviceEvent]:
    who = _printable(_who_decoder.decode(payload).who, MAX_WHO)
    if not who:
        raise ValueError("an acknowledgement needs a name in who")
    return [Acknowledge(device_of(topic), AlarmKind(topic.rsplit("/", 1)[1]), who, at_us)]


def _decode_status(topic: str, payload: bytes, at_us: int) -> list[DeviceEvent]:
    if not payload:  # takes a retained status away
        return []
    status = _status_decoder.decode(payload)
    battery = None if status.battery is None else round(status.battery)
    return [DeviceStatus(device_of(topic), status.online, battery, at_us)]


def _decode_channel(topic: str, payload: bytes, at_us: int) -> list[DeviceEvent]:
    """An empty payload takes a channel away: nothing of it can fail any more."""
    channel = _channel_decoder.decode(payload) if payload else _Channel(ok=True)
    reason = None if channel.reason is None else _printable(channel.reason, MAX_REASON)
    return [ChannelStatus(_own_name(topic), channel.ok, reason or None, at_us)]


def _decode_presence(topic: str, payload: bytes, at_us: int) -> list[DeviceEvent]:
    name = _own_name(topic)
    if not payload or name in UNWATCHED:
        return []
    return [ServiceStatus(name, _presence_decoder.decode(payload).online, at_us)]


def _own_name(topic: str) -> str:
    """The name of a channel or service, the last part of its topic."""
    name = topic.removeprefix("wl/v1/").partition("/")[2]
    if not ID_PATTERN.fullmatch(name):
        raise ValueError(f"topic {topic!r} ends in no name: want 1 to 64 of [A-Za-z0-9_-]")
    return name


def _printable(text: str, most: int) -> str:
    """What can be shown and stored: a zero character would block a store."""
    return "".join(each for each in text if each.isprintable()).strip()[:most]


_DECODERS: dict[str, Callable[[str, bytes, int], list[DeviceEvent]]] = {
    "verdict": _decode_verdict,
    "status": _decode_status,
    "acknowledge": _decode_acknowledge,
    "channel": _decode_channel,
    "service": _decode_presence,
}
