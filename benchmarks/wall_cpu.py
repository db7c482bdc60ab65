"""CPU seconds of a process, and of the browsers this process started, by kind of their processes."""

import contextlib
from collections import defaultdict

import psutil


def process_cpu_s(pid: int) -> float:
    """User and system time of one process so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def browser_cpu_s() -> dict[str, float]:
    """Of all Chromium processes below this one: renderer (pages), gpu-process (the screen), and the rest."""
    used_s: dict[str, float] = defaultdict(float)
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "chrom" in process.name():
                kind = next(
                    (w.split("=")[1] for w in process.cmdline() if w.startswith("--type=")), "browser"
                )
                times = process.cpu_times()
                used_s[kind] += times.user + times.system
    return dict(used_s)
