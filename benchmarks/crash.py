"""Kill everything at random under a fleet, then prove from the published log that nothing was lost.

    python -m benchmarks.crash --kills 20 --devices 40 --seconds 300 --seed 1 --json
    python -m benchmarks.crash --store postgresql     the store is killed too, and started again from here
    python -m benchmarks.crash --together             broker and ingest die at the same moment

Starts `wristlead run` and `wristlead simulate --fleet`, kills -9 one service after the other at random
moments (the supervisor of `wristlead run` starts them again), ends the fleet and waits until all is done.
Then, from the log of what the broker acknowledged and from the store: each acknowledged chunk is stored
exactly once and bit by bit as its watch sent it, the windows are those that the same pure stages cut from the
stored chunks in one go, and each eligible window has exactly one verdict. Exits with 1 when not.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.household import Household, PostgresServer, postgres_server, settings_in
from benchmarks.proof import Proof, prove
from ingest.settings import Settings
from ingest.store.accounting import Account, account
from ingest.store.schema import open_store
from simulators.rings import allot

TARGETS = ("ingest", "inference", "alarms", "broker")
SETTLE_BEFORE_S = 15.0  # the watches start over ten seconds
SETTLE_AFTER_S = 10.0  # of streaming after the last kill
DONE_WITHIN_S = 120.0
COMES_BACK_WITHIN_S = 60.0  # a service that a kill is due for, after the kill before


@dataclass(frozen=True, slots=True)
class Kill:
    """What is to die when; seconds since the fleet's start."""

    at_s: float
    names: tuple[str, ...]  # all in the same moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run."""

    devices: int
    seconds: float  # of streaming
    kills: int
    seed: int
    together: bool
    chunk_ms: int = 1000


def draw_kills(plan: Plan, targets: tuple[str, ...]) -> list[Kill]:
    """Random moments; each target as often as the others, in random order, or broker and ingest together."""
    rng = random.Random(plan.seed)
    first_s, last_s = SETTLE_BEFORE_S, plan.seconds - SETTLE_AFTER_S
    n_moments = -(-plan.kills // 2) if plan.together else plan.kills
    moments = sorted(rng.uniform(first_s, last_s) for _ in range(n_moments))
    if plan.together:
        return [Kill(at_s, ("broker", "ingest")) for at_s in moments]
    names: list[str] = []
    while len(names) < n_moments:
        names += rng.sample(targets, len(targets))
    return [Kill(at_s, (name,)) for at_s, name in zip(moments, names, strict=False)]


def run(
    plan: Plan, settings: Settings, folder: Path, postgres: PostgresServer | None = None
) -> dict[str, Any]:
    """Stream, kill, settle, prove; the figures."""
    targets = TARGETS if postgres is None else (*TARGETS, "store")
    log = folder / "published.csv"
    with Household(settings, folder / "services.log") as house:
        house.start_fleet(plan.devices, log, plan.chunk_ms)
        killed = _stream(house, draw_kills(plan, targets), plan.seconds, postgres)
        house.end_fleet()
        settled_s = settle(house, settings, log)
    sent = [(ring, offset) for ring, offset, _ in allot(plan.devices)]
    engine = open_store(settings.store_address)
    try:
        proof, found = prove(engine, log, sent, settings.hop_s)
    finally:
        engine.dispose()
    return _figures(plan, proof, found, killed) | {"settled_s": settled_s}


def _stream(
    house: Household, kills: list[Kill], seconds: float, postgres: PostgresServer | None
) -> list[tuple[float, str]]:
    """Wait and kill; when what really died."""
    began_s = time.monotonic()
    done: list[tuple[float, str]] = []
    for kill in kills:
        house.listen(began_s + kill.at_s - time.monotonic())
        pids = _await(house, kill.names, postgres)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        at_s = time.monotonic() - began_s
        done += [(at_s, name) for name in kill.names]
        print(f"{at_s:6.1f} s  killed {' and '.join(kill.names)}", file=sys.stderr, flush=True)
        if postgres is not None and "store" in kill.names:
            postgres.start()
    house.listen(began_s + seconds - time.monotonic())
    return done


def _await(house: Household, names: tuple[str, ...], postgres: PostgresServer | None) -> list[int]:
    """The process ids, once all of them run again."""
    end_s = time.monotonic() + COMES_BACK_WITHIN_S
    while time.monotonic() < end_s:
        running = {name: process.pid for name, process in house.processes().items()}
        if postgres is not None and postgres.pid is not None:
            running["store"] = postgres.pid
        if all(name in running for name in names):
            return [running[name] for name in names]
        house.listen(0.05)
    raise SystemExit(
        f"{', '.join(names)} did not come back within {COMES_BACK_WITHIN_S:.0f} s: see {house.log}"
    )


def settle(house: Household, settings: Settings, log: Path) -> float | None:
    """Wait until chunks and verdicts are complete and stay so; after how long, None when never."""
    began_s, before = time.monotonic(), None
    engine = open_store(settings.store_address)
    try:
        while time.monotonic() - began_s < DONE_WITHIN_S:
            house.listen(3.0)
            found = account(engine, log)
            now = (found.stored, found.windows, found.verdicts)
            if not found.missing_verdicts and now == before:
                return round(time.monotonic() - began_s - 3.0, 1)
            before = now
    finally:
        engine.dispose()
    return None


def _figures(plan: Plan, proof: Proof, found: Account, killed: list[tuple[float, str]]) -> dict[str, Any]:
    return {
        "holds": proof.holds,
        "kills": len(killed),
        "killed": [f"{at_s:.1f} s {name}" for at_s, name in killed],
        "devices": plan.devices,
        "seconds": plan.seconds,
        "seed": plan.seed,
        "chunk_ms": plan.chunk_ms,
        "acknowledged": found.published,
        "eligible": found.eligible,
        "verdicts": found.verdicts,
        "publish_arrival_ms": {"p50": found.publish_arrival_ms.p50, "p99": found.publish_arrival_ms.p99},
        "proof": proof.as_figures(),
    }


@contextlib.contextmanager
def data_folder(kept: Path | None) -> Iterator[Path]:
    """A folder that is deleted afterwards, unless one was named or its log is needed."""
    folder = kept or Path(tempfile.mkdtemp(prefix="wristlead-crash-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except SystemExit:
        kept = folder  # the message names the log in it
        raise
    finally:
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Parse, run, print; 1 when something was lost."""
    options = _options()
    plan = Plan(
        devices=options.devices,
        seconds=options.seconds,
        kills=options.kills,
        seed=options.seed,
        together=options.together,
        chunk_ms=options.chunk_ms,
    )
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(data_folder(options.data_dir))
        postgres = stack.enter_context(postgres_server()) if options.store == "postgresql" else None
        settings = settings_in(folder, None if postgres is None else postgres.url)
        figures = {"store": options.store, **run(plan, settings, folder, postgres)}
    print(json.dumps(figures, indent=None if options.json else 2))
    return 0 if figures["holds"] else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--devices", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=300.0, help="of streaming (default: 300)")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the kills; the timing of processes is never the same"
    )
    parser.add_argument("--chunk-ms", type=int, default=1000, help="short ones come back sooner after a kill")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--together", action="store_true", help="kill broker and ingest at the same moment")
    parser.add_argument(
        "--data-dir", type=Path, help="keep the data here (default: a folder that is deleted)"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
