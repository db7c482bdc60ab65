"""The past of alarms as a table, and who has most of them an hour."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboard import texts
from dashboard.alarm_table import event_link, history_table, noisiest, noisiest_list
from dashboard.pages.alarms import history_of, late_of
from dashboard.past import Past
from inference.alarms.alarm import AlarmKind, AlarmPriority, AlarmState
from inference.alarms.history import MOST, PastEpisode, Wanted
from inference.alarms.noisiest import PatientLoad
from inference.records import save_verdicts
from inference.verdict import Finding, Presence, Superclass, Verdict
from ingest.store.schema import open_store

H = 3_600_000_000
EPISODE = PastEpisode(
    "w/a",
    AlarmKind.RATE_LIMIT,
    AlarmPriority.HIGH,
    AlarmState.OFF,
    "HR 134 > 120",
    7,
    7 + 95_000_000,
    2,
    134.4,
    1,
    "A. B.",
)


def words(component: Any) -> str:
    return str(component.to_plotly_json())


def test_a_row_tells_what_when_how_long_how_often_and_who_saw_it() -> None:
    told = words(history_table([EPISODE], {"w/a": "Bed one"}))
    for part in (
        "High",
        "***",
        "Bed one",
        "HR 134 > 120",
        "1 min",
        "'2'",
        "134 bpm",
        "seen by A. B. · passed on: 1",
        "Off",
    ):
        assert part in told, part
    assert f"href='{event_link(EPISODE)}'" in told
    assert event_link(EPISODE) == "/event/w/a/rate_limit/7"


def test_a_device_that_is_gone_is_still_named_and_none_is_a_sentence() -> None:
    assert "'w/a'" in words(history_table([EPISODE], {}))
    assert texts.HISTORY_EMPTY in words(history_table([], {}))
    assert "newest" not in words(history_table([EPISODE], {}))
    assert texts.HISTORY_CUT.format(most=MOST) in words(history_table([EPISODE] * MOST, {}))


def test_a_part_of_wristlead_is_named_and_leads_to_no_patient() -> None:
    for name, words_for in (("phone", "Notification channel phone"), ("notify", "The notifier")):
        own = replace(EPISODE, device=f"wristlead/{name}", kind=AlarmKind.NOTIFIER)
        told = words(history_table([own], {}))
        assert words_for in told
        assert "/patient/" not in told
        assert "/event/" not in told


@pytest.mark.parametrize("heard_h", [1, 4, 24, 400])
def test_alarms_an_hour_count_the_hours_in_which_the_device_was_heard(heard_h: int) -> None:
    now_us = 1000 * H
    loads = [PatientLoad("w/a", 62, high=3, medium=0, low=9, advisory=50)]
    (told,) = noisiest(loads, {"w/a": (now_us - heard_h * H, now_us)}, now_us - 24 * H, now_us)
    assert told.per_hour == pytest.approx(12 / min(heard_h, 24))


def test_who_has_most_an_hour_is_first_and_minutes_make_no_rate() -> None:
    now_us, from_us = 100 * H, 76 * H
    alarms = (("a/1", 2), ("a/2", 8), ("a/3", 1), ("a/4", 5))
    loads = [PatientLoad(name, n, high=n, medium=0, low=0, advisory=0) for name, n in alarms]
    extents = {"a/1": (99 * H, now_us), "a/2": (from_us, now_us), "a/3": (now_us - H // 10, now_us)}
    told = noisiest(loads, extents, from_us, now_us)
    assert [(each.load.device, each.per_hour) for each in told] == [
        ("a/1", 2),
        ("a/2", 8 / 24),
        ("a/3", None),
    ]
    assert "-- an hour" in words(noisiest_list(told, {}))
    assert texts.NOISIEST_EMPTY in words(noisiest_list([], {}))


HOP_US = 10_000_000


def late_store(folder: Path, windows: int = 6) -> Past:
    """Windows that came late to one patient and all show MI."""
    url = f"sqlite:///{folder / 'store.sqlite'}"
    found = (Finding(Superclass.MI, 0.9, 0.62, Presence.PRESENT),)
    save_verdicts(
        open_store(url),
        [
            Verdict("w/a", 7, k * 5000, H + k * HOP_US, "m1", H, historic=True, findings=found)
            for k in range(windows)
        ],
    )
    return Past(url)


def test_what_late_data_hold_of_a_patient_stands_in_the_past_and_is_marked(tmp_path: Path) -> None:
    past = late_store(tmp_path)
    wanted = Wanted(device="w/a")
    told = words(history_of(past, {"w/a": "Bed one"}, wanted, 2 * H))
    for part in ("Late data", "Bed one", "MI 3 of 3 windows", ".90", "Model: MI"):
        assert part in told, part
    assert "/event/" not in told  # it was never an alarm, and has no log
    for other in (
        Wanted(),  # of all patients that is too much to read
        replace(wanted, device="w/b"),
        replace(wanted, kind=AlarmKind.AF),
        replace(wanted, priority=AlarmPriority.HIGH),
        replace(wanted, state=AlarmState.ON),
        replace(wanted, from_us=2 * H),
    ):
        assert late_of(past, other, 2 * H) == []
    assert late_of(past, wanted, 26 * H) == []  # older than a day
