"""Vitals, verdicts, device status and acknowledgements from the broker -> retained alarms, kept in the store.

Order of a round: transitions and memory in one transaction, then the retained topics, then acknowledgements.
While the store is in trouble alarms are published all the same, and what is unsaved is kept and tried again.
"""

import logging
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from inference.alarms.alarm import Alarm, AlarmKind, AlarmState
from inference.alarms.engine import AlarmEngine, Tick
from inference.alarms.episode import is_transition
from inference.alarms.messages import Decoded, decode_message
from inference.alarms.records import active_alarms, load_memory, save_alarms
from inference.alarms.rules import NO_DATA_S, Limits
from ingest.link import LinkError, Message, MqttLink
from ingest.metrics import serve_metrics
from ingest.settings import Settings
from ingest.store.schema import STORE_OK, open_store
from ingest.topics import (
    ACKNOWLEDGE,
    ALARMS,
    CHANNELS,
    DEVICE_STATUS,
    SERVICES,
    VERDICTS,
    VITALS,
    alarm_topic,
)

TICK_S = 0.5
FIRST_TICK_S = NO_DATA_S  # after the start: nobody was watched before, so no silence is old enough yet
CHECKPOINT_S = 10.0  # how old the memory of a quiet device may be after a kill
RETRY_S = 1.0  # between attempts while the store is in trouble
BUSY_WAIT_MS = 500  # another service's commit takes milliseconds; an alarm must not wait for a stuck one
MAX_UNSAVED = 10_000  # transitions kept while the store is in trouble
POLL_S = 0.1
MAY_BE_RETAINED = ("ecg/", CHANNELS.removesuffix("+"))  # all else counts when it is said, and only then

logger = logging.getLogger(__name__)


