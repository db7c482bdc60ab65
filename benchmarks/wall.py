"""The wall in real headless Chromium, fed by simulated devices through Mosquitto: how smooth, late and dear.

    python -m benchmarks.wall --panels 16 --minutes 1
    python -m benchmarks.wall --panels 64 --minutes 1 --browsers 4 --json

Starts a broker, the dashboard and a ward of devices (benchmarks/wall_ward.py), opens the wall in one or more
browsers, and measures for `--minutes` after a warm-up; then the peer, a page that draws the same messages
with Plotly's `extendTraces`, for `--peer-seconds`. The screen has 1920 x 1080 pixels, or the next larger size
on which all panels are in view. What is printed of each browser:

    fps               frames a second in which a trace moved (of 60); trace_fps: of one trace
    main_ms           of the main thread a frame: scripts, style, layout, paint (TaskDuration)
    overdue_*_ms      from when a sample is due on screen (or has come, where that is later) to the frame
                      after the one that drew it: what the page itself adds to the jitter buffer
    beyond_*_ms       the same, and before it from when its chunk is due to be published to its arrival in the
                      page: all of sample to pixel but the time that the jitter buffer waits on purpose
    whole_*_ms        from when a chunk is due to be published to that frame, the wait included
    dropped           frames of 60 Hz that did not come; segments that the server dropped for this browser
    heap_*            live JavaScript heap and buffers after a forced collection, MB; growth from minute 2 on

and of all: CPU of the dashboard's process and of all browsers, as shares of one core, CPU a frame (of page
and screen together, which the machine's other work does not stretch), and the load of the machine.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import plotly
from playwright.sync_api import Browser, CDPSession, Page, Playwright, sync_playwright

from benchmarks.fleet_figures import machine, own_command
from benchmarks.household import settings_in
from benchmarks.wall_cpu import browser_cpu_s, process_cpu_s
from ingest.broker import broker_command
from ingest.settings import Settings
from ingest.supervisor import Supervisor

CHROMIUM_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
SCREENS = ((1920, 1080), (2560, 1440), (3840, 2160))  # pixels
WARM_UP_S = 10.0
HEAP_FROM_MINUTE = 2
WITHIN_S = 120.0
HERE = Path(__file__).parent
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
ALL_IN_VIEW = """panels => document.querySelectorAll('.panel').length === panels
    && document.querySelectorAll('.trace canvas').length >= panels
    && [...document.querySelectorAll('.panel')]
        .every((panel) => panel.getBoundingClientRect().bottom <= innerHeight)"""


class Watched:
    """One page in a browser of its own, and what Chromium says of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.heap_mb: list[tuple[float, float]] = []  # minute, MB
        self.nodes: list[int] = []  # of the documents, at the same moments
        self._cdp: CDPSession = page.context.new_cdp_session(page)
        self._cdp.send("Performance.enable")
        self._task_s = 0.0

    def begin(self) -> None:
        """Start counting."""
        self._task_s = self._metric("TaskDuration")
        self.page.evaluate("() => window.wallProbe.begin()")

    def end(self) -> dict[str, Any]:
        """The figures since `begin`."""
        figures: dict[str, Any] = self.page.evaluate("() => window.wallProbe.end()")
        task_s = self._metric("TaskDuration") - self._task_s
        figures["main_ms"] = 1000 * task_s / max(1, figures["frames"])
        figures["main_share"] = task_s / figures["seconds"]
        return figures

    def weigh(self, minute: float) -> None:
        """Note what lives on the heap, after a collection."""
        self._cdp.send("HeapProfiler.collectGarbage")
        usage = self._cdp.send("Runtime.getHeapUsage")
        used = usage["usedSize"] + usage.get("embedderHeapUsedSize", 0) + usage.get("backingStorageSize", 0)
        self.heap_mb.append((round(minute, 2), round(used / 1e6, 3)))
        self.nodes.append(round(self._metric("Nodes")))

    def heap(self) -> dict[str, Any]:
        """The heap over time, and its growth from minute 2 to the end; None in a run too short for that."""
        later = [mb for minute, mb in self.heap_mb if minute >= HEAP_FROM_MINUTE]
        growth = round(100 * (later[-1] / later[0] - 1), 2) if len(later) > 1 else None
        return {"heap_mb": self.heap_mb, "heap_growth_percent": growth, "nodes": self.nodes}

    def _metric(self, name: str) -> float:
        metrics = self._cdp.send("Performance.getMetrics")["metrics"]
        return next(float(each["value"]) for each in metrics if each["name"] == name)


