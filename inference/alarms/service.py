"""Vitals, verdicts, device status and acknowledgements from the broker -> retained alarms, kept in the store.

Order of a round: transitions and memory in one transaction, then the retained topics, then acknowledgements.
While the store is in trouble alarms are published all the same, and what is unsaved is kept and tried again.
"""

import logging
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import ArgumentError

from inference.alarms.alarm import Alarm, AlarmKind, AlarmState
from inference.alarms.annotation_desk import AnnotationDesk
from inference.alarms.annotations import Annotate
from inference.alarms.board import AlarmLink, Board
from inference.alarms.engine import AlarmEngine
from inference.alarms.episode import is_transition
from inference.alarms.events import DeviceEvent, Discharge, SetPause, Tick
from inference.alarms.journal import Journal
from inference.alarms.limits import LimitsError, SetLimits
from inference.alarms.memory import HOUSE, CrowdedError
from inference.alarms.messages import (
    HEARD,
    MAY_BE_RETAINED,
    OWN,
    OWN_PREFIXES,
    REQUESTS,
    SERVICE_PREFIX,
    Decoded,
    MessageEvent,
    Refusal,
    decode_message,
)
from inference.alarms.names import NamesError, SetName
from inference.alarms.recovery import recover
from inference.alarms.rules import Limits
from inference.alarms.setting import Setting, apply_setting, scope_of
from inference.alarms.shown_settings import ShownSettings
from inference.alarms.technical import NO_DATA_S
from inference.verdict import Verdict
from ingest.link import LinkError, Message, MqttLink
from ingest.metrics_port import serve_metrics
from ingest.settings import Settings
from ingest.store.schema import open_store
from ingest.topics import (
    OWN_SITE,
    SERVICES,
    alarm_topic,
    refusal_topic,
)
from ingest.vitals import Vitals

TICK_S = 0.5
FIRST_TICK_S = NO_DATA_S  # after the start: nobody was watched before, so no silence is old enough yet
BUSY_WAIT_MS = 500  # another service's commit takes milliseconds; an alarm must not wait for a stuck one
POLL_S = 0.1
MAX_ECHO = 500  # bytes of a refused request that are said back
MAX_TOPIC = 500  # characters of a topic that is answered: three ids of 64, and MQTT's own end is 65,535 bytes

logger = logging.getLogger(__name__)


