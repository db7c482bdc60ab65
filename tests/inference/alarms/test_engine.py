"""Laws that hold over any stream of events, whatever the rules are."""

import random
from collections.abc import Iterator

import msgspec
import pytest
from msgspec.structs import replace

from inference.alarms.alarm import URGENCY, Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.engine import AlarmEngine
from inference.alarms.events import Acknowledge, ChannelStatus, DeviceEvent, DeviceStatus, ServiceStatus, Tick
from inference.alarms.limits import OwnLimits, SetLimits
from inference.alarms.rules import ADVISORY, LATCHING, Limits
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

START_US = 1_790_000_000_000_000
DEVICES = ("ward/bed-1", "ward/bed-2", "home/anna")
SEEDS = range(20)
STEPS = 1_000

# Rule 11, drawn: from -> to. An alarm that stays in its state changes words, priority or count only.
DRAWN = {
    (AlarmState.OFF, AlarmState.ON),
    (AlarmState.ON, AlarmState.ACK),
    (AlarmState.ON, AlarmState.LATCHED),
    (AlarmState.ON, AlarmState.OFF),
    (AlarmState.ACK, AlarmState.OFF),
    (AlarmState.ACK, AlarmState.ON),
    (AlarmState.LATCHED, AlarmState.ON),
    (AlarmState.LATCHED, AlarmState.OFF),
    (AlarmState.ON, AlarmState.ON),
    (AlarmState.ACK, AlarmState.ACK),
    (AlarmState.LATCHED, AlarmState.LATCHED),  # passed on
}


