"""What the alarm engine takes in besides vitals and verdicts; all times are Unix microseconds."""

from dataclasses import dataclass

from inference.alarms.alarm import AlarmKind
from inference.verdict import Verdict
from ingest.topics import OWN_SITE
from ingest.vitals import Vitals


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """What a device, or its MQTT will, says about itself."""

    device: str  # "site/device"
    online: bool
    battery: int | None  # per cent, None where it does not report it
    at_us: int


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """Whether a notification channel works, as the notifier says."""

    name: str
    is_working: bool
    reason: str | None  # why it does not
    at_us: int

    @property
    def device(self) -> str:
        """The pseudo device that its alarm belongs to."""
        return f"{OWN_SITE}/{self.name}"


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A heartbeat of a part of Wristlead, or its goodbye."""

    name: str
    is_online: bool
    at_us: int

    @property
    def device(self) -> str:
        """The pseudo device that its alarm belongs to."""
        return f"{OWN_SITE}/{self.name}"


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A person has seen an alarm."""

    device: str
    kind: AlarmKind
    who: str
    at_us: int
    since_us: int | None = None  # the episode that was seen; None for the one that is there


@dataclass(frozen=True, slots=True)
class SetPause:
    """A person pauses all sounds for 120 s, or ends the pause."""

    is_on: bool
    who: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Discharge:
    """A patient has left: all alarms of the device end, and it is forgotten until new data comes."""

    device: str
    who: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Tick:
    """The wall clock; silence of a device is seen by it alone."""

    at_us: int


DeviceEvent = Vitals | Verdict | DeviceStatus | ChannelStatus | ServiceStatus | Acknowledge | Discharge
