"""What the alarm engine remembers; its JSON continues identically in another process."""

from dataclasses import dataclass, field

from inference.alarms.alarm import AlarmKind, AlarmState
from inference.alarms.episode import Episode
from inference.alarms.limits import LimitsEntry
from inference.alarms.names import NameEntry
from inference.alarms.observed import Observed
from inference.alarms.pause import Pause
from inference.alarms.rules import BLINDING, TECHNICAL
from inference.verdict import Verdict
from ingest.topics import OWN_SITE

MAX_DEVICES = 10_000  # as ingest knows at most; a stranger who invents devices must not fill the memory
MAX_PARTS = 250  # of them, channels and services of Wristlead itself
HOUSE = "*"  # in a snapshot, beside the devices: what concerns all of them


class CrowdedError(ValueError):
    """There are too many devices to know one more."""


@dataclass(slots=True)
class DeviceMemory:
    """Everything the engine knows of one device."""

    seen: Observed = field(default_factory=Observed)
    episodes: dict[AlarmKind, Episode] = field(default_factory=dict)  # those that are not off
    is_discharged: bool = False  # nothing but the place in its stream is known, until new data comes
    former: tuple[int, int] | None = None  # session and sample up to which it was another patient's

    def is_of_this_patient(self, verdict: Verdict) -> bool:
        """False while nobody is there, and for a window that holds samples of whom was discharged."""
        if self.former is None:
            return not self.is_discharged
        session, sample = self.former
        is_earlier = verdict.session == session and verdict.first_sample < sample
        return verdict.session == self.seen.session and not is_earlier

    def is_suppressed(self, kind: AlarmKind) -> bool:
        """Rule 1: a technical alarm of the lead suppresses rate and model alarms; asystole suppresses rates.

        Asystole itself is suppressed only while it cannot be seen: its reading asks for a good signal.
        """
        if kind in TECHNICAL:
            return False
        if not BLINDING.isdisjoint(self.episodes):
            return True
        asystole = self.episodes.get(AlarmKind.ASYSTOLE)
        is_silent = asystole is not None and asystole.alarm.state is not AlarmState.LATCHED
        return is_silent and kind in {AlarmKind.EXTREME_RATE, AlarmKind.RATE_LIMIT}


@dataclass(slots=True)
class HouseMemory:
    """What the engine knows beside its devices."""

    pause: Pause | None = None
    limits: dict[str, LimitsEntry] = field(default_factory=dict)  # by scope, see limits.py
    names: dict[str, NameEntry] = field(default_factory=dict)  # by scope, see names.py


def welcome(known: dict[str, DeviceMemory], device: str) -> DeviceMemory:
    """The device's memory, a new one if need be; raises CrowdedError when too many are known.

    Who was discharged makes room for a patient.
    """
    if device in known:
        return known[device]
    own = f"{OWN_SITE}/"
    n_parts = sum(name.startswith(own) for name in known) if device.startswith(own) else 0
    if n_parts >= MAX_PARTS:
        raise CrowdedError(f"{n_parts} channels and services are known, want at most {MAX_PARTS}")
    if len(known) >= MAX_DEVICES:
        gone = next((name for name, memory in known.items() if memory.is_discharged), None)
        if gone is None:
            raise CrowdedError(f"{len(known)} devices are known, want at most {MAX_DEVICES}: discharge some")
        del known[gone]
    memory = known[device] = DeviceMemory()
    return memory
