"""What a person must see: one alarm per patient and kind, with its priority, state and words."""

from dataclasses import dataclass
from enum import StrEnum


class AlarmKind(StrEnum):
    """Conditions that can raise an alarm; one active alarm per patient and kind."""

    ASYSTOLE = "asystole"
    EXTREME_RATE = "extreme_rate"
    RATE_LIMIT = "rate_limit"
    LEAD_OFF = "lead_off"
    SIGNAL = "signal"  # flat, saturated, noisy or sampled too slowly
    NO_DATA = "no_data"
    BATTERY = "battery"
    FINDING_MI = "finding_mi"
    FINDING_STTC = "finding_sttc"
    FINDING_CD = "finding_cd"
    FINDING_HYP = "finding_hyp"
    AF = "atrial_fibrillation"
    NOTIFIER = "notifier"  # a notification channel fails; of the device "wristlead/{channel}"
    SERVICE = "service"  # a part of Wristlead is silent; of the device "wristlead/{service}"


class AlarmPriority(StrEnum):
    """How urgent, in the words of IEC 60601-1-8; ADVISORY is this project's queue for model findings."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    ADVISORY = "advisory"


URGENCY = {
    AlarmPriority.ADVISORY: 0,
    AlarmPriority.LOW: 1,
    AlarmPriority.MEDIUM: 2,
    AlarmPriority.HIGH: 3,
}


class AlarmQueue(StrEnum):
    """Physiological, technical and advisory alarms look different."""

    PHYSIOLOGICAL = "physiological"
    TECHNICAL = "technical"
    ADVISORY = "advisory"


class AlarmState(StrEnum):
    """`latched`: the condition ended but a person must still see it. `ack`: seen, condition still there."""

    OFF = "off"
    ON = "on"
    LATCHED = "latched"
    ACK = "ack"


@dataclass(frozen=True, slots=True)
class Alarm:
    """The newest state of one alarm; the engine returns one for every transition."""

    device: str  # "site/device"
    kind: AlarmKind
    queue: AlarmQueue
    priority: AlarmPriority
    state: AlarmState
    text: str  # value and limit, such as "HR 134 > 120"
    since_us: int  # wall clock when this episode began
    at_us: int  # wall clock of this transition
    count: int = 1  # retriggers within the episode
    peak: float | None = None  # the most extreme value of the episode, in the text's unit
    who: str | None = None  # who acknowledged; None for the engine itself
    model: str | None = None  # weights behind an advisory alarm
    escalation: int = 0  # rule 9: how many times it was passed on because nobody acknowledged
    sounding: bool = True  # rule 8: asks for sound now; false once acknowledged, while paused, if advisory
    limits_bpm: tuple[float, float, float, float] | None = (
        None  # in force: extreme low, low, high, extreme high
    )
    session: int | None = None  # where the device's stream was at this change ...
    sample: int | None = None  # ... one past the newest sample used
