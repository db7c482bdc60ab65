"""Alarms from the broker -> messages to people; the state of each channel, and of each device, back to it.

A round: take what arrived and what was delivered, let time pass, begin deliveries, publish, save. What was
told is saved as soon as it was taken, so that a restart tells nothing twice; what is on is retained at the
broker, so that a restart forgets nothing.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from inference.alarms.events import Tick
from inference.notify.courier import Couriers, Delivered
from inference.notify.home_assistant import HomeState, Publication, device_of_discovery
from inference.notify.known_names import KnownNames
from inference.notify.messages import decode_alarm, decode_name, decode_test, decode_vitals, encode_channel
from inference.notify.notice import DeliveryResult, Ended, Notice
from inference.notify.planner import NotificationPlanner
from inference.notify.records import load_memory, save_memory
from inference.notify.texts import Wording, write_letter, write_test
from ingest.gauges import DurationHistogram
from ingest.link import Message
from ingest.store.schema import STORE_OK
from ingest.topics import channel_topic, device_of, scope_of_name

POLL_S = 0.05
SETTLE_S = 3.0  # after a connection all that is retained has come; what has not is off
CHECKPOINT_S = 10.0
RETRY_S = 1.0  # between attempts while the store is in trouble
HOME_TICK_S = 1.0

logger = logging.getLogger(__name__)


class NotifyLink(Protocol):
    """What the service asks of its MQTT connection."""

    @property
    def is_subscribed(self) -> bool:
        """True while the broker is there and knows what we want to hear."""

    def poll(self, timeout_s: float) -> list[Message]:
        """Messages that came."""

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Send, at least once."""


