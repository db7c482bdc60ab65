"""One MQTT message -> the events it carries, with the reason for each part that could not be understood."""

from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from inference.alarms.alarm import AlarmKind
from inference.alarms.engine import Acknowledge, DeviceStatus
from inference.verdict import Verdict
from ingest.topics import device_of
from ingest.vitals import Vitals

MAX_WHO = 64  # characters, as stored

DeviceEvent = Vitals | Verdict | DeviceStatus | Acknowledge


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a message says; a refused record does not cost the others of its message."""

    events: list[DeviceEvent] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # reasons


class _Status(msgspec.Struct, frozen=True):
    online: bool
    battery: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None


class _Who(msgspec.Struct, frozen=True):
    who: str


_raw_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_vitals_decoder = msgspec.json.Decoder(Vitals)
_verdict_decoder = msgspec.json.Decoder(Verdict)
_status_decoder = msgspec.json.Decoder(_Status)
_who_decoder = msgspec.json.Decoder(_Who)


def decode_message(topic: str, payload: bytes, received_us: int) -> Decoded:
    """Vitals, a verdict, a device's status or an acknowledgement, told apart by the topic.

    `received_us` (wall clock) is when a status or an acknowledgement counts: these carry no time.
    """
    try:
        if topic.startswith("wl/v1/vitals/"):
            return _decode_vitals(payload)
        if topic.startswith("wl/v1/verdict/"):
            return Decoded([_verdict_decoder.decode(payload)])
        if topic.startswith("wl/v1/acknowledge/"):
            return Decoded([_decode_acknowledge(topic, payload, received_us)])
        return Decoded(_decode_status(topic, payload, received_us))
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


def _decode_acknowledge(topic: str, payload: bytes, at_us: int) -> Acknowledge:
    name = _who_decoder.decode(payload).who
    who = "".join(each for each in name if each.isprintable()).strip()[:MAX_WHO]  # a zero would block a store
    if not who:
        raise ValueError("an acknowledgement needs a name in who")
    return Acknowledge(device_of(topic), AlarmKind(topic.rsplit("/", 1)[1]), who, at_us)


def _decode_status(topic: str, payload: bytes, at_us: int) -> list[DeviceEvent]:
    if not payload:  # takes a retained status away
        return []
    status = _status_decoder.decode(payload)
    battery = None if status.battery is None else round(status.battery)
    return [DeviceStatus(device_of(topic), status.online, battery, at_us)]