class AlarmService:
    """Joins messages, engine, store and broker; `start` once, then `step` for ever, `stop` at the end."""

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
        self._alarms = alarms
        self._clock_us = clock_us
        self._monotonic_s = monotonic_s
        self._board = Board(link)
        self._journal = Journal(open_engine, self._recover, alarms, monotonic_s)
        self._annotations = AnnotationDesk(self._journal, link, self._refuse)
        self._known: dict[tuple[str, AlarmKind], Alarm] = {}  # as last noted; none that is off
        self._shown = ShownSettings(self._board, alarms)
        self._tick_at_s = self._watch_from_s = 0.0
        self._listening_since_us = 0
        self._counts: Counter[str] = Counter()
        self._changes: Counter[tuple[AlarmKind, AlarmState]] = Counter()

    def start(self) -> None:
        """Continue from the store and show every alarm again."""
        self._watch_from_s = self._monotonic_s() + FIRST_TICK_S
        self._listening_since_us = self._clock_us()
        self._journal.save()
        self._board.publish()

    def step(self) -> None:
        """One round: take what arrived, let time pass, save, publish, acknowledge."""
        messages = self._link.poll(POLL_S)
        changes = [alarm for message in messages for alarm in self._take(message)]
        now_s = self._monotonic_s()
        if now_s >= self._tick_at_s:
            self._tick_at_s, at_us = now_s + TICK_S, self._clock_us()
            is_watching = now_s >= self._watch_from_s
            changes += self._alarms.push(Tick(at_us)) if is_watching else self._alarms.pass_pause(at_us)
        self._note(changes)
        if self._shown.show():
            self._journal.changed(HOUSE)
        was_well = self._journal.is_well
        self._journal.save_if_due()
        self._board.publish()
        self._annotations.write()
        if self._journal.has_read:  # before, nobody knows which of them are on
            self._board.clear_leftovers()
        if messages:
            self._link.acknowledge(*messages)
        if not was_well:
            self._journal.retry_if_due()

    def stop(self) -> None:
        """Save everything, so that the next start continues identically."""
        self._journal.close()

    def counters(self) -> Mapping[str, Any]:
        """For the heartbeat."""
        active = self._alarms.active()
        return {
            "alarms": self._counts["raised"],
            "transitions": self._counts["transitions"],
            "transitions_by": _by_kind(self._changes),
            "active": dict(Counter(alarm.priority.value for alarm in active)),
            "shown": _by_kind(Counter((alarm.kind, alarm.state) for alarm in active)),
            "unsaved": self._journal.n_unsaved,
            "unsaved_dropped": self._journal.dropped,
            "refused": self._counts["refused"],
            "crowded": self._counts["crowded"],
            "devices": len(self._patients()),
            "store": self._journal.state,
        }

    def _take(self, message: Message) -> list[Alarm]:
        """One message -> changes; what cannot be understood is counted and harms no other device."""
        if message.topic.startswith(OWN_PREFIXES):
            if message.retained and message.payload:  # else it is our own word
                self._board.found(message.topic)
            return []
        if message.retained and message.topic.startswith(SERVICE_PREFIX):
            return []  # a service counts from its next heartbeat, a second later
        if message.retained and not message.topic.startswith(MAY_BE_RETAINED):
            decoded = Decoded(refused=["it was retained: nobody knows how old it is"])
        else:
            decoded = decode_message(message.topic, message.payload, message.received_us)
        for reason in decoded.refused:
            self._refuse(message, reason)
        return [alarm for event in decoded.events for alarm in self._push(event, message)]

    def _push(self, event: MessageEvent, message: Message) -> list[Alarm]:
        match event:
            case Vitals() | Verdict():  # a thousand a second, all else a few
                return self._hear(event)
            case SetLimits() | SetName() | Discharge() if not self._journal.has_read:
                self._refuse(
                    message, "the store cannot be read yet, nor who has which limits and names: ask again"
                )
                return []
            case Annotate():
                self._annotations.ask(event, message)
                return []
            case SetLimits() | SetName() | Discharge() | SetPause():
                return self._set(event, message)
        return self._hear(event)

    def _hear(self, event: DeviceEvent) -> list[Alarm]:
        try:
            changes = self._alarms.push(event)
        except CrowdedError as error:
            self._counts["crowded"] += 1
            if str(self._counts["crowded"]).strip("0") == "1":  # a flood must not fill the log
                logger.warning(
                    "%s is not watched (%d times): %s", event.device, self._counts["crowded"], error
                )
            return []
        if self._alarms.knows(event.device):
            self._journal.heard(event.device)
        return changes

    def _set(self, event: Setting, message: Message) -> list[Alarm]:
        """What a person sets: taken and logged, or refused."""
        try:
            changes, lines = apply_setting(self._alarms, event)
        except (LimitsError, NamesError) as error:
            self._refuse(message, str(error))
            return []
        if isinstance(event, Discharge) and not lines:
            self._refuse(message, f"nobody is known on {event.device}: there is nobody to discharge")
            return []
        for line in lines:
            self._journal.note_setting(line)
        self._journal.changed(HOUSE)
        self._journal.changed(scope_of(event))
        self._shown.is_stale = True
        return changes

    def _refuse(self, message: Message, reason: str) -> None:
        """Count and log it; who asked for something is told why it was not done."""
        self._counts["refused"] += 1
        logger.warning("refused a message on %s: %s", message.topic, reason)
        if message.topic.startswith(REQUESTS) and len(message.topic) <= MAX_TOPIC and not message.retained:
            request = message.payload[:MAX_ECHO].decode(errors="replace")
            refusal = Refusal(reason, request, message.received_us)
            self._link.publish(refusal_topic(message.topic), msgspec.json.encode(refusal), retain=False)

    def _note(self, changes: Sequence[Alarm]) -> None:
        """Tell transitions, which are logged and stored, from new words, which are only shown."""
        for alarm in changes:
            key = (alarm.device, alarm.kind)
            before = self._known.pop(key, None)
            is_off = alarm.state is AlarmState.OFF
            if not is_off:
                self._known[key] = alarm
            self._board.show(alarm_topic(*key), b"" if is_off else msgspec.json.encode(alarm))
            if not is_transition(before, alarm):
                continue
            logger.info("%s %s is %s: %s", alarm.device, alarm.kind, alarm.state, alarm.text)
            self._counts["transitions"] += 1
            self._changes[alarm.kind, alarm.state] += 1
            self._counts["raised"] += before is None
            self._journal.note(alarm)

    def _patients(self) -> set[str]:
        own = f"{OWN_SITE}/"
        return {device for device in self._alarms.devices if not device.startswith(own)}

    def _recover(self, engine: Engine) -> None:
        """Continue from the store, and show every alarm."""
        ended, lines = recover(self._alarms, engine, self._listening_since_us, self._clock_us())
        for alarm in ended:
            self._journal.note(alarm)
        for line in lines:
            self._journal.note_setting(line)
            self._journal.changed(line.scope)
        for alarm in self._alarms.active():
            self._known[alarm.device, alarm.kind] = alarm
            self._board.show(alarm_topic(alarm.device, alarm.kind), msgspec.json.encode(alarm))
        self._shown.is_stale = True


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
    link.on_beat = serve_metrics("alarms", settings.metrics_port)
    opened = partial(open_store, settings.store_address, busy_wait_ms=BUSY_WAIT_MS)
    service = AlarmService(link, opened, alarms)
    try:
        _serve(link, service, stop)
    except LinkError as error:
        raise SystemExit(f"Alarms cannot start: {error}") from None
    finally:
        link.close()


def _serve(link: MqttLink, service: AlarmService, stop: threading.Event) -> None:
    for topic in HEARD:
        link.subscribe(topic)
    for topic in (SERVICES, *OWN):  # a heartbeat that waited says nothing
        link.subscribe(topic, qos=0)
    link.connect()
    service.start()
    while not stop.is_set():
        service.step()
    service.stop()
