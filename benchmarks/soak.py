"""Run the demo for a while, optionally killing each service in turn with SIGKILL, and judge its figures.

    python -m benchmarks.soak --seconds 600 --kill --json

Prints the demo's own figures plus `kills` and `memory_growth{service}`: resident memory in the last fifth
of the run over the second fifth (start-up excluded; 1.0 is flat; not given for a service that was killed,
whose memory starts anew). Exits non-zero when the demo does, that is when a chunk that the broker had
acknowledged is not stored, or an eligible window has no verdict.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import psutil

SERVICES = ("ingest", "inference", "alarms", "explain", "dashboard", "simulate", "broker")
SETTLE_BEFORE_KILLS_S = 25.0
SETTLE_AFTER_KILLS_S = 20.0
LEAST_WITH_KILLS_S = SETTLE_BEFORE_KILLS_S + 5.0 * len(SERVICES) + SETTLE_AFTER_KILLS_S


def service_of(process: psutil.Process) -> str | None:
    """Which service a child of the demo is; None for anything else."""
    with contextlib.suppress(psutil.NoSuchProcess):
        command = process.cmdline()
        if any("mosquitto" in part for part in command[:1]):
            return "broker"
        return next((name for name in SERVICES if name in command), None)
    return None


def services(demo: psutil.Process) -> dict[str, psutil.Process]:
    """The demo's running services by name."""
    found = {service_of(child): child for child in demo.children()}
    return {name: child for name, child in found.items() if name is not None}


def run(seconds: float, *, kill: bool, arguments: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """Run the demo; return its exit code and figures with what was measured from outside."""
    command = [sys.executable, "-m", "wristlead", "demo", "--no-browser", "--json", "--seconds", str(seconds)]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as demo:
        memory, kills = watch(demo, seconds, kill=kill)
        out, _ = demo.communicate(timeout=120)
    figures: dict[str, Any] = json.loads(out) if out.strip() else {}
    growth = {name: growth_of(mb) for name, mb in memory.items() if name not in {k for _, k in kills}}
    return demo.returncode, {
        **figures,
        "kills": [f"{at:.0f} s {name}" for at, name in kills],
        "memory_growth": growth,
    }


def watch(
    demo: subprocess.Popen[str], seconds: float, *, kill: bool
) -> tuple[dict[str, list[float]], list[tuple[float, str]]]:
    """Sample memory each second, and kill one service after the other at even distances."""
    began = time.monotonic()
    span = seconds - SETTLE_BEFORE_KILLS_S - SETTLE_AFTER_KILLS_S
    due = (
        [(SETTLE_BEFORE_KILLS_S + span * i / len(SERVICES), name) for i, name in enumerate(SERVICES)]
        if kill
        else []
    )
    memory: dict[str, list[float]] = defaultdict(list)
    kills: list[tuple[float, str]] = []
    while demo.poll() is None and (at := time.monotonic() - began) < seconds + 60:
        running = services(psutil.Process(demo.pid))
        for name, process in running.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                memory[name].append(process.memory_info().rss / 1e6)
        if due and at >= due[0][0] and due[0][1] in running:
            _, name = due.pop(0)
            os.kill(running[name].pid, signal.SIGKILL)
            kills.append((at, name))
            print(f"{at:6.1f} s  killed {name}", file=sys.stderr)
        time.sleep(1.0)
    return memory, kills


def growth_of(memory_mb: Sequence[float]) -> float | None:
    """Median of the last fifth over the median of the second; None with fewer than 25 samples."""
    fifth = len(memory_mb) // 5
    if fifth < 5:
        return None
    return statistics.median(memory_mb[-fifth:]) / statistics.median(memory_mb[fifth : 2 * fifth])


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--kill", action="store_true", help="SIGKILL each service in turn, the broker too")
    parser.add_argument("--json", action="store_true")
    options, rest = parser.parse_known_args()
    if options.kill and options.seconds < LEAST_WITH_KILLS_S:
        parser.error(f"--kill wants --seconds {LEAST_WITH_KILLS_S:.0f} at least, not {options.seconds:g}")
    code, figures = run(options.seconds, kill=options.kill, arguments=rest)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for key, value in figures.items():
            print(f"{key:>16}  {value}")
    return code


if __name__ == "__main__":
    sys.exit(main())
