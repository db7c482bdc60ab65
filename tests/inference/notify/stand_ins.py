"""Stand-ins on loopback for what takes messages: an HTTP server (webhook, ntfy) and an SMTP server."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any


@dataclass
class StandIn:
    """What came, in order, and how the server behaves."""

    port: int = 0
    came: "Queue[Any]" = field(default_factory=Queue)
    status: int = 200
    let_go: threading.Event = field(default_factory=threading.Event)  # a hanging server waits for it


@contextmanager
def http_stand_in(*, is_hanging: bool = False) -> Iterator[StandIn]:
    """Takes the JSON body of each request; `is_hanging`: reads it and does not answer."""
    known = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known.came.put(json.loads(body))
            if is_hanging:
                known.let_go.wait(60)
            self.send_response(known.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Tests are quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_arguments: object) -> None:
            """A client that gave up is what some tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        known.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield known
        known.let_go.set()
        server.shutdown()


@contextmanager
def smtp_stand_in() -> Iterator[StandIn]:
    """Takes e-mails in plain SMTP, as much of it as a client needs to leave one."""
    known = StandIn()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 stand-in\r\n")
            while line := self.rfile.readline():
                word = line.split()[0].upper() if line.split() else b""
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    known.came.put(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                if word == b"QUIT":
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        known.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield known
        server.shutdown()
