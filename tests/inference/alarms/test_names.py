"""What people call sites and patients: asked for, checked, logged, shown, kept; and never cut short."""

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inference.alarms import limits, names
from inference.alarms.limits import LimitsBook, LimitsError, OwnLimits, SetLimits
from inference.alarms.messages import PAUSE_OLD_S, Refusal, decode_message
from inference.alarms.names import MAX_NAME, NameEntry, NamesBook, NamesError, SetName, readable_name
from inference.alarms.records import setting_changes
from inference.alarms.rules import Limits
from ingest.topics import PAUSE, discharge_topic, name_in_force_topic, name_topic, refusal_topic
from tests.inference.alarms.bench import DEVICE, GOOD, START_US, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def ask(bench: Bench, topic: str, **request: object) -> None:
    bench.link.bring(topic, msgspec.json.encode(request))
    bench.service.step()


def refusal(bench: Bench, topic: str) -> str:
    return msgspec.json.decode(dict(bench.link.said)[refusal_topic(topic)], type=Refusal).reason


def shown(bench: Bench, scope: str) -> Any:
    return msgspec.json.decode(bench.link.retained.get(name_in_force_topic(scope), b"null"))


def test_a_name_is_shown_and_logged_with_what_was_there_before_and_survives_a_kill(bench: Bench) -> None:
    bench.watch(GOOD)
    ask(bench, name_topic(DEVICE), who="Ada", name="  Mrs Öst\u0000 ")
    ask(bench, name_topic("ward"), who="Bob", name="Ward 4")
    ask(bench, name_topic(DEVICE), who="Bob", name="Bed by the window")
    bench.start()
    bench.subscribed()
    assert shown(bench, DEVICE) == {"name": "Bed by the window", "who": "Bob", "at_us": START_US}
    assert shown(bench, "ward")["name"] == "Ward 4"
    ask(bench, name_topic("ward"), who="Ada", reset=True)
    assert shown(bench, "ward") is None
    log = [(c.who, c.what, c.scope, c.before, c.after) for c in setting_changes(bench.open_engine())]
    assert log == [
        ("Ada", "name", "ward", "Ward 4", None),
        ("Bob", "name", DEVICE, "Mrs Öst", "Bed by the window"),
        ("Bob", "name", "ward", None, "Ward 4"),
        ("Ada", "name", DEVICE, None, "Mrs Öst"),
    ]


@pytest.mark.parametrize(
    ("topic", "request_", "reason"),
    [
        (name_topic(DEVICE), {"who": "Ada", "name": "x" * 65}, "longer than 64 characters"),
        (name_topic(DEVICE), {"who": "Ada", "name": "\u200b \n"}, "needs a letter"),
        (name_topic(DEVICE), {"who": "Ada"}, "want a name, or reset"),
        (name_topic(DEVICE), {"who": "Ada", "name": "A", "reset": True}, "want a name, or reset"),
        (name_topic(DEVICE), {"who": "Ada", "name": 7}, "Expected `str | null`"),
        (name_topic(DEVICE), {"who": "", "name": "A"}, "needs a name in who"),
        (name_topic(DEVICE), {"who": "Ada", "nmae": "A"}, "unknown field"),
        (name_topic("ward/bed-1/x"), {"who": "Ada", "name": "A"}, "names no scope"),
        (name_topic("wristlead"), {"who": "Ada", "name": "A"}, "Wristlead's own parts"),
    ],
)
def test_a_hostile_or_damaged_request_is_refused_in_words_and_changes_nothing(
    bench: Bench, topic: str, request_: dict[str, object], reason: str
) -> None:
    bench.watch(GOOD)
    before = dict(bench.link.retained)
    ask(bench, topic, **request_)
    assert reason in refusal(bench, topic)
    assert bench.link.retained == before
    assert setting_changes(bench.open_engine()) == []


