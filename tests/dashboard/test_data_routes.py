"""Stored data for the scripts: as it is stored, within limits, and in words where it cannot be."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp

from dashboard.app import create_server
from dashboard.data_routes import MAX_POINTS, add_data_routes
from dashboard.hub import Hub
from dashboard.past import Past
from inference.alarms.annotations import Annotate, Annotation, save_annotations
from ingest.settings import load_settings
from ingest.store.archive import Archive
from ingest.store.schema import open_store
from ingest.vitals import SignalState, Vitals

BED = "ward/bed-1"
S = 1_000_000


def get(past: Past, path: str) -> tuple[int, Any]:
    """Status and JSON of one request."""
    server = FastAPI()
    add_data_routes(server, past)
    status, body = answer_of(server, path)
    return status, json.loads(body)


def answer_of(server: ASGIApp, path: str) -> tuple[int, bytes]:
    """Status and body of one request."""
    path, _, query = path.partition("?")
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": path, "query_string": query.encode()}
    scope |= {
        "http_version": "1.1",
        "client": None,
        "server": ("h", 80),
        "headers": [(b"host", b"localhost")],
    }
    start, *parts = told(server, scope, {"type": "http.request", "body": b"", "more_body": False})
    return start["status"], b"".join(each.get("body", b"") for each in parts)


def told(server: ASGIApp, scope: dict[str, Any], *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """What the server says in one exchange."""
    waiting, sent = list(messages), list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()  # nobody leaves
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def exchange() -> None:
        await server(scope, receive, send)

    with ThreadPoolExecutor(1) as threads:  # the tests' browser has the loop of this one
        threads.submit(asyncio.run, exchange()).result()
    return sent


@pytest.fixture
def past(store_url: str) -> Iterator[Past]:
    engine = open_store(store_url)
    archive = Archive(engine)
    vitals = [Vitals(BED, 1, k * S, k, 60.0 + k, None, SignalState.GOOD, rmssd_ms=31.4) for k in range(4)]
    archive.commit(vitals=vitals)
    written = [Annotation(BED, f"n{k}", k * S, None, f"words {k}", "Ada", 9) for k in range(4)]
    save_annotations(engine, [Annotate(BED, each.id, each, "Ada", 9) for each in written])
    engine.dispose()
    past = Past(store_url)
    yield past
    past.close()


def test_a_trend_holds_what_is_stored_and_null_where_nothing_is(past: Past) -> None:
    status, trend = get(past, f"/data/trend/{BED}?from_us=0&to_us={6 * S}&points=3")
    assert status == 200
    assert trend == {
        "from_us": 0, "to_us": 6 * S, "step_us": 2 * S, "rate_min": [60.0, 62.0, None],
        "rate_mean": [60.5, 62.5, None], "rate_max": [61.0, 63.0, None], "rmssd_ms": [31.4, 31.4, None],
        "sdnn_ms": [None] * 3, "good": [1.0, 1.0, None],
    }  # fmt: skip
    status, trend = get(past, f"/data/trend/no/body?from_us=0&to_us={6 * S}&points=3")
    assert (status, trend["rate_mean"]) == (200, [None] * 3)


def test_annotations_come_newest_first_and_say_that_there_are_more(past: Past) -> None:
    status, found = get(past, f"/data/annotations/{BED}?from_us={S}&to_us={4 * S}&limit=2")
    assert status == 200
    assert ([each["id"] for each in found["annotations"]], found["is_cut"]) == (["n3", "n2"], True)
    _, found = get(past, f"/data/annotations/{BED}?from_us={S}&to_us={4 * S}")
    assert ([each["text"] for each in found["annotations"]], found["is_cut"]) == (
        ["words 3", "words 2", "words 1"], False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"/data/trend/{BED}?from_us=0&to_us=1", "points is missing"),
        (f"/data/trend/{BED}?from_us=0&to_us=9&points={MAX_POINTS + 1}", f"from 1 to {MAX_POINTS}"),
        (f"/data/trend/{BED}?from_us=x&to_us=9&points=1", "from_us is x, want a whole number"),
        (f"/data/trend/{BED}?from_us=9&to_us=9&points=1", "want more than 0"),
        (f"/data/trend/{BED}?from_us=0&to_us=604800000001&points=1", "at most 604800 s"),
        ("/data/trend/w*rd/bed?from_us=0&to_us=9&points=1", "two ids"),
        (f"/data/annotations/{BED}?from_us=0&to_us=9&limit=501", "from 1 to 500"),
    ],
)
def test_what_is_asked_wrongly_is_answered_in_words(tmp_path: Path, path: str, words: str) -> None:
    status, answer = get(Past(f"sqlite:///{tmp_path / 'store.sqlite'}"), path)
    assert status == 400
    assert words in answer["error"]


def test_a_page_that_is_opened_first_has_its_scripts_and_styles(tmp_path: Path) -> None:
    server = create_server(load_settings(data_dir=tmp_path), Hub(("127.0.0.1", 1), clock_us=lambda: 1))
    told(
        server, {"type": "lifespan", "state": {}}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
    )
    status, body = answer_of(server, "/alarms")
    assert status == 200
    assert b"assets/base.css" in body
    assert b"assets/main.mjs" in body
    assert answer_of(server, f"/data/trend/{BED}")[0] == 400  # not the page that Dash answers elsewhere


def test_a_store_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = f"/data/trend/{BED}?from_us=0&to_us=9&points=1"
    status, answer = get(Past(f"sqlite:///{tmp_path / 'nowhere' / 'store.sqlite'}"), path)
    assert status == 503
    assert "cannot be opened" in answer["error"]
