"""Alarms of the model and requests -> explanations, stored and published; a worker that no verdict waits for.

A model alarm gets the Grad-CAM of the windows that spoke for it; anything else is made when somebody asks.
What a restart or a lost message leaves behind is in the store: an alarm that came on without an explanation.
"""

import logging
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from inference.explain.explanation import Answer, Explanation, ExplanationKey, ExplanationMethod
from inference.explain.extra import REMEDY, missing_packages
from inference.explain.records import (
    find_explanation,
    find_verdict,
    raised_answers,
    save_explanation,
    windows_behind,
)
from inference.explain.request import ExplainState, decode_request, encode_progress
from inference.verdict import Superclass
from ingest.link import LinkError, Message, MqttLink
from ingest.metrics_port import serve_metrics
from ingest.settings import Settings
from ingest.store.archive import Archive, StoreError
from ingest.store.schema import STORE_OK, open_store
from ingest.topics import ALARMS, EXPLAIN, explain_progress_topic, explanation_topic
from ingest.window import Window

MAX_WAITING = 20  # requests, half a second of work each; more are refused
MAX_ALARMS_BACK = 50  # model alarms looked at after a start, newest first; five windows each at most
SWEEP_EVERY_S = 2.0
RETRY_S = 0.5  # between attempts while the store is in trouble
IDLE_S = 0.2
MAX_FAILED = 1_000  # questions that failed, not tried again before the next start
NICENESS = 10  # verdicts, alarms and storing go first

logger = logging.getLogger(__name__)


class WindowExplainer(Protocol):
    """What the service asks of a model."""

    @property
    def version(self) -> str:
        """Name of the weights."""

    def explain(
        self, window: Window, answer: Answer, method: ExplanationMethod
    ) -> Generator[float, None, Explanation]:
        """The explanation of one window, in parts; each yields the share done."""


class ExplainLink(Protocol):
    """What the service asks of its MQTT connection."""

    def poll(self, timeout_s: float) -> list[Message]:
        """Messages that came."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Send, at least once."""

    def acknowledge(self, message: Message) -> None:
        """Say that a message is safe here."""


class _RefusedError(Exception):
    """A question that has no answer here; the message says why, in words for people."""


@dataclass(slots=True)
class _Request:
    """A question somebody waits for, and how far its answer is."""

    message: Message  # acknowledged when answered: after a kill the broker brings it again
    key: ExplanationKey
    work: Generator[float, None, Explanation] | None = None


