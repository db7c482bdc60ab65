"""The gateway's MQTT connection as the strap's: its chunks, meta, status and will."""

import logging
import selectors
from collections.abc import Callable

from ingest.gateways.polar.outbox import Outbox
from ingest.publisher import PING, Address, Publisher, publish_packet
from ingest.topics import device_topic

PING_EVERY_S = 2.0
SILENT_S = 7.5  # a broker that answers no ping for so long went away without a word
FORGET_EVERY_S = 1.0
OFFLINE = b'{"online":false}'
_NOTICE_IDS = {"meta": 0x8001, "status": 0x8002}  # chunks have the lower half

logger = logging.getLogger(__name__)


class Uplink:
    """Sends what the outbox and `say` want sent; no thread: `tend` is called some twenty times a second."""

    def __init__(self, device: str, address: Address, outbox: Outbox, wall_us: Callable[[], int]) -> None:
        self._device = device
        self._outbox = outbox
        self._wall_us = wall_us
        self._notices: dict[str, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._pinged_s = self._forgot_s = 0.0
        self._refusal: int | None = None
        self._publisher = Publisher(
            address,
            f"wristlead-gateway-{device.replace('/', '-')}",
            self._selector,
            will=(device_topic(device, "status"), OFFLINE),
            welcomed=self._welcomed,
            acknowledged=self._acknowledged,
            lost=self._lost,
        )

    @property
    def is_up(self) -> bool:
        """True while the broker answers."""
        return self._publisher.is_up

    def say(self, kind: str, payload: bytes) -> None:
        """Retain `meta` or `status`, now and after each reconnect."""
        if self._notices.get(kind) != payload:
            self._notices[kind] = payload
            self._retain(kind)

    def tend(self, now_s: float) -> None:
        """Read, connect, ping and send; `now_s` is monotonic. Raises StorageError."""
        for key, events in self._selector.select(0.0):
            key.data.ready(events, now_s)
        self._publisher.tend(now_s)
        if not self._publisher.is_up:
            self._note_refusal()
            return
        if now_s >= self._publisher.heard_s + SILENT_S:
            self._publisher.break_off(now_s)
            return
        if now_s >= self._pinged_s + PING_EVERY_S:
            self._pinged_s = now_s
            self._publisher.write(PING)
        if now_s >= self._forgot_s + FORGET_EVERY_S:
            self._forgot_s = now_s
            self._outbox.forget_old(self._wall_us())
        for send in self._outbox.take():
            topic = device_topic(self._device, "backfill" if send.is_late else "chunk")
            self._publisher.write(publish_packet(topic, send.payload, send.message_id))

    def start_anew(self, now_s: float) -> None:
        """Break the connection off and come back: the buffer could not be used."""
        self._publisher.break_off(now_s)

    def close(self, status: bytes) -> None:
        """Say goodbye with a last status."""
        topic = device_topic(self._device, "status")
        self._publisher.close(publish_packet(topic, status, _NOTICE_IDS["status"], retain=True))
        self._selector.close()

    def _retain(self, kind: str) -> None:
        if self._publisher.is_up:
            topic = device_topic(self._device, kind)
            self._publisher.write(publish_packet(topic, self._notices[kind], _NOTICE_IDS[kind], retain=True))

    def _welcomed(self) -> None:
        logger.info("connected to the broker; %s chunks wait", self._outbox.waiting)
        self._outbox.connected(self._wall_us())
        for kind in self._notices:
            self._retain(kind)

    def _acknowledged(self, message_id: int) -> None:
        self._outbox.acknowledge(message_id, self._wall_us())

    def _lost(self) -> None:
        logger.warning("lost the broker: the buffer keeps what comes")
        self._outbox.lost()

    def _note_refusal(self) -> None:
        if self._publisher.refusal != self._refusal:
            self._refusal = self._publisher.refusal
            logger.error("the broker refuses the gateway (CONNACK %s)", self._refusal)
