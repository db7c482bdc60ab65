"""The explain service between a broker, a store and a model."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.records import save_alarms
from inference.classifier import Classifier
from inference.explain.explanation import (
    Answer,
    Explanation,
    ExplanationMethod,
    quantise,
    superclass_and_rhythm,
)
from inference.explain.records import explanations_of, find_explanation
from inference.explain.request import ExplainProgress, ExplainRequest, ExplainState
from inference.explain.service import MAX_WAITING, ExplainService
from inference.records import save_verdicts
from inference.verdict import (
    Finding,
    Indeterminate,
    Presence,
    Rhythm,
    RhythmFinding,
    Superclass,
    Verdict,
)
from ingest.chunk import NO_FLAGS, Chunk, Lead
from ingest.link import Message, MqttLink
from ingest.store.archive import Archive
from ingest.store.rows import ReceivedChunk
from ingest.store.schema import open_store
from ingest.topics import EXPLAIN_PROGRESS, EXPLANATIONS, SERVICES, alarm_topic, explain_topic
from ingest.window import Window
from ingest.wire import encode_binary
from tests.inference.explain.conftest import RECORDINGS

if TYPE_CHECKING:
    from tests.conftest import Mosquitto

DEVICE = "ward/bed-1"
START_US = 1_790_000_000_000_000
WINDOW_US = 10_000_000
GRAD_CAM, GRADIENT_SHAP = ExplanationMethod


def window(number: int) -> Window:
    with np.load(RECORDINGS) as stored:
        samples_uv = np.cumsum(stored["dx_uv"][1, 0], dtype=np.int16)
    begin_us = START_US + number * WINDOW_US
    return Window(
        DEVICE,
        7,
        number * 5000,
        begin_us,
        500.0,
        Lead.I,
        np.asarray(samples_uv / 1000, dtype=np.float32),
        1.0,
        0.0,
        0.0,
        historic=False,
        closed_us=begin_us + WINDOW_US,
    )


def verdict_of(w: Window, model: str, probability: float) -> Verdict:
    said = Presence.PRESENT if probability >= 0.5 else Presence.ABSENT
    findings = tuple(Finding(s, probability, 0.5, said) for s in Superclass)
    return Verdict(
        DEVICE, 7, w.first_sample, w.wall_time_us, model, decided_us(w), historic=False, findings=findings
    )


def decided_us(w: Window) -> int:
    return w.closed_us + 100_000


def rhythm_verdict(number: int, model: str, p_af: float, reason: Indeterminate | None) -> Verdict:
    """A verdict whose findings are all absent, or lacking for a reason, and whose rhythm is told."""
    rhythm = tuple(
        RhythmFinding(each, p_af if each is Rhythm.AF else (1 - p_af) / 3, 0.6 if each is Rhythm.AF else None)
        for each in Rhythm
    )
    said = verdict_of(window(number), model, 0.1)
    return replace(said, findings=() if reason else said.findings, indeterminate=reason, rhythm=rhythm)


def store_windows(engine: Engine, model: str, probabilities: dict[int, float]) -> None:
    """Windows with their chunks and verdicts, as ingest and inference leave them."""
    for number, probability in probabilities.items():
        w = window(number)
        chunk = Chunk(
            DEVICE,
            7,
            number,
            w.first_sample,
            w.wall_time_us,
            0,
            500.0,
            (Lead.I,),
            w.samples_mv[:, None],
            NO_FLAGS,
        )
        received = ReceivedChunk(chunk, encode_binary(chunk), w.closed_us)
        Archive(engine).commit(chunks=[received], windows=[w])
        save_verdicts(engine, [verdict_of(w, model, probability)])


def alarm(number: int, kind: AlarmKind = AlarmKind.FINDING_MI) -> Alarm:
    """On at the verdict of that window."""
    at_us = decided_us(window(number))
    return Alarm(
        DEVICE, kind, AlarmQueue.ADVISORY, AlarmPriority.ADVISORY, AlarmState.ON, "MI 3 of 5", at_us, at_us
    )


def raise_alarm(engine: Engine, number: int) -> None:
    save_alarms(engine, [alarm(number)], {})


class StandInExplainer:
    """In place of the model: four parts, and it chokes on windows that begin at `chokes_on`."""

    version = "stand-in"

    def __init__(self) -> None:
        self.done: list[tuple[int, ExplanationMethod]] = []
        self.chokes_on: set[int] = set()

    def explain(
        self, window: Window, answer: Answer, method: ExplanationMethod
    ) -> Generator[float, None, Explanation]:
        for part in range(4 if method is GRADIENT_SHAP else 0):
            yield (part + 1) / 4
        if window.first_sample in self.chokes_on:
            raise RuntimeError("cannot digest this")
        self.done.append((window.first_sample // 5000, method))
        zero = quantise(np.zeros(1000))
        superclass, rhythm = superclass_and_rhythm(answer)
        return Explanation(
            device=window.device,
            session=window.session,
            first_sample=window.first_sample,
            wall_time_us=window.wall_time_us,
            model=self.version,
            superclass=superclass,
            rhythm=rhythm,
            method=method,
            fs=100.0,
            attribution=zero,
            plot=None,
            effect=0.0,
            completeness_error=0.0,
            made_us=1,
            took_ms=1.0,
        )


class StandInLink:
    """In place of the broker: what it brings, and what was sent to it."""

    def __init__(self) -> None:
        self.inbox: list[Message] = []
        self.sent: list[tuple[str, bytes]] = []
        self.acknowledged: list[Message] = []

    def bring(self, topic: str, payload: bytes) -> None:
        self.inbox.append(Message(topic, payload, 0, retained=False, _mid=1, _qos=1, _connection=1))

    def poll(self, timeout_s: float) -> list[Message]:  # noqa: ARG002 - the signature is the link's
        messages, self.inbox = self.inbox, []
        return messages

    def publish(self, topic: str, payload: bytes) -> None:
        self.sent.append((topic, payload))

    def acknowledge(self, message: Message) -> None:
        self.acknowledged.append(message)

    def explanations(self) -> list[Explanation]:
        of_kind = [p for topic, p in self.sent if topic == f"wl/v1/explanation/{DEVICE}"]
        return [msgspec.json.decode(p, type=Explanation) for p in of_kind]

    def progress(self) -> list[ExplainProgress]:
        of_kind = [p for topic, p in self.sent if topic == f"wl/v1/explain_progress/{DEVICE}"]
        return [msgspec.json.decode(p, type=ExplainProgress) for p in of_kind]


class Bench:
    """A service on stand-ins, a real store and a clock that the test turns."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_store(f"sqlite:///{folder / 'store.sqlite'}")
        self.second = 0.0
        self.start()

    def start(self) -> None:
        self.link, self.explainer = StandInLink(), StandInExplainer()
        self.service = ExplainService(self.link, self.engine, self.explainer, monotonic_s=lambda: self.second)

    def store(self, probabilities: dict[int, float], model: str = "stand-in") -> None:
        store_windows(self.engine, model, probabilities)

    def ask(self, number: int, superclass: Superclass = Superclass.MI) -> None:
        request = ExplainRequest(7, number * 5000, superclass)
        self.link.bring(explain_topic(DEVICE), msgspec.json.encode(request))

    def tell_alarm(self, number: int) -> None:
        told = alarm(number)
        self.link.bring(alarm_topic(DEVICE, told.kind), msgspec.json.encode(told))

    def steps(self, n: int, seconds: float = 0.0) -> None:
        for _ in range(n):
            self.second += seconds
            self.service.step()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_an_alarm_gets_the_grad_cam_of_the_windows_that_spoke_for_it_newest_first(bench: Bench) -> None:
    bench.store({0: 0.9, 1: 0.9, 2: 0.1, 3: 0.8, 4: 0.2, 5: 0.7, 6: 0.9})
    bench.steps(1)
    raise_alarm(bench.engine, 5)  # the five before: 1 to 5
    bench.tell_alarm(5)
    bench.steps(4)
    assert bench.explainer.done == [(5, GRAD_CAM), (3, GRAD_CAM), (1, GRAD_CAM)]
    stored = explanations_of(bench.engine, (DEVICE, 7, 5 * 5000))
    assert stored == bench.link.explanations()[:1]
    assert stored[0].superclass is Superclass.MI
    assert len(bench.link.acknowledged) == 1


