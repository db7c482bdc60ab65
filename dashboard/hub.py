"""One MQTT connection feeds every browser: a thread keeps the `Monitor` and the browsers' bounded queues."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from dashboard.frames import StateFrame
from dashboard.monitor import Monitor, Revisions
from dashboard.patient_state import Segment
from dashboard.requests import Request
from inference.alarms.alarm import Alarm
from ingest import topics
from ingest.link import Message, MqttLink
from ingest.metrics import Observe

POLL_S = 0.02  # the longest a request of a browser waits for the thread
MAX_QUEUED = 1024  # segments: 4 s of 64 patients at 4 chunks/s; a slower browser loses the oldest
KEPT = (  # by the broker, or said once
    topics.DEVICE_META,
    topics.DEVICE_STATUS,
    topics.SERVICES,
    topics.ALARMS,
    topics.PAUSED,
    topics.LIMITS_IN_FORCE,
    topics.CHANNELS,
    topics.REFUSALS,
    topics.ANNOTATIONS,
    topics.NAMES_IN_FORCE,
    topics.RETENTION_IN_FORCE,
    *topics.BROKER_FACTS,
    topics.EXPLAIN_PROGRESS,
    topics.RECORDINGS,
)

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


class Browser:
    """One open page: what it looks at, what waits for it, and what it was too slow to take."""

    def __init__(self, max_queued: int = MAX_QUEUED) -> None:
        self.devices: frozenset[str] = frozenset()
        self.revisions: Revisions = {}  # of the patient states it has
        self.dropped = 0
        self._queue: deque[Segment] = deque(maxlen=max_queued)

    def offer(self, segment: Segment) -> None:
        """Queue a segment if this page looks at its patient; the oldest makes room and is counted."""
        if segment.device in self.devices:
            self.dropped += len(self._queue) == self._queue.maxlen
            self._queue.append(segment)

    def drain(self) -> list[Segment]:
        """Everything that waits, oldest first."""
        segments = list(self._queue)
        self._queue.clear()
        return segments


class Hub:
    """The state behind all pages of this process. Every method may be called from any thread."""

    def __init__(
        self,
        broker: tuple[str, int],
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        observe: Observe | None = None,
    ) -> None:
        client_id = f"wl-dashboard-{os.getpid()}-{os.urandom(3).hex()}"  # several may serve at once
        self._link = MqttLink(broker, client_id, service="dashboard", counters=self.counters)
        self._link.on_beat = observe
        self._clock_us = clock_us
        self._monitor = Monitor(clock_us())
        self._browsers: set[Browser] = set()
        self._requests: deque[tuple[str, bytes]] = deque(maxlen=MAX_QUEUED)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._broker = (False, clock_us())
        self._thread = threading.Thread(target=self._run, name="dashboard-hub", daemon=True)
        for topic in KEPT:
            self._link.subscribe(topic, qos=1)
        for topic in (topics.DEVICE_CHUNKS, topics.MAPPED_CHUNKS, topics.VITALS, topics.VERDICTS):
            self._link.subscribe(topic, qos=0)  # the next one comes soon; nothing may queue for a viewer

    def start(self) -> None:
        """Begin to listen; an absent broker is waited for and named on the pages."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and say goodbye to the broker."""
        self._stop.set()
        self._thread.join(timeout=2.0)
        self._link.close()

    @property
    def is_alive(self) -> bool:
        """False once the thread has ended: then nothing on the pages is true any more."""
        return self._thread.is_alive()

    def attach(self) -> Browser:
        """A page was opened."""
        browser = Browser()
        with self._lock:
            self._browsers.add(browser)
        return browser

    def detach(self, browser: Browser) -> None:
        """A page was closed."""
        with self._lock:
            self._browsers.discard(browser)

    def subscribe(self, browser: Browser, devices: Iterable[str], history_s: float) -> list[Segment]:
        """Let the page look at exactly `devices`; return the history of those it did not look at before."""
        wanted = frozenset(devices)
        with self._lock:
            added = sorted(wanted - browser.devices)
            browser.devices = wanted
            return [segment for device in added for segment in self._monitor.history(device, history_s)]

    def take(self, browser: Browser) -> list[Segment]:
        """The samples that wait for the page."""
        with self._lock:
            return browser.drain()

    def state(self, browser: Browser) -> StateFrame:
        """What changed for the page since its last state frame."""
        with self._lock:
            now_us = self._clock_us()
            return StateFrame(
                now_us,
                *self._broker,
                self._monitor.house.services(now_us),
                self._monitor.house.channels(),
                self._monitor.house.alarms(),
                self._monitor.own_refusals(),
                self._monitor.house.paused,
                self._monitor.devices(),
                self._monitor.patients(browser.revisions),
                browser.dropped,
                self._monitor.house.service("explain", now_us),
            )

    def look(self, question: Callable[[Monitor, int], Answer]) -> Answer:
        """The answer to a question about the present, and the time that it is asked at; it must be quick."""
        with self._lock:
            return question(self._monitor, self._clock_us())

    @property
    def broker(self) -> tuple[bool, int]:
        """Whether the broker is connected, and since when it is so."""
        return self._broker

    def history(self, device: str, seconds: float) -> list[Segment]:
        """The newest samples of a device, by index."""
        with self._lock:
            return self._monitor.history(device, seconds)

    def names(self) -> dict[str, str]:
        """What every device is called, in the order of the wall."""
        with self._lock:
            return self._monitor.names()

    def alarm(self, device: str, kind: str) -> Alarm | None:
        """The alarm of that kind that is not off; None when there is none."""
        with self._lock:
            return self._monitor.alarm(device, kind)

    def ask(self, request: Request) -> bool:
        """Publish what a person asks of another service; False where there is nothing it could concern."""
        with self._lock:
            if not request.concerns(self._monitor):
                return False
            self._requests.append((request.topic(), request.payload()))
        return True

    def counters(self) -> dict[str, int]:
        """Figures for the heartbeat."""
        browsers = list(self._browsers)
        return {
            "browsers": len(browsers),
            "dropped": sum(browser.dropped for browser in browsers),
            "refused": self._monitor.refused,
        }

    def _run(self) -> None:
        while not self._stop.is_set():
            messages = self._link.poll(POLL_S)
            with self._lock:
                if self._link.is_connected != self._broker[0]:
                    self._broker = (self._link.is_connected, self._clock_us())
                for message in messages:
                    self._take(message)
            while self._requests:
                self._link.publish(*self._requests.popleft())

    def _take(self, message: Message) -> None:
        segment = self._monitor.push(
            message.topic, message.payload, message.received_us, retained=message.retained
        )
        if segment is not None:
            for browser in self._browsers:
                browser.offer(segment)