class House:
    """Broker, dashboard and ward of one run, in a folder that is thrown away."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.settings: Settings = settings_in(folder)
        self.url = f"http://127.0.0.1:{self.settings.dashboard_port}"
        self.start_us = time.time_ns() // 1000 + 3_000_000
        self.supervisor = Supervisor({**self.settings.as_environment(), "WRISTLEAD_SUPERVISED": "1"})
        self.supervisor.add("broker", broker_command(self.settings))
        self.supervisor.add("dashboard", own_command("dashboard"))
        host, port = self.settings.broker_address
        command = [sys.executable, "-m", "benchmarks.wall_ward", "--broker", f"{host}:{port}"]
        command += ["--panels", str(options.panels), "--chunk-ms", str(options.chunk_ms)]
        self.supervisor.add("ward", [*command, "--start-us", str(self.start_us)])

    def wait_until_served(self) -> None:
        """Until the dashboard answers; raises SystemExit when it never does."""
        end_s = time.monotonic() + WITHIN_S
        while time.monotonic() < end_s:
            address = ("127.0.0.1", self.settings.dashboard_port)
            with contextlib.suppress(OSError), socket.create_connection(address, timeout=1):
                return
            time.sleep(0.2)
        raise SystemExit(f"no dashboard answers at {self.url}")

    def pid(self, name: str) -> int:
        """Process id of a service; raises SystemExit when it has died."""
        pid = self.supervisor.pid(name)
        if pid is None:
            raise SystemExit(f"{name} has died; see what it said above")
        return pid


def main() -> None:
    """Parse, run, print."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # what was started ends too
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        house = House(options, Path(folder))
        try:
            house.wait_until_served()
            figures = _wall(playwright, house, options)
            if options.peer_seconds:
                figures["peer"] = _peer(playwright, house, options)
                figures["against_peer"] = _against(figures["browsers"][0], figures["peer"])
        finally:
            house.supervisor.stop()
    figures |= {"load_after": os.getloadavg()[0], "machine": machine(load)}
    print(json.dumps(figures) if options.json else json.dumps(_rounded(figures), indent=2))


def _wall(playwright: Playwright, house: House, options: argparse.Namespace) -> dict[str, Any]:
    browsers = [_launch(playwright, options) for _ in range(options.browsers)]
    try:
        opened = [_open_wall(browser, house, options) for browser in browsers]
        watched = [Watched(page) for page, _ in opened]
        _pause(watched, WARM_UP_S)
        figures = _measured(watched, house, options.minutes)
        figures["screen"] = opened[0][1]
    finally:
        for browser in browsers:
            browser.close()
    return {"panels": options.panels, "minutes": options.minutes, "chunk_ms": options.chunk_ms} | figures


def _measured(watched: list[Watched], house: House, minutes: float) -> dict[str, Any]:
    """Frames and CPU of the whole stretch; the heap at its ends and each minute."""
    for each in watched:
        each.weigh(0.0)
    server, before = house.pid("dashboard"), time.monotonic()
    server_s, browser_s = process_cpu_s(server), browser_cpu_s()
    for each in watched:
        each.begin()
    minute = 0.0
    while minute < minutes:
        _pause(watched, 60 * min(1.0, minutes - minute))
        minute = (time.monotonic() - before) / 60
        if minute < minutes:
            for each in watched:
                each.weigh(minute)
    took_s = time.monotonic() - before
    found = [each.end() for each in watched]
    frames = sum(figures["frames"] for figures in found)
    cpu: dict[str, Any] = {
        "server_cpu": (process_cpu_s(server) - server_s) / took_s,
        "browser_cpu": {
            kind: (used_s - browser_s.get(kind, 0)) / took_s for kind, used_s in browser_cpu_s().items()
        },
    }
    cpu["browser_cpu_ms_a_frame"] = 1000 * took_s * sum(cpu["browser_cpu"].values()) / max(1, frames)
    for each, figures in zip(watched, found, strict=True):
        each.weigh(minute)
        figures.update(each.heap())
        figures["dropped_frames_percent"] = 100 * max(0.0, 1 - figures["frames"] / (60 * figures["seconds"]))
    return {"browsers": found} | cpu


