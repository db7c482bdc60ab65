"""Each rule of docs' alarm page, told as a stream of one-second vitals -> the alarms a person sees."""

from dataclasses import replace

import pytest
from msgspec import structs

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.events import Acknowledge, ChannelStatus, DeviceStatus, Discharge, ServiceStatus, Tick
from inference.alarms.limits import OwnLimits, SetLimits
from inference.alarms.rules import Limits, in_words
from inference.verdict import (
    Indeterminate,
    Presence,
)
from ingest.quality import Noise
from ingest.vitals import SignalState, Vitals
from tests.inference.alarms.ward import (
    DEVICE,
    GOOD,
    LEAD_OFF,
    NOISY,
    OF_THE_LEAD,
    START_US,
    Ward,
    at,
    is_news,
    kinds,
    no_findings,
    rate,
    verdict_of,
)

# --- rule 1: queues and suppression ---------------------------------------------------------------------


def test_a_healthy_patient_raises_nothing() -> None:
    assert Ward().watch(120) == []


def test_a_lead_off_alarm_suppresses_rate_alarms_of_that_lead() -> None:
    ward = Ward()
    ward.watch(5)
    ward.watch(6, LEAD_OFF)
    assert kinds(ward.watch(3, rate(180))) == []  # the lead came back, its alarm is still on
    assert AlarmKind.EXTREME_RATE in kinds(ward.watch(4, rate(180)))


def test_a_rate_limit_alarm_ends_when_the_lead_can_no_longer_be_seen() -> None:
    ward = Ward()
    ward.watch(3, rate(130))
    ward.watch(6, LEAD_OFF)
    assert ward.state(AlarmKind.RATE_LIMIT) is AlarmState.OFF


@pytest.mark.parametrize("blind", [LEAD_OFF, NOISY, structs.replace(LEAD_OFF, signal=SignalState.FLAT)])
def test_a_technical_alarm_never_clears_an_active_high_alarm(blind: Vitals) -> None:
    ward = Ward()
    ward.watch(10)
    ward.stop_heart(6)
    ward.watch(1, rate(170))  # latched, and a second one on
    ward.watch(60, blind)
    assert ward.state(AlarmKind.ASYSTOLE) is AlarmState.LATCHED
    assert ward.state(AlarmKind.EXTREME_RATE) is AlarmState.ON
    ward.fall_silent(30)
    assert ward.state(AlarmKind.ASYSTOLE) is AlarmState.LATCHED
    assert ward.state(AlarmKind.EXTREME_RATE) is AlarmState.ON


def test_a_technical_alarm_suppresses_a_new_finding() -> None:
    ward = Ward()
    ward.decide(0.9)
    ward.decide(0.9)
    ward.watch(6, LEAD_OFF)
    assert ward.decide(0.9) == []
    ward.watch(6)
    assert kinds(ward.decide(0.9)) == [AlarmKind.FINDING_MI]


def test_a_finding_that_is_on_outlasts_a_technical_alarm_as_one_episode() -> None:
    ward = Ward()
    for _ in range(3):
        ward.decide(0.9)
    said = ward.watch(20, LEAD_OFF) + ward.watch(6)
    assert set(kinds(said)) == {AlarmKind.LEAD_OFF}
    assert ward.state(AlarmKind.FINDING_MI) is AlarmState.ON


# --- rule 2: asystole -----------------------------------------------------------------------------------


def test_asystole_is_high_latching_and_presented_within_10_s_of_the_last_beat() -> None:
    ward = Ward()
    ward.watch(30)
    last_beat_us = at(ward.second - 1)
    said = ward.stop_heart(6)
    raised = said[0]
    assert (raised.kind, raised.priority) == (AlarmKind.ASYSTOLE, AlarmPriority.HIGH)
    assert (raised.queue, raised.text) == (AlarmQueue.PHYSIOLOGICAL, "ASYSTOLE 4 s")
    assert raised.at_us - last_beat_us < 10_000_000
    assert said[-1].text == "ASYSTOLE 6 s"
    assert said[-1].peak == 6.0
    assert ward.watch(1)[0].state is AlarmState.LATCHED


