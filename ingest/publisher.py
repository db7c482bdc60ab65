"""A minimal MQTT 3.1.1 publisher on a non-blocking socket: packets out, acknowledgements in.

It knows what a device needs: CONNECT with a will, PUBLISH, PUBACK, PINGREQ, DISCONNECT. No thread, no timer:
the owner's selector says when the socket is ready, and `tend` is called now and then. 500 watches a second
cost 86-103 us of CPU a message this way, most of it the kernel's, and 140-150 by paho (docs/decisions.md).
"""

import logging
import selectors
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KEEPALIVE_S = 5  # the broker tells of a silent device after 7.5 s; who sends less often pings
WELCOME_WITHIN_S = 5.0
FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 5.0
READ_BYTES = 4096
PING = b"\xc0\x00"
_CONNACK, _PUBACK, _PINGRESP = 0x20, 0x40, 0xD0
_SHORT = struct.Struct("!H")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is, looked up once: thousands of look-ups would be a load of their own."""

    family: socket.AddressFamily
    place: Any  # what the family calls an address

    @classmethod
    def of(cls, host: str, port: int) -> "Address":
        """Look `host` up; raises OSError when it has no address."""
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return cls(family, place)


class Publisher:
    """One connection with a clean session, made again with back-off for as long as `tend` is called.

    `welcomed()` is called at each connection, `acknowledged(message_id)` for each PUBACK and `lost()` when a
    connection that was up is gone; what was not acknowledged is the owner's to send again. `spread` (0..1)
    sets publishers apart, so that a fleet does not come back in the same millisecond.
    """

    def __init__(  # noqa: PLR0913 - each is one independent fact of the connection
        self,
        address: Address,
        client_id: str,
        selector: selectors.BaseSelector,
        *,
        will: tuple[str, bytes],
        welcomed: Callable[[], None],
        acknowledged: Callable[[int], None],
        lost: Callable[[], None],
        spread: float = 0.0,
    ) -> None:
        self.is_up = False
        self.refusal: int | None = None  # the code of a CONNACK that said no
        self.heard_s = 0.0  # when the broker last said something; monotonic
        self._address = address
        self._connect_packet = connect_packet(client_id, *will)
        self._selector = selector
        self._welcomed = welcomed
        self._acknowledged = acknowledged
        self._lost = lost
        self._spread = spread
        self._sock: socket.socket | None = None
        self._unsent = bytearray()
        self._unread = b""
        self._retry_s = FIRST_RETRY_S
        self._retry_at_s = 0.0

    def tend(self, now_s: float) -> None:
        """Connect when it is time to; give up a connection that is never welcomed. `now_s` is monotonic."""
        if self._sock is None:
            if now_s >= self._retry_at_s:
                self._open(now_s)
        elif not self.is_up and now_s >= self.heard_s + WELCOME_WITHIN_S:
            self.break_off(now_s)

    def ready(self, events: int, now_s: float) -> None:
        """The socket can be read or written."""
        if events & selectors.EVENT_WRITE:
            self._flush(now_s)
        if events & selectors.EVENT_READ and self._sock is not None:
            self._read(now_s)

    def write(self, packet: bytes) -> None:
        """Send now what the socket takes, and the rest when it takes more."""
        if self._sock is None:
            return
        if not self._unsent:
            try:
                n_sent = self._sock.send(packet)
            except BlockingIOError:
                n_sent = 0
            except OSError:
                return  # the reader meets the end of the connection, after what the broker still said
            if n_sent == len(packet):
                return
            packet = packet[n_sent:]
            self._selector.modify(self._sock, selectors.EVENT_READ | selectors.EVENT_WRITE, self)
        self._unsent += packet

    def break_off(self, now_s: float) -> None:
        """Lose the connection without a goodbye: the broker publishes the will."""
        if self._sock is None:
            return
        self._selector.unregister(self._sock)
        self._sock.close()
        self._sock = None
        self._unsent.clear()
        self._unread = b""
        self._retry_at_s = now_s + self._retry_s * (0.5 + self._spread)
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
        if self.is_up:
            self.is_up = False
            self._lost()

    def close(self, *farewell: bytes) -> None:
        """Send what is left and say goodbye, so that no will is published."""
        if self._sock is not None and self.is_up:
            self._sock.settimeout(1.0)
            try:
                self._sock.sendall(bytes(self._unsent) + b"".join(farewell) + b"\xe0\x00")
            except OSError as error:
                logger.debug("no goodbye: %s", error)
        self.is_up = False
        self.break_off(0.0)

    def _open(self, now_s: float) -> None:
        self.heard_s = now_s
        self._sock = socket.socket(self._address.family, socket.SOCK_STREAM)
        self._sock.settimeout(0.0)  # never wait
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.connect_ex(self._address.place)  # its failure is met by the first send
        self._unsent += self._connect_packet
        self._selector.register(self._sock, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def _flush(self, now_s: float) -> None:
        if self._sock is None:
            return
        try:
            del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self.break_off(now_s)
            return
        if not self._unsent:
            self._selector.modify(self._sock, selectors.EVENT_READ, self)

    def _read(self, now_s: float) -> None:
        try:
            data = self._sock.recv(READ_BYTES) if self._sock is not None else b""
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.break_off(now_s)
            return
        self.heard_s = now_s
        data = self._unread + data
        at = 0
        while len(data) - at >= 2 and len(data) - at >= 2 + data[at + 1]:
            self._take(data[at], data[at + 2 : at + 2 + data[at + 1]], now_s)
            if self._sock is None:
                return
            at += 2 + data[at + 1]
        self._unread = data[at:]

    def _take(self, kind: int, body: bytes, now_s: float) -> None:
        """One packet of the broker; all that come to a publisher are shorter than 128 bytes."""
        if kind == _PUBACK and len(body) == 2:
            self._acknowledged(_SHORT.unpack(body)[0])
        elif kind == _CONNACK and len(body) == 2 and not self.is_up:
            if body[1]:
                self.refusal = body[1]
                self.break_off(now_s)
                return
            self.is_up = True
            self._retry_s = FIRST_RETRY_S
            self._welcomed()
        elif kind != _PINGRESP:
            self.break_off(now_s)  # not the broker of a publisher


def connect_packet(client_id: str, will_topic: str, will_payload: bytes) -> bytes:
    """CONNECT of MQTT 3.1.1 with a clean session and a retained will of QoS 1."""
    flags = 0x02 | 0x04 | 0x08 | 0x20  # clean session, will, will QoS 1, will retained
    body = b"\x00\x04MQTT\x04" + bytes((flags,)) + _SHORT.pack(KEEPALIVE_S)
    body += _text(client_id.encode()) + _text(will_topic.encode()) + _text(will_payload)
    return b"\x10" + _length(len(body)) + body


def publish_head(topic: str, n_payload: int, *, retain: bool = False, repeated: bool = False) -> bytes:
    """What stands before the message id of a QoS 1 PUBLISH with `n_payload` bytes."""
    name = _text(topic.encode())
    flags = 0x32 | (0x01 if retain else 0) | (0x08 if repeated else 0)
    return bytes((flags,)) + _length(len(name) + 2 + n_payload) + name


def publish_packet(topic: str, payload: bytes, message_id: int, *, retain: bool = False) -> bytes:
    """A whole QoS 1 PUBLISH."""
    return publish_head(topic, len(payload), retain=retain) + _SHORT.pack(message_id) + payload


def _text(data: bytes) -> bytes:
    return _SHORT.pack(len(data)) + data


def _length(n: int) -> bytes:
    """MQTT's remaining length, seven bits a byte."""
    found = bytearray()
    while True:
        n, low = n >> 7, n & 0x7F
        found.append(low | (0x80 if n else 0))
        if not n:
            return bytes(found)