def test_an_alarm_nobody_told_is_found_in_the_store_also_after_a_restart(bench: Bench) -> None:
    bench.store({0: 0.9, 1: 0.9})
    raise_alarm(bench.engine, 1)
    bench.steps(1)
    assert bench.explainer.done == [(1, GRAD_CAM)]
    bench.start()  # as after a kill, with one of two windows done
    bench.steps(4)
    assert bench.explainer.done == [(0, GRAD_CAM)]
    bench.store({2: 0.9})
    raise_alarm(bench.engine, 2)
    bench.steps(4, seconds=1.0)
    assert bench.explainer.done == [(0, GRAD_CAM), (2, GRAD_CAM)]


def test_an_af_alarm_gets_the_grad_cam_of_the_windows_that_voted_for_it(bench: Bench) -> None:
    """Also of one whose lead is in doubt; not if too noisy to vote, below the limit, or without rhythm."""
    noisy, unknown = Indeterminate.NOISY, Indeterminate.UNKNOWN_LEAD
    said = {
        0: (0.9, None),
        1: (0.9, None),
        2: (0.9, noisy),
        3: (0.9, unknown),
        4: (0.5, None),
        5: (0.9, None),
    }
    for number, (p_af, reason) in said.items():
        Archive(bench.engine).commit(windows=[window(number)])
        save_verdicts(bench.engine, [rhythm_verdict(number, "stand-in", p_af, reason)])
    bench.store({6: 0.1})  # read by no rhythm network
    save_alarms(bench.engine, [alarm(6, AlarmKind.AF)], {})
    bench.steps(5)
    assert bench.explainer.done == [(5, GRAD_CAM), (3, GRAD_CAM), (1, GRAD_CAM), (0, GRAD_CAM)]
    [stored] = explanations_of(bench.engine, (DEVICE, 7, 5 * 5000))
    assert (stored.superclass, stored.rhythm) == (None, Rhythm.AF)
    assert find_explanation(bench.engine, stored.key) == bench.link.explanations()[0] == stored