def test_a_pause_under_4_s_is_no_asystole() -> None:
    ward = Ward()
    ward.watch(10)
    assert ward.stop_heart(3) + ward.watch(10) == []


@pytest.mark.parametrize("signal", [s for s in SignalState if s is not SignalState.GOOD])
def test_without_a_good_signal_there_is_no_asystole(signal: SignalState) -> None:
    ward = Ward()
    ward.watch(10)
    said = ward.watch(9, structs.replace(GOOD, signal=signal, since_beat_s=9.0, heart_rate_bpm=None))
    assert AlarmKind.ASYSTOLE not in kinds(said)


def test_beats_that_nobody_could_see_do_not_count_as_silence() -> None:
    ward = Ward()
    ward.watch(10)
    ward.watch(20, LEAD_OFF)
    came_back = ward.watch(3, structs.replace(GOOD, since_beat_s=22.0, heart_rate_bpm=None))
    assert AlarmKind.ASYSTOLE not in kinds(came_back)


def test_noise_that_comes_and_goes_hides_no_asystole() -> None:
    ward = Ward()
    ward.watch(10)
    for silent in range(1, 25):
        signal = SignalState.NOISY if silent % 6 < 3 else SignalState.GOOD  # never 4 s good, never 10 s noisy
        stopped = structs.replace(GOOD, since_beat_s=float(silent), heart_rate_bpm=None, signal=signal)
        ward.watch(1, stopped)
    raised = ward.said[0]
    assert (raised.kind, raised.priority) == (AlarmKind.ASYSTOLE, AlarmPriority.HIGH)
    assert raised.at_us <= at(10 + 20)


def test_the_first_good_second_after_long_noise_is_no_asystole() -> None:
    ward = Ward()
    ward.watch(10)
    ward.watch(8, structs.replace(NOISY, since_beat_s=15.0))
    ward.watch(2, structs.replace(GOOD, since_beat_s=15.0, heart_rate_bpm=None))
    assert AlarmKind.ASYSTOLE not in kinds(ward.watch(10))


def test_old_data_is_no_asystole() -> None:
    ward = Ward()
    ward.watch(10)
    stalled = structs.replace(GOOD, since_beat_s=5.0, data_age_s=6.0)
    assert AlarmKind.ASYSTOLE not in kinds(ward.watch(3, stalled))


def test_a_new_device_without_any_beat_is_asystole_after_10_s_of_good_signal() -> None:
    ward = Ward()
    unknown = structs.replace(GOOD, since_beat_s=None, heart_rate_bpm=None)
    assert ward.watch(10, unknown) == []
    assert ward.watch(1, unknown)[0].text == "ASYSTOLE 10 s"


# --- rule 3: heart rate ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bpm", "text"), [(38.0, "HR 38 < 40"), (162.4, "HR 162 > 150"), (150.3, "HR 150.3 > 150")]
)
def test_an_extreme_rate_is_high_latching_and_immediate(bpm: float, text: str) -> None:
    ward = Ward()
    ward.watch(5)
    raised = ward.watch(1, rate(bpm))[0]
    assert (raised.kind, raised.priority, raised.text) == (AlarmKind.EXTREME_RATE, AlarmPriority.HIGH, text)
    ward.watch(10)
    assert ward.state(AlarmKind.EXTREME_RATE) is AlarmState.LATCHED


@pytest.mark.parametrize(("bpm", "text"), [(46.0, "HR 46 < 50"), (134.0, "HR 134 > 120")])
def test_a_rate_limit_is_medium_immediate_and_does_not_latch(bpm: float, text: str) -> None:
    ward = Ward()
    ward.watch(5)
    raised = ward.watch(1, rate(bpm))[0]
    assert (raised.kind, raised.priority, raised.text) == (AlarmKind.RATE_LIMIT, AlarmPriority.MEDIUM, text)
    ward.watch(10)
    assert ward.state(AlarmKind.RATE_LIMIT) is AlarmState.OFF


