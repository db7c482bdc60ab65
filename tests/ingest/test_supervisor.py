import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ingest.supervisor import EXIT_REFUSED, ServiceRefusedError, Supervisor

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    supervisor = Supervisor({})
    yield supervisor
    supervisor.stop()


def eventually(condition: Callable[[], bool], within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_killed_service_is_started_again(supervisor: Supervisor) -> None:
    supervisor.add("sleeper", SLEEPER)
    first = supervisor.pid("sleeper")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: "sleeper" in supervisor.watch())
    assert supervisor.pid("sleeper") not in (None, first)
    assert supervisor.restarts() == {"sleeper": 1}


def test_each_start_is_told_at_once(supervisor: Supervisor) -> None:
    told: list[int] = []
    supervisor.add("sleeper", SLEEPER, started=told.append)
    assert told == [supervisor.pid("sleeper")]
    os.kill(told[0], signal.SIGKILL)
    assert eventually(lambda: bool(supervisor.watch()))
    assert told[1:] == [supervisor.pid("sleeper")]


def test_a_service_that_refuses_to_start_is_not_tried_again(supervisor: Supervisor) -> None:
    supervisor.add("refuser", [sys.executable, "-c", f"raise SystemExit({EXIT_REFUSED})"])

    def refused() -> bool:
        try:
            supervisor.watch()
        except ServiceRefusedError as error:
            return str(error) == "refuser"
        return False

    assert eventually(refused)


def test_a_service_that_ran_once_is_started_again_even_when_it_refuses(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    code = (
        f"import pathlib, os; m = pathlib.Path({str(marker)!r}); was = m.exists(); m.touch(); "
        f"raise SystemExit({EXIT_REFUSED} if was else 1)"
    )
    supervisor.add("broken", [sys.executable, "-c", code])
    assert eventually(lambda: bool(supervisor.watch()) and supervisor.restarts()["broken"] == 3)


def test_an_optional_service_that_refuses_stays_down_and_the_others_go_on(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor.add("needed", SLEEPER)
    refusing = [sys.executable, "-c", f"raise SystemExit({EXIT_REFUSED})"]
    supervisor.add("extra", refusing, is_optional=True)
    assert eventually(lambda: not supervisor.watch() and supervisor.pid("extra") is None)
    assert supervisor.watch() == []
    assert supervisor.restarts() == {"needed": 0, "extra": 0}
    assert supervisor.pid("needed") is not None
    assert [r.message for r in caplog.records] == [
        "extra cannot work here (see above); everything else goes on without it"
    ]


def test_waits_between_restarts_grow(supervisor: Supervisor) -> None:
    supervisor.add("crasher", [sys.executable, "-c", "raise SystemExit(3)"])
    began = time.monotonic()
    assert eventually(lambda: bool(supervisor.watch()) and supervisor.restarts()["crasher"] == 3)
    assert time.monotonic() - began >= 0.2 + 0.4 + 0.8


def test_stop_leaves_no_process(supervisor: Supervisor) -> None:
    supervisor.add("one", SLEEPER)
    supervisor.add("two", SLEEPER)
    pids = [supervisor.pid("one"), supervisor.pid("two")]
    supervisor.stop()
    assert not any(pid is not None and psutil.pid_exists(pid) for pid in pids)


def test_cpu_and_memory_of_a_service_are_measured(supervisor: Supervisor) -> None:
    supervisor.add("worker", [sys.executable, "-c", "while True: pass"])
    assert eventually(lambda: not supervisor.watch() and supervisor.cpu_s()["worker"] > 0.1)
    assert supervisor.peak_rss_mb()["worker"] > 1.0


def test_a_service_ends_when_its_supervisor_was_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    child = (
        "import os, pathlib, time; from ingest.supervisor import end_with_parent; end_with_parent(); "
        f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(60)"
    )
    parent_code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    parent = subprocess.Popen([sys.executable, "-c", parent_code])
    assert eventually(lambda: pid_file.exists() and pid_file.read_text() != "")
    parent.kill()
    parent.wait()
    pid = int(pid_file.read_text())
    assert eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")
