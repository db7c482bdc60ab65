"""What must hold of the alarms of a ward, kept by somebody with a stopwatch who does not know the engine.

Every event and what the engine said to it goes in; `ViolationError` comes out when a law of docs/alarms.md
is broken.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.engine import Event
from inference.alarms.events import (
    Acknowledge,
    ChannelStatus,
    DeviceStatus,
    Discharge,
    ServiceStatus,
    SetPause,
    Tick,
)
from inference.alarms.limits import SetLimits
from inference.verdict import Presence, Superclass, Verdict
from ingest.vitals import SignalState, Vitals

S = 1_000_000  # microseconds
OFF, ON, ACK, LATCHED = AlarmState.OFF, AlarmState.ON, AlarmState.ACK, AlarmState.LATCHED
EDGES = {
    *((OFF, ON), (ON, ON), (ON, ACK), (ON, LATCHED), (ON, OFF), (ACK, ACK), (ACK, ON), (ACK, OFF)),
    *((LATCHED, LATCHED), (LATCHED, ON), (LATCHED, OFF)),
}
LATCH = {AlarmKind.ASYSTOLE, AlarmKind.EXTREME_RATE}
RATES = (AlarmKind.EXTREME_RATE, AlarmKind.RATE_LIMIT)
BLINDING = {AlarmKind.LEAD_OFF, AlarmKind.SIGNAL, AlarmKind.NO_DATA}
POOR = {SignalState.FLAT, SignalState.SATURATED, SignalState.NOISY, SignalState.SLOW_SAMPLING}
OWN_PARTS = {AlarmKind.NOTIFIER, AlarmKind.SERVICE}
ORDER = (AlarmPriority.ADVISORY, AlarmPriority.LOW, AlarmPriority.MEDIUM, AlarmPriority.HIGH)
PASSED_ON_S = {AlarmPriority.HIGH: 60, AlarmPriority.MEDIUM: 180}
DEFAULTS = {"rate_extreme_low_bpm": 40.0, "rate_low_bpm": 50.0, "rate_high_bpm": 120.0}
DEFAULTS["rate_extreme_high_bpm"] = 150.0

Key = tuple[str, AlarmKind]


class ViolationError(AssertionError):
    """A law was broken."""


def must(is_so: object, law: str, *facts: object) -> None:
    if not is_so:
        raise ViolationError("\n  ".join([law, *map(str, facts)]))


@dataclass
class Watch:
    """What the stopwatch shows for one device."""

    vitals: Vitals | None = None
    group: str = ""
    run_us: int = 0  # since when the signal is of this group
    arrived_us: int | None = None
    inside_us: dict[AlarmKind, int] = field(default_factory=dict)
    votes: deque[tuple[int, int, bool]] = field(default_factory=lambda: deque(maxlen=5))
    failing: bool = False
    heard_us: int | None = None
    former: tuple[int | None, int] = (None, 0)  # where in its stream the patient before was discharged


class Reference:
    """The laws; `alarms` are those that are not off."""

    def __init__(self) -> None:
        self.alarms: dict[Key, Alarm] = {}
        self._watches: dict[str, Watch] = {}
        self._gone: dict[str, tuple[int | None, int]] = {}
        self._limits: dict[str, dict[str, float]] = {}
        self._paused: tuple[int, int | None] | None = None  # until when, and the loudest of then
        self._waits_us: dict[Key, int] = {}
        self._seen_us: dict[Key, int] = {}

    def check(self, event: Event, said: Sequence[Alarm], active: Sequence[Alarm]) -> None:
        """Hold the laws against what was said to the event, and what is active after it."""
        before = dict(self.alarms)
        is_deaf = self._take(event)
        must(not (is_deaf and said), "who was discharged is heard of again only with new data", event, said)
        for alarm in said:
            self._check_edge(event, self.alarms.get((alarm.device, alarm.kind)), alarm)
        keys = [(alarm.device, alarm.kind) for alarm in active]
        must(len(set(keys)) == len(keys), "one alarm per patient and kind", event)
        must(_standing(active) == _standing(self.alarms.values()), "what is active was said", event)
        if not is_deaf:
            self._check_duties(event, before)
        self._check_sound(event)

    def nothing_changed(self, said: Sequence[Alarm], active: Sequence[Alarm]) -> None:
        """A repetition or a restart leaves everything as it was."""
        must(not said, "a repeated event changes nothing", said)
        is_same = _standing(active) == _standing(self.alarms.values())
        must(is_same, "a repetition or a restart changes nothing")

    def limits_of(self, device: str) -> dict[str, float]:
        site = device.partition("/")[0]
        return DEFAULTS | self._limits.get(site, {}) | self._limits.get(device, {})

    # --- what happened

    def _take(self, event: Event) -> bool:
        """Note the event; True when the engine must not listen to it."""
        match event:
            case Vitals():
                return self._take_vitals(event)
            case Verdict():
                if event.device not in self._gone:
                    self._take_verdict(self._watch(event.device), event)
                return event.device in self._gone
            case DeviceStatus():
                return event.device in self._gone
            case ChannelStatus() | ServiceStatus():
                self._take_own_part(event)
            case SetLimits():
                self._limits[event.scope] = {} if event.limits is None else event.limits.stated()
            case SetPause():
                self._paused = (event.at_us + 120 * S, self._loudest()) if event.is_on else None
            case Discharge():
                self._take_discharge(event)
            case Tick():
                self._take_time(event.at_us)
        return False

    def _take_own_part(self, event: ChannelStatus | ServiceStatus) -> None:
        if isinstance(event, ChannelStatus):
            self._gone.pop(event.device, None)
            self._watch(event.device).failing = not event.is_working
        elif event.is_online:
            self._gone.pop(event.device, None)
            self._watch(event.device).heard_us = event.at_us

    def _take_discharge(self, event: Discharge) -> None:
        vitals = self._watch(event.device).vitals
        self._gone.setdefault(
            event.device, (None, 0) if vitals is None else (vitals.session, vitals.last_sample)
        )
        self._watches[event.device] = Watch()
        self._limits.pop(event.device, None)

    def _take_time(self, at_us: int) -> None:
        for watch in self._watches.values():
            watch.arrived_us = _no_later(watch.arrived_us, at_us)
            watch.heard_us = _no_later(watch.heard_us, at_us)
        if self._paused is not None:
            until_us, loudest = self._paused
            self._paused = None if at_us >= until_us else (min(until_us, at_us + 120 * S), loudest)

    def _take_vitals(self, vitals: Vitals) -> bool:
        if vitals.device in self._gone:
            session, sample = self._gone[vitals.device]
            if vitals.session == session and vitals.last_sample <= sample:
                return True
            self._watches[vitals.device] = Watch(former=self._gone.pop(vitals.device))
        watch = self._watch(vitals.device)
        old = watch.vitals
        if old is not None and vitals.at_us <= old.at_us:
            is_newer = vitals.session > old.session or vitals.last_sample > old.last_sample
            if not is_newer and vitals.at_us > old.at_us - 60 * S:
                return True  # not to be told from a repetition
            watch.inside_us.clear()
            watch.arrived_us = None
        is_run = old is not None and 0 < vitals.at_us - old.at_us <= 5 * S and vitals.session == old.session
        group = "poor" if vitals.signal in POOR else vitals.signal.value
        if not is_run or group != watch.group:
            watch.run_us = vitals.at_us
        arrived_us = vitals.at_us - round(vitals.data_age_s * S)
        watch.arrived_us = arrived_us if watch.arrived_us is None else max(watch.arrived_us, arrived_us)
        watch.vitals, watch.group = vitals, group
        return False

    def _take_verdict(self, watch: Watch, verdict: Verdict) -> None:
        session, sample = watch.former
        if verdict.historic or (session == verdict.session and verdict.first_sample < sample):
            return  # late, or of the patient before
        if session is not None and (watch.vitals is None or watch.vitals.session != verdict.session):
            return  # nobody knows whose
        place = (verdict.decided_us, verdict.first_sample)
        if watch.votes and place <= watch.votes[-1][:2]:
            if verdict.decided_us >= watch.votes[-1][0] - 60 * S:
                return
            watch.votes.clear()
        (found,) = (f for f in verdict.findings if f.superclass is Superclass.MI)
        watch.votes.append((*place, found.presence is Presence.PRESENT))

    # --- what may be said

    def _check_edge(self, event: Event, before: Alarm | None, after: Alarm) -> None:
        key, old = (after.device, after.kind), OFF if before is None else before.state
        facts = (event, before, after)
        if before is not None and replace(before, sounding=after.sounding, peak=after.peak) == after:
            self.alarms[key] = after
            return
        must((old, after.state) in EDGES, "states move along the drawn edges only", *facts)
        must(after.state is not LATCHED or after.kind in LATCH, "only a latching alarm latches", *facts)
        if after.state is ACK and old is not ACK:
            must(isinstance(event, Acknowledge), "only a person acknowledges", *facts)
        if after.state is OFF:
            self._check_end(old, *facts)
        if old is OFF:
            self._check_begin(event, after)
        elif before is not None:
            must(ORDER.index(after.priority) >= ORDER.index(before.priority), "priority never falls", *facts)
        self._check_escalation(event, before, after)
        if after.kind not in OWN_PARTS and not isinstance(event, SetPause):
            limits = tuple(self.limits_of(after.device)[name] for name in DEFAULTS)
            must(after.limits_bpm == limits, "a change carries the limits in force", limits, *facts)
        del_or_keep = self.alarms.pop(key, None)
        if after.state is not OFF:
            self.alarms[key] = after
        elif del_or_keep is not None:
            self._waits_us.pop(key, None)

    def _check_end(self, old: AlarmState, event: Event, before: Alarm | None, after: Alarm) -> None:
        if after.kind not in LATCH or isinstance(event, Discharge):
            return
        was_seen = old is ACK or (old is LATCHED and isinstance(event, Acknowledge))
        must(was_seen, "a high alarm is never silently cleared", event, before, after)

    def _check_begin(self, event: Event, after: Alarm) -> None:
        is_suppressed = any((after.device, kind) in self.alarms for kind in BLINDING)
        if after.queue is not AlarmQueue.TECHNICAL and after.kind is not AlarmKind.ASYSTOLE:
            must(
                not is_suppressed, "a technical alarm suppresses rates and findings of its lead", event, after
            )
        if after.queue is AlarmQueue.PHYSIOLOGICAL:
            is_visible = (
                isinstance(event, Vitals) and event.signal is SignalState.GOOD and event.data_age_s <= 5
            )
            must(is_visible, "a rate alarm needs a good signal and fresh data", event, after)
        if after.queue is AlarmQueue.ADVISORY:
            must(isinstance(event, Verdict) and not event.historic, "late data raises no live alarm", event)
        must(after.count == 1, "an episode begins with one", after)

    def _check_escalation(self, event: Event, before: Alarm | None, after: Alarm) -> None:
        key, at_us = (
            (after.device, after.kind),
            event.at_us if not isinstance(event, Verdict) else event.decided_us,
        )
        is_anew = before is None or (before.state is ACK and after.state is ON)
        if before is None or is_anew:
            must(after.escalation == 0, "an alarm that is heard anew was not passed on", event, before, after)
            self._waits_us[key] = at_us
        elif after.escalation != before.escalation:
            facts = (event, before, after)
            must(after.escalation == before.escalation + 1, "it is passed on one by one", *facts)
            must(before.state is after.state and after.state in {ON, LATCHED}, "nobody has seen it", *facts)
            waited_s = (at_us - self._waits_us[key]) / S
            must(waited_s >= PASSED_ON_S.get(after.priority, 1e9), "not too early", waited_s, *facts)
            self._waits_us[key] = at_us
        elif after.priority is not before.priority:
            self._waits_us[key] = at_us
        if after.state is ACK and (before is None or before.state is not ACK):
            self._seen_us[key] = at_us

    # --- what must be there

    def _check_duties(self, event: Event, before: dict[Key, Alarm]) -> None:
        match event:
            case Vitals():
                self._check_vitals(event)
                self._check_reminders(event.device, event.at_us)
            case Tick():
                for device in self._watches:
                    self._check_silence(device, event.at_us)
                    self._check_reminders(device, event.at_us)
            case Verdict():
                self._check_finding(event)
            case ChannelStatus():
                is_on = self._state(event.device, AlarmKind.NOTIFIER) is not OFF
                must(is_on is self._watch(event.device).failing, "a failing channel is an alarm", event)
            case Acknowledge():
                self._check_acknowledged(event, before.get((event.device, event.kind)))
            case Discharge():
                left = [alarm for (device, _), alarm in self.alarms.items() if device == event.device]
                must(not left, "who is discharged has no alarms", event, left)
                ended = [alarm for (device, _), alarm in before.items() if device == event.device]
                must(len(before) - len(self.alarms) == len(ended), "and nobody else loses one", event)

    def _check_vitals(self, vitals: Vitals) -> None:
        device, at_us = vitals.device, vitals.at_us
        watch = self._watch(device)
        run_s = (at_us - watch.run_us) / S
        if vitals.signal is SignalState.LEAD_OFF and run_s >= 4:
            must(self._is_active(device, AlarmKind.LEAD_OFF), "lead-off is shown", vitals)
        if vitals.signal in POOR and run_s >= 10:
            must(self._is_active(device, AlarmKind.SIGNAL), "a poor signal is shown", vitals)
        self._check_silence(device, at_us)
        if vitals.signal is SignalState.GOOD and vitals.data_age_s <= 5:
            self._check_asystole(vitals, run_s)
        self._check_rates(vitals)

    def _check_asystole(self, vitals: Vitals, run_s: float) -> None:
        state, silent_s = self._state(vitals.device, AlarmKind.ASYSTOLE), vitals.since_beat_s
        if (silent_s is None and run_s >= 10) or (silent_s is not None and silent_s >= 4 and run_s >= 4):
            must(state in {ON, ACK}, "asystole is never lost", vitals)
        if silent_s is not None and silent_s < 4:
            must(state in {OFF, LATCHED}, "asystole ends with a beat", vitals)

    def _check_rates(self, vitals: Vitals) -> None:
        device, rate, watch = vitals.device, vitals.heart_rate_bpm, self._watch(vitals.device)
        is_visible = vitals.signal is SignalState.GOOD and vitals.data_age_s <= 5 and rate is not None
        is_silent = self._state(device, AlarmKind.ASYSTOLE) in {ON, ACK}
        is_clear = not is_silent and not any(self._is_active(device, kind) for kind in BLINDING)
        limits = self.limits_of(device)
        for kind in RATES:
            name = "rate_extreme" if kind is AlarmKind.EXTREME_RATE else "rate"
            low, high = limits[f"{name}_low_bpm"], limits[f"{name}_high_bpm"]
            if rate is None or not is_visible or not low + 3 <= rate <= high - 3:
                watch.inside_us.pop(kind, None)
            elif vitals.at_us - watch.inside_us.setdefault(kind, vitals.at_us) >= 3 * S and is_clear:
                must(
                    self._state(device, kind) in {OFF, LATCHED}, "a rate alarm ends inside its limits", vitals
                )
            if is_visible and is_clear and rate is not None and not low <= rate <= high:
                must(
                    self._state(device, kind) in {ON, ACK}, "a rate outside is never lost", vitals, low, high
                )

    def _check_silence(self, device: str, at_us: int) -> None:
        watch = self._watch(device)
        if device in self._gone:
            return
        if watch.arrived_us is not None:
            is_silent = at_us - watch.arrived_us >= 10 * S
            is_on = self._is_active(device, AlarmKind.NO_DATA)
            must(is_on is is_silent, "no data for 10 s is an alarm", device, at_us - watch.arrived_us)
        if watch.heard_us is not None:
            is_silent = at_us - watch.heard_us >= 10 * S
            is_on = self._is_active(device, AlarmKind.SERVICE)
            must(is_on is is_silent, "a silent service is an alarm", device, at_us - watch.heard_us)

    def _check_finding(self, verdict: Verdict) -> None:
        is_blind = any(self._is_active(verdict.device, kind) for kind in BLINDING)
        votes = [is_for for *_, is_for in self._watch(verdict.device).votes]
        is_counted = votes and self._watch(verdict.device).votes[-1][0] == verdict.decided_us
        if is_blind or not is_counted or verdict.historic:
            return
        if votes.count(True) >= 3:
            must(self._is_active(verdict.device, AlarmKind.FINDING_MI), "three of five agree", verdict)
        if votes.count(False) >= 3:
            must(not self._is_active(verdict.device, AlarmKind.FINDING_MI), "three of five deny", verdict)

    def _check_acknowledged(self, event: Acknowledge, before: Alarm | None) -> None:
        is_meant = before is not None and event.since_us in {None, before.since_us}
        state = self._state(event.device, event.kind)
        expected = OFF if before is None else before.state
        if is_meant:
            expected = OFF if expected is LATCHED else ACK
        must(state is expected, "a person acknowledges the episode that was seen", event, before)

    def _check_reminders(self, device: str, at_us: int) -> None:
        for key, alarm in self.alarms.items():
            if key[0] != device:
                continue
            if alarm.state is ACK:
                self._seen_us[key] = min(self._seen_us[key], at_us)
                is_due = at_us - self._seen_us[key] >= 180 * S and alarm.queue is not AlarmQueue.ADVISORY
                must(not is_due, "what was acknowledged is heard again after 3 min", alarm)
            elif alarm.escalation < 3 and alarm.priority in PASSED_ON_S:
                self._waits_us[key] = min(self._waits_us[key], at_us)
                waited_s = (at_us - self._waits_us[key]) / S
                must(waited_s < PASSED_ON_S[alarm.priority], "what nobody saw is passed on", waited_s, alarm)

    def _check_sound(self, event: Event) -> None:
        for alarm in self.alarms.values():
            is_heard = alarm.state in {ON, LATCHED} and alarm.queue is not AlarmQueue.ADVISORY
            if self._paused is not None and self._paused[1] is not None:
                is_heard = is_heard and ORDER.index(alarm.priority) > self._paused[1]
            must(alarm.sounding is is_heard, "a pause stops sound, and nothing else does", event, alarm)

    def _loudest(self) -> int | None:
        heard = [
            ORDER.index(alarm.priority)
            for alarm in self.alarms.values()
            if alarm.state in {ON, LATCHED} and alarm.queue is not AlarmQueue.ADVISORY
        ]
        return max(heard, default=None)

    def _state(self, device: str, kind: AlarmKind) -> AlarmState:
        return self.alarms[device, kind].state if (device, kind) in self.alarms else OFF

    def _is_active(self, device: str, kind: AlarmKind) -> bool:
        return (device, kind) in self.alarms

    def _watch(self, device: str) -> Watch:
        return self._watches.setdefault(device, Watch())


def _standing(alarms: Iterable[Alarm]) -> dict[Key, Alarm]:
    """All of them, but for the peak, which may grow between two words."""
    return {(alarm.device, alarm.kind): replace(alarm, peak=None) for alarm in alarms}


def _no_later(moment_us: int | None, at_us: int) -> int | None:
    return None if moment_us is None else min(moment_us, at_us)
