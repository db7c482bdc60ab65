"""What people set reaches every page, damage changes nothing; the rows of devices and services."""

import json
from typing import Any

import pytest

from dashboard import heartbeats, in_force
from dashboard.device_rows import delay_of
from dashboard.heartbeats import SPAN_S, Heartbeats
from dashboard.house import EXPECTED_SERVICES, MISSING_AFTER_S
from dashboard.monitor import Monitor, Revisions
from dashboard.patient_state import read_meta
from dashboard.service_rows import ServiceRow, broker_row, service_rows
from dashboard.setting_requests import SetKeeping, SetName, SetSiteLimits
from ingest import topics
from tests.dashboard.test_monitor import BED, S, chunk_payload, vitals

LIMITS: dict[str, Any] = {
    "device": "ward",
    "rate_low_bpm": 50.0,
    "rate_high_bpm": 120.0,
    "rate_extreme_low_bpm": 40.0,
    "rate_extreme_high_bpm": 150.0,
    "sources": {"rate_low_bpm": "settings"},
    "who": None,
    "at_us": None,
}
KEEPING = {
    "keep_days": 30.0,
    "default_days": 30.0,
    "is_default": True,
    "who": None,
    "at_us": None,
    "deletes_from_us": None,
    "asked": None,
}


def monitor_with_bed() -> Monitor:
    monitor = Monitor(0)
    monitor.push(f"ecg/v1/{BED}/meta", b'{"name":"Watch 7"}', S)
    monitor.push(f"ecg/v1/{BED}/chunk", chunk_payload(0), S)
    return monitor


def say(monitor: Monitor, topic: str, message: object, at_us: int = S) -> None:
    monitor.push(f"wl/v1/{topic}", b"" if message is None else json.dumps(message).encode(), at_us)


def name(words: str) -> dict[str, object]:
    return {"name": words, "who": "Ada", "at_us": 1}


def test_a_name_that_people_gave_stands_before_that_of_the_device_on_every_page() -> None:
    monitor, known = monitor_with_bed(), Revisions()
    assert [(p.name, p.site_name) for p in monitor.patients(known)] == [("Watch 7", None)]
    say(monitor, f"name_in_force/{BED}", name("Mrs Öst"))
    assert [p.name for p in monitor.patients(known)] == ["Mrs Öst"]  # told again
    say(monitor, "name_in_force/ward", name("Ward 4"))
    assert [p.site_name for p in monitor.patients(known)] == ["Ward 4"]
    assert monitor.names() == {BED: "Mrs Öst"}
    assert monitor.device_rows(S)[0].name == "Mrs Öst"
    say(monitor, f"name_in_force/{BED}", None)
    say(monitor, "name_in_force/ward", None)
    assert [(p.name, p.site_name) for p in monitor.patients(known)] == [("Watch 7", None)]


def test_a_name_that_comes_before_its_patient_waits_for_it() -> None:
    monitor = Monitor(0)
    say(monitor, f"name_in_force/{BED}", name("Mrs Öst"))
    assert monitor.patients() == ()
    monitor.push(f"ecg/v1/{BED}/chunk", chunk_payload(0), S)
    assert [p.name for p in monitor.patients()] == ["Mrs Öst"]


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        (f"name_in_force/{BED}", {"name": 7, "who": "Ada", "at_us": 1}),
        (f"name_in_force/{BED}", {"name": "\u0000", "who": "Ada", "at_us": 1}),
        (f"name_in_force/{BED}/x", name("X")),
        ("limits_in_force/ward", {"rate_low_bpm": 1}),
        ("retention_in_force", {"keep_days": "long"}),
        ("refusal/retention", {"reason": 7}),
        ("service/ingest", {"counters": 7}),
        ("service/a b", {"online": True}),
    ],
)
def test_what_cannot_be_understood_is_counted_and_changes_nothing(topic: str, message: object) -> None:
    monitor = monitor_with_bed()
    say(monitor, f"name_in_force/{BED}", name("Mrs Öst"))
    say(monitor, "retention_in_force", KEEPING)
    say(monitor, topic, message)
    assert monitor.refused == 1
    assert monitor.names() == {BED: "Mrs Öst"}
    assert monitor.in_force.keeping is not None
    assert (monitor.in_force.site_limits, monitor.in_force.refusals) == ({}, {})


