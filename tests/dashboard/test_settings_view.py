"""The log of what people set: in words, and with an undo where the former value may come back."""

import random

import pytest

from dashboard.settings_view import in_words, log_lines, settings_now, undo_of
from inference.alarms.records import SettingChange
from tests.dashboard.test_in_force import KEEPING, LIMITS, monitor_with_bed, name, say
from tests.dashboard.test_monitor import BED


def change(what: str, scope: str, before: str | None, after: str | None, at_us: int = 1) -> SettingChange:
    return SettingChange(at_us, "Ada", what, scope, before, after)


def test_each_kind_of_change_is_read_in_words_and_undone_by_the_request_that_set_it() -> None:
    lines = log_lines(
        [
            change("name", BED, None, "Mrs Öst"),
            change("limits", BED, '{"rate_high_bpm":130.0}', '{"rate_high_bpm":140.0,"rate_low_bpm":45.0}'),
            change("limits", "ward", None, '{"rate_high_bpm":130.0}'),
            change("retention", "*", '{"keep_days":null}', '{"keep_days":7.0}'),
            change("pause", "*", "off", "on"),
            change("annotation", BED, None, '{"device":"ward/1","text":"walks","removed_us":null}'),
        ]
    )
    assert [(line.before, line.after) for line in lines] == [
        ("--", "Mrs Öst"),
        ("high 130", "low 45, high 140"),
        ("inherited", "high 130"),
        ("for ever", "7 days"),
        ("off", "on"),
        ("--", "walks"),
    ]
    limits = dict.fromkeys(("rate_extreme_low_bpm", "rate_low_bpm", "rate_extreme_high_bpm"))
    assert [line.undo for line in lines] == [
        {"name": {"scope": BED, "name": None}},
        {"limits": {"device": BED, "rate_high_bpm": 130.0} | limits},
        {"site_limits": {"site": "ward", "reset": True}},
        {"keeping": {"keep_days": None}},
        None,
        None,
    ]


def test_only_the_newest_of_a_kind_and_scope_can_be_undone_and_nothing_of_who_has_left() -> None:
    log = [
        change("name", "ward/2", "B", None, 9),  # went with the discharge
        change("discharge", "ward/2", None, None, 9),
        change("name", BED, "A", "B", 8),
        change("limits", BED, None, '{"rate_high_bpm":130.0}', 7),
        change("name", BED, None, "A", 6),
        change("name", "ward/2", None, "B", 5),
    ]
    assert [line.undo is not None for line in log_lines(log)] == [False, False, True, True, False, False]
    after = [change("name", "ward/2", None, "C", 12), *log]  # of the next patient
    assert log_lines(after)[0].undo == {"name": {"scope": "ward/2", "name": None}}


@pytest.mark.parametrize("what", ["limits", "name", "pause", "discharge", "retention", "annotation", "later"])
def test_whatever_stands_in_the_log_it_is_shown(what: str) -> None:
    rng = random.Random(3)
    values = (
        None,
        "",
        "{",
        "[1]",
        "7",
        '{"rate_high_bpm":"x"}',
        '{"keep_days":"x"}',
        '{"keep_days":3}',
        "on",
    )
    for _ in range(100):
        one = change(what, rng.choice(("*", "ward", BED)), rng.choice(values), rng.choice(values))
        (line,) = log_lines([one])
        assert line.who == "Ada"


def test_what_cannot_be_read_cannot_be_undone() -> None:
    assert undo_of(change("limits", BED, "{", None)) is None
    assert undo_of(change("retention", "*", "[7]", None)) is None
    assert in_words("limits", "{") == "inherited"


def test_sites_and_patients_are_there_with_what_people_set_for_them() -> None:
    monitor = monitor_with_bed()
    say(monitor, "name_in_force/ward", name("Ward 4"))
    say(monitor, "name_in_force/empty", name("Ward 5"))
    say(monitor, "limits_in_force/ward", LIMITS)
    say(monitor, "retention_in_force", KEEPING)
    refusal = {"reason": "no", "request": "", "at_us": 1}
    say(monitor, f"refusal/limits/{BED}", refusal)
    say(monitor, "refusal/limits/ward", refusal)
    now = settings_now(monitor, 5)
    assert [(s.scope, s.given_name, s.n_patients) for s in now.sites] == [
        ("empty", "Ward 5", 0),
        ("ward", "Ward 4", 1),
    ]
    assert [(p.scope, p.given_name, p.own_name) for p in now.patients] == [(BED, None, "Watch 7")]
    assert now.sites[1].limits is not None
    assert now.keeping is not None
    assert set(now.refusals) == {f"limits/{BED}", "limits/ward"}
