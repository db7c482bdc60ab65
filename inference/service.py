"""Windows from ingest -> verdicts, stored and published; windows that were forgotten are found in the store.

A window is acknowledged only after its verdict is stored. What a crash, a full inbox or a dying worker leaves
behind is in the store without a verdict, and the sweep finishes it.
"""

import logging
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from inference.classifier import MAX_BATCH, Classifier, ClassifierError
from inference.records import save_verdicts
from inference.verdict import Verdict
from ingest.backfill import best_windows
from ingest.chunk import Place
from ingest.gauges import DurationHistogram
from ingest.link import LinkError, Message, MqttLink
from ingest.metrics_port import serve_metrics
from ingest.settings import Settings
from ingest.store.archive import Archive, StoreError
from ingest.store.schema import STORE_OK, open_store
from ingest.topics import WINDOWS, verdict_topic
from ingest.window import Window, decode_window

MAX_WAITING = 1_000  # windows held in memory, 20 kB each; more are left to the sweep
GATHER_S = 0.05  # a window waits at most so long for others to share its batch (docs/decisions.md)
SWEEP_EVERY_S = 2.0
SWEEP_AFTER_S = 2.0  # a younger window is most likely on its way as a message
SWEEP_LIMIT = 64  # windows a sweep, two batches, so that new messages never wait long
RECENT_S = 20.0  # what most sweeps look at: walking over 300 s of 5,000 watches takes 0.19 s
WHOLE_SWEEP_EVERY_S = 30.0
SETTLED_S = 300.0  # a window committed this long after it closed is found only at the next start
RETRY_S = 0.5  # between attempts while the store is in trouble
IDLE_S = 0.2
MAX_FAILED = 1_000  # places of windows the model could not digest


logger = logging.getLogger(__name__)


class WindowClassifier(Protocol):
    """What the service asks of a model."""

    @property
    def version(self) -> str:
        """Name of the weights."""

    def classify(self, windows: Sequence[Window], decided_us: int) -> list[Verdict]:
        """One verdict a window, in order."""


class WindowLink(Protocol):
    """What the service asks of its MQTT connection."""

    def poll(self, timeout_s: float) -> list[Message]:
        """Messages that came."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Send, at least once."""

    def acknowledge(self, *messages: Message) -> None:
        """Say that messages are safe here."""


@dataclass(slots=True)
class Figures:
    """What the service counts since its start."""

    verdicts: int = 0
    recovered: int = 0  # of them found in the store
    failed: int = 0  # windows the model could not digest
    refused: int = 0  # messages that are no window
    deferred: int = 0  # windows left to the sweep because too many waited
    indeterminate: Counter[str] = field(default_factory=Counter)
    found: dict[str, Counter[str]] = field(default_factory=dict)  # by superclass, then presence
    delays: DurationHistogram = field(default_factory=DurationHistogram)  # window closed to verdict stored

    def count(self, verdict: Verdict, delay_ms: float) -> None:
        """One verdict that was stored, `delay_ms` after its window closed; late windows have no delay."""
        self.verdicts += 1
        if verdict.indeterminate is not None:
            self.indeterminate[verdict.indeterminate] += 1
        for finding in verdict.findings:
            self.found.setdefault(finding.superclass, Counter())[finding.presence] += 1
        if not verdict.historic:
            self.delays.add(delay_ms)


