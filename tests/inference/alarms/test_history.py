"""What is told of past alarms is what was logged of them: each episode once, by its newest state."""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.history import Wanted, episode_of, past_episodes, transitions_of
from inference.alarms.records import Transition, save_alarms
from ingest.store.schema import open_store

S = 1_000_000
ON, LATCHED, ACK, OFF = AlarmState.ON, AlarmState.LATCHED, AlarmState.ACK, AlarmState.OFF
HIGH, MEDIUM, LOW = AlarmPriority.HIGH, AlarmPriority.MEDIUM, AlarmPriority.LOW


def alarm(
    state: AlarmState = ON,
    at_s: float = 1.0,
    *,
    device: str = "w/a",
    kind: AlarmKind = AlarmKind.ASYSTOLE,
    priority: AlarmPriority = HIGH,
    since_s: int = 0,
    who: str | None = None,
) -> Alarm:
    return Alarm(
        device,
        kind,
        AlarmQueue.PHYSIOLOGICAL,
        priority,
        state,
        f"words at {at_s:g} s",
        since_s * S,
        round(at_s * S),
        who=who,
    )


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url)
    yield engine
    engine.dispose()


def test_an_episode_is_told_once_with_its_newest_words_and_whoever_saw_it(engine: Engine) -> None:
    again = replace(alarm(ON, 20), count=2, peak=9.0, escalation=1)
    log = [alarm(), alarm(LATCHED, 8), again, alarm(ACK, 25, who="A. B."), replace(alarm(OFF, 31), count=2)]
    save_alarms(engine, log, {})
    (told,) = past_episodes(engine, Wanted())
    assert (told.state, told.text, told.who) == (OFF, "words at 31 s", "A. B.")
    assert (told.since_us, told.ended_us) == (0, 31 * S)
    assert (told.count, told.peak, told.escalation) == (2, 9.0, 1)
    assert [each.state for each in transitions_of(engine, "w/a", AlarmKind.ASYSTOLE, 0)] == [
        ON, LATCHED, ON, ACK, OFF
    ]  # fmt: skip
    assert transitions_of(engine, "w/a", AlarmKind.ASYSTOLE, 1) == []


@pytest.mark.parametrize(
    ("states", "ended_s"),
    [
        ([ON], None),
        ([ON, ACK], None),
        ([ON, OFF], 1),
        ([ON, LATCHED, OFF], 1),  # the condition ended when it was latched, not when it was seen
        ([ON, LATCHED, ON], None),
        ([ON, LATCHED, ON, LATCHED, OFF], 3),
    ],
)
def test_a_condition_lasts_until_it_was_last_there(states: list[AlarmState], ended_s: int | None) -> None:
    log = [alarm(state, at_s) for at_s, state in enumerate(states)]
    transitions = [logged(each) for each in log]
    told = episode_of(transitions)
    assert told.ended_us == (None if ended_s is None else ended_s * S)


def logged(each: Alarm) -> Transition:
    return Transition(
        each.device,
        each.kind,
        each.at_us,
        each.state,
        each.priority,
        each.text,
        each.since_us,
        each.who,
        None,
    )


def test_every_filter_keeps_exactly_what_it_names(engine: Engine) -> None:
    rng = random.Random(5)
    newest: dict[tuple[str, AlarmKind, int], Alarm] = {}
    log = []
    for at_s in range(300):
        each = alarm(
            rng.choice([ON, LATCHED, ACK, OFF]),
            at_s,
            device=rng.choice(["w/a", "w/b"]),
            kind=rng.choice([AlarmKind.ASYSTOLE, AlarmKind.NO_DATA]),
            priority=rng.choice([HIGH, MEDIUM, LOW]),
            since_s=rng.randrange(10),
        )
        log.append(each)
        newest[each.device, each.kind, each.since_us] = each
    save_alarms(engine, log, {})
    for wanted in (
        Wanted(),
        Wanted(from_us=5 * S),
        Wanted(device="w/a"),
        Wanted(kind=AlarmKind.NO_DATA, state=OFF),
        Wanted(priority=HIGH, from_us=3 * S, device="w/b"),
    ):
        told = past_episodes(engine, wanted)
        expected = {
            place
            for place, each in newest.items()
            if each.since_us >= wanted.from_us
            and wanted.device in (None, each.device)
            and wanted.kind in (None, each.kind)
            and wanted.priority in (None, each.priority)
            and wanted.state in (None, each.state)
        }
        assert {(each.device, each.kind, each.since_us) for each in told} == expected
        assert [each.since_us for each in told] == sorted((each.since_us for each in told), reverse=True)
    assert past_episodes(engine, Wanted(), most=3) == past_episodes(engine, Wanted())[:3]
