"""One MQTT connection for a service: poll for messages, publish, acknowledge, heartbeat, reconnect for ever.

The connection is driven by its owner's loop through `poll`, on stdlib `selectors`, without a thread.
Publications are read in bulk (inlet.py, frames.py); all other packets are paho's (fed_client.py).
"""

import logging
import os
import selectors
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from ingest.fed_client import FedClient
from ingest.frames import Message
from ingest.inlet import Inlet
from ingest.process_facts import ProcessFacts
from ingest.topics import service_topic

HEARTBEAT_S = 1.0  # the dashboard must name a missing service within 3 s
KEEPALIVE_S = 5  # a broker that went away without a word is noticed within 7.5 s
RECONNECT_FIRST_S = 0.1
RECONNECT_MAX_S = 2.0
READ_BURST = 500  # messages taken before the owner gets a turn

__all__ = ["LinkError", "Message", "MqttLink"]

logger = logging.getLogger(__name__)


class LinkError(RuntimeError):
    """No broker answered at start; the message names the address and what to do."""


class MqttLink:
    """The MQTT connection of one service.

    `persistent` keeps the session at the broker under the fixed `client_id`, so that QoS 1 messages
    wait there while this service is down. With `manual_ack` a message stays the broker's until
    `acknowledge`. `counters` is called at each heartbeat and published with it; `on_beat`, if set, is
    told the same each second, connected or not. With `gather_s` an owner under load wakes at most once in
    that time, for all that has arrived: a message waits that long at most, and not at all after a pause.
    """

    def __init__(  # noqa: PLR0913 - each is one independent fact of the connection
        self,
        address: tuple[str, int],
        client_id: str,
        *,
        service: str | None = None,
        persistent: bool = False,
        manual_ack: bool = False,
        gather_s: float = 0.0,
        counters: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.address = address
        self.service = service
        self._manual_ack = manual_ack
        self._gather_s = gather_s
        self._counters = counters
        self._inbox: list[Message] = []
        self._inlet: Inlet | None = None
        self._subscriptions: dict[str, int] = {}
        self._connection = 0
        self._is_connected = False
        self._is_closing = False
        self._is_leaving = False  # of our own will: what is not acknowledged comes again
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
        self._client = self._build_client(client_id, persistent=persistent)

    def _build_client(self, client_id: str, *, persistent: bool) -> FedClient:
        client = FedClient(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=not persistent,
            protocol=MQTTProtocolVersion.MQTTv311,  # amqtt speaks nothing newer; cheaper to acknowledge
            manual_ack=True,  # publications are acknowledged here
        )
        client.max_inflight_messages_set(2000)
        client.max_queued_messages_set(100_000)
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
        """Subscribe now and after every reconnect, with QoS 0 or 1."""
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
        """Tell the broker that `messages` are safe here; those of an earlier connection come again."""
        mids = [m._mid for m in messages if m._qos and m._connection == self._connection]  # noqa: SLF001 - our own record
        if mids and self._is_connected:
            self._client.confirm(mids)

    def reconnect(self) -> None:
        """Leave and come back: the broker sends again what was not acknowledged, also what waits here.

        A connection that is lost comes back by itself, and what it left is kept: its broker may be dead.
        """
        if self._inlet is None:
            return
        self._is_leaving = True
        if self._manual_ack:
            self._inbox.clear()
        self._client.disconnect()
        self._client.end()  # where the goodbye cannot be written now: nothing more may be read before it

    def poll(self, timeout_s: float) -> list[Message]:
        """Serve the connection once; return what arrived, after at most `timeout_s` of waiting."""
        self._turn(0.0 if self._inbox else timeout_s)
        messages, self._inbox = self._inbox, []
        return messages

    def close(self) -> None:
        """Say goodbye: presence goes offline, what is queued is written, the session stays if persistent."""
        if self.service is not None and self._is_connected:
            self._client.publish(service_topic(self.service), b'{"online":false}', qos=1, retain=True)
        self._is_closing = self._is_leaving = True
        deadline = time.monotonic() + 1.0
        while self._is_connected and self._client.want_write() and time.monotonic() < deadline:
            self._client.loop_write()
        self._client.disconnect()

    def _turn(self, timeout_s: float) -> None:
        sock, inlet = self._client.socket(), self._inlet
        if sock is None or inlet is None:
            self._reconnect(time.monotonic(), timeout_s)
        else:
            if self._await(sock, inlet, timeout_s):
                self._read(inlet)
            if self._client.want_write() and self._client.socket() is not None:
                self._client.loop_write()
        self._keep_alive(time.monotonic())

    def _await(self, sock: Any, inlet: Inlet, timeout_s: float) -> bool:
        """True when there may be something to read; False after `timeout_s`, or when paho should write."""
        if inlet.is_waiting:
            return True
        is_writing = self._client.want_write()
        gathers_s = min(timeout_s, inlet.read_at + self._gather_s - time.monotonic())
        if gathers_s > 0.0 and not is_writing:
            time.sleep(gathers_s)
            return True
        self._selector.modify(sock, selectors.EVENT_READ | is_writing * selectors.EVENT_WRITE)
        ready = self._selector.select(timeout_s)
        return bool(ready) and bool(ready[0][1] & selectors.EVENT_READ)

    def _read(self, inlet: Inlet) -> None:
        is_open = inlet.receive()
        messages, others = inlet.take(READ_BURST)
        self._inbox += self._wanted(messages)
        if others:
            self._client.feed(others)
        if not self._manual_ack:
            self.acknowledge(*messages)  # the broker's welcome may have come with them
        if inlet.is_broken:
            logger.error("what comes from %s:%s is not MQTT; reconnecting", *self.address)
        if inlet.is_broken or not is_open:
            self._client.end()

    def _wanted(self, messages: list[Message]) -> list[Message]:
        """Amqtt 0.12 gives a returning session what it retains for anybody: only what we subscribed to."""
        filters = self._subscriptions
        return [
            m for m in messages if not m.retained or any(mqtt.topic_matches_sub(f, m.topic) for f in filters)
        ]

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

    def _keep_alive(self, now: float) -> None:
        if now >= self._misc_at and self._inlet is not None:
            if self._inlet.is_heard:
                self._inlet.is_heard = False
                self._client.note_alive()
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
        self._inlet = Inlet(sock, self._connection + 1)  # the number that it will have once we are welcome
        self._is_leaving = False

    def _on_socket_close(self, _client: mqtt.Client, _userdata: Any, sock: Any) -> None:
        self._selector.unregister(sock)
        inlet, self._inlet = self._inlet, None
        if inlet is not None and not self._is_leaving:
            self._inbox += self._wanted(inlet.drain())

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