class InferenceService:
    """Joins messages, classifier and store; `step` does one round and is called for ever."""

    def __init__(  # noqa: PLR0913 - link, store, model, and three facts that tests choose
        self,
        link: WindowLink,
        engine: Engine,
        classifier: WindowClassifier,
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic_s: Callable[[], float] = time.monotonic,
        gather_s: float = GATHER_S,
    ) -> None:
        self.figures = Figures()
        self._link = link
        self._engine = engine
        self._archive = Archive(engine)
        self._classifier = classifier
        self._clock_us = clock_us
        self._monotonic_s = monotonic_s
        self._gather_s = gather_s
        self._waiting: deque[tuple[Message, Window]] = deque()
        self._failed: dict[Place, None] = {}  # an ordered set
        self._gathered_at_s = 0.0  # the windows that wait have waited for others until then
        self._work_at_s = 0.0
        self._sweep_at_s = self._whole_sweep_at_s = 0.0
        self._settled_us = 0  # every window that closed before has been tried
        self._recent_us = 0  # likewise, but for those that were committed late
        self._store_state = STORE_OK

    def step(self) -> None:
        """Take what arrived; then classify a batch that is full or has gathered long enough, or sweep."""
        self._receive_all(self._link.poll(self._patience_s()))
        now_s = self._monotonic_s()
        if now_s < self._work_at_s:
            return
        try:
            if self._waiting and self._is_gathered(now_s):
                self._classify_waiting()
            elif now_s >= self._sweep_at_s:
                self._sweep(now_s)
        except (SQLAlchemyError, StoreError) as error:
            self._work_at_s = now_s + RETRY_S
            reason = str(getattr(error, "orig", None) or error)
            if self._store_state == STORE_OK:
                logger.error("verdicts cannot be stored, windows wait: %s", reason)  # noqa: TRY400 - one line
            self._store_state = reason
        else:
            if self._store_state != STORE_OK:
                logger.info("verdicts are stored again")
            self._store_state = STORE_OK

    def counters(self) -> Mapping[str, Any]:
        """For the heartbeat."""
        figures = self.figures
        return {
            "verdicts": figures.verdicts,
            "indeterminate": dict(figures.indeterminate),
            "found": {superclass: dict(each) for superclass, each in figures.found.items()},
            "window_verdict_ms": figures.delays.summary(),
            "window_verdict": figures.delays.buckets(),
            "backlog": len(self._waiting),
            "recovered": figures.recovered,
            "failed": figures.failed,
            "refused": figures.refused,
            "deferred": figures.deferred,
            "model": self._classifier.version,
            "store": self._store_state,
        }

    def _patience_s(self) -> float:
        """How long to wait for messages before there is something else to do."""
        now_s = self._monotonic_s()
        if not self._waiting or now_s < self._work_at_s:
            return IDLE_S
        return 0.0 if self._is_gathered(now_s) else self._gathered_at_s - now_s

    def _is_gathered(self, now_s: float) -> bool:
        return len(self._waiting) >= MAX_BATCH or now_s >= self._gathered_at_s

    def _receive_all(self, messages: Sequence[Message]) -> None:
        if messages and not self._waiting:
            self._gathered_at_s = self._monotonic_s() + self._gather_s
        done = [message for message in messages if not self._keeps(message)]
        if done:
            self._link.acknowledge(*done)

    def _keeps(self, message: Message) -> bool:
        """True when its window waits now; otherwise nothing is left to do about it here."""
        try:
            window = decode_window(message.payload)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            self.figures.refused += 1
            logger.warning("refused a message on %s: %s", message.topic, error)
            return False
        if len(self._waiting) >= MAX_WAITING:
            self.figures.deferred += 1
            self._whole_sweep_at_s = 0.0  # it is in the store: the sweep finds it, however old it is by then
            return False
        self._waiting.append((message, window))
        return True

    def _classify_waiting(self) -> None:
        batch = [self._waiting[i] for i in range(min(MAX_BATCH, len(self._waiting)))]
        self._decide([window for _, window in batch])
        for _ in batch:
            self._waiting.popleft()
        self._link.acknowledge(*(message for message, _ in batch))

    def _sweep(self, now_s: float) -> None:
        """Finish windows that have no verdict; at once again while there are more than one sweep holds."""
        before_us = self._clock_us() - round(SWEEP_AFTER_S * 1e6)
        limit = SWEEP_LIMIT + len(self._failed)
        is_whole = now_s >= self._whole_sweep_at_s
        settled_us = before_us - round(SETTLED_S * 1e6)
        self._settled_us = min(self._settled_us, settled_us)  # the clock may have been set back
        after_us = self._settled_us if is_whole else max(self._settled_us, self._recent_us)
        found = self._archive.windows_without_verdict(before_us, limit, after_us)
        windows = [window for window in found if window.place not in self._failed]
        for i in range(0, len(windows), MAX_BATCH):
            self.figures.recovered += self._decide(windows[i : i + MAX_BATCH])
        if len(found) < limit:
            self._sweep_at_s = now_s + SWEEP_EVERY_S
            self._recent_us = before_us - round(RECENT_S * 1e6)
            if is_whole:
                self._whole_sweep_at_s = now_s + WHOLE_SWEEP_EVERY_S
                self._settled_us = settled_us

    def _decide(self, windows: Sequence[Window]) -> int:
        """Classify, store and publish; the number of windows that had no verdict, or a poorer one, before."""
        best = best_windows(windows)  # one that was cut again may have come beside its poorer self
        verdicts = self._classify(best)
        closed_us = {window.place: window.closed_us for window in best}
        new = save_verdicts(self._engine, verdicts, {window.place: window.coverage for window in best})
        stored_us = self._clock_us()
        for verdict in new:
            self.figures.count(verdict, (stored_us - closed_us[verdict.place]) / 1e3)
            self._link.publish(verdict_topic(verdict.device), msgspec.json.encode(verdict))
        return len(new)

    def _classify(self, windows: Sequence[Window]) -> list[Verdict]:
        """A batch that fails is taken apart: one bad window does not cost the others their verdict."""
        try:
            return self._classifier.classify(windows, self._clock_us())
        except Exception as error:
            if len(windows) > 1:
                return [verdict for window in windows for verdict in self._classify([window])]
            place = windows[0].place
            self.figures.failed += 1
            self._failed[place] = None
            if len(self._failed) > MAX_FAILED:
                del self._failed[next(iter(self._failed))]
            logger.exception("no verdict for the window %s:%s:%s", *place, exc_info=error)
            return []


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; SystemExit with one sentence when weights, store or broker fail."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        classifier = Classifier.load(settings.weights_dir)
    except ClassifierError as error:
        raise SystemExit(f"The model cannot be used: {error}") from None
    try:
        engine = open_store(settings.store_address)
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or error
        raise SystemExit(f"The store {settings.store_address} cannot be opened: {reason}") from None
    link = MqttLink(
        settings.broker_address,
        "wristlead-inference",
        service="inference",
        persistent=True,
        manual_ack=True,
        counters=lambda: service.counters(),  # noqa: PLW0108 - the service comes after its link
    )
    link.on_beat = serve_metrics("inference", settings.metrics_port)
    service = InferenceService(link, engine, classifier)
    link.subscribe(WINDOWS)
    try:
        link.connect()
        logger.info("classifying with %s", classifier.version)
        while not stop.is_set():
            service.step()
    except LinkError as error:
        raise SystemExit(str(error)) from None
    finally:
        link.close()
        engine.dispose()
