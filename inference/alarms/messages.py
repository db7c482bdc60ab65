"""One MQTT message -> the events it carries, with the reason for each part that could not be understood."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from inference.alarms.alarm import AlarmKind
from inference.alarms.annotations import Annotate, decode_annotate
from inference.alarms.credible import check_patient, check_verdict, check_vitals
from inference.alarms.events import (
    Acknowledge,
    ChannelStatus,
    DeviceEvent,
    DeviceStatus,
    Discharge,
    ServiceStatus,
    SetPause,
)
from inference.alarms.limits import OwnLimits, SetLimits
from inference.alarms.names import SetName, readable_name
from inference.alarms.person import Who, decode_who, name_of, printable
from inference.verdict import Verdict
from ingest.topics import (
    ACKNOWLEDGE,
    ALARMS,
    ANNOTATE,
    CHANNELS,
    DEVICE_STATUS,
    DISCHARGE,
    ID_PATTERN,
    LIMITS,
    LIMITS_IN_FORCE,
    NAMES,
    NAMES_IN_FORCE,
    OWN_SITE,
    PAUSE,
    PAUSED,
    RECORDING_SITE,
    SERVICES,
    VERDICTS,
    VITALS,
    device_of,
    is_scope,
)
from ingest.vitals import Vitals

MessageEvent = DeviceEvent | SetPause | SetLimits | SetName | Annotate

PAUSE_OLD_S = 30.0  # whoever paused has turned away by then, and nobody expects silence any more
MAX_REASON = 200  # characters of a channel's reason
HEARD = (VITALS, VERDICTS, DEVICE_STATUS, ACKNOWLEDGE, CHANNELS, PAUSE, LIMITS, NAMES, DISCHARGE, ANNOTATE)
OWN = (ALARMS, LIMITS_IN_FORCE, NAMES_IN_FORCE, PAUSED)  # retained, so that they come at every connection
OWN_PREFIXES = tuple(topic.removesuffix("#") for topic in OWN)
SERVICE_PREFIX = SERVICES.removesuffix("+")
MAY_BE_RETAINED = ("ecg/", CHANNELS.removesuffix("+"))  # all else counts when it is said, and only then
REQUESTS = tuple(
    topic.removesuffix("#") for topic in (ACKNOWLEDGE, PAUSE, LIMITS, NAMES, DISCHARGE, ANNOTATE)
)
# Ourselves, whom we cannot miss; and simulated patients, whose end is no fault.
UNWATCHED = frozenset({"alarms", "simulators"})


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a message says; a refused record does not cost the others of its message."""

    events: list[MessageEvent] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # reasons


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was not done, for whoever asked."""

    reason: str
    request: str  # what came, its beginning
    at_us: int


class _Status(msgspec.Struct, frozen=True):
    online: bool
    battery: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None


class _Channel(msgspec.Struct, frozen=True):
    ok: bool
    reason: str | None = None


class _Presence(msgspec.Struct, frozen=True):
    online: bool


class _Acknowledge(Who, frozen=True):
    since_us: int | None = None


class _Pause(Who, frozen=True):
    on: bool
    asked_us: int | None = None  # by the clock of who asks; None: now


class _Name(Who, frozen=True, forbid_unknown_fields=True):
    name: str | None = None
    reset: bool = False


class _Limits(Who, frozen=True, forbid_unknown_fields=True):  # a misspelt limit must not be lost
    reset: bool = False
    rate_low_bpm: float | None = None
    rate_high_bpm: float | None = None
    rate_extreme_low_bpm: float | None = None
    rate_extreme_high_bpm: float | None = None


_raw_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_vitals_decoder = msgspec.json.Decoder(Vitals)
_vitals_list_decoder = msgspec.json.Decoder(list[Vitals])
_verdict_decoder = msgspec.json.Decoder(Verdict)
_status_decoder = msgspec.json.Decoder(_Status)
_channel_decoder = msgspec.json.Decoder(_Channel)
_presence_decoder = msgspec.json.Decoder(_Presence)
_acknowledge_decoder = msgspec.json.Decoder(_Acknowledge)
_pause_decoder = msgspec.json.Decoder(_Pause)
_name_decoder = msgspec.json.Decoder(_Name)
_limits_decoder = msgspec.json.Decoder(_Limits)


def decode_message(topic: str, payload: bytes, received_us: int) -> Decoded:
    """What devices, services and people say, told apart by the topic.

    `received_us` (wall clock) is when a status or a request counts: these carry no time.
    """
    what = "status" if topic.startswith("ecg/") else topic.split("/")[2]
    try:
        if what == "vitals":
            return _decode_vitals(payload)
        return Decoded(_DECODERS[what](topic, payload, received_us))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Decoded(refused=[str(error)])


def _decode_vitals(payload: bytes) -> Decoded:
    """All at once, and one by one where something is wrong with any."""
    try:
        return Decoded([check_vitals(each) for each in _vitals_list_decoder.decode(payload)])
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    decoded = Decoded()
    for raw in _raw_list_decoder.decode(payload):
        try:
            decoded.events.append(check_vitals(_vitals_decoder.decode(raw)))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            decoded.refused.append(str(error))
    return decoded


def _decode_verdict(_topic: str, payload: bytes, _at_us: int) -> list[MessageEvent]:
    verdict = check_verdict(_verdict_decoder.decode(payload))
    if verdict.historic and verdict.device.startswith(f"{RECORDING_SITE}/"):
        return []  # a finished recording is nobody to watch, and has no limits
    return [verdict]


def _decode_acknowledge(topic: str, payload: bytes, at_us: int) -> list[MessageEvent]:
    request = _acknowledge_decoder.decode(payload)
    kind = AlarmKind(topic.rsplit("/", 1)[1])
    return [Acknowledge(device_of(topic), kind, name_of(request.who), at_us, request.since_us)]


def _decode_pause(_topic: str, payload: bytes, at_us: int) -> list[MessageEvent]:
    request = _pause_decoder.decode(payload)
    old_s = 0.0 if request.asked_us is None else (at_us - request.asked_us) / 1e6
    if request.on and old_s > PAUSE_OLD_S:
        raise ValueError(
            f"the pause was asked for {old_s:.0f} s ago, and pauses older than {PAUSE_OLD_S:.0f} s do not "
            "begin: ask again"
        )
    return [SetPause(request.on, name_of(request.who), at_us)]


def _decode_discharge(topic: str, payload: bytes, at_us: int) -> list[MessageEvent]:
    who = decode_who(payload)
    if topic.count("/") != 4:
        raise ValueError(f"topic {topic!r} names no device: want wl/v1/discharge/site/device")
    return [Discharge(device_of(topic), who, at_us)]


def _decode_annotate(topic: str, payload: bytes, at_us: int) -> list[MessageEvent]:
    if topic.count("/") != 4:
        raise ValueError(f"topic {topic!r} names no device: want wl/v1/annotate/site/device")
    return [decode_annotate(device_of(topic), payload, at_us)]


def _decode_limits(topic: str, payload: bytes, at_us: int) -> list[MessageEvent]:
    request = _limits_decoder.decode(payload)
    scope = _scope(topic, "limits")
    limits = OwnLimits(
        rate_low_bpm=request.rate_low_bpm,
        rate_high_bpm=request.rate_high_bpm,
        rate_extreme_low_bpm=request.rate_extreme_low_bpm,
        rate_extreme_high_bpm=request.rate_extreme_high_bpm,
    )
    if request.reset and limits.stated():
        raise ValueError("reset takes all limits away: want reset or limits, not both")
    return [SetLimits(scope, limits if limits.stated() else None, name_of(request.who), at_us)]


def _decode_name(topic: str, payload: bytes, at_us: int) -> list[MessageEvent]:
    request = _name_decoder.decode(payload)
    scope = _scope(topic, "name")
    if (request.name is None) != request.reset:
        raise ValueError("want a name, or reset that takes it away")
    name = None if request.name is None else readable_name(request.name)
    return [SetName(scope, name, name_of(request.who), at_us)]


def _scope(topic: str, what: str) -> str:
    """The patient or site that a request is about."""
    scope = topic.removeprefix(f"wl/v1/{what}/")
    if not is_scope(scope):
        raise ValueError(
            f"topic {topic!r} names no scope: want wl/v1/{what}/site or wl/v1/{what}/site/device"
        )
    if scope.split("/")[0] == OWN_SITE:
        raise ValueError(f"{OWN_SITE} is the site of Wristlead's own parts, which have no {what}")
    return scope


def _decode_status(topic: str, payload: bytes, at_us: int) -> list[MessageEvent]:
    if not payload:  # takes a retained status away
        return []
    status = _status_decoder.decode(payload)
    battery = None if status.battery is None else round(status.battery)
    device = device_of(topic)
    check_patient(device)
    return [DeviceStatus(device, status.online, battery, at_us)]


def _decode_channel(topic: str, payload: bytes, at_us: int) -> list[MessageEvent]:
    """An empty payload takes a channel away: nothing of it can fail any more."""
    channel = _channel_decoder.decode(payload) if payload else _Channel(ok=True)
    reason = None if channel.reason is None else printable(channel.reason, MAX_REASON)
    return [ChannelStatus(_own_name(topic), channel.ok, reason or None, at_us)]


def _decode_presence(topic: str, payload: bytes, at_us: int) -> list[MessageEvent]:
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


_DECODERS: dict[str, Callable[[str, bytes, int], list[MessageEvent]]] = {
    "verdict": _decode_verdict,
    "status": _decode_status,
    "acknowledge": _decode_acknowledge,
    "pause": _decode_pause,
    "limits": _decode_limits,
    "name": _decode_name,
    "discharge": _decode_discharge,
    "annotate": _decode_annotate,
    "channel": _decode_channel,
    "service": _decode_presence,
}
