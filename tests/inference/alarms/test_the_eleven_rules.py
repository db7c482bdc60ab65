"""Docs' alarm page, one test a rule, each told whole; test_rules.py has the corners."""

import pytest
from msgspec.structs import replace

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.events import ChannelStatus, SetPause
from inference.alarms.limits import OwnLimits, SetLimits
from inference.alarms.observed import Observed
from inference.alarms.rules import LATCHING
from inference.alarms.technical import read_battery
from ingest.vitals import SignalState
from tests.inference.alarms.ward import DEVICE, GOOD, LEAD_OFF, NOISY, Ward, at, is_news, kinds, rate

ON, ACK, LATCHED, OFF = AlarmState.ON, AlarmState.ACK, AlarmState.LATCHED, AlarmState.OFF
HIGH, MEDIUM, LOW = AlarmPriority.HIGH, AlarmPriority.MEDIUM, AlarmPriority.LOW


def news(ward: Ward, kind: AlarmKind) -> list[Alarm]:
    """The transitions of one kind."""
    said = [alarm for alarm in ward.said if alarm.kind is kind]
    return [alarm for alarm in said if is_news(alarm, said)]


def test_rule_1_three_queues_and_a_technical_alarm_suppresses_rate_and_model_alarms_of_its_lead() -> None:
    ward = Ward()
    for _ in range(2):
        ward.decide(0.9)
    ward.watch(10, LEAD_OFF)
    assert ward.decide(0.9) == []
    ward.second -= 10  # vitals go on while verdicts come
    assert kinds(ward.watch(3, rate(180))) == []  # the alarm of the lead is still on
    ward.watch(10, rate(180))
    ward.decide(0.9)
    assert {(a.kind, a.queue) for a in ward.said} == {
        (AlarmKind.LEAD_OFF, AlarmQueue.TECHNICAL),
        (AlarmKind.EXTREME_RATE, AlarmQueue.PHYSIOLOGICAL),
        (AlarmKind.RATE_LIMIT, AlarmQueue.PHYSIOLOGICAL),
        (AlarmKind.FINDING_MI, AlarmQueue.ADVISORY),
    }


def test_rule_2_asystole_after_4_s_without_a_beat_with_the_lead_on_and_the_signal_good() -> None:
    ward = Ward()
    ward.watch(20)
    last_beat_us = at(ward.second - 1) - 400_000
    ward.stop_heart(8)
    (raised,) = news(ward, AlarmKind.ASYSTOLE)
    assert (raised.priority, raised.state) == (HIGH, ON)
    assert 4_000_000 <= raised.at_us - last_beat_us < 10_000_000
    assert AlarmKind.ASYSTOLE in LATCHING
    for signal in set(SignalState) - {SignalState.GOOD}:
        blind = Ward()
        blind.watch(20)
        for silent_s in range(1, 9):
            blind.watch(1, replace(GOOD, signal=signal, since_beat_s=float(silent_s), heart_rate_bpm=None))
        assert AlarmKind.ASYSTOLE not in kinds(blind.said)


@pytest.mark.parametrize(
    ("bpm", "kind", "priority", "after"),
    [
        (39.0, AlarmKind.EXTREME_RATE, HIGH, LATCHED),
        (151.0, AlarmKind.EXTREME_RATE, HIGH, LATCHED),
        (49.0, AlarmKind.RATE_LIMIT, MEDIUM, OFF),
        (121.0, AlarmKind.RATE_LIMIT, MEDIUM, OFF),
    ],
)
def test_rule_3_rates_alarm_without_delay_and_end_after_3_s_inside_by_3_bpm(
    bpm: float, kind: AlarmKind, priority: AlarmPriority, after: AlarmState
) -> None:
    ward = Ward()
    ward.watch(1, rate(bpm))
    (raised,) = news(ward, kind)
    assert (raised.priority, raised.at_us) == (priority, at(0))
    low, high = ward.engine.limits.of(DEVICE).of(kind)
    not_quite = low + 2.9 if bpm < low else high - 2.9
    ward.watch(60, rate(not_quite))
    assert ward.state(kind) is ON
    inside = low + 3 if bpm < low else high - 3
    ward.watch(3, rate(inside))
    assert ward.state(kind) is ON
    ward.watch(1, rate(inside))
    assert ward.state(kind) is after
    own = Ward()  # limits are the patient's, and count from the next vitals on
    own.watch(2, rate(bpm))
    wide = OwnLimits(
        rate_low_bpm=35.0, rate_high_bpm=155.0, rate_extreme_low_bpm=35.0, rate_extreme_high_bpm=155.0
    )
    own.push(SetLimits(DEVICE, wide, "Ada", at(own.second)))
    assert own.state(kind) is ON
    own.watch(5, rate(bpm))
    assert own.state(kind) is after


