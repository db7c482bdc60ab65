"""Whatever strangers retain or publish, the notifier goes on, tells other alarms, and can start again."""

import random
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct, structs

from inference.alarms.alarm import Alarm, AlarmKind
from inference.notify.home_assistant import HomeState
from inference.notify.records import save_memory
from ingest.store.schema import open_store
from ingest.topics import alarm_topic, summary_topic, vitals_topic
from ingest.vitals import SignalState, Vitals
from tests.inference.notify.test_notifier import ALARM, DEVICE, START_US, Bench

VITALS = Vitals(DEVICE, 1, START_US, 500, 72.4, 0.4, SignalState.GOOD, battery=80)
NUMBERS = (
    0,
    -1,
    10**18,
    -(10**18),
    2**63,
    -(2**63) - 1,
    2**64,
    10**40,
    1e308,
    -1e308,
    5e-324,
    253402300800000000,
)
TEXTS = ("", "\0", "a\nBcc: b@example.org", "\u202e\U000e0001", "x" * 100_000, "{{ 7 * 7 }}", "\x1b[2J")
DEVICES = ("a/+", "#/b", "a", "", "a/b/c", "a b/c", "/", "a/\0", "x" * 70_000 + "/b", "é/ü", "$SYS/b")
EVERYTHING = dict.fromkeys(("show_names", "follow_up"), True) | {
    "burst": 1000,
    "per_minute": 1000.0,
    "min_priority": "advisory",
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.sqlite'}"


def spoilt(record: Any, rng: random.Random) -> bytes:
    """The JSON of a record with one or two values of another size, now and then of another type."""
    fields = structs.asdict(record) if isinstance(record, Struct) else asdict(record)
    for name in rng.sample(sorted(fields), rng.randint(1, 2)):
        same = {str: TEXTS, int: NUMBERS, float: NUMBERS}.get(type(fields[name]))
        is_same = same is not None and rng.random() < 0.9
        fields[name] = rng.choice(same if is_same and same else (*NUMBERS, *TEXTS, None, [], {}, True))
    return msgspec.json.encode(fields)


def hostile(n: int, rng: random.Random) -> list[tuple[str, bytes]]:
    """One message of each sort, about devices that are nobody else's."""
    device = rng.choice((*[f"icu/x{n}"] * 3, rng.choice(DEVICES)))
    kind = rng.choice([*(each.value for each in AlarmKind), "", "none"])
    bad = rng.choice((device, device, device, rng.choice(DEVICES)))
    vitals = [spoilt(structs.replace(VITALS, device=bad), rng) for _ in range(2)]
    name = msgspec.json.encode({"name": rng.choice((*TEXTS, *NUMBERS))})
    alarm = replace(ALARM, device=bad, kind=kind)  # type: ignore[arg-type]
    return [
        (f"wl/v1/alarm/{device}/{kind}", spoilt(alarm, rng)),
        (vitals_topic("icu"), b"[%s,%s,%s]" % (vitals[0], msgspec.json.encode(VITALS), vitals[1])),
        (f"ecg/v1/{device}/meta", name),
        (f"ecg/v1/{device}/status", msgspec.json.encode({"online": rng.choice(NUMBERS), "battery": -1e308})),
        (f"homeassistant/device/wristlead-{device}/config", b"{}"),
        (f"wl/v1/discharge/{device}", name),
        (f"wl/v1/channel/{rng.choice(TEXTS)[:100]}", b"{}"),
        (f"wl/v1/channel_test/{rng.choice(('phone', *TEXTS))}", name),
    ]


@pytest.mark.parametrize("seed", range(40))
def test_no_message_ends_the_notifier_or_harms_another(url: str, seed: int) -> None:
    rng = random.Random(seed)
    messages = [each for n in range(5) for each in hostile(n, rng)]
    rng.shuffle(messages)
    for _ in range(2):  # what is retained comes again after each start, and so does what was stored
        bench = Bench(url, "phone", home=HomeState(), **EVERYTHING)
        for topic, payload in messages:
            bench.link.bring(topic, payload, retained=not topic.startswith("wl/v1/vitals"))
        bench.link.bring(alarm_topic(DEVICE, ALARM.kind), msgspec.json.encode(ALARM), retained=True)
        bench.link.bring(vitals_topic("icu"), msgspec.json.encode([VITALS]))
        bench.step()
        summary = msgspec.json.decode(bench.link.retained[summary_topic(DEVICE)])
        assert (summary["heart_rate_bpm"], summary["alarm_text"]) == (72, "*** ASYSTOLE 6 s")
        for seconds in (1, 4, 6, 60, 3600):
            bench.step(seconds)
        told = bench.notifier._planner.outboxes["phone"].memory
        assert f"{DEVICE}/asystole" in told.told
        assert (told.waiting, told.failed) == ({}, 0)
        assert all(letter.title.isprintable() and len(letter.body) < 20_000 for _, letter in bench.letters)
        bench.notifier.stop()


@pytest.mark.parametrize(
    "wrong",
    [
        {"since_us": 10**18},
        {"since_us": -1},
        {"at_us": 10**18},
        {"count": -1},
        {"escalation": -(10**12)},  # a loop that climbs from there would take hours
        {"escalation": 2**31},
    ],
)
def test_an_alarm_with_a_number_that_cannot_be_is_refused_and_told_to_nobody(
    url: str, wrong: dict[str, int]
) -> None:
    bench = Bench(url, "phone", "doctor")
    bench.bring(replace(ALARM, **wrong))  # type: ignore[arg-type]
    assert bench.letters == []
    assert bench.notifier.counters()["refused"] == 1


def test_a_memory_with_a_time_that_is_no_date_is_not_used(url: str) -> None:
    first = Bench(url, "phone")
    first.reasons["phone"] = "no answer"
    first.bring(ALARM)
    memory = first.notifier._planner.snapshot().replace(
        b'"since_us":%d' % START_US, b'"since_us":%d' % 10**18
    )
    engine = open_store(url)
    save_memory(engine, memory)
    engine.dispose()
    second = Bench(url, "phone")
    second.step(10)
    second.bring(ALARM)
    assert [letter.title for _, letter in second.letters] == ["*** ASYSTOLE 6 s - icu/bed-04"]


def test_one_record_of_a_second_that_cannot_be_costs_no_other(url: str) -> None:
    bench = Bench(url, home=HomeState())
    bad: list[Vitals | Alarm] = [
        structs.replace(VITALS, device="a/+"),
        structs.replace(VITALS, device="icu/x", heart_rate_bpm=1e308),
        structs.replace(VITALS, device="icu/x", battery=10**400),
        ALARM,
    ]
    bench.link.bring(vitals_topic("icu"), msgspec.json.encode([*bad, VITALS]))
    bench.step()
    assert msgspec.json.decode(bench.link.retained[summary_topic(DEVICE)])["heart_rate_bpm"] == 72
    assert len(bench.link.retained) == 2
    assert bench.notifier.counters()["refused"] == len(bad)
