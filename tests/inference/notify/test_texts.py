"""What messages say, and what they keep at home."""

from dataclasses import replace

import pytest

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.notify.configuration import Channel
from inference.notify.notice import Line, Notice, worst_first
from inference.notify.texts import MAX_SHOWN, RESEARCH_USE, Wording, write_letter, write_test

SINCE_US = 1_795_602_605_000_000  # 2026-11-25T10:30:05Z
ASYSTOLE = Alarm(
    "icu/bed-04",
    AlarmKind.ASYSTOLE,
    AlarmQueue.PHYSIOLOGICAL,
    AlarmPriority.HIGH,
    AlarmState.ON,
    "ASYSTOLE 6 s",
    SINCE_US,
    SINCE_US,
)
WORDING = Wording("https://ecg.example.org", {"icu/bed-04": "Ann Example"})


def channel(**told: object) -> Channel:
    return Channel.model_validate({"name": "phone", "url": "json://127.0.0.1/", **told})


def notice(*lines: Line) -> Notice:
    return Notice(1, "phone", worst_first(list(lines)), SINCE_US)


def test_one_alarm_is_told_with_place_time_passing_on_link_and_the_notice_of_research_use() -> None:
    letter = write_letter(notice(Line(replace(ASYSTOLE, escalation=1))), channel(), WORDING)
    assert letter.title == "*** ASYSTOLE 6 s - icu/bed-04"
    assert letter.body.splitlines() == [
        "*** ASYSTOLE 6 s",
        "icu/bed-04",
        "Since 2026-11-25 10:30:05 UTC",
        "Passed on to level 1: nobody has acknowledged it",
        f"https://ecg.example.org/event/icu/bed-04/asystole/{SINCE_US}",
        "",
        RESEARCH_USE,
    ]
    assert letter.priority is AlarmPriority.HIGH


def test_without_an_address_of_the_dashboard_there_is_no_link() -> None:
    assert "http" not in write_letter(notice(Line(ASYSTOLE)), channel(), Wording()).body


def test_an_alarm_of_the_house_itself_has_no_strip_to_link_to() -> None:
    own = replace(ASYSTOLE, device="wristlead/ingest", kind=AlarmKind.SERVICE)
    assert "http" not in write_letter(notice(Line(own)), channel(), WORDING).body


@pytest.mark.parametrize("state", AlarmState)
@pytest.mark.parametrize("is_follow_up", [False, True])
def test_no_name_leaves_unless_the_channel_shows_names(state: AlarmState, *, is_follow_up: bool) -> None:
    line = Line(replace(ASYSTOLE, state=state, who="Kim Nurse"), is_follow_up)
    for lines in ((line,), (line, line)):
        kept = write_letter(notice(*lines), channel(), WORDING)
        assert "Example" not in kept.title + kept.body.replace("ecg.example.org", "")
        assert "Kim" not in kept.title + kept.body
        shown = write_letter(notice(*lines), channel(show_names=True), WORDING)
        assert "Ann Example (icu/bed-04)" in shown.body
        assert ("Kim Nurse" in shown.body) == (state in (AlarmState.ACK, AlarmState.OFF))


def test_a_burst_is_one_summary_with_counts_and_the_worst_first() -> None:
    medium = replace(ASYSTOLE, kind=AlarmKind.RATE_LIMIT, priority=AlarmPriority.MEDIUM, text="HR 134 > 120")
    lines = [Line(replace(medium, device=f"icu/bed-{n}")) for n in range(12)]
    letter = write_letter(notice(*lines, Line(ASYSTOLE)), channel(), WORDING)
    assert letter.title == "*** 13 alarms (1 high, 12 medium) of 13 devices - icu"
    assert letter.body.startswith("*** ASYSTOLE 6 s\nicu/bed-04")
    assert letter.body.count("HR 134 > 120") == MAX_SHOWN - 1
    assert "and 5 more: 5 medium" in letter.body
    assert letter.body.endswith(RESEARCH_USE)


def test_what_could_not_be_told_in_time_is_counted() -> None:
    over = replace(ASYSTOLE, state=AlarmState.LATCHED, count=3)
    body = write_letter(notice(Line(over, earlier=2)), channel(), WORDING).body
    assert "Ended, not yet seen by anybody" in body
    assert "3 times in this episode" in body
    assert "2 more before it, which no message had room for" in body


def test_a_follow_up_is_quiet_and_says_what_became_of_it() -> None:
    ended = replace(ASYSTOLE, state=AlarmState.OFF)
    letter = write_letter(notice(Line(ended, is_follow_up=True)), channel(), WORDING)
    assert letter.title == "Ended: ASYSTOLE 6 s - icu/bed-04"
    assert letter.priority is None
    many = write_letter(notice(*[Line(ended, is_follow_up=True)] * 2), channel(), WORDING)
    assert many.title == "2 alarms ended or acknowledged - icu"


@pytest.mark.parametrize(("show_names", "asked"), [(False, "asked for"), (True, "asked for by Kim")])
def test_a_test_says_that_it_is_one_and_who_asked_only_where_names_may_leave(
    *, show_names: bool, asked: str
) -> None:
    letter = write_test(channel(show_names=show_names), "Kim", SINCE_US)
    assert letter.title == "Test from Wristlead"
    assert letter.body.splitlines()[0] == (
        f"A test of the channel phone, {asked} at 2026-11-25 10:30:05 UTC. It is about no patient."
    )
