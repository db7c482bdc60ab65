"""Pause all: 120 s, only sound, and what is more urgent breaks through."""

from dataclasses import replace
from itertools import product

import pytest

from inference.alarms.alarm import URGENCY, Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.events import SetPause, Tick
from inference.alarms.pause import PAUSE_US, Pause, begin_pause, is_sounding
from tests.inference.alarms.ward import DEVICE, Ward, at, rate

ALARM = Alarm(
    DEVICE, AlarmKind.LEAD_OFF, AlarmQueue.TECHNICAL, AlarmPriority.LOW, AlarmState.ON, "Lead off 4 s", 0, 0
)
HEARD = (AlarmPriority.LOW, AlarmPriority.MEDIUM, AlarmPriority.HIGH)


@pytest.mark.parametrize(("before", "now"), list(product(HEARD, HEARD)))
def test_only_what_is_more_urgent_than_all_that_sounded_breaks_through(
    before: AlarmPriority, now: AlarmPriority
) -> None:
    pause = begin_pause([ALARM, replace(ALARM, priority=before)], "Ada", 0)
    assert is_sounding(replace(ALARM, priority=now), pause) is (URGENCY[now] > URGENCY[before])


def test_with_nothing_on_everything_new_sounds() -> None:
    acknowledged = replace(ALARM, priority=AlarmPriority.HIGH, state=AlarmState.ACK)
    assert is_sounding(ALARM, begin_pause([acknowledged], "Ada", 0))


@pytest.mark.parametrize("state", list(AlarmState))
def test_without_a_pause_what_nobody_acknowledged_sounds(state: AlarmState) -> None:
    is_unseen = state in {AlarmState.ON, AlarmState.LATCHED}
    assert is_sounding(replace(ALARM, state=state), None) is is_unseen
    assert not is_sounding(replace(ALARM, state=state, queue=AlarmQueue.ADVISORY), None)


def test_a_pause_ends_after_120_s_and_a_clock_set_back_does_not_prolong_it() -> None:
    pause = Pause(PAUSE_US, "Ada", AlarmPriority.HIGH)
    assert pause.at(PAUSE_US - 1) == pause
    assert pause.at(PAUSE_US) is None
    assert pause.at(-3_600_000_000) == replace(pause, until_us=PAUSE_US - 3_600_000_000)


def test_a_pause_hides_nothing_and_holds_up_no_escalation() -> None:
    quiet, loud = Ward(), Ward()
    for ward in (quiet, loud):
        ward.watch(1, rate(170))
    quiet.push(SetPause(is_on=True, who="Ada", at_us=at(1)))
    for ward in (quiet, loud):
        ward.watch(100, rate(170))
        ward.watch(20)
    same = [replace(alarm, sounding=True) for alarm in quiet.engine.active()]
    assert same == loud.engine.active()
    assert not any(alarm.sounding for alarm in quiet.engine.active())
    said = quiet.push(Tick(at(121)))
    assert {alarm.kind for alarm in said if alarm.sounding} == {AlarmKind.EXTREME_RATE}


def test_a_repeated_request_says_nothing_new() -> None:
    ward = Ward()
    ward.watch(1, rate(130))
    request = SetPause(is_on=True, who="Ada", at_us=at(1))
    assert len(ward.push(request)) == 1
    assert ward.push(request) == []
    ward.push(Tick(at(2)))
    assert ward.push(Tick(at(2))) == []
