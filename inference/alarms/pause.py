"""Rule 8: who paused all sounds and until when, and whether an alarm sounds now."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from inference.alarms.alarm import URGENCY, Alarm, AlarmPriority, AlarmQueue, AlarmState

PAUSE_US = 120_000_000  # rule 8: 120 s


@dataclass(frozen=True, slots=True)
class Pause:
    """All that sounded when it began is quiet until `until_us`; what is more urgent sounds all the same."""

    until_us: int
    who: str
    loudest: (
        AlarmPriority | None
    )  # of what sounded when it began; None: nothing did, so everything new sounds

    def at(self, at_us: int) -> "Pause | None":
        """The pause as it stands now; None once it is over. A clock that was set back does not prolong it."""
        if at_us >= self.until_us:
            return None
        return replace(self, until_us=min(self.until_us, at_us + PAUSE_US))


def begin_pause(alarms: Iterable[Alarm], who: str, at_us: int) -> Pause:
    """A pause of 120 s; `alarms` are those that are not off."""
    heard = [alarm.priority for alarm in alarms if is_sounding(alarm, None)]
    return Pause(at_us + PAUSE_US, who, max(heard, key=URGENCY.__getitem__, default=None))


def is_sounding(alarm: Alarm, pause: Pause | None) -> bool:
    """Whether the alarm asks for sound now: unacknowledged, not advisory, and not held back by the pause.

    A latched alarm sounds until somebody has seen it.
    """
    is_heard = alarm.state in {AlarmState.ON, AlarmState.LATCHED} and alarm.queue is not AlarmQueue.ADVISORY
    if not is_heard or pause is None or pause.loudest is None:
        return is_heard
    return URGENCY[alarm.priority] > URGENCY[pause.loudest]