def test_at_its_limit_a_rate_is_not_outside() -> None:
    assert Ward().watch(5, rate(120)) + Ward().watch(5, rate(50)) == []


def test_a_rate_alarm_ends_only_after_3_s_inside_by_3_bpm() -> None:
    ward = Ward()
    ward.watch(1, rate(121))
    ward.watch(60, rate(118))  # inside, but not by 3 bpm
    assert ward.state(AlarmKind.RATE_LIMIT) is AlarmState.ON
    ward.watch(3, rate(117))  # 2 s from the first to the third
    assert ward.state(AlarmKind.RATE_LIMIT) is AlarmState.ON
    ward.watch(1, rate(117))
    assert ward.state(AlarmKind.RATE_LIMIT) is AlarmState.OFF


def test_limits_belong_to_the_patient() -> None:
    ward = Ward()
    ward.push(SetLimits(DEVICE, OwnLimits(rate_high_bpm=140), "Ada", at(0)))
    assert ward.watch(5, rate(134)) == []


def test_limits_that_cross_are_refused_with_their_values() -> None:
    with pytest.raises(ValueError, match="got 40, 50, 160, 150 bpm"):
        Limits(rate_high_bpm=160)


def test_an_unknown_rate_neither_raises_nor_ends_an_alarm() -> None:
    ward = Ward()
    ward.watch(1, rate(130))
    ward.watch(10, structs.replace(GOOD, heart_rate_bpm=None))
    assert ward.state(AlarmKind.RATE_LIMIT) is AlarmState.ON


# --- rule 4: the lead -----------------------------------------------------------------------------------


def test_lead_off_is_low_within_5_s_and_medium_after_30_s() -> None:
    ward = Ward()
    ward.watch(5)
    said = ward.watch(4, LEAD_OFF)
    assert (said[0].priority, said[0].text) == (AlarmPriority.LOW, "Lead off 3 s")
    assert said[0].queue is AlarmQueue.TECHNICAL
    said = ward.watch(27, LEAD_OFF)
    assert (said[-1].priority, said[-1].text) == (AlarmPriority.MEDIUM, "Lead off 30 s")


def test_flaps_of_the_lead_raise_nothing_new() -> None:
    ward = Ward()
    ward.watch(5)
    for _ in range(10):
        assert ward.watch(3, LEAD_OFF) + ward.watch(3) == []
    ward.watch(8, LEAD_OFF)
    for _ in range(5):
        said = ward.watch(3) + ward.watch(6, LEAD_OFF)
        assert {(a.state, a.count) for a in said} <= {(AlarmState.ON, 1)}
        assert {a.since_us for a in said} <= {ward.engine.active()[0].since_us}
    ward.watch(6)
    assert ward.state(AlarmKind.LEAD_OFF) is AlarmState.OFF


@pytest.mark.parametrize(
    ("signal", "seconds", "text"),
    [
        (SignalState.FLAT, 2, "Flat line 3 s"),  # a constant for 2 s before it is told
        (SignalState.SATURATED, 4, "Saturated 3 s"),
        (SignalState.NOISY, 11, "Noisy 10 s"),
        (SignalState.SLOW_SAMPLING, 4, "Slow sampling 3 s"),
    ],
)
def test_a_signal_that_shows_no_heart_is_a_low_technical_alarm(
    signal: SignalState, seconds: int, text: str
) -> None:
    ward = Ward()
    ward.watch(5)
    said = ward.watch(seconds, structs.replace(GOOD, signal=signal, heart_rate_bpm=None))
    assert [(a.kind, a.priority, a.text) for a in said] == [(AlarmKind.SIGNAL, AlarmPriority.LOW, text)]
    ward.watch(6)
    assert ward.state(AlarmKind.SIGNAL) is AlarmState.OFF


