"""Alarms, their log and the engine's memory survive in the store."""

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.noisiest import PatientLoad, noisiest_patients
from inference.alarms.records import (
    SettingChange,
    Transition,
    active_alarms,
    alarm_history,
    load_memory,
    save_alarms,
    setting_changes,
)
from ingest.store.schema import open_store

ON = Alarm(
    device="ward/bed-1",
    kind=AlarmKind.FINDING_MI,
    queue=AlarmQueue.ADVISORY,
    priority=AlarmPriority.ADVISORY,
    state=AlarmState.ON,
    text="MI 3 of 5 windows, p 0.81 ≥ 0.62",
    since_us=1_790_000_000_000_000,
    at_us=1_790_000_000_500_000,
    peak=0.81,
    model="m1",
)
ACK = replace(ON, state=AlarmState.ACK, at_us=ON.at_us + 1, who="Ada")
OFF = replace(ON, state=AlarmState.OFF, at_us=ON.at_us + 2)


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url)
    yield engine
    engine.dispose()


def test_an_active_alarm_is_read_as_it_was_saved(engine: Engine) -> None:
    save_alarms(engine, [ON], {})
    assert active_alarms(engine) == [ON]


def test_of_one_alarm_only_the_newest_state_is_active_and_every_transition_is_logged(engine: Engine) -> None:
    save_alarms(engine, [ON, ACK], {})
    assert active_alarms(engine) == [ACK]
    save_alarms(engine, [OFF], {})
    assert active_alarms(engine) == []
    history = alarm_history(engine)
    assert [(t.state, t.who, t.model) for t in history] == [
        (AlarmState.OFF, None, "m1"),
        (AlarmState.ACK, "Ada", "m1"),
        (AlarmState.ON, None, "m1"),
    ]


def test_a_history_is_of_one_device_and_bounded(engine: Engine) -> None:
    save_alarms(engine, [ON, replace(ON, device="ward/bed-2"), ACK], {})
    assert [t.device for t in alarm_history(engine, "ward/bed-2")] == ["ward/bed-2"]
    assert [t.state for t in alarm_history(engine, limit=1)] == [AlarmState.ACK]


def test_a_history_of_a_site_or_a_span(engine: Engine) -> None:
    moved = [
        replace(ON, device=device, at_us=at) for device, at in (("ward/a", 1), ("ward_2/b", 2), ("ward/c", 3))
    ]
    save_alarms(engine, moved, {})
    assert [t.device for t in alarm_history(engine, site="ward")] == ["ward/c", "ward/a"]
    assert [t.device for t in alarm_history(engine, site="ward_2")] == ["ward_2/b"]
    assert [t.device for t in alarm_history(engine, span_us=(2, 3))] == ["ward_2/b"]
    assert [t.device for t in alarm_history(engine, span_us=(2, None))] == ["ward/c", "ward_2/b"]


def test_a_transition_is_read_as_it_was_saved(engine: Engine) -> None:
    whole = replace(
        ON, count=3, escalation=2, limits_bpm=(40.0, 50.0, 120.0, 150.0), session=4_000_000_000, sample=2**40
    )
    save_alarms(engine, [whole], {})
    (found,) = alarm_history(engine)
    for name in Transition.__slots__:
        assert getattr(found, name) == getattr(whole, name)


def test_lines_of_an_earlier_version_stay_readable(engine: Engine) -> None:
    save_alarms(engine, [ON], {})
    with engine.begin() as connection:
        for name in ("count", "peak", "escalation", "limits", "session", "sample"):
            connection.exec_driver_sql(f"ALTER TABLE alarm_transition DROP COLUMN {name}")
        connection.exec_driver_sql("DROP TABLE alarm_setting")
    again = open_store(engine.url)
    save_alarms(again, [ACK], {})
    new, old = alarm_history(again)
    assert (old.count, old.peak, old.escalation, old.limits_bpm, old.session) == (1, None, 0, None, None)
    assert (new.peak, old.text) == (0.81, ON.text)
    assert setting_changes(again) == []
    again.dispose()


def test_an_alarm_of_an_earlier_version_is_unescalated_and_sounds(engine: Engine) -> None:
    old: dict[str, object] = {
        "device": "w/b",
        "kind": "asystole",
        "queue": "physiological",
        "priority": "high",
        "state": "on",
    }
    old |= {
        "text": "ASYSTOLE 4 s",
        "since_us": 1,
        "at_us": 1,
        "count": 1,
        "peak": 4.0,
        "who": None,
        "model": None,
    }
    alarm = msgspec.json.decode(msgspec.json.encode(old), type=Alarm)
    assert (alarm.escalation, alarm.sounding, alarm.limits_bpm) == (0, True, None)
    save_alarms(engine, [alarm], {})
    assert active_alarms(engine) == [alarm]


def test_what_people_set_is_read_newest_first(engine: Engine) -> None:
    first = SettingChange(1, "Ada", "limits", "ward/bed-1", None, '{"rate_high_bpm":140.0}')
    second = SettingChange(2, "Bob", "pause", "*", "off", "on")
    save_alarms(engine, [], {}, [first, second])
    assert setting_changes(engine) == [second, first]
    assert setting_changes(engine, "ward/bed-1") == [first]
    assert setting_changes(engine, limit=1) == [second]


def test_the_noisiest_patients_are_counted_by_episodes_with_their_highest_priority(engine: Engine) -> None:
    def episode(device: str, since_us: int, *priorities: AlarmPriority) -> list[Alarm]:
        return [
            replace(ON, device=device, since_us=since_us, at_us=since_us + n, priority=priority)
            for n, priority in enumerate(priorities)
        ]

    low, medium, high, advisory = AlarmPriority.LOW, AlarmPriority.MEDIUM, AlarmPriority.HIGH, ON.priority
    said = episode("ward/a", 10, low, medium) + episode("ward/a", 20, advisory)
    said += episode("ward/b", 10, high, high, high)
    said += [alarm for since in range(9) for alarm in episode("wristlead/ntfy", since, medium)]
    save_alarms(engine, said, {})
    assert noisiest_patients(engine) == [
        PatientLoad("ward/a", 2, high=0, medium=1, low=0, advisory=1),
        PatientLoad("ward/b", 1, high=1, medium=0, low=0, advisory=0),
    ]
    assert [load.device for load in noisiest_patients(engine, 1)] == ["ward/a"]
    assert noisiest_patients(engine, span_us=(11, 20)) == [
        PatientLoad("ward/a", 1, high=0, medium=1, low=0, advisory=0),
        PatientLoad("ward/b", 1, high=1, medium=0, low=0, advisory=0),
    ]
    assert noisiest_patients(engine, site="home") == []


def test_memory_is_replaced_device_by_device(engine: Engine) -> None:
    save_alarms(engine, [], {"ward/bed-1": b'{"a":1}', "ward/bed-2": b"{}"})
    save_alarms(engine, [], {"ward/bed-1": b'{"a":2}'})
    assert load_memory(engine) == {"ward/bed-1": b'{"a":2}', "ward/bed-2": b"{}"}


def test_what_cannot_be_saved_whole_is_not_saved_at_all(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE alarm_memory")
    with pytest.raises(SQLAlchemyError, match="alarm_memory"):
        save_alarms(engine, [ON], {"ward/bed-1": b"{}"})
    assert (active_alarms(engine), alarm_history(engine)) == ([], [])