def test_what_strangers_invent_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_force, "MAX_SCOPES", 3)
    monkeypatch.setattr(in_force, "MAX_REFUSALS", 3)
    monkeypatch.setattr(heartbeats, "MAX_SERVICES", 3)
    monitor = Monitor(0)
    for number in range(9):
        say(monitor, f"name_in_force/x/{number}", name("X"))
        say(monitor, f"limits_in_force/x{number}", LIMITS)
        say(monitor, f"refusal/name/x/{number}", {"reason": "no", "request": "", "at_us": number})
        counters = {f"c{k}": k for k in range(500)}
        say(monitor, f"service/x{number}", {"online": True, "counters": counters})
    assert len(monitor.in_force.names) == len(monitor.in_force.site_limits) == 3
    assert list(monitor.in_force.refusals) == ["name/x/6", "name/x/7", "name/x/8"]
    services = monitor.heartbeats.services()
    assert len(services) == 3
    assert all(len(each.beats[0].counters) == heartbeats.MAX_COUNTERS for each in services.values())
    for own in EXPECTED_SERVICES:  # no stranger makes them look as if they were gone
        say(monitor, f"service/{own}", {"online": True})
        assert not monitor.house.service(own, S).is_missing
        assert monitor.heartbeats.services()[own].newest is not None


def test_limits_of_a_site_make_nobody_a_patient() -> None:
    monitor = monitor_with_bed()
    say(monitor, "limits_in_force/ward", LIMITS)
    assert monitor.devices() == (BED,)
    assert monitor.in_force.site_limits["ward"].rate_high_bpm == 120.0
    assert monitor.refused == 0


def test_requests_are_passed_on_only_where_there_is_something_that_they_are_about() -> None:
    monitor = monitor_with_bed()
    assert SetName(who="Ada", scope=BED, name="A").concerns(monitor)
    assert SetName(who="Ada", scope="ward", name="A").concerns(monitor)
    assert not SetName(who="Ada", scope="ward/nobody", name="A").concerns(monitor)
    assert not SetName(who="Ada", scope="#", name="A").concerns(monitor)
    say(monitor, "name_in_force/ward/left", name("X"))
    assert SetName(who="Ada", scope="ward/left", name=None).concerns(monitor)
    assert SetSiteLimits(who="Ada", site="ward").concerns(monitor)
    assert not SetSiteLimits(who="Ada", site=BED).concerns(monitor)
    assert not SetSiteLimits(who="Ada", site="elsewhere").concerns(monitor)
    assert not SetKeeping(who="Ada", keep_days=7.0).concerns(monitor)  # nobody has said what is in force
    say(monitor, "retention_in_force", KEEPING)
    assert SetKeeping(who="Ada", keep_days=7.0).concerns(monitor)


def test_requests_say_what_their_owners_read() -> None:
    said = [json.loads(each.payload()) for each in (
        SetName(who=" Ada ", scope=BED, name="A"),
        SetName(who="Ada", scope=BED, name=None),
        SetKeeping(who="Ada", keep_days=None),
        SetKeeping(who="Ada", keep_days=7.0, confirm=5),
        SetKeeping(who="Ada", reset=True),
        SetSiteLimits(who="Ada", site="ward", reset=True),
    )]  # fmt: skip
    assert said == [
        {"who": "Ada", "name": "A"},
        {"who": "Ada", "reset": True},
        {"who": "Ada", "keep_days": None},
        {"who": "Ada", "keep_days": 7.0, "confirm": 5},
        {"who": "Ada", "reset": True},
        {"who": "Ada", "reset": True},
    ]


def test_a_description_with_nonsense_in_it_keeps_what_can_be_shown() -> None:
    meta = read_meta(b'{"name":"A\\u0000","model":["x"],"firmware":2.1,"fs":"250","unit":true,"more":{}}')
    assert (meta.name, meta.model, meta.firmware, meta.fs, meta.unit) == ("A", None, "2.1", None, None)
    assert read_meta(json.dumps({"name": "x" * 5000, "fs": 250}).encode()).name == "x" * 64
    assert read_meta(b'{"fs":250}').fs == 250.0


def test_a_row_of_a_device_tells_rate_loss_and_delay_and_nothing_that_is_old() -> None:
    monitor = monitor_with_bed()
    (row,) = monitor.device_rows(S)
    assert (row.fs_measured, row.rate_off, row.lost_samples, row.delay_s) == (None, None, None, None)
    measured = vitals() | {
        "fs_measured": row.fs_claimed * 1.001 if row.fs_claimed else 0,
        "lost_samples": 500,
    }
    say(monitor, "vitals/ward", [measured])
    (row,) = monitor.device_rows(S)
    assert row.rate_off == pytest.approx(0.001)
    assert row.lost_samples == 500
    assert row.lost_s == pytest.approx(500 / (row.fs_measured or 1))
    (row,) = monitor.device_rows(S + 6_000_000)
    assert (row.fs_measured, row.lost_samples) == (None, None)


def test_a_device_that_only_said_who_it_is_has_a_row_of_unknowns() -> None:
    monitor = Monitor(0)
    monitor.push("ecg/v1/ward/new/meta", b'{"name":"New","fs":250,"model":"M1"}', S)
    monitor.push("ecg/v1/ward/new/status", b'{"online":true,"battery":7.4}', S)
    (row,) = monitor.device_rows(S)
    assert (row.name, row.is_patient, row.online, row.battery, row.fs_claimed) == (
        "New",
        False,
        True,
        7,
        250.0,
    )
    assert (row.about.model, row.data_at_us, row.lost_samples) == ("M1", None, None)


