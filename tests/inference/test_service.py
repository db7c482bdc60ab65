"""The inference service between a broker, a store and a model."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from inference.classifier import MAX_BATCH, Classifier
from inference.records import verdicts_between
from inference.service import (
    GATHER_S,
    MAX_WAITING,
    RECENT_S,
    SWEEP_EVERY_S,
    SWEEP_LIMIT,
    WHOLE_SWEEP_EVERY_S,
    InferenceService,
)
from inference.verdict import Finding, Indeterminate, Presence, Superclass, Verdict
from ingest.chunk import Lead, Place
from ingest.link import Message, MqttLink
from ingest.store.archive import Archive
from ingest.store.schema import open_store
from ingest.topics import VERDICTS, window_topic
from ingest.window import Window, encode_window

if TYPE_CHECKING:
    from tests.conftest import Mosquitto

DEVICE = "ward/bed-1"
START_US = 1_790_000_000_000_000
FAR_US = 2**62


def window(number: int = 0, **fields: object) -> Window:
    at_us = START_US + number * 10_000_000
    known = {
        "device": DEVICE,
        "session": 7,
        "first_sample": number * 5000,
        "wall_time_us": at_us,
        "fs": 500.0,
        "lead": Lead.I,
        "samples_mv": np.zeros(5000, np.float32),
        "coverage": 1.0,
        "lead_off": 0.0,
        "clipped": 0.0,
        "historic": False,
        "closed_us": at_us + 10_000_000,
    }
    return Window(**{**known, **fields})  # type: ignore[arg-type]  # fields are checked by each test's use


class StandInClassifier:
    """In place of the model: all is normal, but it chokes on windows that begin at `chokes_on`."""

    version = "stand-in"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.chokes_on: set[int] = set()

    def classify(self, windows: Sequence[Window], decided_us: int) -> list[Verdict]:
        self.batches.append(len(windows))
        if any(w.first_sample in self.chokes_on for w in windows):
            raise RuntimeError("cannot digest this")
        return [self._verdict(w, decided_us) for w in windows]

    def _verdict(self, w: Window, decided_us: int) -> Verdict:
        place = (w.device, w.session, w.first_sample, w.wall_time_us, self.version, decided_us, w.historic)
        if not w.is_eligible:
            return Verdict(*place, indeterminate=Indeterminate.MISSING_DATA)
        return Verdict(*place, findings=tuple(Finding(s, 0.1, 0.5, Presence.ABSENT) for s in Superclass))


class StandInLink:
    """In place of the broker: what it brings, and what was sent to it."""

    def __init__(self) -> None:
        self.inbox: list[Message] = []
        self.published: list[Verdict] = []
        self.acknowledged: list[Message] = []

    def bring(self, payload: bytes) -> None:
        self.inbox.append(
            Message(window_topic(DEVICE), payload, 0, retained=False, _mid=1, _qos=1, _connection=1)
        )

    def poll(self, timeout_s: float) -> list[Message]:  # noqa: ARG002 - the signature is the link's
        messages, self.inbox = self.inbox, []
        return messages

    def publish(self, topic: str, payload: bytes) -> None:
        verdict = msgspec.json.decode(payload, type=Verdict)
        assert topic == f"wl/v1/verdict/{verdict.device}"
        self.published.append(verdict)

    def acknowledge(self, *messages: Message) -> None:
        self.acknowledged.extend(messages)


class Bench:
    """A service on stand-ins, a real store and a clock that the test turns; no batch gathers unless told."""

    def __init__(self, folder: Path) -> None:
        self.gather_s = 0.0
        self.engine = open_store(f"sqlite:///{folder / 'store.sqlite'}")
        self.archive = Archive(self.engine)
        self.link = StandInLink()
        self.classifier = StandInClassifier()
        self.second = 0.0
        self.set_back_s = 0.0  # the wall clock
        self.service = self.start()

    def start(self) -> InferenceService:
        self.service = InferenceService(
            self.link,
            self.engine,
            self.classifier,
            clock_us=lambda: START_US + round((self.second - self.set_back_s) * 1e6),
            monotonic_s=lambda: self.second,
            gather_s=self.gather_s,
        )
        return self.service

    def step(self, seconds: float = 0.0) -> None:
        self.second += seconds
        self.service.step()

    def bring(self, *windows: Window) -> None:
        for each in windows:
            self.link.bring(encode_window(each))

    def stored(self) -> list[Verdict]:
        return verdicts_between(self.engine, DEVICE, 0, FAR_US)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_window_becomes_one_verdict_stored_published_and_then_acknowledged(bench: Bench) -> None:
    bench.bring(window())
    bench.second = 10.25
    bench.step()
    assert bench.stored() == bench.link.published
    assert len(bench.stored()) == len(bench.link.acknowledged) == 1
    counters = bench.service.counters()
    assert counters["window_verdict_ms"]["p99"] == pytest.approx(250.0, rel=0.05)
    assert dict(counters["window_verdict"].within)[500.0] == counters["window_verdict"].count == 1
    assert sum(n for by_presence in counters["found"].values() for n in by_presence.values()) == len(
        bench.stored()[0].findings
    )
    assert (counters["verdicts"], counters["backlog"], counters["model"]) == (1, 0, "stand-in")


def test_what_waits_is_classified_in_batches_across_devices(bench: Bench) -> None:
    bench.bring(*(window(n, device=f"ward/bed-{n}") for n in range(40)))
    bench.step()
    bench.step()
    assert bench.classifier.batches == [32, 8]
    assert len(bench.link.acknowledged) == 40


@pytest.fixture
def gathering(bench: Bench) -> Bench:
    bench.gather_s = GATHER_S
    bench.start()
    return bench


def test_a_lone_window_waits_for_others_and_no_longer_than_it_may(gathering: Bench) -> None:
    gathering.bring(window())
    gathering.step()
    gathering.step(0.9 * GATHER_S)
    assert (gathering.stored(), gathering.link.acknowledged) == ([], [])
    gathering.step(0.1 * GATHER_S)
    assert len(gathering.stored()) == len(gathering.link.acknowledged) == 1


def test_windows_that_come_one_by_one_share_a_batch_and_a_full_one_waits_no_longer(gathering: Bench) -> None:
    for n in range(5):
        gathering.bring(window(n, device=f"ward/bed-{n}"))
        gathering.step(GATHER_S / 10)
    gathering.step(GATHER_S)
    gathering.bring(*(window(n, device=f"ward/bed-{n}") for n in range(10, 10 + MAX_BATCH)))
    gathering.step()
    assert gathering.classifier.batches == [5, MAX_BATCH]
    assert len(gathering.link.acknowledged) == 5 + MAX_BATCH


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 2 * GATHER_S)), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_windows_come_each_is_judged_in_time_and_acknowledged_once_it_is_stored(
    tmp_path: Path, arrivals: list[tuple[int, float]]
) -> None:
    with TemporaryDirectory(dir=tmp_path) as folder:
        bench = Bench(Path(folder))
        bench.gather_s = GATHER_S
        bench.start()
        came_at_s: list[float] = []
        for n_windows, pause_s in [*arrivals, *[(0, GATHER_S)] * (40 * len(arrivals) // MAX_BATCH + 2)]:
            bench.bring(*(window(len(came_at_s) + n) for n in range(n_windows)))
            came_at_s += [bench.second] * n_windows
            before = len(bench.link.acknowledged)
            bench.step()
            assert len(bench.stored()) == len(bench.link.published) == len(bench.link.acknowledged)
            overdue = sum(at_s + GATHER_S <= bench.second for at_s in came_at_s[before:])
            assert len(bench.link.acknowledged) - before >= min(overdue, MAX_BATCH)
            bench.second += pause_s
        assert len(bench.stored()) == len(came_at_s)
        assert max(bench.classifier.batches, default=0) <= MAX_BATCH
        bench.engine.dispose()


def test_a_window_that_comes_twice_has_one_verdict_and_is_acknowledged_twice(bench: Bench) -> None:
    bench.bring(window(), window())
    bench.step()
    bench.bring(window())
    bench.step()
    assert len(bench.stored()) == len(bench.link.published) == 1
    assert len(bench.link.acknowledged) == 3


def test_a_window_with_holes_is_indeterminate_and_counted_by_reason(bench: Bench) -> None:
    bench.bring(window(coverage=0.9))
    bench.step()
    assert bench.service.counters()["indeterminate"] == {"missing data": 1}


def test_a_late_window_has_a_historic_verdict_and_no_delay(bench: Bench) -> None:
    bench.bring(window(historic=True))
    bench.step(5000.0)
    assert [v.historic for v in bench.stored()] == [True]
    assert bench.service.counters()["window_verdict_ms"] == {"p50": None, "p99": None}


def test_a_window_cut_again_with_more_samples_has_its_verdict_replaced_exactly_once(bench: Bench) -> None:
    poor, full = window(coverage=0.5), window(historic=True)
    bench.archive.commit(windows=[poor])
    bench.bring(poor)
    bench.step()
    assert bench.stored()[0].indeterminate is Indeterminate.MISSING_DATA
    bench.archive.commit(windows=[full])
    bench.bring(full, poor, full)  # redelivered in any order
    bench.step()
    bench.bring(poor, full)
    bench.step()
    (verdict,) = bench.stored()
    assert verdict.historic
    assert verdict.findings
    assert [v.historic for v in bench.link.published] == [False, True]


def test_a_window_cut_again_whose_message_was_lost_is_found_in_the_store(bench: Bench) -> None:
    bench.archive.commit(windows=[window(coverage=0.5)])
    bench.bring(window(coverage=0.5))
    bench.step()
    bench.archive.commit(windows=[window(historic=True)])
    bench.step(5000.0)
    assert [v.historic for v in bench.stored()] == [True]
    bench.step(5000.0)
    assert len(bench.link.published) == 2


def test_a_window_that_cannot_be_digested_does_not_stop_the_others(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.classifier.chokes_on = {2 * 5000}
    bench.bring(*(window(n) for n in range(5)))
    bench.step()
    assert [v.first_sample // 5000 for v in bench.stored()] == [0, 1, 3, 4]
    assert len(bench.link.acknowledged) == 5
    assert bench.service.counters()["failed"] == 1
    assert [r.message for r in caplog.records] == ["no verdict for the window ward/bed-1:7:10000"]


def test_a_message_that_is_no_window_is_counted_and_taken_away(bench: Bench) -> None:
    bench.link.bring(b"\xc1")
    bench.link.bring(b"\x81\xa6nested" + b"\x91" * 5_000)
    bench.bring(window())
    bench.step()
    assert bench.service.counters()["refused"] == 2
    assert len(bench.link.acknowledged) == 3
    assert len(bench.stored()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"session": 2**63},
        {"first_sample": 2**64 - 1},
        {"wall_time_us": 2**63},
        {"device": "ward/#"},
        {"device": "ward/bed-1\n"},
        {"device": "ward/bed\0"},
        {"device": f"ward/{'x' * 70_000}"},
        {"device": "nobody"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_window_that_no_store_or_topic_takes_is_refused_and_the_others_are_judged(
    bench: Bench, wrong: dict[str, object]
) -> None:
    """Anybody may publish one; taken in, it ends the service, and the broker sends it again at each start."""
    bench.bring(window(0), window(1, **wrong), window(2))
    bench.step()
    assert bench.service.counters()["refused"] == 1
    assert [v.first_sample // 5000 for v in bench.link.published] == [0, 2]
    assert len(bench.link.acknowledged) == 3


def test_forgotten_windows_are_found_in_the_store_and_finished(bench: Bench) -> None:
    windows = [window(n) for n in range(SWEEP_LIMIT + 6)]
    bench.archive.commit(windows=windows)
    bench.second = 10_000
    bench.step()
    assert len(bench.stored()) == SWEEP_LIMIT  # bounded, so that a message never waits long
    bench.step()
    assert bench.service.counters()["recovered"] == len(bench.link.published) == SWEEP_LIMIT + 6


def test_a_young_window_is_left_to_its_message(bench: Bench) -> None:
    bench.archive.commit(windows=[window()])
    bench.second = 11.9  # closed at 10 s
    bench.step()
    assert bench.stored() == []
    bench.step(2.1)
    assert len(bench.stored()) == 1


def test_windows_that_cannot_be_digested_never_starve_those_behind_them(bench: Bench) -> None:
    windows = [window(n) for n in range(2 * SWEEP_LIMIT + 3)]
    bench.classifier.chokes_on = {w.first_sample for w in windows[:-3]}
    bench.archive.commit(windows=windows)
    bench.second = 10_000
    for _ in range(6):
        bench.step(2.0)
    assert len(bench.stored()) == 3
    assert bench.service.counters()["failed"] == 2 * SWEEP_LIMIT  # each tried once


def test_a_settled_past_is_not_searched_again(bench: Bench) -> None:
    bench.second = 10_000
    bench.step()
    bench.archive.commit(windows=[window()])  # closed long ago: no crash leaves such a one behind
    bench.step(2.0)
    assert bench.stored() == []
    bench.start()
    bench.step()
    assert len(bench.stored()) == 1


def test_a_window_committed_late_is_found_by_the_next_sweep_of_everything(bench: Bench) -> None:
    bench.second = 10_000
    bench.step()
    closed_us = START_US + round((bench.second - 2 * RECENT_S) * 1e6)
    bench.archive.commit(windows=[window(closed_us=closed_us)])
    bench.step(SWEEP_EVERY_S)
    assert bench.stored() == []  # most sweeps walk over what is recent
    bench.step(WHOLE_SWEEP_EVERY_S)
    assert len(bench.stored()) == 1


def test_a_forgotten_window_is_found_though_the_clock_was_set_back(bench: Bench) -> None:
    bench.second = 10_000
    bench.step()
    bench.set_back_s = 3600.0
    closed_us = START_US + round((bench.second - bench.set_back_s) * 1e6)
    bench.archive.commit(windows=[window(closed_us=closed_us)])
    bench.step(SWEEP_EVERY_S)
    bench.step(SWEEP_EVERY_S)
    assert len(bench.stored()) == 1


def test_too_many_waiting_windows_are_left_to_the_sweep(bench: Bench) -> None:
    windows = [window(n) for n in range(MAX_WAITING + 5)]
    bench.archive.commit(windows=windows[-5:])
    bench.bring(*windows)
    bench.second = 100_000
    while bench.service.counters()["verdicts"] < len(windows):
        before = bench.service.counters()["verdicts"]
        bench.step(2.0)
        assert bench.service.counters()["verdicts"] > before
    assert bench.service.counters()["deferred"] == bench.service.counters()["recovered"] == 5
    assert len(bench.link.acknowledged) == len(windows)


def test_while_the_store_fails_nothing_is_acknowledged_and_it_is_said_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(engine: Engine, verdicts: Sequence[Verdict], coverage: dict[Place, float]) -> list[Verdict]:
        text = f"disk full, {len(verdicts)} verdicts, {len(coverage)} windows, {engine}"
        raise OperationalError("insert", None, Exception(text))

    monkeypatch.setattr("inference.service.save_verdicts", full)
    bench.bring(window())
    for _ in range(10):
        bench.step(1.0)
    assert (bench.link.acknowledged, bench.link.published) == ([], [])
    assert bench.service.counters()["backlog"] == 1
    assert len([r for r in caplog.records if r.levelname == "ERROR"]) == 1
    monkeypatch.undo()
    bench.step(1.0)
    assert len(bench.stored()) == len(bench.link.acknowledged) == 1


def test_two_workers_at_one_store_publish_each_verdict_once(bench: Bench) -> None:
    bench.archive.commit(windows=[window(n) for n in range(10)])
    other = InferenceService(
        bench.link, bench.engine, StandInClassifier(), clock_us=lambda: FAR_US, monotonic_s=lambda: 0.0
    )
    bench.second = 10_000
    bench.step()
    other.step()
    assert len(bench.link.published) == len(bench.stored()) == 10


# --- with the released model, a real broker and a real process ------------------------------------------


@contextmanager
def service_process(port: int, folder: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    code = (
        "from inference.service import run; from ingest.settings import load_settings; run(load_settings())"
    )
    environment = {
        **os.environ,
        "WRISTLEAD_BROKER": f"127.0.0.1:{port}",
        "WRISTLEAD_DATA_DIR": str(folder),
        **more,
    }
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def beats(seed: int) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """Ten seconds at 500 Hz of something with a QRS each 0.8 s and a little noise."""
    t = np.arange(5000) / 500
    noise = np.random.default_rng(seed).normal(0, 0.01, len(t))
    qrs = np.exp(-(((t % 0.8) - 0.4) ** 2) / (2 * 0.012**2))
    wave = 0.25 * np.exp(-(((t % 0.8) - 0.62) ** 2) / (2 * 0.04**2))
    return (qrs + wave + noise).astype(np.float32)


@pytest.mark.broker
def test_killed_amid_its_work_the_service_leaves_no_window_without_a_verdict(
    mosquitto: "Mosquitto", tmp_path: Path
) -> None:
    engine = open_store(f"sqlite:///{tmp_path / 'wristlead.sqlite'}")
    now_us = time.time_ns() // 1000
    windows = [
        window(n, samples_mv=beats(n), wall_time_us=now_us + n, closed_us=now_us - 10_000_000 + n)
        for n in range(300)
    ]
    Archive(engine).commit(windows=windows)
    outside = MqttLink(mosquitto.address, "outside")
    outside.subscribe(VERDICTS)
    outside.connect()
    heard: list[Verdict] = []

    def listen(until: int, within_s: float = 50.0) -> None:
        deadline = time.monotonic() + within_s
        while len(verdicts_between(engine, DEVICE, 0, FAR_US)) < until and time.monotonic() < deadline:
            heard.extend(msgspec.json.decode(m.payload, type=Verdict) for m in outside.poll(0.02))

    with service_process(mosquitto.port, tmp_path) as process:
        for each in windows[:150]:
            outside.publish(window_topic(DEVICE), encode_window(each))
        listen(1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(verdicts_between(engine, DEVICE, 0, FAR_US)) < 300  # it was amid its work
    for each in windows[150:200]:  # the broker keeps these; the last hundred are in the store alone
        outside.publish(window_topic(DEVICE), encode_window(each))
    with service_process(mosquitto.port, tmp_path) as process:
        listen(300)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    stored = verdicts_between(engine, DEVICE, 0, FAR_US)
    assert [v.first_sample for v in stored] == [w.first_sample for w in windows]
    assert {v.model for v in stored} == {Classifier.load(None).version}
    assert len({v.first_sample for v in heard}) == len(heard) > 0


@pytest.mark.broker
def test_missing_weights_are_one_sentence_and_an_exit(mosquitto: "Mosquitto", tmp_path: Path) -> None:
    with service_process(mosquitto.port, tmp_path, WRISTLEAD_WEIGHTS_DIR=str(tmp_path / "none")) as process:
        _, said = process.communicate(timeout=20)
    lines = said.decode().strip().splitlines()
    assert process.returncode != 0
    assert len(lines) == 1
    assert lines[0].startswith("The model cannot be used: ")
    assert "cannot be read" in lines[0]


def test_the_supervisor_is_told_not_to_try_again_without_weights(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "wristlead", "inference", "--weights-dir", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 78
    assert "The model cannot be used: " in ended.stderr


def test_the_released_model_answers_through_the_service(bench: Bench) -> None:
    service = InferenceService(bench.link, bench.engine, Classifier.load(None), gather_s=0.0)
    hole = beats(1)
    hole[:1000] = np.nan
    flat = np.full(5000, 0.3, np.float32)
    bench.bring(
        window(0, samples_mv=beats(0)),
        window(1, samples_mv=hole, coverage=0.8),
        window(2, samples_mv=flat),
    )
    service.step()
    seen = [(v.indeterminate, len(v.findings)) for v in bench.stored()]
    assert seen == [(None, 5), (Indeterminate.MISSING_DATA, 0), (Indeterminate.FLAT, 0)]
    assert all(0.0 <= f.probability <= 1.0 for f in bench.stored()[0].findings)
