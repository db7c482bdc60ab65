"""Who may talk to this server: only pages that it served itself, under a name that is really its own.

A browser sends `Origin` with every WebSocket and with every POST; a page of another site that tries to read
patients through a visitor's browser names itself there. `Host` is checked as well, so that a foreign name
pointed at this address (DNS rebinding) opens nothing: it must be an IP address, localhost, this machine's
name or the configured one. Dash guards none of this on routes that it did not make.
"""

import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def own_names(configured: str) -> frozenset[str]:
    """Names under which this server may be asked for, besides IP addresses."""
    machine = socket.gethostname().lower()
    return frozenset({"localhost", configured.lower(), machine, f"{machine}.local"})


def refusal(headers: Mapping[str, str], names: frozenset[str], *, needs_origin: bool) -> str | None:
    """Why a request is not answered, or None when it may be."""
    host = headers.get("host", "")
    name = (urlsplit(f"//{host}").hostname or "").lower()
    if name not in names and not _is_address(name):
        return f"Host {host!r} is not a name of this server."
    origin = headers.get("origin")
    if origin is None:
        return "A page must name its origin." if needs_origin else None
    if urlsplit(origin).netloc.lower() != host.lower():
        return f"Origin {origin!r} is not this server ({host})."
    return None


class Guard:
    """ASGI middleware: refuses with 403 what `refusal` names, and tells browsers not to frame the pages."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "websocket":
            if refusal(Headers(scope=scope), self._names, needs_origin=True) is not None:
                await send({"type": "websocket.close", "code": 1008})  # before accept: a 403
                return
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            needs_origin = scope["method"] not in SAFE_METHODS
            reason = refusal(Headers(scope=scope), self._names, needs_origin=needs_origin)
            if reason is not None:
                await PlainTextResponse(reason, status_code=403)(scope, receive, send)
                return
            await self._app(scope, receive, _with_headers(scope["path"], send))
        else:
            await self._app(scope, receive, send)


def _with_headers(path: str, send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Frame-Options"] = "DENY"  # no foreign page may lay itself over Acknowledge
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
            if path.startswith("/assets/"):  # modules import each other by bare name: always ask if changed
                headers["Cache-Control"] = "no-cache"
        await send(message)

    return send_with_headers


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
