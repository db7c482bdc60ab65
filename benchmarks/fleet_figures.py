"""What a fleet's run showed -> its figures: counts, backlog, cost, delay, and whether the fleet was held."""

import contextlib
import dataclasses
import os
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

import psutil

from benchmarks.observation import Observation, Observer, backlog_figures, memory_figures
from ingest.broker import describe
from ingest.settings import Settings
from ingest.store.accounting import Account

WINDOW_S = 10.0  # distance of windows: a watch makes one each 10 s


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """What is asked for."""

    devices: int
    seconds: float
    chunk_ms: int
    kill: bool
    extras: tuple[str, ...]  # optional services: dashboard, explain
    faults: tuple[str, ...]
    floor_seconds: float
    settings: Settings

    @property
    def log(self) -> Path:
        """Where the generator writes what was acknowledged."""
        return self.settings.data_dir / "published.csv"

    def simulate(self, site: str, *more: str) -> list[str]:
        """The generator's command."""
        faults = [word for fault in self.faults for word in ("--fault", fault)]
        return [
            *own_command("simulate"),
            *("--fleet", str(self.devices), "--site", site, "--chunk-ms", str(self.chunk_ms)),
            *faults,
            *more,
        ]


def own_command(name: str) -> list[str]:
    """The command of one service."""
    return [sys.executable, "-m", "wristlead", name]


def figures_of(run: Run, observer: Observer, seen: Observation, found: Account) -> dict[str, Any]:
    """All figures of one run, as the module that starts it prints them."""
    backlog = {name: backlog_figures(samples) for name, samples in seen.backlog.items()}
    is_flat = _is_flat(run, seen, backlog)
    holds = found.published > 0 and not found.lost and not found.missing_verdicts and is_flat
    cpu = {name: round(s / seen.took_s, 4) for name, s in seen.cpu_s.items()}
    return {
        "watches": run.devices if holds else 0,
        "verdict": "holds" if holds else _why_not(found, is_flat=is_flat, cpu=cpu),
        "devices": run.devices,
        "seconds": round(seen.took_s, 1),
        "chunk_ms": run.chunk_ms,
        "published": found.published,
        "stored": found.stored,
        "lost": found.lost,
        "duplicates": observer.total("ingest", "duplicates"),
        "refused": observer.total("ingest", "refused"),
        "windows": found.windows,
        "eligible": found.eligible,
        "verdicts": found.verdicts,
        "missing_verdicts": found.missing_verdicts,
        "indeterminate": found.indeterminate,
        "backlog": {**backlog, "is_flat": is_flat},
        "cpu_s_per_s": {**cpu, "total": round(sum(cpu.values()), 4)},
        "messages_per_cpu_s": _messages_per_cpu_s(seen),
        "memory": {name: memory_figures(mb) for name, mb in seen.rss_mb.items()},
        "chunk_stored_ms": observer.worst("ingest", "chunk_stored_ms"),
        "commit_ms": observer.worst("ingest", "commit_ms"),
        "publish_arrival_ms": dataclasses.asdict(found.publish_arrival_ms),
        "window_verdict_ms": dataclasses.asdict(found.window_verdict_ms),
        "deferred": observer.total("inference", "deferred"),
        "without": [name for name in ("dashboard", "explain") if name not in run.extras],
        "broker": describe(run.settings),
    }


def _is_flat(run: Run, seen: Observation, backlog: dict[str, dict[str, float]]) -> bool:
    """No queue grows by more than what comes in a second."""
    allowed = {
        "ingest": run.devices * 1000 / run.chunk_ms,
        "not_received": run.devices * 1000 / run.chunk_ms,
        "inference": max(32.0, run.devices / WINDOW_S),  # or one batch
    }
    return all(
        backlog[name]["slope_per_s"] * seen.took_s <= most
        for name, most in allowed.items()
        if name in backlog
    )


def _why_not(found: Account, *, is_flat: bool, cpu: dict[str, float]) -> str:
    """What broke the rule, and which service was busiest: the one to look at first."""
    broken = []
    if not found.published:
        broken.append("nothing was published")
    if found.lost:
        broken.append(f"{found.lost} chunks lost")
    if found.missing_verdicts:
        broken.append(f"{found.missing_verdicts} windows without verdict")
    if not is_flat:
        broken.append("a backlog grows")
    busiest = max(cpu, key=lambda name: cpu[name])
    return f"{', '.join(broken)}; busiest: {busiest}, {cpu[busiest]:.2f} of a core"


def _messages_per_cpu_s(seen: Observation) -> float | None:
    """What ingest received for each second of its CPU."""
    return round(seen.chunks / seen.cpu_s["ingest"], 1) if seen.cpu_s.get("ingest") else None


def both_of(before: dict[str, float | None], after: dict[str, float | None]) -> dict[str, Any]:
    """The bare loop's two measurements, and what they are together: the same number of messages in each."""
    paces = [each["messages_per_cpu_s"] for each in (before, after)]
    known = [pace for pace in paces if pace]
    together = None if len(known) < len(paces) else round(statistics.harmonic_mean(known), 1)
    return {"before": before, "after": after, "messages_per_cpu_s": together}


def compared(floor: dict[str, Any] | None, seen: Observation) -> dict[str, Any] | None:
    """The floors, and ingest's messages per CPU second over theirs, with and without its beats and vitals."""
    ours = _messages_per_cpu_s(seen)
    if floor is None or ours is None:
        return floor
    received = floor["receive"]["messages_per_cpu_s"]
    without = seen.chunks / (seen.cpu_s["ingest"] - seen.vitals_cpu_s)
    return floor | {
        "ingest_over_receive_loop": None if received is None else round(ours / received, 3),
        "without_vitals_over_receive_loop": None if received is None else round(without / received, 3),
        "ingest_over_sqlite_writer": round(ours / floor["sqlite"]["chunks_per_cpu_s"], 3),
    }


def machine(load_before: float) -> str:
    """Processor, cores, memory, system, and what else it was doing."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), model)
    return (
        f"{model}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} "
        f"cores, {psutil.virtual_memory().total / 1e9:.0f} GB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; load before the run {load_before:.1f}"
    )
