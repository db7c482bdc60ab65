"""What the alarm engine remembers; its JSON continues identically in another process."""

from dataclasses import dataclass, field

from inference.alarms.alarm import AlarmKind
from inference.alarms.episode import Episode
from inference.alarms.limits import LimitsEntry
from inference.alarms.observed import Observed
from inference.alarms.pause import Pause

HOUSE = "*"  # in a snapshot, beside the devices: what concerns all of them


@dataclass(slots=True)
class DeviceMemory:
    """Everything the engine knows of one device."""

    seen: Observed = field(default_factory=Observed)
    episodes: dict[AlarmKind, Episode] = field(default_factory=dict)  # those that are not off
    is_discharged: bool = False  # nothing but the place in its stream is known, until new data comes
    former: tuple[int, int] | None = None  # session and sample up to which it was another patient's


@dataclass(slots=True)
class HouseMemory:
    """What the engine knows beside its devices."""

    pause: Pause | None = None
    limits: dict[str, LimitsEntry] = field(default_factory=dict)  # by scope, see limits.py
