"""The alarm service between a broker, a store and the clock."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy.exc import OperationalError

from inference.alarms import memory, messages
from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.journal import CHECKPOINT_S
from inference.alarms.limits import LimitsInForce
from inference.alarms.messages import Refusal, decode_message
from inference.alarms.records import active_alarms, alarm_history, load_memory, setting_changes
from inference.alarms.service import FIRST_TICK_S
from ingest.link import Message, MqttLink
from ingest.store.schema import open_store
from ingest.topics import (
    ALARMS,
    LIMITS_IN_FORCE,
    PAUSED,
    REFUSALS,
    SERVICES,
    acknowledge_topic,
    alarm_topic,
    channel_topic,
    device_topic,
    discharge_topic,
    limits_in_force_topic,
    limits_topic,
    refusal_topic,
    verdict_topic,
    vitals_topic,
)
from ingest.vitals import SignalState, Vitals
from simulators.service import SERVICE as SIMULATORS
from tests.inference.alarms.bench import DEVICE, GOOD, OTHER, START_US, Bench

if TYPE_CHECKING:
    from tests.conftest import Mosquitto


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def silent(seconds: float) -> Vitals:
    return replace(GOOD, since_beat_s=seconds, heart_rate_bpm=None)


def test_an_alarm_is_retained_stored_and_cleared_when_it_is_off(bench: Bench) -> None:
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    assert bench.shown() == {"rate_limit": AlarmState.ON}
    engine = bench.open_engine()
    assert [a.text for a in active_alarms(engine)] == ["HR 134 > 120"]
    for _ in range(4):
        bench.watch(GOOD)
    assert bench.link.sent[-1] == (alarm_topic(DEVICE, "rate_limit"), b"")
    assert active_alarms(engine) == []
    assert [t.state for t in alarm_history(engine)] == [AlarmState.OFF, AlarmState.ON]


def test_messages_are_acknowledged_after_their_alarm_was_stored_and_shown(bench: Bench) -> None:
    engine = bench.open_engine()
    bench.watch(GOOD)
    order: list[str] = []
    acknowledge, publish = bench.link.acknowledge, bench.link.publish

    def note_acknowledge(*messages: Message) -> None:
        order.append(f"acknowledged, {len(active_alarms(engine))} stored")
        acknowledge(*messages)

    def note_publish(topic: str, payload: bytes, *, retain: bool) -> None:
        order.append(f"published, {len(active_alarms(engine))} stored")
        publish(topic, payload, retain=retain)

    bench.link.acknowledge = note_acknowledge  # type: ignore[method-assign]  # watched on purpose
    bench.link.publish = note_publish  # type: ignore[method-assign]  # same
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    assert order == ["published, 1 stored", "acknowledged, 1 stored"]  # the limits were said a second before


def test_new_words_are_shown_but_not_logged(bench: Bench) -> None:
    for rate in (130.0, 131.0, 132.0):
        bench.watch(replace(GOOD, heart_rate_bpm=rate))
    texts = [msgspec.json.decode(payload, type=Alarm).text for _, payload in bench.link.sent]
    assert texts == ["HR 130 > 120", "HR 131 > 120", "HR 132 > 120"]
    assert len(alarm_history(bench.open_engine())) == 1


def test_an_acknowledgement_names_who_in_the_log(bench: Bench) -> None:
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    bench.link.bring(acknowledge_topic(DEVICE, "rate_limit"), b'{"who":" A\\u0000da "}')
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    assert bench.shown() == {"rate_limit": AlarmState.ACK}
    newest = alarm_history(bench.open_engine(), DEVICE)[0]
    assert (newest.state, newest.who, newest.kind) == (AlarmState.ACK, "Ada", AlarmKind.RATE_LIMIT)


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (vitals_topic("ward"), b"{"),
        (vitals_topic("ward"), b'[{"device":5}]'),
        (verdict_topic(DEVICE), b"\xff"),
        (verdict_topic(DEVICE), b'{"device":"ward/bed-1"}'),
        (acknowledge_topic(DEVICE, "no_such_kind"), b'{"who":"Ada"}'),
        (acknowledge_topic(DEVICE, "asystole"), b'{"who":""}'),
        ("wl/v1/acknowledge/x", b'{"who":"Ada"}'),
        ("wl/v1/acknowledge/ward/bed-1", b'{"who":"Ada"}'),
        (device_topic(DEVICE, "status"), b'{"online":"perhaps"}'),
        (device_topic(DEVICE, "status"), b'{"online":true,"battery":-5}'),
        (device_topic(DEVICE, "status"), b'{"online":true,"battery":1e300}'),
        (device_topic("wristlead/ingest", "status"), b'{"online":true,"battery":4}'),
    ],
)
def test_what_cannot_be_understood_is_counted_and_harms_no_other_device(
    bench: Bench, topic: str, payload: bytes
) -> None:
    bench.link.bring(topic, payload)
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    assert bench.service.counters()["refused"] == 1
    assert bench.shown() == {"rate_limit": AlarmState.ON}
    assert len(bench.link.acknowledged) == 2


@pytest.mark.parametrize("kind", ["vitals/ward", "verdict/ward/bed", "acknowledge/ward/bed/rate_limit"])
def test_what_is_nested_too_deep_is_refused_like_anything_else(kind: str) -> None:
    for payload in (b'{"nested":' + b"[" * 5_000, b'[{"nested":' + b"[" * 5_000):
        assert decode_message(f"wl/v1/{kind}", payload, START_US).refused
        assert decode_message("ecg/v1/ward/bed/status", payload, START_US).refused


def test_what_somebody_retained_by_mistake_is_not_taken_for_news(bench: Bench) -> None:
    old = replace(GOOD, at_us=START_US - 3_600_000_000, heart_rate_bpm=170.0)
    for _ in range(2):  # a broker says it again at every reconnect
        bench.watch(replace(GOOD, heart_rate_bpm=134.0))
        bench.link.bring(acknowledge_topic(DEVICE, "rate_limit"), b'{"who":"Ada"}', retained=True)
        bench.link.bring(vitals_topic("ward"), msgspec.json.encode([old]), retained=True)
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    assert bench.shown() == {"rate_limit": AlarmState.ON}
    assert bench.service.counters()["refused"] == 4


def test_a_retained_device_status_counts(bench: Bench) -> None:
    bench.watch(GOOD)
    bench.link.bring(device_topic(DEVICE, "status"), b'{"online":true,"battery":12}', retained=True)
    bench.watch(GOOD)
    assert bench.shown() == {"battery": AlarmState.ON}


def test_one_unreadable_record_does_not_cost_the_others_of_its_site(bench: Bench) -> None:
    good = msgspec.json.encode(replace(GOOD, heart_rate_bpm=134.0))
    bench.link.bring(vitals_topic("ward"), b'[{"device":"ward/bed-9"},' + good + b"]")
    bench.service.step()
    assert bench.shown() == {"rate_limit": AlarmState.ON}


def test_a_device_that_falls_silent_with_its_ingest_is_seen_by_the_clock(bench: Bench) -> None:
    bench.watch(GOOD)
    while bench.second < 12:
        bench.second += 0.5
        bench.service.step()
    assert bench.shown() == {"no_data": AlarmState.ON}


def test_a_restart_continues_every_alarm_and_clears_retained_ones_that_are_off(bench: Bench) -> None:
    for second in range(6):
        bench.watch(silent(second))
    bench.watch(GOOD, replace(GOOD, device=OTHER, heart_rate_bpm=130.0))
    before = bench.shown()
    assert before == {"asystole": AlarmState.LATCHED, "rate_limit": AlarmState.ON}
    bench.link.retained.clear()  # no stop(): it was killed; and the broker forgot
    bench.link.retained[alarm_topic(DEVICE, "lead_off")] = b"{}"
    bench.start()
    bench.subscribed()
    assert bench.shown() == before
    bench.link.bring(acknowledge_topic(DEVICE, "asystole"), b'{"who":"Ada"}')
    bench.watch(GOOD)
    assert bench.shown() == {"rate_limit": AlarmState.ON}


def test_what_the_broker_kept_comes_before_the_clock_so_that_a_restart_cries_no_false_alarm(
    bench: Bench,
) -> None:
    bench.watch(GOOD)
    bench.second += CHECKPOINT_S
    bench.watch(GOOD)
    bench.service.stop()
    bench.second += 300
    bench.start()
    bench.second += FIRST_TICK_S - 0.1
    bench.service.step()
    assert bench.shown() == {}
    bench.watch(GOOD)
    bench.service.step()
    assert bench.shown() == {}


def test_an_alarm_is_shown_though_the_store_fails_and_stored_when_it_is_back(bench: Bench) -> None:
    bench.watch(GOOD)
    bench.is_broken = True
    bench.start()
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    assert bench.shown() == {"rate_limit": AlarmState.ON}
    assert bench.service.counters()["unsaved"] == 1
    assert bench.link.inbox == []
    assert len(bench.link.acknowledged) == 2
    bench.is_broken = False
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    assert bench.service.counters()["unsaved"] == 0
    engine = bench.open_engine()
    assert len(active_alarms(engine)) == len(alarm_history(engine)) == 1


def test_an_alarm_is_shown_while_another_program_locks_the_store(bench: Bench) -> None:
    bench.watch(GOOD)
    with contextlib.closing(sqlite3.connect(bench.url.removeprefix("sqlite:///"))) as other:
        other.execute("BEGIN IMMEDIATE")
        bench.watch(replace(GOOD, heart_rate_bpm=134.0))
        assert bench.shown() == {"rate_limit": AlarmState.ON}
        assert bench.service.counters()["unsaved"] == 1
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    assert bench.service.counters()["unsaved"] == 0
    assert len(alarm_history(bench.open_engine())) == 1


def test_store_trouble_is_said_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.is_broken = True
    bench.start()
    for _ in range(10):
        bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == [
        "alarms go on but cannot be stored: disk is full"
    ]


def test_a_broker_that_lost_its_memory_gets_every_alarm_again(bench: Bench) -> None:
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    bench.link.is_connected = False
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    bench.link.retained.clear()
    bench.link.is_connected = True
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    assert bench.shown() == {"rate_limit": AlarmState.ON}


def test_a_broker_that_fell_back_to_older_alarms_is_put_right(bench: Bench) -> None:
    for rate in (134.0, 72.0, 72.0, 72.0, 72.0):
        bench.watch(replace(GOOD, heart_rate_bpm=rate))
    assert bench.shown() == {}
    old = msgspec.json.encode(alarm_history(bench.open_engine())[0])
    bench.link.retained[alarm_topic(DEVICE, "rate_limit")] = old  # killed before it had saved the clearing
    bench.subscribed()
    assert bench.shown() == {}


def test_no_retained_alarm_is_cleared_before_the_store_has_told_which_are_on(bench: Bench) -> None:
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    bench.is_broken = True
    bench.start()
    bench.subscribed()
    assert bench.shown() == {"rate_limit": AlarmState.ON}
    bench.second += 2
    bench.is_broken = False
    for _ in range(2):
        bench.service.step()
    assert bench.shown() == {"rate_limit": AlarmState.ON}
    assert bench.service.counters()["active"] == {"medium": 1}


def test_a_store_that_fails_while_it_is_read_at_the_start_is_read_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    with monkeypatch.context() as patched:
        error = OperationalError("select", None, Exception("disk I/O error"))
        patched.setattr("inference.alarms.recovery.load_memory", Mock(side_effect=error))
        bench.start()
    bench.second += 2
    bench.service.step()
    assert bench.service.counters()["active"] == {"medium": 1}


def test_nothing_is_hoarded_for_a_broker_that_is_away_and_the_newest_is_said_when_it_is_back(
    bench: Bench,
) -> None:
    bench.watch(replace(GOOD, heart_rate_bpm=134.0), replace(GOOD, device=OTHER, heart_rate_bpm=130.0))
    bench.link.is_connected = False
    n_sent = len(bench.link.sent)
    for second in range(60):
        bench.watch(replace(GOOD, heart_rate_bpm=130.0 + second % 7), replace(GOOD, device=OTHER))
    assert len(bench.link.sent) == n_sent
    bench.link.is_connected = True
    bench.subscribed()
    assert [alarm.text for alarm in bench.alarms()] == ["HR 133 > 120"]


def test_a_memory_that_cannot_be_read_costs_no_alarm(bench: Bench) -> None:
    bench.watch(replace(GOOD, heart_rate_bpm=160.0))
    with bench.open_engine().begin() as connection:
        connection.exec_driver_sql("UPDATE alarm_memory SET memory = 'torn'")
    bench.start()
    assert bench.shown()["extreme_rate"] is AlarmState.ON


def test_the_memory_of_a_quiet_device_is_never_older_than_a_checkpoint(bench: Bench) -> None:
    while bench.second < CHECKPOINT_S + 2:
        bench.watch(GOOD)
    memory = msgspec.json.decode(load_memory(bench.open_engine())[DEVICE])
    assert memory["seen"]["vitals_us"] >= START_US + CHECKPOINT_S * 1e6


# --- what people ask for --------------------------------------------------------------------------------


def ask(bench: Bench, topic: str, **request: object) -> None:
    bench.link.bring(topic, msgspec.json.encode(request))
    bench.service.step()


def in_force(bench: Bench, device: str = DEVICE) -> LimitsInForce:
    return msgspec.json.decode(bench.link.retained[limits_in_force_topic(device)], type=LimitsInForce)


def refusals(bench: Bench) -> list[tuple[str, Refusal]]:
    return [(topic, msgspec.json.decode(payload, type=Refusal)) for topic, payload in bench.link.said]


def test_limits_of_a_patient_are_in_force_shown_logged_and_survive_a_kill(bench: Bench) -> None:
    bench.watch(GOOD)
    assert in_force(bench).sources["rate_high_bpm"] == "settings"
    ask(bench, limits_topic(DEVICE), who="Ada", rate_high_bpm=140)
    ask(bench, limits_topic("ward"), who="Bob", rate_high_bpm=130, rate_low_bpm=None)
    for life in range(2):
        now = in_force(bench)
        assert (now.rate_high_bpm, now.sources["rate_high_bpm"]) == (140, "patient")
        assert (now.rate_low_bpm, now.sources["rate_low_bpm"]) == (50, "settings")
        assert now.who == "Bob"  # the newest change among them
        bench.watch(replace(GOOD, heart_rate_bpm=135.0), replace(GOOD, device=OTHER, heart_rate_bpm=132.0))
        assert [(a.device, a.text) for a in bench.alarms()] == [(OTHER, "HR 132 > 130")]
        if life == 0:
            bench.start()  # it was killed
            bench.subscribed()
    changes = setting_changes(bench.open_engine())
    assert [(c.who, c.what, c.scope, c.before, c.after) for c in changes] == [
        ("Bob", "limits", "ward", None, '{"rate_high_bpm":130.0}'),
        ("Ada", "limits", DEVICE, None, '{"rate_high_bpm":140.0}'),
    ]


def test_reset_takes_limits_away(bench: Bench) -> None:
    bench.watch(GOOD)
    ask(bench, limits_topic(DEVICE), who="Ada", rate_high_bpm=140)
    ask(bench, limits_topic(DEVICE), who="Ada", reset=True)
    assert (in_force(bench).rate_high_bpm, in_force(bench).who) == (120, None)
    newest = setting_changes(bench.open_engine(), DEVICE)[0]
    assert (newest.before, newest.after) == ('{"rate_high_bpm":140.0}', None)


@pytest.mark.parametrize(
    ("topic", "request_", "reason"),
    [
        (limits_topic(DEVICE), {"who": "Ada", "rate_high_bpm": 160}, "got 40, 50, 160, 150 bpm"),
        (
            limits_topic(DEVICE),
            {"who": "Ada", "rate_high_bpm": 1000},
            "rate_high_bpm is 1000, want 15 to 300",
        ),
        (limits_topic(DEVICE), {"who": "Ada", "rate_hihg_bpm": 100}, "unknown field `rate_hihg_bpm`"),
        (limits_topic(DEVICE), {"who": "Ada", "reset": True, "rate_high_bpm": 100}, "not both"),
        (limits_topic(DEVICE), {"who": " ", "rate_high_bpm": 100}, "needs a name in who"),
        (limits_topic("ward/bed-1/x"), {"who": "Ada", "rate_high_bpm": 100}, "names no scope"),
        (discharge_topic(DEVICE), {}, "missing required field `who`"),
        (discharge_topic("ward"), {"who": "Ada"}, "names no device"),
        ("wl/v1/pause", {"who": "Ada"}, "missing required field `on`"),
        (acknowledge_topic(DEVICE, "boredom"), {"who": "Ada"}, "boredom"),
    ],
)
def test_who_asks_for_what_cannot_be_is_told_why_and_nothing_changes(
    bench: Bench, topic: str, request_: dict[str, object], reason: str
) -> None:
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    before = dict(bench.link.retained)
    ask(bench, topic, **request_)
    ((said_on, refusal),) = refusals(bench)
    assert said_on == refusal_topic(topic)
    assert reason in refusal.reason
    assert refusal.request == msgspec.json.encode(request_).decode()
    assert bench.link.retained == before
    assert setting_changes(bench.open_engine()) == []


def test_limits_wait_for_a_store_that_was_not_read_yet(bench: Bench) -> None:
    bench.watch(GOOD)
    bench.is_broken = True
    bench.start()
    ask(bench, limits_topic(DEVICE), who="Ada", rate_high_bpm=140)
    assert "ask again" in refusals(bench)[0][1].reason


def test_a_pause_is_retained_for_120_s_and_its_alarms_say_that_they_are_quiet(bench: Bench) -> None:
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    ask(bench, "wl/v1/pause", who="Ada", on=True)
    assert [alarm.sounding for alarm in bench.alarms()] == [False]
    pause = msgspec.json.decode(bench.link.retained["wl/v1/paused"])
    assert (pause["who"], pause["until_us"]) == ("Ada", START_US + 120_000_000)
    bench.start()  # it was killed; FIRST_TICK_S passes before its first tick
    bench.subscribed()
    assert [alarm.sounding for alarm in bench.alarms()] == [False]
    assert "wl/v1/paused" in bench.link.retained
    while bench.second <= 121:
        bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    assert [alarm.sounding for alarm in bench.alarms()] == [True]
    assert "wl/v1/paused" not in bench.link.retained
    assert [t.state for t in alarm_history(bench.open_engine())] == [AlarmState.ON]
    changes = [(c.what, c.before, c.after) for c in setting_changes(bench.open_engine())]
    assert changes == [("pause", "off", "on")]


@pytest.mark.parametrize("down_s", [200.0, 117.0])
def test_a_pause_that_ended_while_we_were_down_or_just_after_holds_nothing_back(
    bench: Bench, down_s: float
) -> None:
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    ask(bench, "wl/v1/pause", who="Ada", on=True)
    bench.second += down_s
    bench.start()
    bench.second += 3.0
    bench.watch(replace(GOOD, device=OTHER, heart_rate_bpm=134.0))
    assert [(alarm.device, alarm.sounding) for alarm in bench.alarms()] == [(DEVICE, True), (OTHER, True)]


def test_a_pause_can_be_ended(bench: Bench) -> None:
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    ask(bench, "wl/v1/pause", who="Ada", on=True)
    ask(bench, "wl/v1/pause", who="Ada", on=False)
    assert "wl/v1/paused" not in bench.link.retained
    assert [alarm.sounding for alarm in bench.alarms()] == [True]


def test_a_discharge_ends_all_alarms_and_limits_of_a_device_and_forgets_it(bench: Bench) -> None:
    ask(bench, limits_topic(DEVICE), who="Ada", rate_high_bpm=130)
    bench.watch(replace(GOOD, heart_rate_bpm=160.0), replace(GOOD, device=OTHER, heart_rate_bpm=134.0))
    ask(bench, discharge_topic(DEVICE), who="Ada")
    assert [(a.device, a.kind) for a in bench.alarms()] == [(OTHER, AlarmKind.RATE_LIMIT)]
    assert limits_in_force_topic(DEVICE) not in bench.link.retained
    gone = replace(GOOD, signal=SignalState.NO_DATA, heart_rate_bpm=None)
    for _ in range(2):
        for age in range(1, 30):  # ingest goes on telling of a silent device
            bench.watch(replace(gone, data_age_s=age), replace(GOOD, device=OTHER, heart_rate_bpm=134.0))
        assert bench.service.counters()["devices"] == 1
        assert [a.device for a in bench.alarms()] == [OTHER]
        bench.start()  # killed: it stays forgotten
        bench.subscribed()
    bench.watch(replace(GOOD, last_sample=500, heart_rate_bpm=134.0))
    assert {a.device for a in bench.alarms()} == {DEVICE, OTHER}
    assert in_force(bench).rate_high_bpm == 120
    history = alarm_history(bench.open_engine(), DEVICE)
    ended = [(t.state, t.who) for t in history if t.kind is AlarmKind.EXTREME_RATE]
    assert ended == [(AlarmState.OFF, "Ada"), (AlarmState.ON, None)]
    assert [c.what for c in setting_changes(bench.open_engine(), DEVICE)] == ["limits", "discharge", "limits"]


def test_a_late_acknowledgement_that_names_its_episode_silences_no_newer_one(bench: Bench) -> None:
    bench.watch(replace(GOOD, heart_rate_bpm=134.0))
    seen = bench.alarms()[0].since_us
    for rate in (72.0, 72.0, 72.0, 72.0, 72.0, 134.0):
        bench.watch(replace(GOOD, heart_rate_bpm=rate))
    ask(bench, acknowledge_topic(DEVICE, "rate_limit"), who="Ada", since_us=seen)
    assert bench.shown() == {"rate_limit": AlarmState.ON}
    ask(bench, acknowledge_topic(DEVICE, "rate_limit"), who="Ada", since_us=bench.alarms()[0].since_us)
    assert bench.shown() == {"rate_limit": AlarmState.ACK}


def test_a_request_for_a_device_that_nobody_heard_of_harms_nothing(bench: Bench) -> None:
    ask(bench, acknowledge_topic("ward/nobody", "asystole"), who="Ada")
    ask(bench, discharge_topic("ward/nobody"), who="Ada")
    bench.second += CHECKPOINT_S
    bench.watch(GOOD)
    assert DEVICE in load_memory(bench.open_engine())


def test_a_channel_that_fails_and_a_service_that_dies_are_alarms_of_wristlead(bench: Bench) -> None:
    bench.link.bring(channel_topic("ntfy"), b'{"ok":false,"reason":"no route"}', retained=True)
    bench.link.bring("wl/v1/service/ingest", b'{"online":true,"at_us":1}', retained=True)
    bench.service.step()
    assert [(a.device, a.text) for a in bench.alarms()] == [
        ("wristlead/ntfy", "Notifications by ntfy fail: no route")
    ]
    bench.link.bring(channel_topic("ntfy"), b"")
    bench.link.bring("wl/v1/service/ingest", b'{"online":true,"at_us":1}')
    bench.link.bring("wl/v1/service/alarms", b'{"online":true,"at_us":1}')
    bench.service.step()
    assert bench.shown() == {}
    bench.second += 12
    bench.service.step()
    (silent,) = bench.alarms()
    assert (silent.device, silent.kind) == ("wristlead/ingest", AlarmKind.SERVICE)


def test_a_start_on_the_next_day_misses_no_service_before_it_could_be_heard(bench: Bench) -> None:
    bench.link.bring("wl/v1/service/explain", b'{"online":true}')
    bench.service.step()
    bench.service.stop()
    bench.second += 12 * 3600
    bench.start()
    bench.second += FIRST_TICK_S - 1.0
    bench.service.step()
    assert bench.alarms() == []
    bench.second += 1.5
    bench.service.step()
    (silent,) = bench.alarms()
    assert (silent.text, silent.priority) == ("Service explain silent 10 s", AlarmPriority.LOW)
    bench.start()  # one that was missed already is missed all the time
    bench.second += 60
    bench.service.step()
    (silent,) = bench.alarms()
    assert silent.text == "Service explain silent 1 min"


def test_patients_that_are_simulated_and_we_ourselves_are_not_missed(bench: Bench) -> None:
    for name in (SIMULATORS, "alarms"):
        bench.link.bring(f"wl/v1/service/{name}", b'{"online":true}')
    bench.service.step()
    bench.second += 12
    bench.service.step()
    assert bench.alarms() == []


def test_the_alarm_of_a_service_that_is_watched_no_more_ends_at_the_next_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(messages, "UNWATCHED", frozenset({"alarms"}))
        bench.link.bring(f"wl/v1/service/{SIMULATORS}", b'{"online":true}')
        bench.service.step()
        bench.second += 12
        bench.service.step()
        bench.service.stop()
    assert [alarm.device for alarm in bench.alarms()] == [f"wristlead/{SIMULATORS}"]
    for _ in range(2):
        bench.second += CHECKPOINT_S + 300
        bench.start()
        bench.subscribed()
        bench.second += FIRST_TICK_S
        bench.service.step()
        assert bench.alarms() == []
        assert active_alarms(bench.open_engine()) == []
    newest = alarm_history(bench.open_engine())[0]
    assert (newest.state, newest.who, newest.kind) == (AlarmState.OFF, "Wristlead", AlarmKind.SERVICE)
    assert [c.what for c in setting_changes(bench.open_engine())] == ["discharge"]


def test_a_part_that_was_switched_off_for_good_is_discharged_until_it_is_heard_again(bench: Bench) -> None:
    bench.link.bring(channel_topic("ntfy"), b'{"ok":false,"reason":"no route"}')
    bench.link.bring("wl/v1/service/explain", b'{"online":true}')
    bench.service.step()
    bench.second += 70
    bench.service.step()
    assert len(bench.alarms()) == 2
    for name in ("ntfy", "explain"):
        ask(bench, discharge_topic(f"wristlead/{name}"), who="Ada")
    for _ in range(2):
        assert bench.alarms() == []
        assert refusals(bench) == []
        bench.start()
        bench.second += 300
        bench.service.step()
    bench.link.bring("wl/v1/service/explain", b'{"online":true}')
    bench.service.step()
    bench.service.step()
    bench.second += 1
    bench.service.step()
    assert [alarm.device for alarm in bench.alarms()] == ["wristlead/explain"]  # heard at START_US


def test_a_status_of_a_device_that_nobody_heard_leaves_no_trace(bench: Bench) -> None:
    for number in range(50):
        bench.link.bring(device_topic(f"x/{number}", "status"), b'{"online":true,"battery":1}')
    bench.watch(GOOD)
    assert set(bench.link.retained) == {limits_in_force_topic(DEVICE), limits_in_force_topic("ward")}
    assert bench.service.counters()["devices"] == 1
    bench.service.stop()
    assert set(load_memory(bench.open_engine())) == {DEVICE, "*"}


def test_devices_beyond_all_measure_are_counted_and_said_and_cost_none_that_is_known(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(memory, "MAX_DEVICES", 3)
    monkeypatch.setattr(memory, "MAX_PARTS", 1)
    bench.link.bring("wl/v1/service/ingest", b'{"online":true}')
    bench.link.bring("wl/v1/service/ingest2", b'{"online":true}')
    bench.watch(GOOD, *(replace(GOOD, device=f"x/{number}") for number in range(11)))
    counters = bench.service.counters()
    assert (counters["crowded"], counters["devices"]) == (11, 2)
    said = [r.getMessage() for r in caplog.records if " is not watched " in r.getMessage()]
    assert [line.partition(" is not watched ")[0] for line in said] == ["wristlead/ingest2", "x/9"]
    ask(bench, discharge_topic("x/0"), who="Ada")
    bench.watch(replace(GOOD, heart_rate_bpm=134.0), replace(GOOD, device=OTHER, heart_rate_bpm=134.0))
    assert {alarm.device for alarm in bench.alarms()} == {DEVICE, OTHER}


def test_the_log_holds_limits_count_peak_escalation_and_the_place_in_the_stream(bench: Bench) -> None:
    ask(bench, limits_topic(DEVICE), who="Ada", rate_extreme_high_bpm=155)
    for second in range(62):
        bench.watch(replace(GOOD, heart_rate_bpm=160.0 + second / 10, last_sample=second * 500))
    rows = [t for t in alarm_history(bench.open_engine(), DEVICE) if t.kind is AlarmKind.EXTREME_RATE]
    assert [(t.escalation, t.count, t.peak, t.session, t.sample) for t in rows] == [
        (1, 1, 166.0, 7, 30_000),
        (0, 1, 160.0, 7, 0),
    ]
    assert {t.limits_bpm for t in rows} == {(40.0, 50.0, 120.0, 155.0)}


# --- with a real broker and a real process --------------------------------------------------------------


class Outside:
    """What a dashboard and ingest are to the service: a client of the same broker."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.link = MqttLink(address, "outside")
        self.alarms: dict[str, Alarm] = {}
        self.beat: bytes = b""
        self.heard: dict[str, bytes] = {}  # the newest on every other topic
        for topic in (ALARMS, SERVICES):
            self.link.subscribe(topic)
        self.link.connect()

    def wait(self, is_so: Callable[[], bool], within_s: float = 15.0) -> None:
        deadline = time.monotonic() + within_s
        while not is_so():
            assert time.monotonic() < deadline, (self.alarms, self.beat)
            for message in self.link.poll(0.05):
                if message.topic == "wl/v1/service/alarms":
                    self.beat = message.payload
                elif message.topic.startswith("wl/v1/alarm/"):
                    kind = message.topic.rsplit("/", 1)[1]
                    self.alarms.pop(kind, None)
                    if message.payload:
                        self.alarms[kind] = msgspec.json.decode(message.payload, type=Alarm)
                else:
                    self.heard[message.topic] = message.payload

    def tell(self, vitals: Vitals) -> None:
        self.link.publish(vitals_topic("ward"), msgspec.json.encode([vitals]))

    def state(self, kind: str) -> AlarmState | None:
        return self.alarms[kind].state if kind in self.alarms else None

    def is_up(self) -> bool:
        return b'"online":true' in self.beat


