"""A fleet of watches on one machine, everything on it: what is lost, what waits, what it costs, how late.

    python -m benchmarks.fleet --devices 1000 --seconds 300 --json

Starts broker, ingest, inference and alarms as `wristlead run` does, then `wristlead simulate --fleet`. Before
and after it, as a shared machine's pace changes, the floors (benchmarks/floors.py: the same fleet on the same
broker, received and acknowledged by a bare loop; then a bare SQLite writer). After a warm-up everything is
measured for `--seconds`; counts and verdicts are of the whole run, from the published log against the store.
`--ramp` goes on with larger fleets until one does not hold. A fleet holds (`watches`) when no acknowledged
chunk is lost, each eligible window has a verdict and no backlog grows by more than a second's worth of
chunks, or of windows, over the measured stretch.
"""

import argparse
import contextlib
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.fleet_figures import Run, both_of, compared, figures_of, machine, own_command
from benchmarks.floors import receive_floor, sqlite_floor
from benchmarks.observation import Observation, Observer
from ingest.broker import broker_command, require_free_port
from ingest.settings import load_settings
from ingest.store.accounting import Account, account
from ingest.store.schema import open_store
from ingest.supervisor import Supervisor

RAMP = (500, 1000, 1500, 2000, 3000, 4000, 5000)
CORE_SERVICES = ("ingest", "inference", "alarms")
KILLED = ("ingest", "inference", "alarms", "broker")
WARM_UP_S = 35.0  # watches start over 10 s, first windows come 10 s later, memory settles after 10 more
UP_WITHIN_S = 60.0
SETTLE_S = 60.0
DEFAULT_PORT = 18_930

logger = logging.getLogger(__name__)


def main() -> int:
    """Run one fleet, or larger and larger ones; 0 when the (first) fleet held."""
    options = _options()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    sizes = RAMP if options.ramp else (options.devices,)
    told: list[dict[str, Any]] = []
    for devices in sizes:
        with _folder(options.data_dir) as folder:
            run = Run(
                devices=devices,
                seconds=options.seconds,
                chunk_ms=options.chunk_ms,
                kill=options.kill,
                extras=("dashboard",) * options.with_dashboard + ("explain",) * options.with_explain,
                faults=tuple(options.fault),
                floor_seconds=0.0 if options.no_floor or told else options.floor_seconds,
                settings=load_settings(data_dir=folder, broker_port=options.broker_port, log_level="WARNING"),
            )
            told.append(measure(run))
        if options.ramp:
            print(f"{devices} watches: {told[-1]['verdict']}", file=sys.stderr)
        if not told[-1]["watches"]:
            break
    figures = told[0] if not options.ramp else _of_ramp(told)
    print(json.dumps(figures, indent=None if options.json else 2))
    return 0 if told[0]["watches"] else 1


def measure(run: Run) -> dict[str, Any]:
    """One fleet: floors, start, warm-up, the measured stretch, the last chunks; then all figures."""
    require_free_port(*run.settings.broker_address, "broker")  # else two runs would share one broker
    load_before = os.getloadavg()[0]
    environment = {**run.settings.as_environment(), "WRISTLEAD_SUPERVISED": "1"}
    supervisor = Supervisor(environment)
    try:
        supervisor.add("broker", broker_command(run.settings))
        before = _receive_floor(run, environment) if run.floor_seconds else None
        observer = _start_house(run, supervisor)
        supervisor.add("simulators", run.simulate("fleet", "--published-log", str(run.log)))
        observer.listen(WARM_UP_S)
        seen, kills = _measured_stretch(run, supervisor, observer)
        generator = observer.newest("simulators")
        supervisor.stop("simulators")
        found = _settled(run, observer)
        figures = figures_of(run, observer, seen, found) | {
            "generator": generator,
            "kills": kills,
            "restarts": supervisor.restarts(),
            "machine": machine(load_before),
        }
        if before is None:
            return figures | {"floor": None}
        supervisor.stop(*run.extras, *CORE_SERVICES)
        receive = both_of(before, _receive_floor(run, environment))
    finally:
        supervisor.stop()
    return figures | {"floor": compared({"receive": receive, "sqlite": sqlite_floor(run.devices)}, seen)}


def _start_house(run: Run, supervisor: Supervisor) -> Observer:
    for name in (*CORE_SERVICES, *run.extras):
        supervisor.add(name, own_command(name), is_optional=name == "explain")
    observer = Observer(run.settings.broker_address, supervisor)
    end_s = time.monotonic() + UP_WITHIN_S
    while not observer.is_up(*CORE_SERVICES):
        observer.listen(0.2)
        if time.monotonic() > end_s:
            raise SystemExit(f"the services did not all come up within {UP_WITHIN_S:.0f} s")
    return observer


def _receive_floor(run: Run, environment: dict[str, str]) -> dict[str, float | None]:
    """The bare loop, while nothing else runs: before the house starts, and after it has ended."""
    supervisor = Supervisor(environment)
    supervisor.add("generator", run.simulate("floor"))
    try:
        time.sleep(max(13.0, run.devices / 250))  # until all are connected
        return receive_floor(run.settings.broker_address, run.floor_seconds)
    finally:
        supervisor.stop()


def _measured_stretch(run: Run, supervisor: Supervisor, observer: Observer) -> tuple[Observation, list[str]]:
    """Watch, or with `kill` watch while each service is killed in turn; then all is one stretch."""
    if not run.kill:
        return observer.observe(run.seconds), []
    kills = []
    for name in KILLED:
        observer.listen(run.seconds / (len(KILLED) + 1))
        pid = supervisor.pid(name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            kills.append(name)
    return observer.observe(run.seconds / (len(KILLED) + 1)), kills


def _settled(run: Run, observer: Observer) -> Account:
    """The account once it is complete, or after a minute as it is."""
    engine = open_store(run.settings.store_address)
    end_s = time.monotonic() + SETTLE_S
    while True:
        observer.listen(3.0)
        found = account(engine, run.log)
        is_complete = found.published > 0 and not found.lost and not found.missing_verdicts
        if is_complete or time.monotonic() > end_s:
            engine.dispose()
            return found


def _of_ramp(told: list[dict[str, Any]]) -> dict[str, Any]:
    held = [each["watches"] for each in told]
    return {"watches": max(held), "bottleneck": told[-1]["verdict"], "runs": told}


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """A data folder that is deleted afterwards, unless one was named."""
    if kept is not None:
        yield kept
        return
    folder = Path(tempfile.mkdtemp(prefix="wristlead-fleet-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0, help="measured, after 35 s of warm-up")
    parser.add_argument("--chunk-ms", type=int, default=1000)
    parser.add_argument("--kill", action="store_true", help="SIGKILL each service and the broker on the way")
    parser.add_argument("--ramp", action="store_true", help="500, 1000, 1500 ... until one does not hold")
    parser.add_argument("--fault", action="append", default=[], help="of the watches, such as drop=0.01")
    parser.add_argument("--with-dashboard", action="store_true")
    parser.add_argument("--with-explain", action="store_true")
    parser.add_argument("--no-floor", action="store_true", help="leave out the floors")
    parser.add_argument("--floor-seconds", type=float, default=15.0)
    parser.add_argument("--broker-port", type=int, default=DEFAULT_PORT)
    parser.add_argument(
        "--data-dir", type=Path, help="keep the data here (default: a folder that is deleted)"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
