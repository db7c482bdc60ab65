"""An alarm engine at a bedside: what tests of the rules tell it, second by second, and what it said."""

from dataclasses import replace

from msgspec import structs

from inference.alarms.alarm import Alarm, AlarmKind, AlarmState
from inference.alarms.engine import AlarmEngine, Event
from inference.alarms.episode import is_transition
from inference.alarms.events import Acknowledge, Tick
from inference.alarms.rules import Limits
from inference.verdict import (
    Finding,
    Indeterminate,
    Presence,
    Rhythm,
    RhythmFinding,
    Superclass,
    Verdict,
)
from ingest.vitals import SignalState, Vitals

DEVICE = "ward/bed-1"
START_US = 1_790_000_000_000_000
GOOD = Vitals(
    device=DEVICE,
    session=7,
    at_us=START_US,
    last_sample=0,
    heart_rate_bpm=72.0,
    since_beat_s=0.4,
    signal=SignalState.GOOD,
)


def at(second: float) -> int:
    return START_US + round(second * 1e6)


class Ward:
    """An engine and what it has said, at one-second steps of one device."""

    def __init__(self) -> None:
        self.engine = AlarmEngine(Limits())
        self.said: list[Alarm] = []
        self.second: float = 0

    def push(self, event: Event) -> list[Alarm]:
        changes = self.engine.push(event)
        self.said += changes
        return changes

    def watch(self, seconds: int, vitals: Vitals = GOOD) -> list[Alarm]:
        """So many seconds of these vitals; what was said during them."""
        before = len(self.said)
        for _ in range(seconds):
            self.push(structs.replace(vitals, at_us=at(self.second)))
            self.push(Tick(at(self.second + 0.2)))
            self.second += 1
        return self.said[before:]

    def stop_heart(self, seconds: int) -> list[Alarm]:
        said: list[Alarm] = []
        for silent in range(1, seconds + 1):
            said += self.watch(1, structs.replace(GOOD, since_beat_s=float(silent), heart_rate_bpm=None))
        return said

    def fall_silent(self, seconds: int) -> list[Alarm]:
        """No vitals at all: only the clock goes on."""
        before = len(self.said)
        for _ in range(2 * seconds):
            self.push(Tick(at(self.second)))
            self.second += 0.5  # as the service ticks
        return self.said[before:]

    def decide(
        self, probability: float, *, presence: Presence | None = None, historic: bool = False
    ) -> list[Alarm]:
        """A verdict with this probability of MI (threshold 0.62) and none of the rest."""
        self.second += 10
        said = presence or (Presence.PRESENT if probability >= 0.62 else Presence.ABSENT)
        return self.push(verdict_of(self.second, probability, said, historic=historic))

    def hear(
        self, p_af: float, p_other: float | None = None, *, threshold: float | None = 0.4
    ) -> list[Alarm]:
        """A verdict with these probabilities of AF (limit 0.4) and another rhythm, normal is the rest."""
        self.second += 10
        other = (1 - p_af) / 3 if p_other is None else p_other
        values = {Rhythm.AF: p_af, Rhythm.OTHER: other, Rhythm.NORMAL: 1 - p_af - other, Rhythm.NOISY: 0.0}
        rhythm = tuple(RhythmFinding(r, values[r], threshold if r is Rhythm.AF else None) for r in Rhythm)
        quiet = verdict_of(self.second, 0.05, Presence.ABSENT)
        return self.push(replace(quiet, rhythm=rhythm))

    def acknowledge(self, kind: AlarmKind, who: str = "nurse") -> list[Alarm]:
        return self.push(Acknowledge(DEVICE, kind, who, at(self.second)))

    def state(self, kind: AlarmKind) -> AlarmState:
        return next((a.state for a in self.engine.active() if a.kind is kind), AlarmState.OFF)


def verdict_of(second: float, probability: float, presence: Presence, *, historic: bool = False) -> Verdict:
    quiet = Finding(Superclass.NORM, 0.05, 0.62, Presence.ABSENT)
    findings = tuple(
        Finding(s, probability, 0.62, presence) if s is Superclass.MI else replace(quiet, superclass=s)
        for s in Superclass
    )
    return Verdict(DEVICE, 7, round(second * 500), at(second - 10), "m1", at(second), historic, findings)


OF_THE_LEAD = (Indeterminate.UNKNOWN_LEAD, Indeterminate.INVERTED)


def no_findings(second: float, reason: Indeterminate, p_af: float) -> Verdict:
    values = {Rhythm.AF: p_af, Rhythm.NORMAL: 1 - p_af}
    rhythm = tuple(RhythmFinding(r, values.get(r, 0.0), 0.4 if r is Rhythm.AF else None) for r in Rhythm)
    place = round(second * 500)
    verdict = Verdict(
        DEVICE, 7, place, at(second - 10), "m1", at(second), historic=False, indeterminate=reason
    )
    return replace(verdict, rhythm=rhythm)


def kinds(alarms: list[Alarm]) -> list[AlarmKind]:
    return [alarm.kind for alarm in alarms]


def is_news(alarm: Alarm, said: list[Alarm]) -> bool:
    """True when it is more than new words of the alarm before it."""
    place = said.index(alarm)
    return is_transition(said[place - 1] if place else None, alarm)


def rate(bpm: float) -> Vitals:
    return structs.replace(GOOD, heart_rate_bpm=bpm)


LEAD_OFF = structs.replace(GOOD, signal=SignalState.LEAD_OFF, heart_rate_bpm=None)
NOISY = structs.replace(GOOD, signal=SignalState.NOISY, heart_rate_bpm=None)