def test_noise_is_called_by_its_name() -> None:
    ward = Ward()
    ward.watch(5)
    noisy = structs.replace(GOOD, signal=SignalState.NOISY, noise=Noise.MUSCLE, heart_rate_bpm=None)
    assert [alarm.text for alarm in ward.watch(11, noisy)] == ["Noisy, muscle 10 s"]


# --- rule 5: data and battery ---------------------------------------------------------------------------


def test_no_data_is_low_after_10_s_and_medium_after_60_s_though_vitals_go_on() -> None:
    ward = Ward()
    ward.watch(5)
    said: list[Alarm] = []
    for age in range(1, 62):
        said += ward.watch(
            1, structs.replace(GOOD, signal=SignalState.NO_DATA, data_age_s=age, heart_rate_bpm=None)
        )
    assert (said[0].kind, said[0].priority, said[0].text) == (
        AlarmKind.NO_DATA,
        AlarmPriority.LOW,
        "No data 10 s",
    )
    assert (said[-1].priority, said[-1].text) == (AlarmPriority.MEDIUM, "No data 1 min")
    assert ward.watch(1)[-1].state is AlarmState.OFF


def test_no_data_is_raised_though_vitals_stop_altogether() -> None:
    ward = Ward()
    ward.watch(5)
    said = ward.fall_silent(70)
    assert said[0].at_us - at(4) == 10_000_000
    assert [a.priority for a in said if a.text == "No data 1 min"] == [AlarmPriority.MEDIUM]


def test_no_data_says_that_the_device_went_offline() -> None:
    ward = Ward()
    ward.watch(5)
    ward.push(DeviceStatus(DEVICE, online=False, battery=None, at_us=at(5)))
    assert ward.fall_silent(12)[0].text == "No data 10 s, device offline"


def test_battery_is_low_at_20_and_medium_at_5_percent() -> None:
    ward = Ward()
    ward.watch(2, structs.replace(GOOD, battery=21))
    assert ward.said == []
    low = ward.watch(1, structs.replace(GOOD, battery=20))[0]
    assert (low.kind, low.priority, low.text) == (AlarmKind.BATTERY, AlarmPriority.LOW, "Battery 20 % ≤ 20 %")
    medium = ward.push(DeviceStatus(DEVICE, online=True, battery=5, at_us=at(ward.second)))[0]
    assert (medium.priority, medium.text) == (AlarmPriority.MEDIUM, "Battery 5 % ≤ 5 %")
    ward.watch(5, structs.replace(GOOD, battery=22))
    assert ward.state(AlarmKind.BATTERY) is AlarmState.ON
    ward.watch(1, structs.replace(GOOD, battery=23))
    assert ward.state(AlarmKind.BATTERY) is AlarmState.OFF


def test_late_data_never_raises_a_live_alarm() -> None:
    ward = Ward()
    for _ in range(5):
        assert ward.decide(0.99, historic=True) == []


# --- rule 6: findings -----------------------------------------------------------------------------------


def test_a_finding_needs_3_of_the_last_5_windows_and_is_advisory() -> None:
    ward = Ward()
    said = [ward.decide(p) for p in (0.9, 0.3, 0.62, 0.2, 0.81)]
    assert [len(changes) for changes in said] == [0, 0, 0, 0, 1]
    alarm = said[-1][0]
    assert (alarm.kind, alarm.queue, alarm.priority) == (
        AlarmKind.FINDING_MI,
        AlarmQueue.ADVISORY,
        AlarmPriority.ADVISORY,
    )
    assert (alarm.text, alarm.model) == ("MI 3 of 5 windows, p 0.81 ≥ 0.62", "m1")


def test_a_finding_ends_after_3_of_5_below_and_comes_once_an_episode() -> None:
    ward = Ward()
    for _ in range(5):
        ward.decide(0.9)
    transitions = [a.state for p in (0.1, 0.9, 0.1) for a in ward.decide(p) if a.state is not AlarmState.ON]
    assert transitions == []
    assert ward.decide(0.1)[0].state is AlarmState.OFF


