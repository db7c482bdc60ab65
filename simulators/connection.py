"""One device's MQTT connection: messages in, acknowledgements out, an outbox for the time without a broker.

No thread: the owner's selector says when the socket is ready, and `tend` is called now and then.
"""

import logging
import selectors
import socket
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from simulators.faults import Kind, Outgoing

KEEPALIVE_S = 5  # the broker tells of a silent device after 7.5 s
CONNECT_TIMEOUT_S = 2.0
FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 5.0
MAX_INFLIGHT = 20  # sent and not yet acknowledged
OUTBOX_LENGTH = 2_400  # ten minutes of chunks; then the oldest go

logger = logging.getLogger(__name__)


class Connection:
    """A persistent MQTT 3.1.1 session with a fixed client id.

    What was not acknowledged is sent again after a reconnect, what was made meanwhile after it, in order.
    `acknowledged(message, sent_us)` is called for each PUBACK. `counters` gains published, acknowledged,
    duplicated, corrupted (messages), overflowed and reconnects.
    """

    def __init__(  # noqa: PLR0913 - each is one independent fact of the connection
        self,
        address: tuple[str, int],
        client_id: str,
        selector: selectors.BaseSelector,
        *,
        will: Outgoing,
        greeting: Callable[[], Sequence[Outgoing]],
        acknowledged: Callable[[Outgoing, int], None],
        wall_us: Callable[[], int],
        counters: Counter[str],
    ) -> None:
        self.is_connected = False
        self.was_connected = False
        self._address = address
        self._selector = selector
        self._greeting = greeting
        self._acknowledged = acknowledged
        self._wall_us = wall_us
        self._counters = counters
        self._outbox: deque[Outgoing] = deque()
        self._inflight: dict[int, tuple[Outgoing, int]] = {}  # by message id: what, and when first sent
        self._retry_s = FIRST_RETRY_S
        self._retry_at_s = 0.0
        self._client = self._build_client(client_id, will)

    def _build_client(self, client_id: str, will: Outgoing) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        client.will_set(will.topic, will.payload, will.qos, will.retain)
        client.max_inflight_messages_set(MAX_INFLIGHT)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_write_wanted
        client.on_socket_unregister_write = self._on_write_done
        return client

    @property
    def waiting(self) -> int:
        """Messages not yet acknowledged."""
        return len(self._outbox) + len(self._inflight)

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Queue messages and send what may be sent now."""
        for message in messages:
            if len(self._outbox) >= OUTBOX_LENGTH:
                self._outbox.popleft()
                self._counters["overflowed"] += 1
            self._outbox.append(message)
        self._drain()

    def tend(self, now_s: float) -> None:
        """Connect when it is time to, keep alive, send what waits. `now_s` is monotonic."""
        if self._client.socket() is not None:
            self._client.loop_misc()
            self._drain()
        elif now_s >= self._retry_at_s:
            self._retry_at_s = now_s + self._retry_s
            self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
            try:
                self._client.connect(*self._address, keepalive=KEEPALIVE_S)
            except OSError as error:
                logger.debug("broker %s:%s does not answer: %s", *self._address, error)

    def ready(self, events: int) -> None:
        """The socket can be read or written."""
        if events & selectors.EVENT_READ:
            self._client.loop_read()
        if events & selectors.EVENT_WRITE and self._client.socket() is not None:
            self._client.loop_write()
        self._drain()

    def break_off(self) -> None:
        """Lose the network without a goodbye: the broker publishes the will."""
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError as error:
                logger.debug("the socket was gone already: %s", error)
            self._client.loop_read()  # sees the end of the stream

    def close(self) -> None:
        """Disconnect in good order, without a will, and close the socket."""
        self._client.disconnect()
        if self._client.socket() is not None:
            self._client.loop_write()
        self.break_off()

    def _drain(self) -> None:
        while self.is_connected and self._outbox and len(self._inflight) < MAX_INFLIGHT:
            message = self._outbox.popleft()
            sent_us = self._wall_us()
            info = self._client.publish(message.topic, message.payload, message.qos, message.retain)
            if info.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
                raise RuntimeError(f"cannot publish on {message.topic}: {mqtt.error_string(info.rc)}")
            # NO_CONN: the connection broke in this very call; paho keeps the message and sends it again.
            self._inflight[info.mid] = (message, sent_us)
            self._count_sent(message.kind)
        if self._client.want_write():
            self._client.loop_write()  # now, instead of after one more round of the selector

    def _count_sent(self, kind: Kind) -> None:
        match kind:
            case Kind.CHUNK:
                self._counters["published"] += 1
            case Kind.DUPLICATE:
                self._counters["duplicated"] += 1
            case Kind.CORRUPT:
                self._counters["corrupted"] += 1
            case Kind.NOTICE:
                pass

    def _on_connect(
        self, _client: mqtt.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            logger.error("broker %s:%s refuses a device: %s", *self._address, reason)
            return
        self._counters["reconnects"] += self.was_connected
        self.is_connected = self.was_connected = True
        self._retry_s = FIRST_RETRY_S
        self._outbox.extendleft(reversed(self._greeting()))

    def _on_disconnect(
        self, _client: mqtt.Client, _userdata: Any, _flags: Any, _reason: ReasonCode, _properties: Any
    ) -> None:
        self.is_connected = False

    def _on_publish(
        self, _client: mqtt.Client, _userdata: Any, mid: int, _reason: ReasonCode, _properties: Any
    ) -> None:
        found = self._inflight.pop(mid, None)
        if found is None:
            return
        message, sent_us = found
        self._counters["acknowledged"] += message.kind is Kind.CHUNK
        self._acknowledged(message, sent_us)

    def _on_socket_open(self, _client: mqtt.Client, _userdata: Any, sock: Any) -> None:
        self._selector.register(sock, selectors.EVENT_READ, self)

    def _on_socket_close(self, _client: mqtt.Client, _userdata: Any, sock: Any) -> None:
        self._selector.unregister(sock)

    def _on_write_wanted(self, _client: mqtt.Client, _userdata: Any, sock: Any) -> None:
        self._selector.modify(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def _on_write_done(self, _client: mqtt.Client, _userdata: Any, sock: Any) -> None:
        self._selector.modify(sock, selectors.EVENT_READ, self)
