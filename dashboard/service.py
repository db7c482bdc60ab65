"""The dashboard's process: the hub, and uvicorn with the pages and the live route, until a signal ends it."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Generator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from dashboard.app import create_server
from dashboard.hub import Hub
from dashboard.server import MAX_REQUEST_BYTES
from ingest.metrics_port import serve_metrics
from ingest.settings import Settings

CLOSE_WITHIN_S = 1.0
BACKLOG = 128

logger = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us: its own handling ends the process by re-raising them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; raises SystemExit with one sentence when the address cannot be used."""
    listener = _listen(settings.dashboard_host, settings.dashboard_port)
    hub = Hub(settings.broker_address, observe=serve_metrics("dashboard", settings.metrics_port))
    server = _Server(server_config(create_server(settings, hub)))
    _end_on_signal(server)
    hub.start()
    logger.info("dashboard at http://%s:%s", settings.dashboard_host, settings.dashboard_port)
    try:
        asyncio.run(_serve(server, listener, hub))
    finally:
        is_failed = not hub.is_alive
        hub.stop()
        listener.close()
    if is_failed:
        raise SystemExit("dashboard: the connection to the broker failed for good; see the log above")


def server_config(app: ASGIApp, port: int = 0) -> uvicorn.Config:
    """How pages are served; `port` is for tests, the service brings its own socket.

    `websockets-sansio` because it waits before each message until the system has taken the one before: a page
    that does not read costs one message. A page that answers no ping for 20 s is closed.
    """
    return uvicorn.Config(
        app,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=1,
        ws="websockets-sansio",
        ws_max_size=MAX_REQUEST_BYTES,
        server_header=False,
    )


async def _serve(server: uvicorn.Server, listener: socket.socket, hub: Hub) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not serving.done():
        server.should_exit |= not hub.is_alive
        await asyncio.wait([serving], timeout=0.25)
    await serving


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SystemExit(
            f"dashboard: cannot listen on {host}:{port} ({os.strerror(error.errno or 0)}); "
            "stop what uses it, or choose another --dashboard-port"
        ) from None


def _end_on_signal(server: uvicorn.Server) -> None:
    def end(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
