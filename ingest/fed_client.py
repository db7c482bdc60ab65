"""paho's MQTT client, fed with packets: whoever owns it reads the socket, many packets at a time.

paho connects, subscribes, publishes, keeps alive and notices the end. Its own reader takes a packet apart by
four `recv`s, one byte each for kind and length; here it gets only the packets that its owner leaves to it.
"""

import contextlib
import selectors
import socket
import struct
from collections.abc import Iterable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

_PONG = b"\xd0\x00"
_PUBACK = struct.Struct("!BBH")
_PUBACK_HEAD, _PUBACK_BYTES = b"\x40\x02", 4
_properties: Any = Properties
_NO_REASON, _NO_PROPERTIES = ReasonCode(PacketTypes.PUBACK), _properties(PacketTypes.PUBACK)


class FedClient(mqtt.Client):
    """Never reads its socket. `_sock_recv` and what `_settle` uses are private: tests tell of a change."""

    _fed = b""
    _is_ended = False

    def feed(self, packets: bytes) -> None:
        """Have paho answer to whole packets; what follows one that ends the connection is dropped."""
        at = 0
        while packets.startswith(_PUBACK_HEAD, at) and len(packets) >= at + _PUBACK_BYTES:
            self._settle(int.from_bytes(packets[at + 2 : at + 4], "big"))
            at += _PUBACK_BYTES
        self._fed = packets[at:]
        while self._fed and self.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS:
            pass
        self._fed = b""

    def note_alive(self) -> None:
        """Something arrived that paho was not fed with: as good as an answer to its ping."""
        self.feed(_PONG)

    def end(self) -> None:
        """The connection has ended."""
        self._is_ended = True
        self.loop_read()
        self._is_ended = False

    def confirm(self, mids: Iterable[int]) -> None:
        """Acknowledge publications of QoS 1 in one write; paho's own way costs 16 us for each."""
        sock: Any = self.socket()
        if sock is None:
            return
        if self.want_write():  # paho is in the middle of a packet: ours must come after it
            for mid in mids:
                self.ack(mid, 1)
            return
        unwritten = b"".join([_PUBACK.pack(0x40, 2, mid) for mid in mids])
        while unwritten:
            try:
                unwritten = unwritten[sock.send(unwritten) :]
            except BlockingIOError:
                self._await_room(sock)
            except OSError:
                return  # the next reading meets the end of the connection, after the last message

    def _settle(self, mid: int) -> None:
        """A publication of ours has arrived: as paho does it, but for MQTT 5's fields, 20 us each time."""
        with self._out_message_mutex:
            if mid in self._out_messages:
                # This may write the next publication: where that fails, paho has told of the end.
                self._do_on_publish(mid, _NO_REASON, _NO_PROPERTIES)

    def _await_room(self, sock: socket.socket) -> None:
        """Until more can be written; a broker that takes nothing for the time of a keepalive is given up."""
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_WRITE)
            if not selector.select(self.keepalive):
                with contextlib.suppress(OSError):  # it may have ended meanwhile
                    sock.shutdown(socket.SHUT_RDWR)  # half a packet may be out: nothing can follow it

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._is_ended:
            return b""
        if not self._fed:
            raise BlockingIOError
        data, self._fed = self._fed[:bufsize], self._fed[bufsize:]
        return data
