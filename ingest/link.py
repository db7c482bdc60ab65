"""One MQTT connection for a service: poll for messages, publish, acknowledge, heartbeat, reconnect for ever.

The connection is driven by its owner's loop through `poll`, on stdlib `selectors`, without a thread:
paho's own network thread costs 110 us of CPU a message, this way 32-56 us (docs/decisions.md).
"""

import logging
import os
import select
import selectors
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from ingest.process_facts import ProcessFacts
from ingest.topics import service_topic

HEARTBEAT_S = 1.0  # the dashboard must name a missing service within 3 s
KEEPALIVE_S = 5  # a broker that went away without a word is noticed within 7.5 s
RECONNECT_FIRST_S = 0.1
RECONNECT_MAX_S = 2.0
READ_BURST = 500  # messages read before the owner gets a turn
_PUBACK = struct.Struct("!BBH")

logger = logging.getLogger(__name__)


class LinkError(RuntimeError):
    """No broker answered at start; the message names the address and what to do."""


@dataclass(frozen=True, slots=True)
class Message:
    """One received publication; acknowledge it with `MqttLink.acknowledge`."""

    topic: str
    payload: bytes
    received_us: int  # wall clock at reading, Unix microseconds
    retained: bool
    _mid: int
    _qos: int
    _connection: int  # acknowledgements never cross a reconnect: ids start anew