def _peer(playwright: Playwright, house: House, options: argparse.Namespace) -> dict[str, Any]:
    """Plotly with as many charts as the wall has panels, else half of them, and so on."""
    panels = options.panels
    while True:
        browser = _launch(playwright, options)
        try:
            watched = _open_peer(browser, house, options, panels)
            if watched is not None:
                watched.begin()
                _pause([watched], options.peer_seconds)
                return {"panels": panels} | watched.end()
        finally:
            browser.close()
        if (panels := panels // 2) == 0:
            raise SystemExit("the peer's page never drew a single chart")


def _against(ours: dict[str, Any], peer: dict[str, Any]) -> dict[str, Any]:
    """Our figure over the peer's; fps: higher is better, the others: lower."""
    names = ("fps", "main_ms", "whole_p95_ms")
    return {name: ours[name] / peer[name] for name in names if ours[name] and peer[name]}


def _open_wall(browser: Browser, house: House, options: argparse.Namespace) -> tuple[Page, str]:
    for screen in SCREENS:
        page = _page(browser, screen)
        page.goto(house.url)
        page.wait_for_function(
            f"() => document.querySelectorAll('.panel').length === {options.panels}", timeout=1000 * WITHIN_S
        )
        page.wait_for_timeout(1000)
        if page.evaluate(ALL_IN_VIEW, options.panels):
            facts = {"start_us": house.start_us, "chunk_s": options.chunk_ms / 1000, "panels": options.panels}
            page.evaluate((HERE / "wall_probe.js").read_text().split("\n", 2)[2], facts)
            return page, f"{screen[0]} x {screen[1]}"
        page.context.close()
    raise SystemExit(f"{options.panels} panels do not fit a screen of {screen[0]} x {screen[1]}")


def _open_peer(browser: Browser, house: House, options: argparse.Namespace, panels: int) -> Watched | None:
    """The peer's page once all its charts are there; None when that takes too long."""
    page = _page(browser, SCREENS[0])
    query = f"panels={panels}&start_us={house.start_us}&chunk_s={options.chunk_ms / 1000}"
    page.goto(f"{house.url}/assets/early.js?{query}")  # of this server, so that its WebSocket lets us in
    page.set_content((HERE / "wall_peer.html").read_text())
    page.add_script_tag(path=PLOTLY)
    end_s = time.monotonic() + WITHIN_S / 2
    while time.monotonic() < end_s:
        page.wait_for_timeout(500)
        if page.evaluate("() => window.wallProbe.isReady()"):
            page.wait_for_timeout(5000)
            return Watched(page)
    return None


def _launch(playwright: Playwright, options: argparse.Namespace) -> Browser:
    return playwright.chromium.launch(executable_path=options.chromium, args=list(CHROMIUM_FLAGS))


def _page(browser: Browser, screen: tuple[int, int]) -> Page:
    context = browser.new_context(viewport={"width": screen[0], "height": screen[1]})
    context.add_init_script("localStorage.setItem('wristlead-notice', '1')")
    page = context.new_page()
    page.on("pageerror", lambda error: print(f"the page complains: {error}", file=sys.stderr))
    return page


def _pause(watched: list[Watched], seconds: float) -> None:
    watched[0].page.wait_for_timeout(1000 * seconds)


def _rounded(figures: Any) -> Any:
    if isinstance(figures, float):
        return round(figures, 2)
    if isinstance(figures, dict):
        return {name: _rounded(value) for name, value in figures.items()}
    return [_rounded(each) for each in figures] if isinstance(figures, list) else figures


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--panels", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--browsers", type=int, default=1)
    parser.add_argument("--chunk-ms", type=int, default=250)
    parser.add_argument("--peer-seconds", type=float, default=15.0, help="0 leaves the peer out")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
