"""One connection's socket -> its messages: read in bulk, and to its end before it is closed over them."""

import contextlib
import socket
import time

from ingest.frames import Frames, Message

READ_BYTES = 1 << 18  # one reading
LAST_READINGS = 64  # of a connection that is lost: more than a socket holds


class Inlet:
    """What has arrived on one connection; `connection` is the number its messages carry."""

    def __init__(self, sock: socket.socket, connection: int) -> None:
        self.is_heard = False  # something arrived; its owner takes that back
        self.read_at = 0.0  # monotonic
        self._is_emptied = True
        self._sock = sock
        self._frames = Frames(connection)

    @property
    def is_waiting(self) -> bool:
        """True when there is something to take without waiting, as far as is known."""
        return self._frames.may_be_whole or not self._is_emptied

    @property
    def is_broken(self) -> bool:
        """True when what came is no MQTT."""
        return self._frames.is_broken

    def receive(self) -> bool:
        """Read once, unless something waits already; False when the connection has ended."""
        if self._frames.may_be_whole:
            return True
        try:
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            self._is_emptied = True
            return True
        except OSError:
            return False
        self._frames.push(data)
        self._is_emptied = len(data) < READ_BYTES
        self.is_heard, self.read_at = True, time.monotonic()
        return bool(data)

    def take(self, at_most: int) -> tuple[list[Message], bytes]:
        """Up to `at_most` messages, and the other packets that came between them."""
        return self._frames.take(at_most, time.time_ns() // 1000)

    def drain(self) -> list[Message]:
        """All messages that have arrived; call it before the socket is closed.

        A broker that was killed leaves messages there that it has acknowledged to devices, and paho closes
        the socket over them as soon as it cannot write.
        """
        with contextlib.suppress(OSError):
            for _ in range(LAST_READINGS):
                if not (data := self._sock.recv(READ_BYTES)):
                    break
                self._frames.push(data)
        messages, _ = self.take(LAST_READINGS * READ_BYTES)
        return messages