def test_whatever_bytes_ask_for_a_name_they_are_a_name_or_a_refusal() -> None:
    rng = random.Random(7)
    whole = msgspec.json.encode({"who": "Ada", "name": "Bed by the window"})
    for _ in range(3000):
        damaged = bytearray(whole)
        for _ in range(rng.randrange(1, 5)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        decoded = decode_message(name_topic(DEVICE), bytes(damaged), START_US)
        assert len(decoded.events) + len(decoded.refused) == 1
        for event in decoded.events:
            assert isinstance(event, SetName)
            assert event.name is not None
            assert 0 < len(event.name) <= MAX_NAME
            assert event.name.isprintable()


def test_a_discharge_takes_the_name_of_the_patient_and_leaves_that_of_the_site(bench: Bench) -> None:
    bench.watch(GOOD)
    ask(bench, name_topic(DEVICE), who="Ada", name="Mrs Öst")
    ask(bench, name_topic("ward"), who="Ada", name="Ward 4")
    ask(bench, discharge_topic(DEVICE), who="Bob")
    assert shown(bench, DEVICE) is None
    assert shown(bench, "ward")["name"] == "Ward 4"
    newest = setting_changes(bench.open_engine(), DEVICE)[0]
    assert (newest.who, newest.what, newest.before, newest.after) == ("Bob", "name", "Mrs Öst", None)


def test_a_discharge_of_nobody_is_refused_and_leaves_no_line_in_the_log(bench: Bench) -> None:
    bench.watch(GOOD)
    ask(bench, discharge_topic("ward/nobody"), who="Ada")
    assert "nobody is known on ward/nobody" in refusal(bench, discharge_topic("ward/nobody"))
    assert setting_changes(bench.open_engine()) == []
    ask(bench, discharge_topic(DEVICE), who="Ada")
    ask(bench, discharge_topic(DEVICE), who="Bob")  # from another screen, a moment later
    assert [c.who for c in setting_changes(bench.open_engine())] == ["Ada"]


@pytest.mark.parametrize(("old_s", "begins"), [(PAUSE_OLD_S + 1, False), (2.0, True), (-900.0, True)])
def test_a_pause_that_waited_too_long_does_not_begin_and_says_so(
    bench: Bench, old_s: float, *, begins: bool
) -> None:
    bench.watch(GOOD)
    ask(bench, PAUSE, who="Ada", on=True, asked_us=START_US - round(old_s * 1e6))
    assert ("wl/v1/paused" in bench.link.retained) == begins
    if not begins:
        assert "asked for 31 s ago" in refusal(bench, PAUSE)


def test_the_end_of_a_pause_is_taken_however_old_it_is(bench: Bench) -> None:
    bench.watch(GOOD)
    ask(bench, PAUSE, who="Ada", on=True)
    ask(bench, PAUSE, who="Ada", on=False, asked_us=START_US - 3_600_000_000)
    assert "wl/v1/paused" not in bench.link.retained


def test_names_and_limits_have_an_end_and_what_is_known_can_still_be_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(names, "MAX_SCOPES", 3)
    monkeypatch.setattr(limits, "MAX_SCOPES", 3)
    book, bounds = NamesBook(), LimitsBook(Limits())
    own = OwnLimits(rate_high_bpm=130.0)
    for number in range(3):
        book.set(SetName(f"ward/{number}", "A", "Ada", 1))
        bounds.set(SetLimits(f"ward/{number}", own, "Ada", 1))
    with pytest.raises(NamesError, match="want no more"):
        book.set(SetName("ward/3", "A", "Ada", 1))
    with pytest.raises(LimitsError, match="want no more"):
        bounds.set(SetLimits("ward/3", own, "Ada", 1))
    assert len(book.entries) == len(bounds.entries) == 3
    book.set(SetName("ward/0", "B", "Bob", 2))
    bounds.set(SetLimits("ward/0", OwnLimits(rate_high_bpm=140.0), "Bob", 2))
    assert book.entries["ward/0"] == NameEntry("B", "Bob", 2)
    book.set(SetName("ward/1", None, "Bob", 3))
    bounds.set(SetLimits("ward/1", None, "Bob", 3))
    book.set(SetName("ward/3", "A", "Ada", 4))
    bounds.set(SetLimits("ward/3", own, "Ada", 4))


def test_a_name_is_told_whole_or_not_at_all() -> None:
    assert readable_name("é" * MAX_NAME) == "é" * MAX_NAME
    with pytest.raises(NamesError, match="shorten it"):
        readable_name("é" * (MAX_NAME + 1))
