"""Random wards against a reference that does not know the engine; it also catches engines with a bug."""

from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import islice

import pytest

from inference.alarms.alarm import AlarmKind, AlarmState
from inference.alarms.engine import AlarmEngine
from inference.alarms.events import SetPause
from inference.alarms.limits import LimitsError
from inference.alarms.rules import BLINDING, LATCHING, Limits
from tests.inference.alarms.engines_with_bugs import BUGS
from tests.inference.alarms.random_ward import RandomWard
from tests.inference.alarms.reference import Reference, ViolationError

STEPS = 2_000
SEEDS = (*range(6), 10, 18)  # in every run; the last two reach a medium alarm of 180 s
BUG_SEEDS = range(20)  # each bug shows in one of the first three
SLOW_SEEDS = range(100, 160)  # with these more than 100,000 steps


def check(seed: int, kind: type[AlarmEngine] = AlarmEngine) -> Counter[str]:
    """Let a random ward happen to an engine; what happened, by name. Raises ViolationError."""
    ward, reference, happened = RandomWard(seed), Reference(), Counter[str]()
    engine, unpaused = kind(Limits()), kind(Limits())
    for label, event in islice(ward.events(), STEPS):
        happened[label] += 1
        if event is None:
            memory, engine = engine.snapshot(), kind(Limits())
            engine.restore(memory)
            reference.nothing_changed([], engine.active())
            continue
        try:
            said = engine.push(event)
        except LimitsError:
            happened["refused limits"] += 1
            reference.nothing_changed([], engine.active())
            continue
        if label == "again":
            reference.nothing_changed(said, engine.active())
            continue
        reference.check(event, said, engine.active())
        if not isinstance(event, SetPause):
            unpaused.push(event)
        _hides_nothing(engine, unpaused)
        ward.seen_us = {key: alarm.since_us for key, alarm in reference.alarms.items()}
        happened.update(f"{alarm.kind} {alarm.state} {alarm.escalation}" for alarm in said)
        happened["quiet"] += any(not a.sounding and a.state is AlarmState.ON for a in said)
    return happened


happened_in = cache(check)


def _hides_nothing(engine: AlarmEngine, unpaused: AlarmEngine) -> None:
    shown = [replace(alarm, sounding=True) for alarm in engine.active()]
    if shown != [replace(alarm, sounding=True) for alarm in unpaused.active()]:
        raise ViolationError("a pause hides nothing")


@pytest.mark.parametrize("seed", SEEDS)
def test_the_laws_hold_in_random_wards(seed: int) -> None:
    happened_in(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW_SEEDS)
def test_the_laws_hold_in_120_000_more_steps(seed: int) -> None:
    assert len(SLOW_SEEDS) * STEPS >= 100_000
    check(seed)


def test_random_wards_reach_what_the_laws_are_about() -> None:
    happened = sum((happened_in(seed) for seed in SEEDS), Counter[str]())
    expected = {"new", "again", "restart", "refused limits", "quiet"}
    expected |= {f"{kind} {state} 0" for kind in LATCHING for state in AlarmState}
    expected |= {f"{kind} on 0" for kind in (*BLINDING, AlarmKind.BATTERY, AlarmKind.FINDING_MI)}
    expected |= {f"{kind} ack 0" for kind in (AlarmKind.NOTIFIER, AlarmKind.SERVICE, AlarmKind.RATE_LIMIT)}
    expected |= {"asystole on 1", "asystole latched 3", "extreme_rate latched 1"}
    assert expected - happened.keys() == set()
    assert any(f"{kind} on 1" in happened for kind in set(AlarmKind) - LATCHING)  # medium, after 180 s


@pytest.mark.parametrize("bug", BUGS)
def test_an_engine_with_a_bug_is_caught(bug: type[AlarmEngine]) -> None:
    with pytest.raises(ViolationError):
        _ = [check(seed, bug) for seed in BUG_SEEDS]
