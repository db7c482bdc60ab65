"""The life of one alarm of one device: readings and acknowledgements in, its changes out.

off --met--> on --acknowledged--> ack --ended--> off
             on --ended--> off, or latched --acknowledged--> off
             latched --met again--> on;  ack --3 min, or more urgent--> on
"""

from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

from inference.alarms.alarm import URGENCY, Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.observed import SECOND_US
from inference.alarms.rules import LATCHING, Ended, Present, Reading, queue_of

SOUND_AGAIN_S = 180.0  # rule 8: an acknowledged alarm sounds again after 3 min
ESCALATE_S = {AlarmPriority.HIGH: 60.0, AlarmPriority.MEDIUM: 180.0}  # rule 9, each time; others never
MAX_ESCALATION = 3  # further than any list of channels; an alarm nobody sees all night fills no log
UPDATE_EVERY_S = 0.9  # words change at most once a second; vitals come each second give or take some ms


class _Changed(TypedDict, total=False):
    who: str | None
    text: str
    count: int
    escalation: int


@dataclass(slots=True)
class Episode:
    """One alarm from its first moment until it is off again."""

    alarm: Alarm
    peak_excess: float
    shown_us: int  # when its newest words were returned
    acknowledged_us: int | None = None
    waiting_us: int | None = None  # since when it waits for a person at its present priority and escalation

    def advance(self, reading: Reading, at_us: int, *, is_suppressed: bool) -> Alarm | None:
        """Take in what the rule sees now; the alarm if a person must see a change.

        `is_suppressed`: a technical alarm keeps the rule from seeing. A latching alarm that is on then stays
        on, one that somebody has acknowledged and one that does not latch are over.
        """
        state, who = self.alarm.state, self.alarm.who
        is_latching = self.alarm.kind in LATCHING
        is_out_of_sight = is_suppressed and reading is None
        match state, reading:
            case AlarmState.LATCHED, Present():
                return self._become(AlarmState.ON, reading, at_us, count=self.alarm.count + 1)
            case ((AlarmState.ON | AlarmState.ACK), Present()):
                return self._update(reading, at_us)
            case AlarmState.ON, Ended() if is_latching:
                return self._become(AlarmState.LATCHED, None, at_us)
            case ((AlarmState.ON | AlarmState.ACK), Ended()):
                return self._become(AlarmState.OFF, None, at_us, who=who, text=reading.text)
            case ((AlarmState.ON | AlarmState.ACK), None) if is_out_of_sight and not (
                is_latching and who is None
            ):
                return self._become(AlarmState.OFF, None, at_us, who=who)
        return None

    def acknowledge(self, who: str, at_us: int) -> Alarm | None:
        """Somebody has seen it: on becomes ack, latched becomes off; None when there is nothing to see."""
        match self.alarm.state:
            case AlarmState.ON:
                self.acknowledged_us = at_us
                return self._become(AlarmState.ACK, None, at_us, who=who)
            case AlarmState.LATCHED:
                return self._become(AlarmState.OFF, None, at_us, who=who)
        return None

    def discharge(self, who: str, at_us: int) -> Alarm:
        """The patient has left: off, whatever it was."""
        return self._become(AlarmState.OFF, None, at_us, who=who)

    def sound_again(self, at_us: int) -> Alarm | None:
        """Rule 8: back on when it was acknowledged 3 min ago; advisory alarms come once an episode."""
        if self.alarm.state is not AlarmState.ACK or self.acknowledged_us is None:
            return None
        self.acknowledged_us = min(self.acknowledged_us, at_us)  # the clock may have been set back
        is_due = at_us - self.acknowledged_us >= SOUND_AGAIN_S * SECOND_US
        if not is_due or self.alarm.queue is AlarmQueue.ADVISORY:
            return None
        return self._become(AlarmState.ON, None, at_us)

    def escalate(self, at_us: int) -> Alarm | None:
        """Rule 9: passed on when nobody acknowledged for 60 s (high) or 180 s (medium), on or latched."""
        after_s = ESCALATE_S.get(self.alarm.priority)
        is_unseen = self.alarm.state in {AlarmState.ON, AlarmState.LATCHED}
        if not is_unseen or after_s is None or self.alarm.escalation >= MAX_ESCALATION:
            return None
        since_us = self.alarm.at_us if self.waiting_us is None else self.waiting_us
        self.waiting_us = min(since_us, at_us)  # the clock may have been set back
        if at_us - self.waiting_us < after_s * SECOND_US:
            return None
        self.waiting_us = at_us
        return self._become(self.alarm.state, None, at_us, escalation=self.alarm.escalation + 1)

    def _update(self, reading: Present, at_us: int) -> Alarm | None:
        """New words at most once a second; more urgent at once, and heard again though acknowledged."""
        if URGENCY[reading.priority] > URGENCY[self.alarm.priority]:
            return self._become(AlarmState.ON, reading, at_us)
        self._note_peak(reading)
        self.shown_us = min(self.shown_us, at_us)  # the clock may have been set back
        if reading.text == self.alarm.text or at_us - self.shown_us < UPDATE_EVERY_S * SECOND_US:
            return None
        self.shown_us = at_us
        self.alarm = replace(self.alarm, text=reading.text, model=reading.model)
        return self.alarm

    def _become(
        self, state: AlarmState, reading: Present | None, at_us: int, **changed: Unpack[_Changed]
    ) -> Alarm:
        before = self.alarm
        if reading is not None:
            self._note_peak(reading)
            priority = max(before.priority, reading.priority, key=URGENCY.__getitem__)
            self.alarm = replace(self.alarm, priority=priority, text=reading.text, model=reading.model)
        is_heard_anew = before.state is AlarmState.ACK and state is AlarmState.ON
        if is_heard_anew:
            changed["escalation"] = 0
        if is_heard_anew or self.alarm.priority is not before.priority:
            self.waiting_us = at_us
        changed.setdefault("who", None)
        self.alarm = replace(self.alarm, state=state, at_us=at_us, **changed)
        self.shown_us = at_us
        if state is not AlarmState.ACK:
            self.acknowledged_us = None
        return self.alarm

    def _note_peak(self, reading: Present) -> None:
        if reading.excess > self.peak_excess:
            self.peak_excess = reading.excess
            self.alarm = replace(self.alarm, peak=reading.value)


def begin_episode(device: str, kind: AlarmKind, reading: Present, at_us: int) -> Episode:
    """A condition that was not there before: its alarm is on."""
    alarm = Alarm(
        device=device,
        kind=kind,
        queue=queue_of(kind),
        priority=reading.priority,
        state=AlarmState.ON,
        text=reading.text,
        since_us=reading.since_us,
        at_us=at_us,
        peak=reading.value,
        model=reading.model,
    )
    return Episode(alarm, peak_excess=reading.excess, shown_us=at_us, waiting_us=at_us)


def is_transition(before: Alarm | None, after: Alarm) -> bool:
    """True when the state, the priority, the count or the escalation changed, not only the words."""
    return before is None or _standing(before) != _standing(after)


def _standing(alarm: Alarm) -> tuple[AlarmState, AlarmPriority, int, int]:
    return alarm.state, alarm.priority, alarm.count, alarm.escalation
