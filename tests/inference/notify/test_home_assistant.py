"""The state per device that home automation reads, and how Home Assistant finds it."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from msgspec import structs

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.notify.home_assistant import (
    FORGOTTEN_S,
    STALE_S,
    VITALS_EVERY_S,
    HomeState,
    Publication,
    device_of_discovery,
    discovery,
    discovery_topic,
)
from inference.notify.notice import Ended
from ingest.topics import summary_topic
from ingest.vitals import SignalState, Vitals

START_US = 1_790_000_000_000_000
DEVICE = "icu/bed-04"
VITALS = Vitals(DEVICE, 1, START_US, 500, 72.4, 0.4, SignalState.GOOD, battery=80)
ALARM = Alarm(
    DEVICE,
    AlarmKind.ASYSTOLE,
    AlarmQueue.PHYSIOLOGICAL,
    AlarmPriority.HIGH,
    AlarmState.ON,
    "ASYSTOLE 6 s",
    START_US,
    START_US,
)


def at(seconds: float) -> int:
    return START_US + round(seconds * 1e6)


def summaries(published: list[Publication]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(each.payload) for each in published if each.topic == summary_topic(DEVICE)]


def test_a_device_is_found_with_its_first_signal_and_told_once() -> None:
    home = HomeState()
    assert home.on_vitals(structs.replace(VITALS, signal=SignalState.NO_DATA), at(0)) == []
    found = home.on_vitals(VITALS, at(1))
    assert [each.topic for each in found] == [discovery_topic(DEVICE), summary_topic(DEVICE)]
    assert summaries(found) == [
        {
            "heart_rate_bpm": 72,
            "signal": "good",
            "battery": 80,
            "alarm": "none",
            "alarm_text": None,
            "alarm_state": None,
            "alarms": 0,
        }
    ]
    assert home.on_vitals(VITALS, at(2)) == []


def test_rates_are_told_every_few_seconds_and_a_lost_rate_at_once() -> None:
    home = HomeState()
    home.on_vitals(VITALS, at(0))
    told = [
        second
        for second in range(1, 21)
        if home.on_vitals(structs.replace(VITALS, heart_rate_bpm=72.0 + second), at(second))
    ]
    assert told == [5, 10, 15, 20]
    assert VITALS_EVERY_S == 5.0
    (lost,) = summaries(home.on_vitals(structs.replace(VITALS, heart_rate_bpm=None), at(21)))
    assert lost["heart_rate_bpm"] is None


def test_the_highest_alarm_is_told_at_once_and_taken_back_when_it_is_off() -> None:
    home = HomeState()
    low = replace(ALARM, kind=AlarmKind.LEAD_OFF, priority=AlarmPriority.LOW, text="Lead off 5 s")
    home.on_alarm(low, at(0))  # before the device was heard
    (first,) = summaries(home.on_vitals(VITALS, at(1)))
    assert (first["alarm"], first["alarm_text"]) == ("low", "* Lead off 5 s")
    (second,) = summaries(home.on_alarm(ALARM, at(2)))
    assert (second["alarm"], second["alarm_text"], second["alarms"]) == ("high", "*** ASYSTOLE 6 s", 2)
    (third,) = summaries(home.on_alarm(Ended(DEVICE, "asystole"), at(3)))
    assert (third["alarm"], third["alarms"]) == ("low", 1)


def test_old_vitals_are_no_data_and_no_rate() -> None:
    home = HomeState()
    home.on_vitals(VITALS, at(0))
    assert home.tick(at(STALE_S)) == []
    (told,) = summaries(home.tick(at(STALE_S + 1)))
    assert (told["heart_rate_bpm"], told["signal"]) == (None, "no data")


@pytest.mark.parametrize("is_discharged", [True, False])
def test_a_device_that_left_is_taken_away(*, is_discharged: bool) -> None:
    home = HomeState()
    home.on_vitals(VITALS, at(0))
    gone = home.forget(DEVICE) if is_discharged else home.tick(at(FORGOTTEN_S + 1))
    assert gone == [Publication(discovery_topic(DEVICE), b""), Publication(summary_topic(DEVICE), b"")]
    assert home.tick(at(FORGOTTEN_S + 2)) == []
    silent = structs.replace(VITALS, signal=SignalState.NO_DATA)
    assert home.on_vitals(silent, at(FORGOTTEN_S + 3)) == []  # it is not found again while it is silent
    assert home.on_vitals(VITALS, at(FORGOTTEN_S + 4)) == []  # nor by the samples it had before it left
    assert home.on_vitals(structs.replace(VITALS, last_sample=1000), at(FORGOTTEN_S + 5))


def test_invented_devices_fill_no_memory_and_take_no_place_from_those_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("inference.notify.home_assistant.MAX_DEVICES", 3)
    home = HomeState()
    home.on_vitals(VITALS, at(0))
    for n in range(10):  # they come and leave again
        home.on_vitals(structs.replace(VITALS, device=f"x/{n}"), at(1))
        home.forget(f"x/{n}")
    assert list(home._left_at) == ["x/7", "x/8", "x/9"]
    found = [bool(home.on_vitals(structs.replace(VITALS, device=f"y/{n}"), at(2))) for n in range(10)]
    assert found == [True, True] + [False] * 8
    assert home.adopt("y/9", at(2)) == []
    (told,) = summaries(home.on_alarm(ALARM, at(3)))
    assert told["alarm"] == "high"
    home.forget("y/0")
    assert home.on_vitals(structs.replace(VITALS, device="y/9"), at(4))


def test_a_device_of_an_earlier_run_is_kept_and_forgotten_like_any() -> None:
    home = HomeState()
    assert summaries(home.adopt(DEVICE, at(0)))[0]["signal"] == "no data"
    assert home.adopt(DEVICE, at(1)) == []
    assert summaries(home.on_vitals(VITALS, at(2)))[0]["heart_rate_bpm"] == 72
    assert home.tick(at(2 + FORGOTTEN_S + 1))[0] == Publication(discovery_topic(DEVICE), b"")


def test_no_two_devices_share_a_topic_and_the_topic_reads_back() -> None:
    devices = ("a-b/c", "a/b-c", "a_b/c", "a/b_c", "wristlead-/x")
    topics = [discovery_topic(device) for device in devices]
    assert len(set(topics)) == len(devices)
    assert [device_of_discovery(topic) for topic in topics] == list(devices)
    assert device_of_discovery("homeassistant/device/another/thing/config") is None


def test_the_discovery_message_has_what_home_assistant_requires() -> None:
    """`dev` with identifiers, `o` with a name; of each component a platform and an id of its own."""
    told = msgspec.json.decode(discovery(DEVICE))
    assert told["dev"]["ids"]
    assert told["o"]["name"]
    assert told["state_topic"] == summary_topic(DEVICE)
    ids = [sensor["unique_id"] for sensor in told["cmps"].values()]
    assert len(set(ids)) == 4
    assert all(sensor["p"] == "sensor" for sensor in told["cmps"].values())
    home = HomeState()
    (summary,) = summaries(home.on_vitals(VITALS, at(0)))
    for sensor in told["cmps"].values():
        field = sensor["value_template"].removeprefix("{{ value_json.").removesuffix(" }}")
        assert field in summary
    assert summary["alarm"] in told["cmps"]["alarm"]["options"]
    assert [priority.value in told["cmps"]["alarm"]["options"] for priority in AlarmPriority] == [True] * 4