def test_an_uncertain_window_speaks_neither_for_a_finding_nor_against_it() -> None:
    ward = Ward()
    for _ in range(10):
        assert ward.decide(0.9, presence=Presence.UNCERTAIN) == []
    for _ in range(3):
        ward.decide(0.9)
    for _ in range(10):
        ward.decide(0.7, presence=Presence.UNCERTAIN)
    assert ward.state(AlarmKind.FINDING_MI) is AlarmState.ON


def test_a_present_finding_below_its_threshold_does_not_agree() -> None:
    ward = Ward()
    assert [ward.decide(0.6, presence=Presence.PRESENT) for _ in range(5)] == [[]] * 5


def test_windows_that_do_not_pass_quality_do_not_vote() -> None:
    ward = Ward()
    for _ in range(2):
        ward.decide(0.9)
    unreadable = [reason for reason in Indeterminate if reason not in OF_THE_LEAD]
    for n, reason in enumerate(unreadable * 3):
        ward.push(no_findings(21 + n / 100, reason, p_af=0.9))
    assert ward.said == []
    assert kinds(ward.decide(0.9)) == [AlarmKind.FINDING_MI]


def test_a_lead_that_is_unknown_or_upside_down_votes_on_the_rhythm_alone() -> None:
    ward = Ward()
    for _ in range(2):
        ward.decide(0.9)
    said = [ward.push(no_findings(21 + n / 100, OF_THE_LEAD[n % 2], p_af=0.9)) for n in range(4)]
    assert [kinds(alarms) for alarms in said] == [[], [], [AlarmKind.AF], []]
    assert AlarmKind.FINDING_MI in kinds(ward.decide(0.9))  # its votes were not pushed out


def test_an_acknowledged_finding_is_not_raised_again_in_its_episode() -> None:
    ward = Ward()
    for _ in range(3):
        ward.decide(0.9)
    ward.acknowledge(AlarmKind.FINDING_MI)
    for _ in range(60):
        ward.decide(0.9)
        ward.push(Tick(at(ward.second)))
    assert ward.state(AlarmKind.FINDING_MI) is AlarmState.ACK


def test_atrial_fibrillation_needs_3_of_the_last_5_windows_and_is_advisory() -> None:
    ward = Ward()
    said = [ward.hear(p) for p in (0.9, 0.3, 0.4, 0.2, 0.81)]
    assert [len(changes) for changes in said] == [0, 0, 0, 0, 1]
    alarm = said[-1][0]
    assert (alarm.kind, alarm.queue, alarm.priority) == (
        AlarmKind.AF,
        AlarmQueue.ADVISORY,
        AlarmPriority.ADVISORY,
    )
    assert (alarm.text, alarm.peak, alarm.model) == ("AF 3 of 5 windows, p 0.81 ≥ 0.40", 0.81, "m1")


def test_atrial_fibrillation_is_told_at_its_onset_and_its_end_only() -> None:
    ward = Ward()
    for p in (0.9, 0.9, 0.9, 0.5, 0.1, 0.9, 0.2, 0.1, 0.1):
        ward.hear(p)
    assert [a.state for a in ward.said if is_news(a, ward.said)] == [AlarmState.ON, AlarmState.OFF]
    assert {a.count for a in ward.said} == {1}


def test_atrial_fibrillation_goes_on_while_the_intervals_are_irregular_and_is_not_raised_by_them() -> None:
    ward = Ward()
    irregular = structs.replace(GOOD, irregular=True)
    ward.watch(60, irregular)
    assert ward.said == []
    for p in (0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1):
        ward.hear(p)
        ward.watch(10, irregular)
    assert ward.state(AlarmKind.AF) is AlarmState.ON
    ward.watch(1, GOOD)  # nobody knows: the windows alone decide
    ward.hear(0.1)
    assert ward.state(AlarmKind.AF) is AlarmState.OFF


