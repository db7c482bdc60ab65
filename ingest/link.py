"""One MQTT connection for a service: poll for messages, publish, acknowledge, heartbeat, reconnect for ever.

The connection is driven by its owner's loop through `poll`, on stdlib `selectors`, without a thread:
paho's own network thread costs 110 us of CPU a message, this way 32-56 us (docs/decisions.md).
"""

import logging
import os
import selectors
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from ingest.topics import service_topic

HEARTBEAT_S = 1.0  # the dashboard must name a missing service within 3 s
KEEPALIVE_S = 5  # a broker that went away without a word is noticed within 7.5 s
RECONNECT_FIRST_S = 0.1
RECONNECT_MAX_S = 2.0
READ_BURST = 500  # messages read before the owner gets a turn

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
    `acknowledge`. `counters` is called at each heartbeat and published with it.
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
        if self.service is not None:
            client.will_set(service_topic(self.service), b'{"online":false}', qos=1, retain=True)
        return client

    @property
    def is_connected(self) -> bool:
        """True between the broker's welcome and the loss of the connection."""
        return self._is_connected

    def connect(self, within_s: float = 10.0) -> None:
        """Wait until the broker welcomes us; raises LinkError after `within_s`."""
        deadline = time.monotonic() + within_s
        while not self._is_connected:
            self.poll(0.05)
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
        self._client.publish(topic, payload, qos=qos, retain=retain)

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that `message` is safe here; a message of an earlier connection comes again."""
        if message._connection == self._connection and self._is_connected:  # noqa: SLF001 - our own record
            self._client.ack(message._mid, message._qos)  # noqa: SLF001 - same

    def poll(self, timeout_s: float) -> list[Message]:
        """Serve the connection once; return what arrived, after at most `timeout_s` of waiting."""
        now = time.monotonic()
        sock = self._client.socket()
        if sock is None:
            self._reconnect(now, timeout_s)
        else:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client.want_write() else 0)
            with selectors.DefaultSelector() as selector:
                selector.register(sock, events)
                ready = selector.select(timeout_s)
            self._serve(ready[0][1] if ready else 0)
        self._keep_alive(time.monotonic())
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
            before = -1
            while before < len(self._inbox) < READ_BURST and self._client.socket() is not None:
                before = len(self._inbox)
                if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    break
        if self._client.want_write() and self._client.socket() is not None:
            self._client.loop_write()

    def _keep_alive(self, now: float) -> None:
        if now >= self._misc_at and self._client.socket() is not None:
            self._client.loop_misc()
            self._misc_at = now + 0.5
        if self.service is not None and self._is_connected and now >= self._beat_at:
            self._beat_at = now + HEARTBEAT_S
            beat = {
                "online": True,
                "pid": os.getpid(),
                "started_us": self._started_us,
                "at_us": time.time_ns() // 1000,
                "counters": dict(self._counters()),
            }
            self._client.publish(service_topic(self.service), msgspec.json.encode(beat), qos=0, retain=True)

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
        if self._subscriptions:
            client.subscribe(list(self._subscriptions.items()))

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
        self._inbox.append(
            Message(
                message.topic,
                bytes(message.payload),
                received_us,
                message.retain,
                message.mid,
                message.qos,
                self._connection,
            )
        )