@pytest.mark.parametrize("signal", [SignalState.LEAD_OFF, SignalState.FLAT, SignalState.SATURATED])
def test_rule_4_lead_and_signal_are_low_within_5_s_medium_after_30_s_and_flaps_raise_nothing_new(
    signal: SignalState,
) -> None:
    kind = AlarmKind.LEAD_OFF if signal is SignalState.LEAD_OFF else AlarmKind.SIGNAL
    poor = replace(LEAD_OFF, signal=signal)
    ward = Ward()
    ward.watch(5)
    ward.watch(40, poor)
    low, medium = news(ward, kind)
    assert (low.priority, medium.priority) == (LOW, MEDIUM)
    began_us = at(5) - (2_000_000 if signal is SignalState.FLAT else 0)  # flat is a constant for 2 s
    assert low.at_us - began_us <= 4_000_000  # the record itself may be a second late
    assert 30_000_000 <= medium.at_us - began_us < 31_000_000
    for _ in range(10):
        ward.watch(4)
        ward.watch(4, poor)
    assert len(news(ward, kind)) == 2


def test_rule_5_no_data_and_battery_and_late_data_raises_no_live_alarm() -> None:
    ward = Ward()
    ward.watch(1)
    ward.fall_silent(65)
    low, medium = news(ward, AlarmKind.NO_DATA)
    assert (low.priority, low.at_us) == (LOW, at(10))
    assert (medium.priority, medium.at_us) == (MEDIUM, at(60))
    charged = Ward()
    assert kinds(charged.watch(2, replace(GOOD, battery=21))) == []
    said = charged.watch(1, replace(GOOD, battery=20)) + charged.watch(1, replace(GOOD, battery=5))
    assert [(a.kind, a.priority) for a in said] == [(AlarmKind.BATTERY, LOW), (AlarmKind.BATTERY, MEDIUM)]
    assert read_battery(Observed(battery=None), at(0)) is None  # where the device reports none
    late = Ward()
    assert [late.decide(0.99, historic=True) for _ in range(5)] == [[]] * 5


def test_rule_6_a_finding_needs_3_of_5_good_windows_and_ends_after_3_of_5_below() -> None:
    ward = Ward()
    for p in (0.9, 0.2, 0.9, 0.2, 0.9, 0.9, 0.2, 0.9, 0.2, 0.2):
        ward.decide(p)
    on, off = news(ward, AlarmKind.FINDING_MI)
    assert (on.state, on.priority, on.text) == (
        ON,
        AlarmPriority.ADVISORY,
        "MI 3 of 5 windows, p 0.90 ≥ 0.62",
    )
    assert (off.state, off.text) == (OFF, "MI over: 3 of 5 windows against it, p 0.20")
    for p in (0.9, 0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1):
        ward.hear(p)
    assert [a.state for a in news(ward, AlarmKind.AF)] == [ON, OFF]


def test_rule_7_one_alarm_per_patient_and_kind_whose_text_carries_value_and_limit() -> None:
    ward = Ward()
    ward.watch(1, rate(160))
    ward.watch(5)
    ward.watch(3, rate(171))
    ward.watch(1, rate(165))
    (alarm,) = [a for a in ward.engine.active() if a.kind is AlarmKind.EXTREME_RATE]
    assert (alarm.text, alarm.count, alarm.peak) == ("HR 165 > 150", 2, 171.0)
    assert alarm.since_us == at(0)


