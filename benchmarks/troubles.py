"""What is taken away from ingest in benchmarks/outages.py, and how it is given back: one context each."""

import contextlib
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.household import Household
from ingest.broker import broker_command
from ingest.settings import Settings

SMALL_DISK_MB = 24
SLOW_S = 2.0
SLOW_DISK = """
import os, time
_fdatasync = os.fdatasync
def _slow(fd):
    if os.path.exists({flag!r}):
        time.sleep({seconds})
    _fdatasync(fd)
os.fdatasync = _slow
"""


@dataclass
class Stage:
    """A house and where its things are; `own_broker` is one that no supervisor starts again."""

    folder: Path
    settings: Settings
    own_broker: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    house: Household | None = None

    def pid_of(self, service: str) -> int:
        """A service that runs."""
        if self.own_broker is not None and service == "broker":
            return self.own_broker.pid
        if self.house is None:
            raise RuntimeError("the house is not started yet")
        return self.house.processes()[service].pid

    def start_broker(self) -> None:
        """Start the broker that is ours."""
        here = self.settings.model_copy(update={"broker": None})
        self.own_broker = subprocess.Popen(broker_command(here), stderr=subprocess.DEVNULL)


Trouble = Callable[[Stage], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Outage:
    """One experiment. `sentences` must be in the log, `not_ready` in why ingest says it is not ready."""

    trouble: Trouble
    for_s: float
    sentences: tuple[str, ...]
    not_ready: str | None
    prepare: Callable[[Stage], AbstractContextManager[None]] = lambda _: contextlib.nullcontext()
    needs_root: bool = False


# --- what goes wrong ----------------------------------------------------------------------------------


@contextlib.contextmanager
def broker_of_our_own(stage: Stage) -> Iterator[None]:
    """A broker that `wristlead run` did not start, and does not start again."""
    address = f"127.0.0.1:{stage.settings.broker_port}"
    stage.settings = stage.settings.model_copy(update={"broker": address})
    stage.start_broker()
    try:
        yield
    finally:
        if stage.own_broker is not None:
            stage.own_broker.terminate()
            stage.own_broker.wait()


@contextlib.contextmanager
def frozen_broker(stage: Stage) -> Iterator[None]:
    """The broker's machine hangs: connections stay open and nothing answers."""
    pid = stage.pid_of("broker")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def dead_broker(stage: Stage) -> Iterator[None]:
    """Killed, and gone until somebody starts it."""
    if stage.own_broker is not None:
        stage.own_broker.kill()
        stage.own_broker.wait()
    try:
        yield
    finally:
        stage.start_broker()


@contextlib.contextmanager
def small_disk(stage: Stage, place: Path) -> Iterator[None]:
    """A disk of its own at `place`, in memory."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MB}m", "wristlead", str(place)], check=True
    )
    stage.environment["SMALL_DISK"] = str(place)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextlib.contextmanager
def waveforms_on_a_small_disk(stage: Stage) -> Iterator[None]:
    """Only the segment files."""
    with small_disk(stage, stage.folder / "wristlead-waveforms"):
        yield


@contextlib.contextmanager
def database_on_a_small_disk(stage: Stage) -> Iterator[None]:
    """Only the SQLite file and its log; the segment files have room."""
    place, roomy = stage.folder / "small", stage.folder / "roomy-waveforms"
    roomy.mkdir()
    with small_disk(stage, place):
        (place / "wristlead-waveforms").symlink_to(roomy)
        url = f"sqlite:///{place / 'wristlead.sqlite'}"
        stage.settings = stage.settings.model_copy(update={"store_url": url})
        yield


@contextlib.contextmanager
def full_disk(stage: Stage) -> Iterator[None]:
    """Something else takes all that is left."""
    ballast = Path(stage.environment["SMALL_DISK"]) / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def read_only_store(stage: Stage) -> Iterator[None]:
    """Every file of the store is made immutable (permissions do not stop root); ingest is killed once."""
    files = [*stage.folder.glob("wristlead.sqlite*"), *stage.folder.glob("wristlead-waveforms/*")]
    places = [str(each) for each in (*files, stage.folder / "wristlead-waveforms")]
    subprocess.run(["chattr", "+i", *places], check=True)
    os.kill(stage.pid_of("ingest"), signal.SIGKILL)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *places], check=True)


@contextlib.contextmanager
def locked_store(stage: Stage) -> Iterator[None]:
    """Another program has begun to write and does not end."""
    other = sqlite3.connect(stage.folder / "wristlead.sqlite", isolation_level=None, timeout=30.0)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextlib.contextmanager
def patched_sync(stage: Stage) -> Iterator[None]:
    """INJECTED: every process of the house has an os.fdatasync that may be told to wait."""
    place = stage.folder / "injected"
    place.mkdir()
    source = SLOW_DISK.format(flag=str(stage.folder / "slow"), seconds=SLOW_S)
    (place / "sitecustomize.py").write_text(source)
    stage.environment["PYTHONPATH"] = str(place)
    yield


@contextlib.contextmanager
def slow_disk(stage: Stage) -> Iterator[None]:
    """INJECTED: each wait for the disk in the segment files takes 2 s longer."""
    flag = stage.folder / "slow"
    flag.touch()
    try:
        yield
    finally:
        flag.unlink()


LOST = "lost the broker"
FULL = "is full: free some space on that disk"
WORKS = "the store works again"
NO_BROKER = "the broker is not connected"
OUTAGES = {
    "broker_frozen": Outage(frozen_broker, 65.0, (LOST,), NO_BROKER),
    "broker_dead": Outage(dead_broker, 65.0, (LOST,), NO_BROKER, broker_of_our_own),
    "disk_full_append": Outage(
        full_disk, 40.0, (FULL, WORKS), FULL, waveforms_on_a_small_disk, needs_root=True
    ),
    "disk_full_commit": Outage(
        full_disk, 40.0, (FULL, WORKS), FULL, database_on_a_small_disk, needs_root=True
    ),
    "store_read_only": Outage(read_only_store, 40.0, ("cannot be written",), None, needs_root=True),
    "store_locked": Outage(locked_store, 30.0, ("is locked by another program", WORKS), "is locked"),
    "disk_slow": Outage(slow_disk, 40.0, ("took",), None, patched_sync),
}