class AlarmLink(Protocol):
    """What the service asks of its MQTT connection."""

    @property
    def is_connected(self) -> bool:
        """True while the broker is there."""

    def poll(self, timeout_s: float) -> list[Message]:
        """Messages that came."""

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Send, at least once."""

    def acknowledge(self, message: Message) -> None:
        """Say that a message is safe here."""


class AlarmService:
    """Joins messages, engine and store; `start` once, then `step` for ever, `stop` at the end."""

    def __init__(
        self,
        link: AlarmLink,
        open_engine: Callable[[], Engine],
        alarms: AlarmEngine,
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._open_engine = open_engine
        self._engine: Engine | None = None
        self._alarms = alarms
        self._clock_us = clock_us
        self._monotonic_s = monotonic_s
        self._shown: dict[tuple[str, AlarmKind], Alarm] = {}  # as last published; none that is off
        self._retained: set[str] = set()  # alarm topics that the broker said it retains
        self._unsaved: deque[Alarm] = deque(maxlen=MAX_UNSAVED)
        self._changed: set[str] = set()  # devices whose memory must be saved with a transition
        self._heard: set[str] = set()  # devices whose memory is older than what was heard
        self._tick_at_s = self._checkpoint_at_s = self._save_at_s = 0.0
        self._store_state = STORE_OK
        self._was_connected = False
        self._counts: Counter[str] = Counter()
        self._changes: Counter[tuple[AlarmKind, AlarmState]] = Counter()

    def start(self) -> None:
        """Continue from the store and show every alarm again."""
        now_s = self._monotonic_s()
        self._tick_at_s = now_s + FIRST_TICK_S
        self._checkpoint_at_s = now_s + CHECKPOINT_S
        self._save()

    def step(self) -> None:
        """One round: take what arrived, let time pass, save, publish, acknowledge."""
        messages = self._link.poll(POLL_S)
        changes = [alarm for message in messages for alarm in self._take(message)]
        now_s = self._monotonic_s()
        if now_s >= self._tick_at_s:
            self._tick_at_s = now_s + TICK_S
            changes += self._alarms.push(Tick(self._clock_us()))
        self._note(changes)
        was_failing = self._store_state != STORE_OK
        if not was_failing and (self._unsaved or now_s >= self._checkpoint_at_s):
            self._save()
        self._publish(changes)
        self._clear_leftovers()
        for message in messages:
            self._link.acknowledge(message)
        if was_failing and now_s >= self._save_at_s:
            self._save()

    def stop(self) -> None:
        """Save everything, so that the next start continues identically."""
        self._heard.update(self._alarms.devices)
        self._save()
        if self._engine is not None:
            self._engine.dispose()

    def counters(self) -> Mapping[str, Any]:
        """For the heartbeat."""
        active = self._alarms.active()
        return {
            "alarms": self._counts["raised"],
            "transitions": self._counts["transitions"],
            "transitions_by": _by_kind(self._changes),
            "active": dict(Counter(alarm.priority.value for alarm in active)),
            "shown": _by_kind(Counter((alarm.kind, alarm.state) for alarm in active)),
            "unsaved": len(self._unsaved),
            "unsaved_dropped": self._counts["dropped"],
            "refused": self._counts["refused"],
            "devices": len(self._alarms.devices),
            "store": self._store_state,
        }

    def _take(self, message: Message) -> list[Alarm]:
        """One message -> changes; what cannot be understood is counted and harms no other device."""
        if message.topic.startswith(ALARMS.removesuffix("#")):
            if message.retained and message.payload:  # else it is our own word
                self._retained.add(message.topic)
            return []
        if message.retained and message.topic.startswith(SERVICES.removesuffix("+")):
            return []  # a service counts from its next heartbeat, a second later
        if message.retained and not message.topic.startswith(MAY_BE_RETAINED):
            decoded = Decoded(refused=["it was retained: nobody knows how old it is"])
        else:
            decoded = decode_message(message.topic, message.payload, message.received_us)
        for reason in decoded.refused:
            self._counts["refused"] += 1
            logger.warning("refused a message on %s: %s", message.topic, reason)
        changes: list[Alarm] = []
        for event in decoded.events:
            self._heard.add(event.device)
            changes += self._alarms.push(event)
        return changes

    def _note(self, changes: Sequence[Alarm]) -> None:
        """Tell transitions, which are logged and stored, from new words, which are only shown."""
        for alarm in changes:
            key = (alarm.device, alarm.kind)
            before = self._shown.pop(key, None)
            if alarm.state is not AlarmState.OFF:
                self._shown[key] = alarm
            if not is_transition(before, alarm):
                continue
            logger.info("%s %s is %s: %s", alarm.device, alarm.kind, alarm.state, alarm.text)
            self._counts["transitions"] += 1
            self._changes[alarm.kind, alarm.state] += 1
            self._counts["raised"] += before is None
            self._counts["dropped"] += len(self._unsaved) == MAX_UNSAVED
            self._unsaved.append(alarm)
            self._changed.add(alarm.device)

    def _save(self) -> None:
        now_s = self._monotonic_s()
        is_checkpoint = now_s >= self._checkpoint_at_s
        devices = self._changed | self._heard if is_checkpoint else self._changed
        try:
            if self._engine is None:
                engine = self._open_engine()
                self._recover(engine)
                self._engine = engine
            save_alarms(self._engine, list(self._unsaved), self._alarms.snapshot(devices))
        except SQLAlchemyError as error:
            self._save_at_s = now_s + RETRY_S
            reason = str(getattr(error, "orig", None) or error)
            if self._store_state == STORE_OK:
                logger.error("alarms go on but cannot be stored: %s", reason)  # noqa: TRY400 - one line
            self._store_state = reason
            return
        if self._store_state != STORE_OK:
            logger.info("alarms are stored again")
        self._store_state = STORE_OK
        self._unsaved.clear()
        self._changed.clear()
        if is_checkpoint:
            self._heard.clear()
            self._checkpoint_at_s = now_s + CHECKPOINT_S

    def _recover(self, engine: Engine) -> None:
        """Bring in what the store knows; devices already heard of keep their newer memory."""
        known = set(self._alarms.devices)
        for device, memory in load_memory(engine).items():
            if device in known:
                continue
            try:
                self._alarms.restore({device: memory})
            except msgspec.DecodeError as error:
                logger.warning("the memory of %s is not readable (%s); its alarms continue", device, error)
        for alarm in active_alarms(engine):
            self._alarms.adopt(alarm)
        self._shown = {(alarm.device, alarm.kind): alarm for alarm in self._alarms.active()}
        self._publish(list(self._shown.values()))

    def _publish(self, changes: Sequence[Alarm]) -> None:
        """The newest state of each changed alarm; all of them when the broker is back.

        Nothing is queued while it is away. What went off meanwhile is cleared as a leftover.
        """
        is_back = self._link.is_connected and not self._was_connected
        self._was_connected = self._link.is_connected
        if not self._was_connected:
            return
        newest = {(alarm.device, alarm.kind): alarm for alarm in changes}
        if is_back:
            newest = {**self._shown, **newest}
        for key, alarm in newest.items():
            payload = b"" if alarm.state is AlarmState.OFF else msgspec.json.encode(alarm)
            self._link.publish(alarm_topic(*key), payload, retain=True)

    def _clear_leftovers(self) -> None:
        """Take away retained alarms that are off, once the store has told which are on.

        They outlive an alarm when we, or a broker that had not saved yet, were killed as it went off.
        """
        if self._engine is None:
            return
        for topic in self._retained - {alarm_topic(*key) for key in self._shown}:
            self._link.publish(topic, b"", retain=True)
        self._retained.clear()


def _by_kind(counts: Mapping[tuple[AlarmKind, AlarmState], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (kind, state), n in counts.items():
        found.setdefault(kind.value, {})[state.value] = n
    return found


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; SystemExit with one sentence when limits or broker are unusable."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        make_url(settings.store_address)
        alarms = AlarmEngine(Limits.from_settings(settings))
    except (ArgumentError, ValueError) as error:
        raise SystemExit(f"Alarms cannot start: {error}") from None
    link = MqttLink(
        settings.broker_address,
        "wristlead-alarms",
        service="alarms",
        persistent=True,
        manual_ack=True,
        counters=lambda: service.counters(),  # noqa: PLW0108 - the service comes after its link
    )

    def open_engine() -> Engine:
        return open_store(settings.store_address, busy_wait_ms=BUSY_WAIT_MS)

    link.on_beat = serve_metrics("alarms", settings.metrics_port)
    service = AlarmService(link, open_engine, alarms)
    for topic in (VITALS, VERDICTS, DEVICE_STATUS, ACKNOWLEDGE, CHANNELS):
        link.subscribe(topic)
    link.subscribe(SERVICES, qos=0)  # a heartbeat that waited says nothing
    link.subscribe(ALARMS, qos=0)  # only for what is retained, which comes at every connection
    try:
        link.connect()
        service.start()
        while not stop.is_set():
            service.step()
        service.stop()
    except LinkError as error:
        raise SystemExit(f"Alarms cannot start: {error}") from None
    finally:
        link.close()
