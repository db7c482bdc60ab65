"""Annotations: kept, told, refused in words, and no repetition does harm."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from inference.alarms import annotations as annotations_module
from inference.alarms.annotation_desk import MAX_A_TURN, NOT_NOW, TOO_MANY
from inference.alarms.annotations import (
    MAX_TEXT,
    Annotate,
    Annotation,
    AnnotationError,
    annotations_between,
    decode_annotate,
    save_annotations,
)
from inference.alarms.messages import Refusal
from inference.alarms.records import setting_changes
from ingest.store.schema import open_store
from ingest.topics import annotate_topic, annotation_topic, refusal_topic
from tests.inference.alarms.bench import DEVICE, OTHER, START_US, Bench

S = 1_000_000
NOTE = {"who": "Ada", "id": "n1", "from_us": START_US, "text": "walks to the window"}


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url)
    yield engine
    engine.dispose()


def asked(at_us: int = START_US, **changed: object) -> Annotate:
    return decode_annotate(DEVICE, json.dumps(NOTE | changed).encode(), at_us)


def removed(at_us: int, note: str = "n1", who: str = "Bob") -> Annotate:
    return Annotate(DEVICE, note, None, who, at_us)


def stored(engine: Engine) -> list[Annotation]:
    return annotations_between(engine, DEVICE, 0, 1 << 60, 100)


def test_what_was_written_changed_and_removed_is_stored_and_logged(engine: Engine) -> None:
    [first] = save_annotations(engine, [asked(1)])
    assert first == Annotation(DEVICE, "n1", START_US, None, "walks to the window", "Ada", 1)
    assert stored(engine) == [first]
    [second] = save_annotations(engine, [asked(2, who="Bob", text="walks", to_us=START_US + S)])
    assert second == Annotation(DEVICE, "n1", START_US, START_US + S, "walks", "Bob", 2)
    [third] = save_annotations(engine, [removed(3)])
    assert third == replace(second, removed_us=3, removed_by="Bob")
    assert stored(engine) == []
    log = setting_changes(engine, DEVICE)
    assert [(line.what, line.who, line.at_us) for line in log] == [
        ("annotation", "Bob", 3), ("annotation", "Bob", 2), ("annotation", "Ada", 1),
    ]  # fmt: skip
    assert [json.loads(line.before)["text"] for line in log[:2] if line.before] == [
        "walks", "walks to the window",
    ]  # fmt: skip
    assert (log[2].before, log[0].after) == (None, None)


@pytest.mark.parametrize("repeats", list(product((1, 2), repeat=3)))
def test_a_request_that_comes_again_changes_nothing_and_is_told_as_before(
    tmp_path: Path, repeats: tuple[int, ...]
) -> None:
    """Each of three requests may come twice in a row, and the first once more at the end."""
    engine = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    requests = [asked(1), asked(2, text="walks"), removed(3)]
    for n, request in zip(repeats, requests, strict=True):
        outcomes = [
            save_annotations(engine, [replace(request, at_us=request.at_us + k)])[0] for k in range(n)
        ]
        assert len(set(outcomes)) == 1
    assert len(setting_changes(engine)) == 3
    [again] = save_annotations(engine, [requests[1]])
    assert isinstance(again, Annotation)
    assert again.removed_by == "Bob"  # a repetition brings nothing back
    assert len(setting_changes(engine)) == 3
    engine.dispose()


def test_what_was_removed_is_not_written_again_and_what_is_unknown_not_removed(engine: Engine) -> None:
    *_, refused = save_annotations(engine, [asked(), removed(2), asked(3, text="other words")])
    assert "was removed by Bob" in str(refused)
    [refused] = save_annotations(engine, [removed(1, "n2")])
    assert isinstance(refused, AnnotationError)


def test_spans_and_moments_are_found_where_they_touch_the_question(engine: Engine) -> None:
    notes = [asked(id="a", from_us=10), asked(id="b", from_us=5, to_us=20), asked(id="c", from_us=30)]
    other = decode_annotate(OTHER, json.dumps(NOTE | {"id": "d", "from_us": 10}).encode(), 1)
    save_annotations(engine, [*notes, other])

    def found(from_us: int, to_us: int, limit: int = 9) -> list[str]:
        return [each.id for each in annotations_between(engine, DEVICE, from_us, to_us, limit)]

    assert found(10, 11) == ["a", "b"]
    assert found(11, 30) == ["b"]
    assert found(20, 31) == ["c"]
    assert found(0, 99) == ["c", "a", "b"]
    assert found(0, 99, 2) == ["c", "a"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"id": "a/b"}, "want 1 to 64 of"),
        ({"id": "x" * 65}, "want 1 to 64 of"),
        ({"who": " "}, "needs a name"),
        ({"text": ""}, "want 1 to 500"),
        ({"text": " \n\t"}, "want 1 to 500"),
        ({"text": "x" * (MAX_TEXT + 1)}, "text has 501 characters"),
        ({"from_us": None}, "needs from_us"),
        ({"from_us": -1}, "from_us is -1"),
        ({"to_us": START_US}, "want more than from_us"),
        ({"to_us": START_US + 8 * 86_400 * S}, "at most 604800000000"),
        ({"texts": "misspelt"}, "unknown field"),
    ],
)
def test_what_cannot_be_is_refused_with_what_was_wanted(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        asked(**changed)


def test_text_is_what_a_screen_can_show() -> None:
    wanted = asked(text=f" two\n lines\u0000\u202e {'x' * 400}").annotation
    assert wanted is not None
    assert wanted.text == f"two lines {'x' * 400}"


def test_there_are_only_so_many_of_a_device_and_in_all(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotations_module, "MAX_ANNOTATIONS", 2)
    outcomes = save_annotations(engine, [asked(id=name) for name in "abca"])
    assert [isinstance(each, AnnotationError) for each in outcomes] == [False, False, True, False]
    monkeypatch.setattr(annotations_module, "MAX_IN_ALL", 2)
    [outcome] = save_annotations(engine, [replace(asked(), device=OTHER)])
    assert "as many as are kept" in str(outcome)


def test_many_at_once_are_counted_once_as_alarms_wait_for_it(engine: Engine) -> None:
    counted: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: counted.append(args[2]))
    outcomes = save_annotations(engine, [asked(id=f"n{k}") for k in range(50)])
    assert all(isinstance(each, Annotation) for each in outcomes)
    assert sum("count(" in statement.lower() for statement in counted) == 2  # of the device and of all


def test_the_service_keeps_what_is_asked_tells_it_and_says_what_it_refuses(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.link.bring(annotate_topic(DEVICE), json.dumps(NOTE).encode())
    bench.link.bring(annotate_topic(DEVICE), json.dumps(NOTE | {"text": ""}).encode())
    bench.link.bring(annotate_topic("wristlead/ingest"), json.dumps(NOTE).encode())
    bench.link.bring("wl/v1/annotate/ward", json.dumps(NOTE).encode())
    bench.service.step()
    told = [payload for topic, payload in bench.link.said if topic == annotation_topic(DEVICE)]
    [annotation] = [msgspec.json.decode(payload, type=Annotation) for payload in told]
    assert stored(bench.open_engine()) == [annotation]
    refused = [topic for topic, _ in bench.link.said if topic != annotation_topic(DEVICE)]
    assert sorted(refused) == sorted(
        map(
            refusal_topic, (annotate_topic(DEVICE), annotate_topic("wristlead/ingest"), "wl/v1/annotate/ward")
        )
    )
    assert len(bench.link.acknowledged) == 4


def test_without_a_store_nothing_is_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)

    def full(*_: object) -> None:
        raise OperationalError("insert", None, Exception("disk is full"))

    monkeypatch.setattr("inference.alarms.annotation_desk.save_annotations", full)
    bench.link.bring(annotate_topic(DEVICE), json.dumps(NOTE).encode())
    bench.service.step()
    [(topic, payload)] = bench.link.said
    assert topic == refusal_topic(annotate_topic(DEVICE))
    assert msgspec.json.decode(payload, type=Refusal).reason == NOT_NOW


def test_of_a_flood_the_first_are_written_and_the_rest_refused_so_that_alarms_do_not_wait(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    for k in range(MAX_A_TURN + 3):
        bench.link.bring(annotate_topic(DEVICE), json.dumps(NOTE | {"id": f"k{k}"}).encode())
    bench.service.step()
    assert len(stored(bench.open_engine())) == MAX_A_TURN
    refused = [
        payload for topic, payload in bench.link.said if topic == refusal_topic(annotate_topic(DEVICE))
    ]
    assert [msgspec.json.decode(each, type=Refusal).reason for each in refused] == [TOO_MANY] * 3
    bench.link.bring(annotate_topic(DEVICE), json.dumps(NOTE | {"id": "again"}).encode())
    bench.service.step()
    assert len(stored(bench.open_engine())) == MAX_A_TURN + 1