def test_alarms_that_come_together_each_get_one_map_before_any_gets_its_second(bench: Bench) -> None:
    bench.store({0: 0.9, 1: 0.9})
    save_alarms(bench.engine, [alarm(1), alarm(1, AlarmKind.FINDING_CD)], {})
    bench.steps(5)
    found = [(each.answer, each.first_sample // 5000) for each in bench.link.explanations()]
    cd, mi = Superclass.CD, Superclass.MI
    assert found == [(cd, 1), (mi, 1), (cd, 0), (mi, 0)]


def test_a_rhythm_is_explained_on_request_where_there_is_one(bench: Bench) -> None:
    bench.store({0: 0.9})
    Archive(bench.engine).commit(windows=[window(1)])
    save_verdicts(bench.engine, [rhythm_verdict(1, "stand-in", 0.9, Indeterminate.INVERTED)])
    for number in (0, 1):
        request = ExplainRequest(7, number * 5000, rhythm=Rhythm.AF)
        bench.link.bring(explain_topic(DEVICE), msgspec.json.encode(request))
    bench.steps(9)
    last = [p for p in bench.link.progress() if p.state in {ExplainState.REFUSED, ExplainState.DONE}]
    assert [(p.rhythm, p.superclass, p.reason) for p in last] == [
        (Rhythm.AF, None, "the window has no rhythm to explain"),
        (Rhythm.AF, None, None),
    ]
    assert bench.explainer.done == [(1, GRADIENT_SHAP)]


def test_an_alarm_of_other_weights_is_left_alone(bench: Bench) -> None:
    bench.store({0: 0.9}, model="older")
    raise_alarm(bench.engine, 0)
    bench.steps(3)
    assert bench.link.sent == []


def test_a_request_is_answered_with_progress_and_a_result_and_then_acknowledged(bench: Bench) -> None:
    bench.store({0: 0.9})
    bench.ask(0)
    bench.steps(4)
    assert bench.link.acknowledged == []
    bench.steps(2)
    seen = [(each.state, each.share) for each in bench.link.progress()]
    running = [(ExplainState.RUNNING, share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert seen == [(ExplainState.QUEUED, 0.0), *running, (ExplainState.DONE, 1.0)]
    assert [each.method for each in bench.link.explanations()] == [GRADIENT_SHAP]
    assert len(bench.link.acknowledged) == 1


def test_what_is_stored_is_served_without_work(bench: Bench) -> None:
    bench.store({0: 0.9})
    bench.ask(0)
    bench.ask(0)
    bench.steps(9)
    assert bench.explainer.done == [(0, GRADIENT_SHAP)]
    first, second = bench.link.explanations()
    assert first == second
    assert bench.link.progress()[-1].state is ExplainState.DONE
    assert (bench.service.counters()["explanations"], bench.service.counters()["served"]) == (1, 1)


def test_an_alarm_goes_before_a_request_that_is_under_way(bench: Bench) -> None:
    bench.store({0: 0.9, 1: 0.9})
    bench.ask(0)
    bench.steps(2)
    raise_alarm(bench.engine, 1)
    bench.tell_alarm(1)
    bench.steps(9)
    assert bench.explainer.done == [(1, GRAD_CAM), (0, GRAD_CAM), (0, GRADIENT_SHAP)]


def test_what_cannot_be_had_is_refused_with_the_reason(bench: Bench) -> None:
    bench.store({0: 0.9}, model="older")
    bench.store({1: 0.9, 2: 0.9})
    bench.explainer.chokes_on = {2 * 5000}
    noisy = Verdict(
        DEVICE, 7, 3 * 5000, START_US, "stand-in", 1, historic=False, indeterminate=Indeterminate.NOISY
    )
    Archive(bench.engine).commit(windows=[window(3)])
    save_verdicts(bench.engine, [noisy])
    for number in (9, 0, 3, 2):
        bench.ask(number)
    bench.link.bring(explain_topic(DEVICE), b"?")
    bench.steps(12)
    reasons = [p.reason for p in bench.link.progress() if p.state is ExplainState.REFUSED]
    assert reasons == [
        "the store holds no such window with a verdict",
        "the window was judged by older, and only stand-in is here",
        "the window has no findings to explain: noisy",
        "explaining this window failed: cannot digest this",
    ]
    assert len(bench.link.acknowledged) == bench.service.counters()["refused"] == 5
    assert bench.link.explanations() == []


def test_too_many_requests_are_refused_and_the_others_answered(bench: Bench) -> None:
    bench.store({0: 0.9})
    for _ in range(MAX_WAITING + 2):
        bench.ask(0)
    bench.steps(MAX_WAITING + 9)
    states = [each.state for each in bench.link.progress()]
    assert states.count(ExplainState.REFUSED) == 2
    assert states.count(ExplainState.DONE) == MAX_WAITING
    assert len(bench.link.acknowledged) == MAX_WAITING + 2


def test_while_the_store_fails_work_waits_and_it_is_said_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(engine: Engine, explanation: Explanation) -> bool:
        raise OperationalError("insert", None, Exception(f"disk full, {explanation.key}, {engine}"))

    bench.store({0: 0.9})
    raise_alarm(bench.engine, 0)
    bench.ask(0)
    monkeypatch.setattr("inference.explain.service.save_explanation", full)
    bench.steps(10, seconds=1.0)
    assert (bench.link.explanations(), bench.link.acknowledged) == ([], [])
    assert len([r for r in caplog.records if r.levelname == "ERROR"]) == 1
    assert bench.service.counters()["backlog"] == 2
    monkeypatch.undo()
    bench.steps(10, seconds=1.0)
    assert [each.method for each in bench.link.explanations()] == [GRAD_CAM, GRADIENT_SHAP]
    assert bench.service.counters()["store"] == "ok"


# --- with the released model, a real broker and a real process ------------------------------------------


@contextmanager
def service_process(port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "wristlead", "explain", "--broker", f"127.0.0.1:{port}"]
    process = subprocess.Popen([*command, "--data-dir", str(folder)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.broker
@pytest.mark.timeout(400)  # two processes load torch at the lowest priority: minutes on a busy machine
def test_alarm_request_and_restart_with_the_released_model(mosquitto: "Mosquitto", tmp_path: Path) -> None:
    engine = open_store(f"sqlite:///{tmp_path / 'wristlead.sqlite'}")
    store_windows(engine, Classifier.load().version, dict.fromkeys(range(4), 0.9))
    outside = MqttLink(mosquitto.address, "outside")
    for topic in (EXPLANATIONS, EXPLAIN_PROGRESS, SERVICES):
        outside.subscribe(topic)
    outside.connect()
    heard: list[Explanation] = []
    beats: list[bytes] = []

    def listen(is_enough: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120.0
        while not is_enough() and time.monotonic() < deadline:
            messages = outside.poll(0.05)
            of_kind = [m for m in messages if m.topic == f"wl/v1/explanation/{DEVICE}"]
            heard.extend(msgspec.json.decode(m.payload, type=Explanation) for m in of_kind)
            beats.extend(m.payload for m in messages if m.topic == "wl/v1/service/explain")

    with service_process(mosquitto.port, tmp_path) as process:
        listen(lambda: bool(beats))
        raise_alarm(engine, 1)
        outside.publish(alarm_topic(DEVICE, "finding_mi"), msgspec.json.encode(alarm(1)), retain=True)
        listen(lambda: len(heard) >= 2)
        process.kill()
    raise_alarm(engine, 3)  # nobody is there
    request = msgspec.json.encode(ExplainRequest(7, 0, Superclass.CD))
    outside.publish(explain_topic(DEVICE), request)  # the broker keeps it
    with service_process(mosquitto.port, tmp_path) as process:
        listen(lambda: len(heard) >= 5)
        process.terminate()
        assert process.wait(30) == 0
    outside.close()
    assert sorted((e.first_sample // 5000, e.superclass, e.method) for e in heard) == [
        (0, Superclass.CD, GRADIENT_SHAP),
        *((n, Superclass.MI, GRAD_CAM) for n in range(4)),
    ]
    for each in heard:
        assert find_explanation(engine, each.key) == each
        assert each.attribution.values().any()


@pytest.mark.skipif(not hasattr(os, "nice"), reason="priorities are a Unix word")
def test_without_its_packages_it_says_what_to_install(tmp_path: Path) -> None:
    """captum is hidden by a finder that denies it, as where the extra was not installed."""
    code = (
        "import sys, importlib.util as u; real = u.find_spec; "
        "u.find_spec = lambda name, *more: None if name == 'captum' else real(name, *more); "
        "import wristlead; sys.exit(wristlead.main(['explain']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "WRISTLEAD_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 78
    assert ended.stderr.strip() == (
        "Explanations need what is not installed here (captum): pip install 'wristlead[explain]' brings it"
    )
