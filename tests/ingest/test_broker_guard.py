import os
import signal
from pathlib import Path

import pytest

from ingest.broker import ACCESS_FILE, OPEN_ACCESS, PID_FILE
from ingest.broker_guard import CROWDED, DENIED_MOST_S, DENIED_S, HELD_TOPIC, BrokerGuard

BAD, GOOD = "ecg/v1/a/bad/chunk", "ecg/v1/a/good/chunk"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Signals that would have been sent: a test has no Mosquitto of its own to reload."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append((pid, number)))
    return found


def new_guard(folder: Path) -> BrokerGuard:
    (folder / PID_FILE).write_text("4711")
    return BrokerGuard(folder)


def arrive(guard: BrokerGuard, held: int, **n_of: int) -> None:
    assert guard.take(HELD_TOPIC, b"%d" % held)
    for name, n in n_of.items():
        for _ in range(n):
            assert not guard.take({"bad": BAD, "good": GOOD}[name], b"")


def test_whoever_fills_half_the_queue_is_refused_by_the_broker_and_nobody_else(
    tmp_path: Path, told: list[tuple[int, int]]
) -> None:
    guard = new_guard(tmp_path)
    arrive(guard, CROWDED + 1, bad=60, good=40)
    assert guard.look(0.0) == BAD
    assert (tmp_path / ACCESS_FILE).read_text().splitlines() == [*OPEN_ACCESS, f"topic deny {BAD}"]
    assert told == [(4711, signal.SIGHUP)]


@pytest.mark.parametrize(("held", "bad", "good"), [(CROWDED, 100, 0), (CROWDED + 1, 50, 50), (10, 100, 1)])
def test_while_the_queue_has_room_or_nobody_stands_out_nobody_is_refused(
    tmp_path: Path, told: list[tuple[int, int]], held: int, bad: int, good: int
) -> None:
    guard = new_guard(tmp_path)
    arrive(guard, held, bad=bad, good=good)
    assert guard.look(0.0) is None
    assert not told


def test_a_refusal_ends_and_lasts_twice_as_long_the_next_time(
    tmp_path: Path, told: list[tuple[int, int]]
) -> None:
    guard, now_s = new_guard(tmp_path), 0.0
    for k in range(10):
        arrive(guard, CROWDED + 1, bad=10)
        assert guard.look(now_s) == BAD
        arrive(guard, CROWDED + 1, bad=10)  # still from the queue
        assert guard.look(now_s + 1.0) is None
        now_s += min(DENIED_S * 2**k, DENIED_MOST_S)
        assert guard.look(now_s) is None
        assert not guard.denied
        assert (tmp_path / ACCESS_FILE).read_text().splitlines() == list(OPEN_ACCESS)
    assert len(told) == 20


def test_a_topic_cannot_bring_rules_of_its_own(tmp_path: Path, told: list[tuple[int, int]]) -> None:
    guard = new_guard(tmp_path)
    arrive(guard, CROWDED + 1)
    for _ in range(10):
        guard.take("a\ntopic deny #", b"")
    assert guard.look(0.0) is None
    assert not told


def test_somebody_elses_broker_is_told_nothing(tmp_path: Path) -> None:
    assert not BrokerGuard(None).is_on
    assert not BrokerGuard(tmp_path).is_on
    assert new_guard(tmp_path).is_on


def test_a_broker_that_cannot_be_told_is_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guard = new_guard(tmp_path)
    (tmp_path / PID_FILE).write_text("nobody")
    arrive(guard, CROWDED + 1, bad=10)
    assert guard.look(0.0) == BAD
    assert "cannot be told to refuse" in caplog.text
