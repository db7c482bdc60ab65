"""`/data/...` of the house: devices, services, refused messages, settings and the model's card, as JSON.

Only pages that show them ask; each answer is of this moment. Nothing here changes anything.
"""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from dashboard.hub import Hub
from dashboard.model_view import picture_path
from dashboard.monitor import Monitor
from dashboard.past import Past
from dashboard.service_rows import broker_row, service_rows
from dashboard.settings_view import settings_log, settings_now
from ingest.store.errors import StoreError
from ingest.store.rows import MAX_REFUSED_BYTES, Refused
from ingest.topics import UNKNOWN_DEVICE, is_device

SHOWN_BYTES = 32  # of each refused payload
NO_STORE = {"Cache-Control": "no-store"}

logger = logging.getLogger(__name__)


def add_house_routes(server: FastAPI, hub: Hub, past: Past, weights_dir: Path) -> None:
    """Answer the pages; `guard.Guard` has already refused foreign hosts."""

    def devices(_request: Request) -> Response:
        return _json(house_now(hub))

    def refused(request: Request) -> Response:
        device = request.query_params.get("device")
        return _from_store(lambda: _refused_counts(past) if device is None else _refused(past, device))

    def settings(_request: Request) -> Response:
        return _json(hub.look(settings_now))

    def log(_request: Request) -> Response:
        return _from_store(lambda: settings_log(past))

    def picture(request: Request) -> Response:
        path = picture_path(weights_dir, request.path_params["name"])
        return Response(status_code=404) if path is None else FileResponse(path)

    server.add_route("/data/devices", devices)
    server.add_route("/data/refused", refused)
    server.add_route("/data/settings", settings)
    server.add_route("/data/settings/log", log)
    server.add_route("/data/card/{name}", picture)


def house_now(hub: Hub) -> dict[str, Any]:
    """Every device and service, of this moment."""

    def look(monitor: Monitor, at_us: int) -> dict[str, Any]:
        heartbeats = monitor.heartbeats
        rows = service_rows(heartbeats.services(), monitor.started_us, at_us)
        return {
            "at_us": at_us,
            "devices": monitor.device_rows(at_us),
            "services": [broker_row(hub.broker, heartbeats.broker), *rows],
        }

    return hub.look(look)


def _refused_counts(past: Past) -> dict[str, Any]:
    counts = past.refused_counts()
    return {"devices": {each.device: asdict(each) for each in counts}}


def _refused(past: Past, device: str) -> dict[str, Any]:
    if device != UNKNOWN_DEVICE and not is_device(device):
        return {"refused": []}
    return {"refused": [refused_row(each) for each in reversed(past.refused(device))]}


def refused_row(refused: Refused) -> dict[str, Any]:
    """A refused payload as people look at it: its first bytes, and those as text where they are printable."""
    shown = refused.payload[:SHOWN_BYTES]
    return {
        "at_us": refused.received_us,
        "bytes": len(refused.payload),
        "is_cut": len(refused.payload) == MAX_REFUSED_BYTES,
        "hex": shown.hex(" "),
        "text": "".join(chr(byte) if 32 <= byte < 127 else "." for byte in shown),
        "reason": "".join(each if each.isprintable() else " " for each in refused.reason),
    }


def _from_store(ask: Any) -> Response:
    try:
        return _json(ask())
    except StoreError as error:
        logger.warning("the store cannot be read: %s", error)
        return _json({"unreadable": str(error)})


def _json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json", headers=NO_STORE)