def test_a_rhythm_that_is_more_probable_than_fibrillation_speaks_against_it() -> None:
    ward = Ward()
    for _ in range(5):
        assert ward.hear(0.45, 0.5) == []
    for _ in range(3):
        ward.hear(0.9)
    assert ward.state(AlarmKind.AF) is AlarmState.ON
    for _ in range(3):
        ward.hear(0.45, 0.5)
    assert ward.state(AlarmKind.AF) is AlarmState.OFF


def test_windows_without_a_rhythm_or_a_limit_do_not_vote_on_fibrillation() -> None:
    ward = Ward()
    for _ in range(5):
        assert ward.hear(0.99, threshold=None) == []
    ward.hear(0.9)
    ward.decide(0.05)  # read by no rhythm network
    ward.hear(0.9)
    assert kinds(ward.hear(0.9)) == [AlarmKind.AF]


def test_late_data_never_raises_fibrillation() -> None:
    ward = Ward()
    ward.hear(0.9)
    ward.hear(0.9)
    newest = replace(
        no_findings(40, Indeterminate.NOISY, p_af=0.9),
        indeterminate=None,
        findings=verdict_of(40, 0.05, Presence.ABSENT).findings,
    )
    assert ward.push(replace(newest, historic=True)) == []
    assert kinds(ward.push(newest)) == [AlarmKind.AF]


def test_a_technical_alarm_suppresses_fibrillation_and_ends_none() -> None:
    ward = Ward()
    ward.hear(0.9)
    ward.hear(0.9)
    ward.watch(6, LEAD_OFF)
    assert ward.hear(0.9) == []
    ward.watch(6)
    assert kinds(ward.hear(0.9)) == [AlarmKind.AF]
    ward.watch(20, LEAD_OFF)
    for _ in range(5):
        ward.hear(0.1)
    assert ward.state(AlarmKind.AF) is AlarmState.ON
    ward.watch(6)
    ward.hear(0.1)
    assert ward.state(AlarmKind.AF) is AlarmState.OFF


def test_an_acknowledged_fibrillation_is_not_raised_again_in_its_episode() -> None:
    ward = Ward()
    for _ in range(3):
        ward.hear(0.9)
    ward.acknowledge(AlarmKind.AF)
    for _ in range(60):
        ward.hear(0.9)
        ward.push(Tick(at(ward.second)))
    assert ward.state(AlarmKind.AF) is AlarmState.ACK


# --- rule 7: one alarm, with value and limit ------------------------------------------------------------


def test_a_retrigger_updates_count_and_peak_of_the_one_alarm() -> None:
    ward = Ward()
    ward.watch(1, rate(160))
    ward.watch(5)
    again = ward.watch(1, rate(171))[0]
    assert (again.state, again.count, again.peak) == (AlarmState.ON, 2, 171.0)
    assert again.since_us == START_US
    assert len([a for a in ward.engine.active() if a.kind is AlarmKind.EXTREME_RATE]) == 1


def test_words_change_at_most_once_a_second_and_durations_get_coarser() -> None:
    ward = Ward()
    ward.watch(2)
    for tenth in range(200):
        ward.push(Tick(at(12 + tenth / 10)))
    assert len(ward.said) == 20
    assert [in_words(s) for s in (9.99, 59.9, 60, 3599, 7300)] == ["9 s", "59 s", "1 min", "59 min", "2 h"]


# --- rule 8: acknowledge --------------------------------------------------------------------------------


def test_an_acknowledged_alarm_comes_back_after_3_min_if_its_condition_is_still_there() -> None:
    ward = Ward()
    ward.watch(1, rate(130))
    assert ward.acknowledge(AlarmKind.RATE_LIMIT)[0].who == "nurse"
    said = ward.watch(185, rate(130))
    assert [(a.state, a.at_us) for a in said] == [(AlarmState.ON, at(181))]


