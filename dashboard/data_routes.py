"""Stored data as JSON for the scripts of the pages, at `/data/...`, behind the guard like all else.

What is asked for wrongly is answered 400, and a store that cannot be read 503, both `{"error": "..."}` in
words that a page shows as they are.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from dashboard.past import Past
from dashboard.trend import trend_of
from inference.alarms.annotations import annotations_between
from ingest.store.errors import StoreError
from ingest.topics import is_device
from ingest.wire import END_OF_TIME_US

MAX_POINTS = 4000  # columns: as many as a large screen has pixels
MAX_SPAN_US = 7 * 86_400_000_000  # of a trend: its vitals are read second by second
MAX_ANNOTATIONS = 500


class AskedWronglyError(ValueError):
    """What a page asked for cannot be; the message says what was wanted."""


def add_data_routes(server: FastAPI, past: Past) -> None:
    """Serve what is stored."""

    def trend(site: str, device: str, request: Request) -> Response:
        return answered(lambda: trend_answer(past, device_of_path(site, device), request.query_params))

    def annotations(site: str, device: str, request: Request) -> Response:
        return answered(lambda: annotations_answer(past, device_of_path(site, device), request.query_params))

    server.add_api_route("/data/trend/{site}/{device}", trend)
    server.add_api_route("/data/annotations/{site}/{device}", annotations)


def answered(answer: Callable[[], Any]) -> Response:
    """What `answer` returns as JSON, NaN as null; what it raises in words."""
    try:
        return _json(answer(), 200)
    except (AskedWronglyError, StoreError) as error:
        return refused(error)


def refused(error: AskedWronglyError | StoreError) -> Response:
    """What went wrong, in words."""
    return _json({"error": str(error)}, 503 if isinstance(error, StoreError) else 400)


def trend_answer(past: Past, device: str, asked: Mapping[str, str]) -> Any:
    """`from_us`, `to_us`, `points` -> a Trend."""
    from_us, to_us = span_of(asked, MAX_SPAN_US)
    points = whole_of(asked, "points", 1, MAX_POINTS)
    return trend_of(past.vitals_rows(device, from_us, to_us), from_us, to_us, points)


def annotations_answer(past: Past, device: str, asked: Mapping[str, str]) -> Any:
    """`from_us`, `to_us`, `limit` -> annotations of the span, newest first, and whether there are more."""
    from_us, to_us = span_of(asked, END_OF_TIME_US)
    limit = whole_of(asked, "limit", 1, MAX_ANNOTATIONS, MAX_ANNOTATIONS)
    found = past.ask(lambda engine: annotations_between(engine, device, from_us, to_us, limit + 1))
    return {"annotations": found[:limit], "is_cut": len(found) > limit}


def span_of(asked: Mapping[str, str], longest_us: int) -> tuple[int, int]:
    """`from_us` and `to_us` in order; raises AskedWronglyError."""
    from_us = whole_of(asked, "from_us", 0, END_OF_TIME_US)
    to_us = whole_of(asked, "to_us", 0, END_OF_TIME_US)
    if not 0 < to_us - from_us <= longest_us:
        raise AskedWronglyError(
            f"from_us {from_us} to to_us {to_us} is {(to_us - from_us) / 1e6:.6g} s: "
            f"want more than 0 and at most {longest_us / 1e6:.6g} s"
        )
    return from_us, to_us


def whole_of(asked: Mapping[str, str], name: str, low: int, high: int, absent: int | None = None) -> int:
    """A whole number that was asked with; raises AskedWronglyError."""
    text = asked.get(name)
    if text is None and absent is not None:
        return absent
    try:
        value = int(text or "")
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise AskedWronglyError(
            f"{name} is {(text or 'missing')[:24]}, want a whole number from {low} to {high}"
        )
    return value


def device_of_path(site: str, device: str) -> str:
    """The device that a path names; raises AskedWronglyError."""
    named = f"{site}/{device}"
    if not is_device(named):
        raise AskedWronglyError("want site/device, two ids of [A-Za-z0-9_-], 1 to 64 long")
    return named


def _json(answer: Any, status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    body = msgspec.json.encode(answer, enc_hook=_plain)
    return Response(body, status, headers, "application/json")


def _plain(array: NDArray[Any]) -> Any:
    """What msgspec does not know, as what it knows; it writes NaN as null."""
    return array.tolist()
