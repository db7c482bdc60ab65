"""An alarm service on a bench: a stand-in link, a real store and a clock that the test turns."""

from pathlib import Path

import msgspec
from msgspec.structs import replace
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from inference.alarms.alarm import Alarm, AlarmState
from inference.alarms.engine import AlarmEngine
from inference.alarms.rules import Limits
from inference.alarms.service import AlarmService
from ingest.link import Message
from ingest.store.schema import open_store
from ingest.topics import vitals_topic
from ingest.vitals import SignalState, Vitals

DEVICE = "ward/bed-1"
OTHER = "ward/bed-2"
START_US = 1_790_000_000_000_000
MOST_BYTES = 65_535  # of a topic
GOOD = Vitals(DEVICE, 7, START_US, 0, 72.0, 0.4, SignalState.GOOD)


class StandInLink:
    """In place of the broker: what it brings, and what was sent to it."""

    def __init__(self) -> None:
        self.is_connected = True
        self.inbox: list[Message] = []
        self.sent: list[tuple[str, bytes]] = []  # alarms
        self.said: list[tuple[str, bytes]] = []  # not retained
        self.acknowledged: list[Message] = []
        self.retained: dict[str, bytes] = {}

    def bring(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        self.inbox.append(Message(topic, payload, START_US, retained, _mid=1, _qos=1, _connection=1))

    def poll(self, timeout_s: float) -> list[Message]:  # noqa: ARG002 - the signature is the link's
        messages, self.inbox = self.inbox, []
        return messages

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if {"+", "#"} & set(topic) or len(topic.encode()) > MOST_BYTES:
            raise ValueError(f"{topic[:80]!r} is no topic that a client publishes on")  # as the client does
        if not retain:
            self.said.append((topic, payload))
            return
        if topic.startswith("wl/v1/alarm/"):
            self.sent.append((topic, payload))
        if payload:
            self.retained[topic] = payload
        else:
            self.retained.pop(topic, None)

    def acknowledge(self, *messages: Message) -> None:
        self.acknowledged.extend(messages)


class Bench:
    """A service on a stand-in link, a real store and a clock that the test turns."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'store.sqlite'}"
        self.second = 0.0
        self.is_broken = False
        self.link = StandInLink()
        self.start()

    def start(self) -> None:
        self.service = AlarmService(
            self.link,
            self.open_engine,
            AlarmEngine(Limits()),
            clock_us=lambda: START_US + round(self.second * 1e6),
            monotonic_s=lambda: self.second,
        )
        self.service.start()

    def subscribed(self) -> None:
        """The broker says, after every connection, what it retains."""
        for topic, payload in self.link.retained.items():
            self.link.bring(topic, payload, retained=True)
        self.service.step()

    def open_engine(self) -> Engine:
        if self.is_broken:
            raise OperationalError("open", None, Exception("disk is full"))
        return open_store(self.url, busy_wait_ms=10)

    def watch(self, *vitals: Vitals) -> None:
        """One second: these vitals come, the service does a round."""
        stamped = [replace(each, at_us=START_US + round(self.second * 1e6)) for each in vitals]
        self.link.bring(vitals_topic("ward"), msgspec.json.encode(stamped))
        self.service.step()
        self.second += 1

    def shown(self) -> dict[str, AlarmState]:
        return {alarm.kind.value: alarm.state for alarm in self.alarms()}

    def alarms(self) -> list[Alarm]:
        topics = [topic for topic in self.link.retained if topic.startswith("wl/v1/alarm/")]
        return [msgspec.json.decode(self.link.retained[topic], type=Alarm) for topic in topics]
