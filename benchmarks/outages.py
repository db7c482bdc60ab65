"""Take away for a while what ingest needs, under a fleet: is it said, is memory bounded, does all come back?

    python -m benchmarks.outages --json                  every outage, about two minutes each
    python -m benchmarks.outages --only disk_full_commit

Each starts `wristlead run` and a fleet, lasts as long as its line in OUTAGES says, and must show: a sentence
in the log of the services and in ingest's readiness (`/health/ready`, the store's state of the heartbeat),
memory of ingest that does not grow with what waits, recovery without a person, and then the whole proof of
benchmarks/proof.py. Full disks and read-only files need root on Linux; elsewhere they are skipped.
"""

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.crash import data_folder, settle
from benchmarks.household import Household, free_port, settings_in
from benchmarks.proof import prove
from ingest.broker import broker_command
from ingest.settings import Settings
from ingest.store.schema import open_store
from simulators.rings import allot

BEFORE_S = 20.0  # the watches start over ten seconds, and memory settles
AFTER_S = 15.0
RECOVERS_WITHIN_S = 90.0
MEMORY_MB = 100.0  # beyond what ingest had before: HELD_BYTES of ingest/batch.py, and room for copies of some
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


# --- one experiment -----------------------------------------------------------------------------------


def run(name: str, devices: int, folder: Path, chunk_ms: int = 1000) -> dict[str, Any]:
    """Stream, take away, give back, settle, prove; the figures."""
    outage = OUTAGES[name]
    stage = Stage(folder, settings_in(folder, metrics_port=free_port()))
    log = folder / "published.csv"
    with contextlib.ExitStack() as stack:
        stack.enter_context(outage.prepare(stage))
        house = Household(stage.settings, folder / "services.log", environment=stage.environment)
        stage.house = stack.enter_context(house)
        house.start_fleet(devices, log, chunk_ms)
        before = _watch(house, BEFORE_S)
        with outage.trouble(stage):
            during = _watch(house, outage.for_s)
        recovered_s = _await_recovery(house)
        after = _watch(house, AFTER_S)
        house.end_fleet()
        settled_s = settle(house, stage.settings, log)
        engine = open_store(stage.settings.store_address)
        sent = [(ring, offset) for ring, offset, _ in allot(devices)]
        proof, found = prove(engine, log, sent, stage.settings.hop_s)
        engine.dispose()
    text = house.log.read_text(errors="replace")
    unsaid = [each for each in outage.sentences if each not in text]
    if outage.not_ready is not None and not any(outage.not_ready in why for why in during.why_not_ready):
        unsaid.append(f"not ready: {outage.not_ready}")
    growth_mb = max(during.rss_mb + after.rss_mb) - max(before.rss_mb)
    return {
        "outage": name,
        "holds": proof.holds and not unsaid and recovered_s is not None and growth_mb < MEMORY_MB,
        "for_s": outage.for_s,
        "unsaid": unsaid,
        "said": sorted({line.split("Z ", 1)[-1] for line in text.splitlines() if " ingest: " in line})[:12],
        "why_not_ready": sorted(during.why_not_ready),
        "recovered_s": recovered_s,
        "settled_s": settled_s,
        "ingest_rss_mb": {"before": max(before.rss_mb), "most": max(during.rss_mb + after.rss_mb)},
        "most_backlog": during.backlog,
        "most_turned_away": during.turned_away,
        "acknowledged": found.published,
        "proof": proof.as_figures(),
    }


@dataclass
class Seen:
    """What was seen of ingest, once a second."""

    rss_mb: list[float] = field(default_factory=list)
    why_not_ready: set[str] = field(default_factory=set)
    backlog: int = 0
    turned_away: int = 0


def _watch(house: Household, seconds: float) -> Seen:
    seen, end_s = Seen(), time.monotonic() + seconds
    while time.monotonic() < end_s:
        house.listen(1.0)
        process = house.processes().get("ingest")
        with contextlib.suppress(psutil.NoSuchProcess):
            seen.rss_mb += [round(process.memory_info().rss / 1e6, 1)] if process is not None else []
        seen.why_not_ready.update(_why_not_ready(house))
        seen.backlog = max(seen.backlog, house.counter("ingest", "backlog") or 0)
        seen.turned_away = max(seen.turned_away, house.counter("ingest", "turned_away") or 0)
    return seen


def _why_not_ready(house: Household) -> list[str]:
    """What ingest says itself, broker or not; "nobody answers" while it is down."""
    address = f"http://127.0.0.1:{house.settings.metrics_port}/health/ready"
    try:
        with urllib.request.urlopen(address, timeout=2.0):
            return []
    except urllib.error.HTTPError as error:
        return [str(each) for each in json.loads(error.read())["why_not"]]
    except OSError:
        return ["nobody answers"]


def _await_recovery(house: Household) -> float | None:
    """Until ingest is ready, holds nothing back and the fleet has caught up; None when never."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < RECOVERS_WITHIN_S:
        house.listen(0.5)
        held = (house.counter("ingest", "turned_away") or 0) + (house.counter("ingest", "backlog") or 0)
        waiting = house.counter("simulators", "waiting") or 0
        if not _why_not_ready(house) and held + waiting < 2 * (house.counter("simulators", "devices") or 0):
            return round(time.monotonic() - began_s, 1)
    return None


def main() -> int:
    """Parse, run, print; 1 when an outage did not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=OUTAGES, action="append", help="repeatable")
    parser.add_argument("--devices", type=int, default=30)
    parser.add_argument("--chunk-ms", type=int, default=1000)
    parser.add_argument(
        "--data-dir", type=Path, help="keep the data here (default: folders that are deleted)"
    )
    parser.add_argument("--json", action="store_true", help="a line of JSON each")
    options = parser.parse_args()
    all_hold = True
    for name in options.only or OUTAGES:
        if OUTAGES[name].needs_root and (sys.platform != "linux" or os.geteuid() != 0):
            print(f"{name} is skipped: it mounts or locks files, which needs root on Linux", file=sys.stderr)
            continue
        with data_folder(options.data_dir and options.data_dir / name) as folder:
            figures = run(name, options.devices, folder, options.chunk_ms)
        print(json.dumps(figures, indent=None if options.json else 2), flush=True)
        all_hold = all_hold and figures["holds"]
    return 0 if all_hold else 1


if __name__ == "__main__":
    sys.exit(main())
