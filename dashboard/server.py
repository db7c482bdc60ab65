"""The `/live` WebSocket: samples of the patients a page looks at, slow state, and what its person asks for.

A page sends JSON text: `{"subscribe": ["site/device", ...], "history_s": 10}` replaces what it looks at (the
history of newly named patients comes at once); `acknowledge`, `pause`, `limits`, `discharge`, `annotate`,
`explain` and `channel_test` ask what requests.py describes, `name`, `site_limits` and `keeping` what
setting_requests.py does. Anything else closes the connection.
It receives the messages of frames.py: samples at most 20 times a second, state when it changed and at least
each half second, so that silence for longer means that this server is gone.
"""

import asyncio
import contextlib
import time

import msgspec
from fastapi import FastAPI
from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboard import requests, setting_requests
from dashboard.frames import encode_samples, encode_state
from dashboard.hub import Browser, Hub
from dashboard.monitor import HISTORY_S

TICK_S = 0.05  # 20 frames a second
STATE_EVERY_S = 0.5
MAX_REQUEST_BYTES = 1 << 18  # 1024 devices of 129 characters, and room; the web server refuses more


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message of a page."""

    subscribe: list[str] | None = None
    history_s: float = 10.0
    acknowledge: requests.Acknowledge | None = None
    pause: requests.PauseAll | None = None
    limits: requests.SetLimits | None = None
    discharge: requests.Discharge | None = None
    channel_test: requests.ChannelTest | None = None
    annotate: requests.Annotate | None = None
    name: setting_requests.SetName | None = None
    site_limits: setting_requests.SetSiteLimits | None = None
    keeping: setting_requests.SetKeeping | None = None
    explain: requests.Explain | None = None

    def asked(self) -> list[requests.Request]:
        """What it asks of other services."""
        found = (
            self.acknowledge, self.pause, self.limits, self.discharge, self.channel_test, self.annotate,
            self.name, self.site_limits, self.keeping, self.explain,
        )  # fmt: skip
        return [each for each in found if each is not None]


_message_decoder = msgspec.json.Decoder(_Message)


def add_live_route(server: FastAPI, hub: Hub) -> None:
    """Serve `/live` from the hub; `guard.Guard` has already refused foreign pages."""

    async def live(websocket: WebSocket) -> None:
        await websocket.accept()
        browser = hub.attach()
        writer = asyncio.create_task(_write(websocket, hub, browser))
        try:
            await _read(websocket, hub, browser)
        except (WebSocketDisconnect, RuntimeError):  # RuntimeError: closed between two sends
            pass
        finally:
            hub.detach(browser)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await writer

    server.add_api_websocket_route("/live", live)


async def _read(websocket: WebSocket, hub: Hub, browser: Browser) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        try:
            said = _message_decoder.decode(message.get("text") or "")  # binary is no request
        except (msgspec.DecodeError, RecursionError):
            await websocket.close(code=1008, reason="not a request this server knows")
            return
        if said.subscribe is not None:
            segments = hub.subscribe(browser, said.subscribe, min(said.history_s, HISTORY_S))
            if segments:
                await websocket.send_bytes(encode_samples(segments, is_history=True))
        for request in said.asked():
            hub.ask(request)


async def _write(websocket: WebSocket, hub: Hub, browser: Browser) -> None:
    """Send what waits, 20 times a second; a slow connection holds this loop, never the hub."""
    state_at = 0.0
    while hub.is_alive:  # a dead hub means silence, which the page names within 3 s
        segments = hub.take(browser)
        if segments:
            await websocket.send_bytes(encode_samples(segments))
        now = time.monotonic()
        if now >= state_at:
            state_at = now + STATE_EVERY_S
            await websocket.send_text(encode_state(hub.state(browser)))
        await asyncio.sleep(TICK_S)
