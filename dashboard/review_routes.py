"""What the review page asks of the store, at `/data/...`; wrong questions and errors as in data_routes.py."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dashboard.data_routes import (
    MAX_POINTS,
    MAX_SPAN_US,
    AskedWronglyError,
    answered,
    device_of_path,
    refused,
    span_of,
    whole_of,
)
from dashboard.past import Past
from dashboard.review_export import CONTENT_TYPES, data_file, file_name, picture_file
from dashboard.review_source import MAX_EPISODES, ReviewSource, verdict_columns
from inference.alarms.history import PastEpisode
from ingest.export.extra import FORMATS
from ingest.store.errors import StoreError
from ingest.topics import RECORDING_SITE

MAX_PICTURE_US = 2 * 3_600_000_000  # of a waveform: beyond it the rate is the picture
MAX_HAPPENED_US = 32 * 3_600_000_000  # a day that gains an hour, and room
VERDICTS_WHOLE = 120  # so many are told one by one, more by column


def add_review_routes(
    server: FastAPI, past: Past, source: ReviewSource, names: Callable[[], Mapping[str, str]]
) -> None:
    """Serve what is stored of one device; `names` tells what people call every device."""

    def devices() -> Response:
        return answered(lambda: devices_answer(past))

    def extent(site: str, device: str) -> Response:
        return answered(lambda: extent_answer(past, device_of_path(site, device)))

    def picture(site: str, device: str, request: Request) -> Response:
        return answered(lambda: picture_answer(source, device_of_path(site, device), request.query_params))

    def happened(site: str, device: str, request: Request) -> Response:
        return answered(lambda: happened_answer(source, device_of_path(site, device), request.query_params))

    def take_away(kind: str, site: str, device: str, request: Request) -> Response:
        try:
            asked = request.query_params
            wanted = device_of_path(site, device)
            headers = {"Content-Disposition": f'attachment; filename="{file_name(kind, wanted, asked)}"'}
            if kind in FORMATS:
                pieces = data_file(past.address, kind, wanted, asked)
                return StreamingResponse(pieces, headers=headers, media_type=CONTENT_TYPES[kind])
            is_named = whole_of(asked, "name", 0, 1, 0) == 1
            name = names().get(wanted, wanted) if is_named else wanted
            body = picture_file(source, kind, wanted, name, asked)
            return Response(body, headers=headers, media_type=CONTENT_TYPES[kind])
        except (AskedWronglyError, StoreError) as error:
            return refused(error)

    server.add_api_route("/data/export/{kind}/{site}/{device}", take_away)
    server.add_api_route("/data/stored", devices)
    server.add_api_route("/data/extent/{site}/{device}", extent)
    server.add_api_route("/data/picture/{site}/{device}", picture)
    server.add_api_route("/data/happened/{site}/{device}", happened)


def devices_answer(past: Past) -> dict[str, Any]:
    """Every device that has samples, who was heard last first."""
    found = sorted(past.devices().items(), key=lambda item: -item[1])
    found = [each for each in found if not each[0].startswith(f"{RECORDING_SITE}/")]  # they have a page
    return {"devices": [{"device": device, "last_us": last_us} for device, last_us in found]}


def extent_answer(past: Past, device: str) -> dict[str, int | None]:
    """When the first and the last stored samples came; null where there are none."""
    first_us, last_us = past.extents([device]).get(device, (None, None))
    return {"first_us": first_us, "last_us": last_us}


def picture_answer(source: ReviewSource, device: str, asked: Mapping[str, str]) -> Any:
    """`from_us`, `to_us`, `points` (columns), `filter` (0 or 1) -> a Picture."""
    from_us, to_us = span_of(asked, MAX_PICTURE_US)
    points = whole_of(asked, "points", 1, MAX_POINTS)
    is_filtered = whole_of(asked, "filter", 0, 1, 1) == 1
    return source.picture(device, from_us, to_us, points, is_filtered=is_filtered)


def happened_answer(source: ReviewSource, device: str, asked: Mapping[str, str]) -> Any:
    """`from_us`, `to_us`, `points` -> alarms that were on, and verdicts by column or one by one."""
    from_us, to_us = span_of(asked, min(MAX_HAPPENED_US, MAX_SPAN_US))
    points = whole_of(asked, "points", 1, MAX_POINTS)
    episodes = source.episodes(device, from_us, to_us)
    placed = source.verdicts(device, from_us, to_us)
    return {
        "from_us": from_us,
        "to_us": to_us,
        "alarms": [_alarm(each) for each in episodes[:MAX_EPISODES]],
        "is_cut": len(episodes) > MAX_EPISODES,
        "columns": verdict_columns(placed, from_us, to_us, points),
        "verdicts": [
            {"at_us": each.at_us, "verdict": each.verdict}
            for each in (placed if len(placed) <= VERDICTS_WHOLE else [])
        ],
    }


def _alarm(episode: PastEpisode) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(episode)
    return told
