"""Alarms, their log and the engine's memory survive in the store."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.records import active_alarms, alarm_history, load_memory, save_alarms
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