class MqttLink:
    """The MQTT connection of one service.

    `persistent` keeps the session at the broker under the fixed `client_id`, so that QoS 1 messages
    wait there while this service is down. With `manual_ack` a message stays the broker's until
    `acknowledge`. `counters` is called at each heartbeat and published with it; `on_beat`, if set, is
    told the same each second, connected or not.
    """

    def __init__(  # noqa: PLR0913 - each is one independent fact of the connection
        self,
        address: tuple[str, int],
        client_id: str,
        *,
        service: str | None = None,
        persistent: bool = False,
        manual_ack: bool = False,
        counters: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.address = address
        self.service = service
        self._counters = counters
        self._inbox: list[Message] = []
        self._subscriptions: dict[str, int] = {}
        self._connection = 0
        self._is_connected = False
        self._is_closing = False
        self._retry_s = RECONNECT_FIRST_S
        self._retry_at = 0.0
        self._beat_at = 0.0
        self._misc_at = 0.0
        self._started_us = time.time_ns() // 1000
        self._facts = ProcessFacts()
        self._unsent = 0
        self._is_subscribed = False
        self.on_beat: Callable[[Mapping[str, Any]], None] | None = None
        self._selector = selectors.DefaultSelector()
        self._client = self._build_client(client_id, persistent=persistent, manual_ack=manual_ack)

    def _build_client(self, client_id: str, *, persistent: bool, manual_ack: bool) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=not persistent,
            protocol=MQTTProtocolVersion.MQTTv311,  # amqtt speaks nothing newer; cheaper to acknowledge
            manual_ack=manual_ack,
        )
        client.max_inflight_messages_set(2000)
        client.max_queued_messages_set(100_000)
        client.on_message = self._on_message
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        if self.service is not None:
            client.will_set(service_topic(self.service), b'{"online":false}', qos=1, retain=True)
        return client

    @property
    def is_connected(self) -> bool:
        """True between the broker's welcome and the loss of the connection."""
        return self._is_connected

    @property
    def is_subscribed(self) -> bool:
        """True once the broker has confirmed the subscriptions of this connection."""
        return self._is_connected and self._is_subscribed

    def connect(self, within_s: float = 10.0) -> None:
        """Wait until the broker welcomes us; raises LinkError after `within_s`."""
        deadline = time.monotonic() + within_s
        while not self._is_connected:
            self._turn(0.05)  # what already arrives stays for the first poll
            if time.monotonic() > deadline:
                host, port = self.address
                raise LinkError(f"no MQTT broker answers at {host}:{port}: start one there, or set --broker")

    def subscribe(self, topic: str, qos: int = 1) -> None:
        """Subscribe now and after every reconnect."""
        self._subscriptions[topic] = qos
        if self._is_connected:
            self._client.subscribe(topic, qos)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Queue a publication; QoS 1 survives a reconnect, QoS 0 is dropped while disconnected."""
        if qos == 0 and not self._is_connected:
            return
        sent = self._client.publish(topic, payload, qos=qos, retain=retain)
        self._unsent += sent.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE

    def acknowledge(self, *messages: Message) -> None:
        """Tell the broker that `messages` are safe here; those of an earlier connection come again.

        What already arrived is read first: a broker that was killed leaves messages it has acknowledged to
        devices in our socket, and a failed write would close it over them.
        """
        self._read_waiting()
        mids = [m._mid for m in messages if m._qos > 0 and m._connection == self._connection]  # noqa: SLF001 - our own record
        sock = self._client.socket()
        if not mids or not self._is_connected or sock is None:
            return
        if self._client.want_write():  # paho is in the middle of a packet: ours must come after it
            for mid in mids:
                self._client.ack(mid, 1)
            return
        # One write for all: 4 us a message, paho's own acknowledgement takes 16.
        unwritten = b"".join(_PUBACK.pack(0x40, 2, mid) for mid in mids)
        while unwritten:
            try:
                unwritten = unwritten[sock.send(unwritten) :]
            except BlockingIOError:
                select.select([], [sock], [], KEEPALIVE_S)
            except OSError:
                self._read_waiting()  # meets the end of the connection after the last message
                return

    def reconnect(self) -> None:
        """Leave and come back, so that the broker sends again what was not acknowledged."""
        self._client.disconnect()

    def poll(self, timeout_s: float) -> list[Message]:
        """Serve the connection once; return what arrived, after at most `timeout_s` of waiting."""
        self._turn(0.0 if self._inbox else timeout_s)
        messages, self._inbox = self._inbox, []
        return messages

    def close(self) -> None:
        """Say goodbye: presence goes offline, what is queued is written, the session stays if persistent."""
        if self.service is not None and self._is_connected:
            self._client.publish(service_topic(self.service), b'{"online":false}', qos=1, retain=True)
        self._is_closing = True
        deadline = time.monotonic() + 1.0
        while self._is_connected and self._client.want_write() and time.monotonic() < deadline:
            self._client.loop_write()
        self._client.disconnect()

    def _turn(self, timeout_s: float) -> None:
        sock = self._client.socket()
        if sock is None:
            self._reconnect(time.monotonic(), timeout_s)
        else:
            writes = selectors.EVENT_WRITE if self._client.want_write() else 0
            self._selector.modify(sock, selectors.EVENT_READ | writes)
            ready = self._selector.select(timeout_s)
            self._serve(ready[0][1] if ready else 0)
        self._keep_alive(time.monotonic())

    def _read_waiting(self) -> None:
        while (sock := self._client.socket()) is not None:
            self._selector.modify(sock, selectors.EVENT_READ)
            if not self._selector.select(0.0):
                return
            self._read_burst()

    def _reconnect(self, now: float, timeout_s: float) -> None:
        if now < self._retry_at:
            time.sleep(min(timeout_s, self._retry_at - now))
            return
        host, port = self.address
        try:
            self._client.connect(host, port, keepalive=KEEPALIVE_S)
        except OSError as error:
            logger.debug(
                "broker %s:%s does not answer (%s); again in %.1f s", host, port, error, self._retry_s
            )
            self._retry_at = now + self._retry_s
            self._retry_s = min(2 * self._retry_s, RECONNECT_MAX_S)

    def _serve(self, ready: int) -> None:
        if ready & selectors.EVENT_READ:
            self._read_burst()
        if self._client.want_write() and self._client.socket() is not None:
            self._client.loop_write()

    def _read_burst(self) -> None:
        before, most = -1, len(self._inbox) + READ_BURST
        while before < len(self._inbox) < most and self._client.socket() is not None:
            before = len(self._inbox)
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return

    def _keep_alive(self, now: float) -> None:
        if now >= self._misc_at and self._client.socket() is not None:
            self._client.loop_misc()
            self._misc_at = now + 0.5
        is_heard = self._is_connected or self.on_beat is not None
        if self.service is not None and is_heard and now >= self._beat_at:
            self._beat_at = now + HEARTBEAT_S
            self._beat(self.service)

    def _beat(self, service: str) -> None:
        beat = {
            "online": True,
            "pid": os.getpid(),
            "started_us": self._started_us,
            "at_us": time.time_ns() // 1000,
            **self._facts.now(),
            "unsent": self._unsent,  # publications dropped because too many waited for the broker
            "reconnects": max(0, self._connection - 1),
            "counters": dict(self._counters()),
        }
        if self._is_connected:
            self._client.publish(service_topic(service), msgspec.json.encode(beat), qos=0, retain=True)
        if self.on_beat is not None:
            self.on_beat(beat | {"connected": self._is_connected, "subscribed": self.is_subscribed})

    def _on_socket_open(self, _client: mqtt.Client, _userdata: Any, sock: Any) -> None:
        self._selector.register(sock, selectors.EVENT_READ)

    def _on_socket_close(self, _client: mqtt.Client, _userdata: Any, sock: Any) -> None:
        self._selector.unregister(sock)

    def _on_connect(
        self, client: mqtt.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            logger.error("broker %s:%s refuses us: %s", *self.address, reason)
            return
        self._connection += 1
        self._is_connected = True
        self._retry_s = RECONNECT_FIRST_S
        self._beat_at = 0.0
        logger.info("connected to the broker at %s:%s", *self.address)
        self._is_subscribed = not self._subscriptions
        if self._subscriptions:
            client.subscribe(list(self._subscriptions.items()))

    def _on_subscribe(
        self, _client: mqtt.Client, _userdata: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        self._is_subscribed = not any(each.is_failure for each in reasons)

    def _on_disconnect(
        self, _client: mqtt.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if self._is_connected and not self._is_closing:
            logger.warning("lost the broker at %s:%s (%s); reconnecting", *self.address, reason)
        self._is_connected = False
        self._retry_at = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, RECONNECT_MAX_S)

    def _on_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        received_us = time.time_ns() // 1000
        topic = message.topic  # decoded anew each time it is asked for
        if message.retain and not any(mqtt.topic_matches_sub(each, topic) for each in self._subscriptions):
            return  # amqtt 0.12 gives a returning session what it retains for anybody
        self._inbox.append(
            Message(
                topic,
                bytes(message.payload),
                received_us,
                message.retain,
                message.mid,
                message.qos,
                self._connection,
            )
        )