def test_delay_is_a_chunk_and_how_much_later_the_slowest_came_than_the_quickest() -> None:
    monitor, late_us = Monitor(0), [0, 100_000, 300_000, 20_000] * 10
    for k, late in enumerate(late_us):
        monitor.push(f"ecg/v1/{BED}/chunk", chunk_payload(k * 125), S + k * 250_000 + late)
    delay_s = delay_of(reversed(monitor.history(BED, 60.0)), 500.0)
    assert delay_s == pytest.approx(0.25 + 0.3, abs=0.01)
    assert delay_of(monitor.history(BED, 60.0)[:1], 500.0) is None
    assert delay_of([], None) is None


def beat(at_us: int, pid: int = 1, **more: Any) -> bytes:
    return json.dumps({"online": True, "at_us": at_us, "pid": pid} | more).encode()


def rows(beats: Heartbeats, now_us: int) -> dict[str, ServiceRow]:
    return {row.name: row for row in service_rows(beats.services(), S, now_us)}


def test_not_running_silent_and_never_heard_are_told_apart() -> None:
    beats = Heartbeats()
    for service in ("ingest", "inference", "notify", "odd"):
        beats.push(f"wl/v1/service/{service}", beat(2 * S), 2 * S, retained=False)
    beats.push("wl/v1/service/inference", b'{"online":false}', 3 * S, retained=False)
    beats.push("wl/v1/service/explain", b'{"online":false}', 2 * S, retained=True)
    later = 2 * S + round(MISSING_AFTER_S * 1e6) + 1
    beats.push("wl/v1/service/odd", beat(later), later, retained=False)
    found = {name: (row.state, row.is_optional) for name, row in rows(beats, later).items()}
    assert found == {
        "ingest": ("silent", False),
        "inference": ("gone", False),
        "alarms": ("never", False),
        "dashboard": ("never", False),
        "explain": ("gone", True),
        "notify": ("silent", True),
        "odd": ("well", True),
    }
    beats.push("wl/v1/service/alarms", beat(S), later, retained=True)  # retained long ago
    assert rows(beats, later)["alarms"].state == "silent"


def test_rates_are_those_of_the_newest_seconds_of_one_process() -> None:
    beats = Heartbeats()
    for second in range(40):
        counters = {"chunks": 32 * second, "backlog": 3, "store": "ok", "faults": 0, "refused": 2}
        payload = beat(0, cpu_s=0.5 * second, memory_bytes=10**8, version="1.2", counters=counters)
        beats.push("wl/v1/service/ingest", payload, S + second * 1_000_000, retained=False)
    ingest = rows(beats, S + 39_000_000)["ingest"]
    assert ingest.facts[:1] == ("chunks 32/s",)
    assert "waiting 3" in ingest.facts
    assert "refused 2" in ingest.facts
    assert not any("faults" in fact for fact in ingest.facts)
    assert ingest.cpu_share == pytest.approx(0.5)
    assert (ingest.version, ingest.memory_bytes, ingest.trouble) == ("1.2", 10**8, None)
    assert len(beats.services()["ingest"].beats) <= SPAN_S + 1
    payload = beat(0, pid=2, counters={"chunks": 5, "store": "disk is full"})
    beats.push("wl/v1/service/ingest", payload, S + 40_000_000, retained=False)  # it was started anew
    again = rows(beats, S + 40_000_000)["ingest"]
    assert (again.facts[0], again.cpu_share) == ("chunks --/s", None)
    assert (again.state, again.trouble) == ("trouble", "disk is full")


def test_the_broker_tells_of_itself_and_is_no_device() -> None:
    monitor = Monitor(0)
    for topic, words in zip(topics.BROKER_FACTS, (b"mosquitto 2.0.11", b"16", b"2658.0"), strict=True):
        monitor.push(topic, words, S)
    row = broker_row((True, S), monitor.heartbeats.broker)
    assert (row.version, row.facts) == ("mosquitto 2.0.11", ("clients 16", "messages 44.3/s"))
    assert monitor.refused == 0
    monitor.push(topics.BROKER_CLIENTS, b"\xff\xfe nan", S)
    assert broker_row((True, S), monitor.heartbeats.broker).facts == ("messages 44.3/s",)
    assert broker_row((False, 5), {}).state == "gone"


def test_a_pause_that_was_refused_is_told_to_every_page() -> None:
    monitor = Monitor(0)
    say(monitor, "refusal/pause", {"reason": "too old", "request": "", "at_us": 5})
    assert monitor.own_refusals()["pause"].reason == "too old"