class Notifier:
    """Joins messages, planner, couriers and store; `start` once, then `step` for ever, `stop` at the end."""

    def __init__(  # noqa: PLR0913 - each is one part that it joins
        self,
        link: NotifyLink,
        open_engine: Callable[[], Engine],
        planner: NotificationPlanner,
        couriers: Couriers,
        *,
        broken: Mapping[str, str],
        home: HomeState | None = None,
        dashboard_url: str | None = None,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link, self._planner, self._couriers, self._home = link, planner, couriers, home
        self._open_engine = open_engine
        self._engine: Engine | None = None
        self._broken = broken  # channels that cannot be used as they are configured, and why
        self._names = KnownNames()
        self._wording = Wording(dashboard_url, self._names.shown)
        self._clock_us, self._monotonic_s = clock_us, monotonic_s
        self._started_us = clock_us()
        self._present: set[tuple[str, str]] = set()  # alarms heard of on this connection
        self._settled_at_s: float | None = None  # None: settled, or not connected
        self._was_subscribed = False
        self._changed: set[str] = set()  # channels whose state is to be published
        self._under_way: dict[int, Notice] = {}
        self._tests: dict[int, str] = {}  # by number, which is negative: the planner's are not
        self._test_number = 0
        self._save_at_s = self._home_at_s = 0.0
        self._is_told = False  # something was told that is not saved
        self._store_state = STORE_OK
        self._counts: Counter[str] = Counter()
        self._delivery = DurationHistogram()

    def start(self) -> None:
        """Continue from the store, where it can be read."""
        self._save_at_s = self._monotonic_s() + CHECKPOINT_S
        try:
            self._engine = self._open_engine()
            memory = load_memory(self._engine)
            if memory is not None:
                self._planner.restore(memory)
        except SQLAlchemyError as error:
            self._note_store(str(getattr(error, "orig", None) or error))
        except ValueError as error:
            logger.warning("what was told before is not readable (%s): what is on is told again", error)
        for name, box in self._planner.outboxes.items():
            box.memory.reason, box.memory.judged_us = self._broken.get(name), self._started_us

    def step(self) -> None:
        """One round."""
        messages = self._link.poll(POLL_S)
        now_us = self._clock_us()
        notices = self._planner.push(Tick(now_us))
        for outcome in self._couriers.collect():
            notices += self._conclude(outcome, now_us)
        for message in messages:
            notices += self._take(message, now_us)
        notices += self._note_connection()
        self._send(notices)
        now_s = self._monotonic_s()
        if self._home is not None and now_s >= self._home_at_s:
            self._home_at_s = now_s + HOME_TICK_S
            self._publish(self._home.tick(now_us))
        if now_s >= self._save_at_s or (self._is_told and self._store_state == STORE_OK):
            self._save(now_s)
        while self._changed:  # after saving: whoever reads "sent" may rely on it
            name = self._changed.pop()
            payload = encode_channel(self._planner.outboxes[name], self._started_us)
            self._link.publish(channel_topic(name), payload, retain=True)

    def stop(self) -> None:
        """Save, so that the next start continues."""
        self._save(self._monotonic_s())
        if self._engine is not None:
            self._engine.dispose()

    def counters(self) -> Mapping[str, Any]:
        """For the heartbeat."""
        boxes = self._planner.outboxes.values()
        return {
            "channels": len(boxes),
            "failing": sum(box.memory.reason is not None for box in boxes),
            "sent": self._counts["sent"],
            "failed": self._counts["failed"],
            "tests": self._counts["tests"],
            "waiting": sum(len(box.memory.waiting) for box in boxes),
            "hanging": self._couriers.n_hanging,
            "delivery": self._delivery.buckets(),
            "refused": self._counts["refused"],
            "store": self._store_state,
        }

    def _take(self, message: Message, now_us: int) -> list[Notice]:
        """One message; what cannot be understood is counted and harms nothing else."""
        root, _, *levels = message.topic.split("/")
        what = {"ecg": "meta", "homeassistant": "discovery"}.get(root, levels[0])
        try:
            match what:
                case "alarm":
                    return self._take_alarm(message, now_us)
                case "channel_test":
                    self._test(message, now_us)
                case "channel":
                    self._clear_channel(message)
                case "meta":
                    self._names.tell(device_of(message.topic), decode_name(message.payload))
                case "name_in_force":
                    self._names.give(scope_of_name(message.topic), decode_name(message.payload))
                case _ if self._home is not None:
                    self._take_home(self._home, what, message, now_us)
        except (ValueError, RecursionError) as error:
            self._refuse(message, str(error))
        return []

    def _refuse(self, message: Message, reason: str) -> None:
        self._counts["refused"] += 1
        logger.warning("refused a message on %s: %s", message.topic, reason)

    def _take_alarm(self, message: Message, now_us: int) -> list[Notice]:
        change = decode_alarm(message.topic, message.payload)
        if isinstance(change, Ended):
            self._present.discard((change.device, change.kind))
        else:
            self._present.add((change.device, change.kind.value))
        if self._home is not None:
            self._publish(self._home.on_alarm(change, now_us))
        return self._planner.push(change)

    def _take_home(self, home: HomeState, what: str, message: Message, now_us: int) -> None:
        if what == "vitals" and not message.retained:
            second = decode_vitals(message.payload)
            for reason in second.refused:
                self._refuse(message, reason)
            for vitals in second.vitals:
                self._publish(home.on_vitals(vitals, now_us))
        elif what == "discharge" and not message.retained:
            self._publish(home.forget(device_of(message.topic)))
        elif (
            what == "discovery"
            and message.retained
            and message.payload
            and (device := device_of_discovery(message.topic))
        ):
            self._publish(home.adopt(device, now_us))

    def _test(self, message: Message, now_us: int) -> None:
        name = message.topic.rsplit("/", 1)[1]
        if message.retained:
            raise ValueError("it was retained: nobody knows how old it is")
        if (box := self._planner.outboxes.get(name)) is None:
            raise ValueError(f"there is no channel {name!r}")
        if name in self._tests.values():
            raise ValueError("a test of this channel is on its way already")
        who = decode_test(message.payload)
        self._test_number -= 1
        self._tests[self._test_number] = name
        self._counts["tests"] += 1
        logger.info("%s tests the channel %s", who, name)
        self._couriers.send(name, self._test_number, write_test(box.channel, who, now_us))

    def _clear_channel(self, message: Message) -> None:
        """Take away what is retained of a channel that is configured no more."""
        name = message.topic.rsplit("/", 1)[1]
        if message.retained and message.payload and name not in self._planner.outboxes:
            self._link.publish(message.topic, b"", retain=True)

    def _conclude(self, outcome: Delivered, now_us: int) -> list[Notice]:
        box = self._planner.outboxes[outcome.channel]
        was_failing = box.memory.reason is not None
        self._counts["sent" if outcome.reason is None else "failed"] += 1
        notices: list[Notice] = []
        if outcome.number in self._tests:
            del self._tests[outcome.number]
            box.judge(outcome.reason, now_us)
        else:
            notice = self._under_way.pop(outcome.number)
            if outcome.reason is None:
                self._delivery.add((now_us - notice.at_us) / 1000)
                self._is_told = True
            notices = self._planner.push(
                DeliveryResult(outcome.number, outcome.channel, outcome.reason, now_us)
            )
        if outcome.reason is not None:
            logger.warning("the channel %s did not take a message: %s", outcome.channel, outcome.reason)
        elif was_failing:
            logger.info("the channel %s works again", outcome.channel)
        self._changed.add(outcome.channel)
        return notices

    def _send(self, notices: Iterable[Notice]) -> None:
        for notice in notices:
            channel = self._planner.outboxes[notice.channel].channel
            self._under_way[notice.number] = notice
            self._couriers.send(notice.channel, notice.number, write_letter(notice, channel, self._wording))
            logger.info(
                "message %d goes on %s, alarms in it: %d", notice.number, notice.channel, len(notice.lines)
            )

    def _note_connection(self) -> list[Notice]:
        """After each connection say what channels do; once all that is retained came, see what is off."""
        is_subscribed, now_s = self._link.is_subscribed, self._monotonic_s()
        if is_subscribed != self._was_subscribed:
            self._was_subscribed = is_subscribed
            self._settled_at_s = now_s + SETTLE_S if is_subscribed else None
            if not is_subscribed:
                self._present.clear()
                return []
            self._changed.update(self._planner.outboxes)
        if self._settled_at_s is None or now_s < self._settled_at_s:
            return []
        self._settled_at_s = None
        known = [(alarm.device, alarm.kind.value) for alarm in self._planner.alarms]
        off = [Ended(*key) for key in known if key not in self._present]
        return [notice for each in off for notice in self._planner.push(each)]

    def _publish(self, publications: Iterable[Publication]) -> None:
        for each in publications:
            self._link.publish(each.topic, each.payload, retain=True)

    def _save(self, now_s: float) -> None:
        self._save_at_s = now_s + CHECKPOINT_S
        try:
            if self._engine is None:
                self._engine = self._open_engine()
            save_memory(self._engine, self._planner.snapshot())
        except SQLAlchemyError as error:
            self._save_at_s = now_s + RETRY_S
            self._note_store(str(getattr(error, "orig", None) or error))
            return
        if self._store_state != STORE_OK:
            logger.info("what was told is stored again")
        self._store_state, self._is_told = STORE_OK, False

    def _note_store(self, reason: str) -> None:
        if self._store_state == STORE_OK:
            logger.error("messages go on, but what was told cannot be stored: %s", reason)
        self._store_state = reason