def test_a_higher_priority_breaks_through_an_acknowledgement() -> None:
    ward = Ward()
    ward.watch(2)
    ward.watch(6, LEAD_OFF)
    ward.acknowledge(AlarmKind.LEAD_OFF)
    assert ward.watch(10, LEAD_OFF)[0].state is AlarmState.ACK
    said = ward.watch(16, LEAD_OFF)
    louder = next(a for a in said if a.state is AlarmState.ON)
    assert (louder.priority, louder.text) == (AlarmPriority.MEDIUM, "Lead off 30 s")


def test_an_acknowledgement_of_one_alarm_leaves_the_others() -> None:
    ward = Ward()
    ward.watch(1, rate(170))
    ward.acknowledge(AlarmKind.RATE_LIMIT)
    assert ward.state(AlarmKind.EXTREME_RATE) is AlarmState.ON


# --- rule 9: escalation, channels and services ----------------------------------------------------------


def test_a_high_alarm_that_nobody_acknowledges_is_passed_on_after_60_s_and_at_most_three_times() -> None:
    ward = Ward()
    said = ward.watch(600, rate(170))
    passed_on = [a for a in said if a.kind is AlarmKind.EXTREME_RATE and is_news(a, said)]
    times = {a.escalation: a.at_us for a in reversed(ward.said) if a.kind is AlarmKind.EXTREME_RATE}
    assert times == {0: at(0), 1: at(60), 2: at(120), 3: at(180)}
    assert {a.state for a in passed_on} == {AlarmState.ON}


def test_a_medium_alarm_is_passed_on_after_180_s_and_a_low_or_advisory_one_never() -> None:
    ward = Ward()
    ward.watch(400, rate(130))
    times = {a.escalation: a.at_us for a in reversed(ward.said)}
    assert times == {0: at(0), 1: at(180), 2: at(360)}
    other = Ward()
    for _ in range(3):
        other.decide(0.9)
    other.watch(1000, structs.replace(GOOD, battery=15))
    assert {a.escalation for a in other.said} == {0}
    assert {a.priority for a in other.said} == {AlarmPriority.LOW, AlarmPriority.ADVISORY}


def test_a_latched_alarm_waits_for_a_person_too() -> None:
    ward = Ward()
    ward.watch(10)
    ward.stop_heart(6)
    said = ward.watch(70)
    assert [(a.state, a.escalation) for a in said] == [(AlarmState.LATCHED, 0), (AlarmState.LATCHED, 1)]


def test_an_acknowledged_alarm_is_passed_on_no_more_and_begins_anew_when_it_sounds_again() -> None:
    ward = Ward()
    ward.watch(70, rate(130))
    ward.watch(120, rate(130))
    assert ward.said[-1].escalation == 1
    ward.acknowledge(AlarmKind.RATE_LIMIT)
    ward.watch(370, rate(130))
    news = [(a.state, a.escalation) for a in ward.said if is_news(a, ward.said)]
    on, ack = AlarmState.ON, AlarmState.ACK
    assert news == [(on, 0), (on, 1), (ack, 1), (on, 0), (on, 1)]


def test_an_alarm_that_becomes_medium_waits_from_then_on() -> None:
    ward = Ward()
    ward.watch(5)
    said = ward.watch(230, LEAD_OFF)
    passed_on = next(a for a in said if a.escalation == 1)
    became = next(a for a in said if a.priority is AlarmPriority.MEDIUM)
    assert passed_on.at_us - became.at_us == 180_000_000


def test_a_channel_that_fails_is_a_medium_technical_alarm_until_it_works_again() -> None:
    ward = Ward()
    (raised,) = ward.push(ChannelStatus("ntfy", is_working=False, reason="no route to host", at_us=at(0)))
    assert (raised.device, raised.kind) == ("wristlead/ntfy", AlarmKind.NOTIFIER)
    assert (raised.queue, raised.priority) == (AlarmQueue.TECHNICAL, AlarmPriority.MEDIUM)
    assert raised.text == "Notifications by ntfy fail: no route to host"
    assert ward.push(ChannelStatus("ntfy", is_working=False, reason="no route to host", at_us=at(5))) == []
    (over,) = ward.push(ChannelStatus("ntfy", is_working=True, reason=None, at_us=at(9)))
    assert over.state is AlarmState.OFF


