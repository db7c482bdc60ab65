"""Take away for a while what ingest needs, under a fleet: is it said, is memory bounded, does all come back?

    python -m benchmarks.outages --json                  every outage, about two minutes each
    python -m benchmarks.outages --only disk_full_commit

Each starts `wristlead run` and a fleet, lasts as long as benchmarks/troubles.py says, and must show: a
sentence in the log of the services and in ingest's readiness (`/health/ready`, the store's state),
memory of ingest that does not grow with what waits, recovery without a person, and then the whole proof of
benchmarks/proof.py. Full disks and read-only files need root on Linux; elsewhere they are skipped.
"""

import argparse
import contextlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.crash import data_folder, settle
from benchmarks.household import Household, free_port, settings_in
from benchmarks.proof import prove
from benchmarks.troubles import OUTAGES, Stage
from ingest.store.schema import open_store
from simulators.rings import allot

BEFORE_S = 20.0  # the watches start over ten seconds, and memory settles
AFTER_S = 15.0
RECOVERS_WITHIN_S = 90.0
MEMORY_MB = 100.0  # beyond what ingest had before: HELD_BYTES of ingest/batch.py, and room for copies of some


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