class Life:
    """A random but believable stream: patients whose state of health and signal lasts for a while."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.at_us = START_US
        self.vitals = {d: Vitals(d, 1, START_US, 0, 72.0, 0.4, SignalState.GOOD) for d in DEVICES}

    def events(self, steps: int) -> Iterator[DeviceEvent | Tick]:
        for _ in range(steps):
            self.at_us += self.rng.choice((100_000, 500_000, 1_000_000, 1_000_000, 5_000_000))
            yield self._next()

    def _next(self) -> DeviceEvent | Tick:
        device = self.rng.choice(DEVICES)
        match self.rng.random():
            case p if p < 0.72:
                return self._vitals(device)
            case p if p < 0.82:
                return Tick(self.at_us)
            case p if p < 0.92:
                return self._verdict(device)
            case p if p < 0.96:
                return Acknowledge(device, self.rng.choice(list(AlarmKind)), "Ada", self.at_us)
            case p if p < 0.98:
                return self._own_part()
        battery = self.rng.choice((None, 3, 5, 19, 21, 80))
        return DeviceStatus(device, self.rng.random() < 0.5, battery, self.at_us)

    def _own_part(self) -> DeviceEvent:
        is_well = self.rng.random() < 0.6
        if self.rng.random() < 0.3:
            return ServiceStatus("ingest", is_well, self.at_us)
        return ChannelStatus("ntfy", is_well, None if is_well else "no route", self.at_us)

    def _vitals(self, device: str) -> Vitals:
        vitals = self.vitals[device]
        if self.rng.random() < 0.15:
            signal = self.rng.choice([SignalState.GOOD] * 6 + list(SignalState))
            rate = self.rng.choice((None, 30.0, 45.0, 72.0, 118.0, 121.0, 149.0, 155.0, 190.0))
            silent = self.rng.choice((None, 0.3, 0.5, 0.7, 4.0, 9.0))
            age = self.rng.choice((0.1, 0.2, 0.3, 6.0, 12.0))
            session = self.rng.choice((1, 1, 1, 2))
            vitals = replace(
                vitals,
                signal=signal,
                heart_rate_bpm=rate,
                since_beat_s=silent,
                data_age_s=age,
                session=session,
            )
        self.vitals[device] = replace(vitals, at_us=self.at_us)
        return self.vitals[device]

    def _verdict(self, device: str) -> Verdict:
        findings = tuple(self._finding(superclass) for superclass in Superclass)
        reason = self.rng.choice(list(Indeterminate)) if self.rng.random() < 0.1 else None
        historic = self.rng.random() < 0.1
        place = (device, 1, self.at_us // 1000, self.at_us, "m1", self.at_us, historic)
        return Verdict(*place, () if reason else findings, reason, self._rhythm())

    def _finding(self, superclass: Superclass) -> Finding:
        said = [(0.2, Presence.ABSENT), (0.7, Presence.PRESENT), (0.6, Presence.UNCERTAIN)]
        probability, presence = self.rng.choices(said, (4, 4, 1))[0]
        return Finding(superclass, probability, 0.5, presence)

    def _rhythm(self) -> tuple[RhythmFinding, ...]:
        if self.rng.random() < 0.2:  # no rhythm network read the window
            return ()
        p_af = self.rng.choice((0.1, 0.1, 0.45, 0.8, 0.8))
        rest = {Rhythm.NORMAL: 0.8 * (1 - p_af), Rhythm.OTHER: 0.2 * (1 - p_af), Rhythm.NOISY: 0.0}
        values = {Rhythm.AF: p_af} | rest
        return tuple(RhythmFinding(r, values[r], 0.4 if r is Rhythm.AF else None) for r in Rhythm)


def engine() -> AlarmEngine:
    alarms = AlarmEngine(Limits())
    alarms.push(SetLimits("home/anna", OwnLimits(rate_high_bpm=110.0), "Ada", START_US))
    return alarms


@pytest.mark.parametrize("seed", SEEDS)
def test_states_change_only_as_drawn_and_a_high_alarm_is_off_only_after_a_person_saw_it(seed: int) -> None:
    alarms, states, seen = engine(), dict[tuple[str, AlarmKind], Alarm](), set[tuple[str, AlarmKind]]()
    for event in Life(seed).events(STEPS):
        for alarm in alarms.push(event):
            key = (alarm.device, alarm.kind)
            before = states[key].state if key in states else AlarmState.OFF
            assert (before, alarm.state) in DRAWN
            if (before, alarm.state) == (AlarmState.OFF, AlarmState.ON):
                seen.discard(key)
            if isinstance(event, Acknowledge):
                seen.add(key)
            if alarm.state is AlarmState.OFF and alarm.kind in LATCHING:
                assert key in seen
                assert alarm.who == "Ada"
            states[key] = alarm
        assert {(a.device, a.kind) for a in alarms.active()} == {
            key for key, alarm in states.items() if alarm.state is not AlarmState.OFF
        }
        assert len({(a.device, a.kind) for a in alarms.active()}) == len(alarms.active())


def test_the_random_lives_reach_every_drawn_change_and_every_kind() -> None:
    changes, kinds, states = set(), set(), dict[tuple[str, AlarmKind], AlarmState]()
    for seed in SEEDS:
        alarms = engine()
        states.clear()
        for event in Life(seed).events(STEPS):
            for alarm in alarms.push(event):
                key = (alarm.device, alarm.kind)
                changes.add((states.get(key, AlarmState.OFF), alarm.state))
                states[key] = alarm.state
                kinds.add(alarm.kind)
    assert changes == DRAWN
    assert kinds == set(AlarmKind)


@pytest.mark.parametrize("seed", SEEDS)
def test_repeated_events_change_nothing(seed: int) -> None:
    once, twice, rng = engine(), engine(), random.Random(seed)
    recent: list[Vitals | Verdict] = []
    for event in Life(seed).events(STEPS):
        assert twice.push(event) == once.push(event)
        assert twice.push(event) == []
        if isinstance(event, Vitals | Verdict):  # these can come again much later
            recent = [*recent, event][-9:]
        if recent:
            assert twice.push(rng.choice(recent)) == []
        assert twice.snapshot() == once.snapshot()


@pytest.mark.parametrize("seed", SEEDS)
def test_restored_at_any_cut_it_continues_identically(seed: int) -> None:
    events = list(Life(seed).events(STEPS))
    whole = engine()
    expected = [whole.push(event) for event in events]
    cuts = set(random.Random(seed).sample(range(STEPS), 50))
    alarms = engine()
    for place, (event, said) in enumerate(zip(events, expected, strict=True)):
        if place in cuts:
            memory = alarms.snapshot()
            alarms = engine()
            alarms.restore(memory)
        assert alarms.push(event) == said
    assert alarms.snapshot() == whole.snapshot()


@pytest.mark.parametrize("seed", SEEDS)
def test_devices_do_not_influence_each_other(seed: int) -> None:
    events = list(Life(seed).events(STEPS))
    together = engine()
    said = [alarm for event in events for alarm in together.push(event)]
    for device in DEVICES:
        alone = engine()
        own = [e for e in events if isinstance(e, Tick) or e.device == device]
        assert [a for e in own for a in alone.push(e)] == [a for a in said if a.device == device]


def test_events_are_not_changed() -> None:
    alarms = engine()
    for event in Life(1).events(STEPS):
        before = msgspec.json.encode(event)
        alarms.push(event)
        assert msgspec.json.encode(event) == before


def test_within_an_episode_the_priority_never_falls() -> None:
    for seed in SEEDS:
        alarms, priority = engine(), dict[tuple[str, AlarmKind], AlarmPriority]()
        for event in Life(seed).events(STEPS):
            for alarm in alarms.push(event):
                key = (alarm.device, alarm.kind)
                assert URGENCY[alarm.priority] >= URGENCY[priority.get(key, AlarmPriority.ADVISORY)]
                priority[key] = alarm.priority
                if alarm.state is AlarmState.OFF:
                    del priority[key]


def test_findings_alone_are_advisory_and_name_their_model() -> None:
    alarms = engine()
    for event in Life(3).events(STEPS):
        for alarm in alarms.push(event):
            assert (alarm.queue is AlarmQueue.ADVISORY) == (alarm.kind in ADVISORY)
            assert (alarm.model == "m1") == (alarm.kind in ADVISORY)


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_an_advisory_alarm_rests_on_3_of_the_last_5_windows_that_passed_quality(seed: int) -> None:
    alarms, is_on = engine(), set[tuple[str, AlarmKind]]()
    votes, rhythm_votes = dict[str, list[Verdict]](), dict[str, list[Verdict]]()
    for event in Life(seed).events(STEPS):
        said = alarms.push(event)
        if isinstance(event, Verdict) and not event.historic and event.indeterminate is None:
            votes[event.device] = [*votes.get(event.device, []), event][-5:]
        if (
            isinstance(event, Verdict)
            and not event.historic
            and event.rhythm
            and event.indeterminate in READABLE
        ):
            rhythm_votes[event.device] = [*rhythm_votes.get(event.device, []), event][-5:]
        for alarm in (a for a in said if a.kind in ADVISORY):
            key = (alarm.device, alarm.kind)
            last = (rhythm_votes if alarm.kind is AlarmKind.AF else votes)[alarm.device]
            if alarm.state is AlarmState.ON and key not in is_on:
                assert sum(agrees(v, alarm.kind) for v in last) >= 3
            if alarm.state is AlarmState.OFF:
                assert sum(denies(v, alarm.kind) for v in last) >= 3
            (is_on.discard if alarm.state is AlarmState.OFF else is_on.add)(key)


READABLE = (None, Indeterminate.UNKNOWN_LEAD, Indeterminate.INVERTED)  # reasons that leave the rhythm alone


def agrees(verdict: Verdict, kind: AlarmKind) -> bool:
    """Rule 6 of one window, written down once more."""
    if kind is AlarmKind.AF:
        by_rhythm = {found.rhythm: found.probability for found in verdict.rhythm}
        return (
            bool(by_rhythm)
            and max(by_rhythm, key=by_rhythm.__getitem__) is Rhythm.AF
            and by_rhythm[Rhythm.AF] >= 0.4
        )
    (found,) = (f for f in verdict.findings if kind == f"finding_{f.superclass.lower()}")
    return found.presence is Presence.PRESENT and found.probability >= 0.5


def denies(verdict: Verdict, kind: AlarmKind) -> bool:
    """Below the limit; an uncertain window says nothing, nor does one without a rhythm."""
    if kind is AlarmKind.AF:
        return bool(verdict.rhythm) and not agrees(verdict, kind)
    (found,) = (f for f in verdict.findings if kind == f"finding_{f.superclass.lower()}")
    return found.probability < 0.5


def test_a_clock_that_was_set_back_does_not_deafen_the_engine() -> None:
    alarms = engine()
    vitals = Vitals("ward/bed-1", 1, START_US, 0, 72.0, 0.4, SignalState.GOOD)
    alarms.push(vitals)
    hour_ago = replace(vitals, at_us=START_US - 3_600_000_000, heart_rate_bpm=170.0)
    said = alarms.push(hour_ago)
    assert [a.kind for a in said] == [AlarmKind.EXTREME_RATE, AlarmKind.RATE_LIMIT]
    silent = alarms.push(Tick(hour_ago.at_us + 11_000_000))
    assert AlarmKind.NO_DATA in [a.kind for a in silent]


def test_a_memory_that_is_not_one_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        engine().restore({"ward/bed-1": b'{"seen":5}'})


def test_a_clock_set_back_by_seconds_delays_no_alarm_while_samples_go_on() -> None:
    alarms = engine()
    vitals = Vitals("ward/bed-1", 1, START_US, 500, 72.0, 0.4, SignalState.GOOD)
    alarms.push(vitals)
    moment_ago = replace(vitals, at_us=START_US - 30_000_000, last_sample=1000, heart_rate_bpm=170.0)
    said = alarms.push(moment_ago)
    assert [a.kind for a in said] == [AlarmKind.EXTREME_RATE, AlarmKind.RATE_LIMIT]
    assert alarms.push(vitals) == []  # what was known before is still a repetition


def test_a_device_that_begins_anew_as_the_clock_is_set_back_by_seconds_is_heard() -> None:
    alarms = engine()
    vitals = Vitals("ward/bed-1", 1, START_US, 500, 72.0, 0.4, SignalState.GOOD)
    alarms.push(vitals)
    anew = replace(vitals, session=2, at_us=START_US - 30_000_000, last_sample=0, heart_rate_bpm=170.0)
    assert [a.kind for a in alarms.push(anew)] == [AlarmKind.EXTREME_RATE, AlarmKind.RATE_LIMIT]
    assert alarms.push(vitals) == []  # a repetition of the session before


def test_a_device_that_falls_silent_as_the_clock_is_set_back_is_missed_in_time() -> None:
    alarms = engine()
    alarms.push(Vitals("ward/bed-1", 1, START_US, 500, 72.0, 0.4, SignalState.GOOD))
    said = [a for s in range(12) for a in alarms.push(Tick(START_US - 3_600_000_000 + s * 1_000_000))]
    assert AlarmKind.NO_DATA in [a.kind for a in said]


def test_an_acknowledged_alarm_comes_back_after_3_min_though_the_clock_was_set_back() -> None:
    alarms = engine()
    vitals = Vitals("ward/bed-1", 1, START_US, 500, 134.0, 0.4, SignalState.GOOD)
    alarms.push(vitals)
    alarms.push(Acknowledge("ward/bed-1", AlarmKind.RATE_LIMIT, "Ada", START_US))
    said: list[Alarm] = []
    for second in range(1, 182):
        at_us = START_US - 3_600_000_000 + second * 1_000_000
        said += alarms.push(replace(vitals, at_us=at_us, last_sample=500 + second * 500))
    assert [a.state for a in said if a.kind is AlarmKind.RATE_LIMIT] == [AlarmState.ON]