@contextlib.contextmanager
def service_process(port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    code = (
        "from inference.alarms.service import run; from ingest.settings import load_settings; "
        "run(load_settings())"
    )
    environment = {
        **os.environ,
        "WRISTLEAD_BROKER": f"127.0.0.1:{port}",
        "WRISTLEAD_DATA_DIR": str(folder),
    }
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.broker
def test_an_alarm_outlives_a_killed_service_and_is_acknowledged_in_its_next_life(
    mosquitto: "Mosquitto", tmp_path: Path
) -> None:
    outside = Outside(mosquitto.address)
    now_us = time.time_ns() // 1000
    with service_process(mosquitto.port, tmp_path) as process:
        outside.wait(outside.is_up)
        for second in range(-10, 6):
            silent_s = max(0.4, float(second))
            outside.tell(
                replace(GOOD, at_us=now_us + second * 1_000_000, since_beat_s=silent_s, heart_rate_bpm=None)
            )
        outside.wait(lambda: outside.state("asystole") is AlarmState.ON)
        assert outside.alarms["asystole"].at_us - now_us < 10_000_000
        process.send_signal(signal.SIGKILL)
        process.wait()
    outside.wait(lambda: not outside.is_up())
    # While it is down the heart beats again and somebody acknowledges: the broker keeps both.
    outside.tell(replace(GOOD, at_us=now_us + 7_000_000))
    with service_process(mosquitto.port, tmp_path) as process:
        outside.wait(outside.is_up)
        outside.wait(lambda: outside.state("asystole") is AlarmState.LATCHED)
        outside.link.publish(acknowledge_topic(DEVICE, "asystole"), b'{"who":"Ada"}')
        outside.wait(lambda: outside.state("asystole") is None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    history = alarm_history(open_store(f"sqlite:///{tmp_path / 'wristlead.sqlite'}"), DEVICE)
    assert [(t.state, t.who) for t in reversed(history) if t.kind is AlarmKind.ASYSTOLE] == [
        (AlarmState.ON, None),
        (AlarmState.LATCHED, None),
        (AlarmState.OFF, "Ada"),
    ]


@pytest.mark.broker
def test_a_condition_that_is_still_there_is_ack_after_a_person_saw_it(
    mosquitto: "Mosquitto", tmp_path: Path
) -> None:
    outside = Outside(mosquitto.address)
    now_us = time.time_ns() // 1000
    with service_process(mosquitto.port, tmp_path):
        outside.wait(outside.is_up)
        outside.tell(replace(GOOD, at_us=now_us, heart_rate_bpm=134.0))
        outside.wait(lambda: outside.state("rate_limit") is AlarmState.ON)
        outside.link.publish(acknowledge_topic(DEVICE, "rate_limit"), b'{"who":"Ada"}')
        outside.wait(lambda: outside.state("rate_limit") is AlarmState.ACK)
        assert outside.alarms["rate_limit"].who == "Ada"


@pytest.mark.broker
def test_what_a_broker_retains_of_an_alarm_that_is_over_is_cleared(
    mosquitto: "Mosquitto", tmp_path: Path
) -> None:
    outside = Outside(mosquitto.address)
    leftover = alarm_topic(DEVICE, "rate_limit")
    alarm = Alarm(
        DEVICE, AlarmKind.RATE_LIMIT, AlarmQueue.PHYSIOLOGICAL, AlarmPriority.MEDIUM, AlarmState.ON, "", 0, 0
    )
    outside.link.publish(leftover, msgspec.json.encode(alarm), retain=True)
    outside.wait(lambda: outside.state("rate_limit") is AlarmState.ON)
    with service_process(mosquitto.port, tmp_path):
        outside.wait(lambda: outside.state("rate_limit") is None)


@pytest.mark.broker
def test_limits_a_pause_and_a_refusal_travel_by_a_real_broker_and_limits_outlive_a_kill(
    mosquitto: "Mosquitto", tmp_path: Path
) -> None:
    outside = Outside(mosquitto.address)
    for topic in (LIMITS_IN_FORCE, PAUSED, REFUSALS):
        outside.link.subscribe(topic)
    high = replace(GOOD, at_us=time.time_ns() // 1000, heart_rate_bpm=134.0)

    def limit() -> object:
        payload = outside.heard.get(limits_in_force_topic(DEVICE), b"null")
        return (msgspec.json.decode(payload) or {}).get("rate_high_bpm")

    with service_process(mosquitto.port, tmp_path) as process:
        outside.wait(outside.is_up)
        outside.tell(high)
        outside.wait(lambda: outside.state("rate_limit") is AlarmState.ON and limit() == 120)
        outside.link.publish(limits_topic(DEVICE), b'{"who":"Ada","rate_high_bpm":140}')
        outside.link.publish("wl/v1/pause", b'{"who":"Ada","on":true}')
        outside.link.publish(limits_topic(DEVICE), b'{"who":"Ada","rate_high_bpm":200}')
        outside.wait(lambda: refusal_topic(limits_topic(DEVICE)) in outside.heard and limit() == 140)
        outside.wait(lambda: not outside.alarms["rate_limit"].sounding and PAUSED in outside.heard)
        process.send_signal(signal.SIGKILL)
        process.wait()
    outside.heard.clear()
    outside.wait(lambda: not outside.is_up())
    with service_process(mosquitto.port, tmp_path):
        outside.wait(lambda: limit() == 140 and PAUSED in outside.heard)


def test_without_a_broker_the_service_ends_with_one_sentence(tmp_path: Path, free_port: int) -> None:
    code = (
        "import ingest.link as l; from inference.alarms import service as s; from ingest.settings import "
        "load_settings; wait = l.MqttLink.connect; l.MqttLink.connect = lambda self: wait(self, 0.2); "
        "s.run(load_settings())"
    )
    environment = {
        **os.environ,
        "WRISTLEAD_BROKER": f"127.0.0.1:{free_port}",
        "WRISTLEAD_DATA_DIR": str(tmp_path),
    }
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert ended.stderr.strip().startswith("Alarms cannot start: no MQTT broker answers")