def test_rule_8_acknowledge_stops_one_sound_and_pause_all_for_120_s() -> None:
    ward = Ward()
    ward.watch(1, rate(170))
    ward.acknowledge(AlarmKind.RATE_LIMIT)
    sounding = {a.kind: a.sounding for a in ward.engine.active()}
    assert sounding == {AlarmKind.EXTREME_RATE: True, AlarmKind.RATE_LIMIT: False}
    ward.watch(185, rate(170))
    assert [a.state for a in news(ward, AlarmKind.RATE_LIMIT)][-2:] == [ACK, ON]  # heard again after 3 min
    other = Ward()
    other.watch(1, replace(GOOD, battery=4))  # medium
    (quiet,) = other.push(SetPause(is_on=True, who="Ada", at_us=at(1)))
    assert (quiet.state, quiet.sounding) == (ON, False)
    other.watch(1, rate(130))
    other.stop_heart(5)
    assert {a.kind: a.sounding for a in other.said} == {  # more urgent than what was paused
        AlarmKind.BATTERY: False,
        AlarmKind.RATE_LIMIT: False,
        AlarmKind.ASYSTOLE: True,
    }
    other.second = 121
    other.watch(1)
    assert all(a.sounding for a in other.engine.active())


def test_rule_9_high_is_passed_on_after_60_s_medium_after_180_s_and_a_failing_channel_is_an_alarm() -> None:
    ward = Ward()
    ward.watch(200, rate(170))
    assert [(a.at_us, a.escalation) for a in news(ward, AlarmKind.EXTREME_RATE)] == [
        (at(0), 0),
        (at(60), 1),
        (at(120), 2),
        (at(180), 3),
    ]
    assert [(a.at_us, a.escalation) for a in news(ward, AlarmKind.RATE_LIMIT)] == [(at(0), 0), (at(180), 1)]
    (raised,) = ward.push(ChannelStatus("mail", is_working=False, reason="refused", at_us=at(200)))
    assert (raised.kind, raised.queue, raised.priority) == (AlarmKind.NOTIFIER, AlarmQueue.TECHNICAL, MEDIUM)


def test_rule_10_a_transition_tells_who_when_limits_model_and_place() -> None:
    ward = Ward()
    ward.push(SetLimits("ward", OwnLimits(rate_high_bpm=130), "Ada", at(0)))
    ward.watch(1, replace(rate(140), last_sample=500))
    ward.acknowledge(AlarmKind.RATE_LIMIT, "Bob")
    on, ack = news(ward, AlarmKind.RATE_LIMIT)
    assert (on.who, on.at_us, on.limits_bpm) == (None, at(0), (40.0, 50.0, 130.0, 150.0))
    assert (ack.who, ack.at_us, ack.limits_bpm) == ("Bob", at(1), (40.0, 50.0, 130.0, 150.0))
    assert (ack.session, ack.sample) == (7, 500)
    for _ in range(3):
        ward.decide(0.9)
    assert [a.model for a in news(ward, AlarmKind.FINDING_MI)] == ["m1"]


def test_rule_11_a_latching_alarm_stays_until_it_is_acknowledged() -> None:
    ward = Ward()
    ward.watch(10)
    ward.stop_heart(6)
    ward.watch(600)
    assert ward.state(AlarmKind.ASYSTOLE) is LATCHED
    assert {a.sounding for a in ward.engine.active()} == {True}
    ward.watch(60, NOISY)
    ward.fall_silent(30)
    assert ward.state(AlarmKind.ASYSTOLE) is LATCHED
    ward.acknowledge(AlarmKind.ASYSTOLE, "Ada")
    states = [a.state for a in news(ward, AlarmKind.ASYSTOLE)]
    assert (states[0], states[-1], set(states[1:-1])) == (ON, OFF, {LATCHED})
    assert news(ward, AlarmKind.ASYSTOLE)[-1].who == "Ada"