def test_a_service_that_is_silent_is_low_after_10_s_and_medium_after_60_s() -> None:
    ward = Ward()
    ward.push(ServiceStatus("inference", is_online=True, at_us=at(0)))
    said = ward.fall_silent(61)
    assert (said[0].device, said[0].kind) == ("wristlead/inference", AlarmKind.SERVICE)
    assert (said[0].text, said[0].at_us) == ("Service inference silent 10 s", at(10))
    assert (said[0].queue, said[0].priority) == (AlarmQueue.TECHNICAL, AlarmPriority.LOW)
    assert next(a for a in said if a.priority is AlarmPriority.MEDIUM).at_us == at(60)
    (over,) = ward.push(ServiceStatus("inference", is_online=True, at_us=at(62)))
    assert over.state is AlarmState.OFF


def test_a_goodbye_is_no_sign_of_life_and_who_was_never_heard_is_not_missed() -> None:
    ward = Ward()
    ward.push(ServiceStatus("explain", is_online=False, at_us=at(0)))
    assert ward.fall_silent(100) == []
    ward.push(ServiceStatus("inference", is_online=True, at_us=at(100)))
    ward.push(ServiceStatus("inference", is_online=False, at_us=at(105)))
    assert ward.fall_silent(11)[0].text == "Service inference offline 10 s"


def test_a_service_or_channel_that_fails_suppresses_no_alarm_of_a_patient() -> None:
    ward = Ward()
    ward.push(ChannelStatus("bed-1", is_working=False, reason=None, at_us=at(0)))
    assert AlarmKind.EXTREME_RATE in kinds(ward.watch(1, rate(170)))


def test_a_verdict_that_comes_again_after_a_discharge_is_not_the_next_patients() -> None:
    ward = Ward()
    ward.watch(10, structs.replace(GOOD, last_sample=50_000))
    former = [
        verdict_of(20 + n, 0.9, Presence.PRESENT) for n in range(3)
    ]  # they begin at samples 10,000 to 11,000
    assert kinds([a for verdict in former[:2] for a in ward.push(verdict)]) == []
    ward.push(Discharge(DEVICE, "Eve", at(30)))
    ward.second = 31
    ward.watch(5, structs.replace(GOOD, last_sample=52_000))
    assert [a for verdict in former for a in ward.push(verdict)] == []
    for n in range(3):
        ward.push(replace(former[0], first_sample=60_000 + 5_000 * n, decided_us=at(40 + n)))
    assert ward.state(AlarmKind.FINDING_MI) is AlarmState.ON


# --- rule 11: states ------------------------------------------------------------------------------------


def test_a_latched_alarm_stays_until_somebody_acknowledges_it() -> None:
    ward = Ward()
    ward.watch(10)
    ward.stop_heart(5)
    ward.watch(3600)
    assert ward.state(AlarmKind.ASYSTOLE) is AlarmState.LATCHED
    off = ward.acknowledge(AlarmKind.ASYSTOLE)[0]
    assert (off.state, off.who) == (AlarmState.OFF, "nurse")


def test_an_alarm_that_was_seen_is_off_when_its_condition_ends() -> None:
    ward = Ward()
    ward.watch(10)
    ward.stop_heart(5)
    ward.acknowledge(AlarmKind.ASYSTOLE)
    assert ward.watch(2)[0].state is AlarmState.OFF


def test_to_acknowledge_what_is_off_changes_nothing() -> None:
    ward = Ward()
    ward.watch(3)
    assert ward.acknowledge(AlarmKind.ASYSTOLE) == []
    assert ward.engine.push(Acknowledge("ward/nobody", AlarmKind.ASYSTOLE, "nurse", at(3))) == []