class ExplainService:
    """Joins messages, store and explainer; `step` does one round and is called for ever."""

    def __init__(
        self,
        link: ExplainLink,
        engine: Engine,
        explainer: WindowExplainer,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._engine = engine
        self._archive = Archive(engine)
        self._explainer = explainer
        self._monotonic_s = monotonic_s
        self._requests: deque[_Request] = deque()
        self._behind_alarms: deque[ExplanationKey] = deque()
        self._failed: dict[ExplanationKey, None] = {}  # an ordered set
        self._swept_id = 0  # every transition up to it has been looked at
        self._sweep_at_s = self._work_at_s = 0.0
        self._store_state = STORE_OK
        self._counts: Counter[str] = Counter()

    def step(self) -> None:
        """Take what arrived; then one part of the most urgent work: alarms before requests."""
        may_work = self._monotonic_s() >= self._work_at_s
        is_busy = may_work and bool(self._behind_alarms or self._requests)
        for message in self._link.poll(0.0 if is_busy else IDLE_S):
            self._receive(message)
        now_s = self._monotonic_s()
        if now_s < self._work_at_s:
            return
        try:
            self._work(now_s)
        except (SQLAlchemyError, StoreError) as error:
            self._work_at_s = now_s + RETRY_S
            reason = str(getattr(error, "orig", None) or error)
            if self._store_state == STORE_OK:
                logger.error("the store fails, explanations wait: %s", reason)  # noqa: TRY400 - one line
            self._store_state = reason
        else:
            if self._store_state != STORE_OK:
                logger.info("explanations are stored again")
            self._store_state = STORE_OK

    def counters(self) -> Mapping[str, Any]:
        """For the heartbeat."""
        counts = self._counts
        return {
            "explanations": counts["made"],
            "served": counts["served"],
            "refused": counts["refused"],
            "failed": counts["failed"],
            "backlog": len(self._requests) + len(self._behind_alarms),
            "model": self._explainer.version,
            "store": self._store_state,
        }

    def _receive(self, message: Message) -> None:
        if message.topic.startswith(ALARMS.removesuffix("#")):
            self._sweep_at_s = 0.0  # its transition is in the store: look now
            self._link.acknowledge(message)
            return
        try:
            key = decode_request(message.topic, message.payload)
        except ValueError as error:
            logger.warning("refused a message on %s: %s", message.topic, error)
            self._counts["refused"] += 1
            self._link.acknowledge(message)
            return
        request = _Request(message, key)
        if len(self._requests) >= MAX_WAITING:
            self._refuse(request, f"{MAX_WAITING} requests wait already: ask again in a minute")
            return
        self._requests.append(request)
        self._tell(key, ExplainState.QUEUED)

    def _work(self, now_s: float) -> None:
        if now_s >= self._sweep_at_s:
            self._sweep(now_s)
        if self._behind_alarms:
            self._explain_alarm(self._behind_alarms[0])
            self._behind_alarms.popleft()
        elif self._requests:
            self._advance(self._requests[0])

    def _sweep(self, now_s: float) -> None:
        """Find the alarms that came on since the last look, and the windows that spoke for them."""
        raised, newest_id = raised_answers(self._engine, self._swept_id, MAX_ALARMS_BACK)
        found: list[tuple[int, ExplanationKey]] = [
            (rank, (*place, alarm.answer, ExplanationMethod.GRAD_CAM))
            for alarm in raised
            for rank, (place, model) in enumerate(windows_behind(self._engine, alarm))
            if model == self._explainer.version
        ]
        found.sort(key=lambda one: one[0])  # one window of each alarm before the second of any
        self._behind_alarms.extendleft(key for _, key in reversed(found))  # before what waits
        self._swept_id = newest_id
        self._sweep_at_s = now_s + SWEEP_EVERY_S

    def _explain_alarm(self, key: ExplanationKey) -> None:
        if key in self._failed or find_explanation(self._engine, key) is not None:
            return
        try:
            work = self._begin(key)
            while self._take_part(key, work) is not None:
                pass
        except _RefusedError as reason:
            logger.warning("no explanation for the alarm window %s:%s:%s: %s", *key[:3], reason)

    def _advance(self, request: _Request) -> None:
        """One part of a request; it leaves the queue when it is answered."""
        try:
            if request.work is None:
                known = find_explanation(self._engine, request.key)
                if known is not None:
                    self._counts["served"] += 1
                    self._publish(known)
                    self._finish(request)
                    return
                request.work = self._begin(request.key)
                self._tell(request.key, ExplainState.RUNNING)
            share = self._take_part(request.key, request.work)
        except _RefusedError as reason:
            self._requests.popleft()
            self._refuse(request, str(reason))
            return
        except (SQLAlchemyError, StoreError):
            request.work = None  # it was finished and could not be stored: it is made again
            raise
        if share is None:
            self._finish(request)
        else:
            self._tell(request.key, ExplainState.RUNNING, share)

    def _begin(self, key: ExplanationKey) -> Generator[float, None, Explanation]:
        """Start the work on a question, if it has an answer."""
        if key in self._failed:
            raise _RefusedError("explaining this window failed before: the service's log says how")
        *_, answer, method = key
        place = key[:3]
        verdict = find_verdict(self._engine, place)
        window = self._archive.window(*place)
        if verdict is None or window is None:
            raise _RefusedError("the store holds no such window with a verdict")
        if isinstance(answer, Superclass) and verdict.indeterminate is not None:
            raise _RefusedError(f"the window has no findings to explain: {verdict.indeterminate}")
        if not isinstance(answer, Superclass) and not verdict.rhythm:
            raise _RefusedError("the window has no rhythm to explain")
        if verdict.model != self._explainer.version:
            raise _RefusedError(
                f"the window was judged by {verdict.model}, and only {self._explainer.version} is here"
            )
        return self._explainer.explain(window, answer, method)

    def _take_part(self, key: ExplanationKey, work: Generator[float, None, Explanation]) -> float | None:
        """Do one part; the share done, or None when the explanation is stored and published."""
        try:
            return next(work)
        except StopIteration as end:
            explanation: Explanation = end.value
        except Exception as error:
            self._counts["failed"] += 1
            self._failed[key] = None
            if len(self._failed) > MAX_FAILED:
                del self._failed[next(iter(self._failed))]
            logger.exception("no explanation for the window %s:%s:%s", *key[:3], exc_info=error)
            raise _RefusedError(f"explaining this window failed: {error}") from error
        if save_explanation(self._engine, explanation):
            self._counts["made"] += 1
        self._publish(explanation)
        return None

    def _publish(self, explanation: Explanation) -> None:
        self._link.publish(explanation_topic(explanation.device), msgspec.json.encode(explanation))

    def _tell(
        self, key: ExplanationKey, state: ExplainState, share: float = 0.0, reason: str | None = None
    ) -> None:
        self._link.publish(explain_progress_topic(key[0]), encode_progress(key, state, share, reason))

    def _finish(self, request: _Request) -> None:
        self._requests.popleft()
        self._tell(request.key, ExplainState.DONE, 1.0)
        self._link.acknowledge(request.message)

    def _refuse(self, request: _Request, reason: str) -> None:
        self._counts["refused"] += 1
        self._tell(request.key, ExplainState.REFUSED, reason=reason)
        self._link.acknowledge(request.message)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; SystemExit with one sentence when something it needs is missing."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if missing := missing_packages():
        raise SystemExit(f"Explanations need what is not installed here ({', '.join(missing)}): {REMEDY}")
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    from inference.explain.explainer import Explainer  # noqa: PLC0415 - torch, which may be missing

    try:
        explainer = Explainer.load(settings.weights_dir)
        engine = open_store(settings.store_address)
    except ValueError as error:
        raise SystemExit(f"The model cannot be explained: {error}") from None
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or error
        raise SystemExit(f"The store {settings.store_address} cannot be opened: {reason}") from None
    link = MqttLink(
        settings.broker_address,
        "wristlead-explain",
        service="explain",
        persistent=True,
        manual_ack=True,
        counters=lambda: service.counters(),  # noqa: PLW0108 - the service comes after its link
    )
    link.on_beat = serve_metrics("explain", settings.metrics_port)
    service = ExplainService(link, engine, explainer)
    link.subscribe(ALARMS, qos=0)  # only to look at once: what was missed is in the store
    link.subscribe(EXPLAIN)
    try:
        link.connect()
        logger.info("explaining %s", explainer.version)
        while not stop.is_set():
            service.step()
    except LinkError as error:
        raise SystemExit(str(error)) from None
    finally:
        link.close()
        engine.dispose()
