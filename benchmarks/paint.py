"""How soon each page stands in a real browser with an empty cache, and whether anything on it jumps.

    python -m benchmarks.paint --json

A whole house with a fleet of watches runs meanwhile. For each page, the median of some visits:

    paint    first contentful paint, as the browser tells it
    page     the page itself (not the frame around it) was laid out and painted
    live     it had its first state from the server
    shift    cumulative layout shift in the seconds after (0: nothing moved; 0.1 is called good)
    sent     bytes that came over the wire

`floor` is the paint of a page of one line from Python's http.server, in the same browser.
"""

import argparse
import functools
import http.server
import json
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.household import Household, settings_in
from benchmarks.start import CHROMIUM_FLAGS

WATCH_MS = 4000  # for what jumps
LIMIT_MS = 30_000
PAGES = ("/", "/patient/{device}", "/alarms", "/devices", "/model", "/settings")
WATCHED = """() => {
  localStorage.setItem('wristlead-notice', '1');
  const seen = window.seen = { shift: 0, page: null, live: null };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) seen.shift += entry.value;
  }).observe({ type: 'layout-shift', buffered: true });
  const look = () => {
    if (seen.page === null && document.querySelector('[data-page]')) seen.page = performance.now();
    const isLive = document.getElementById('connection')?.dataset.live === 'true';
    if (seen.live === null && isLive) seen.live = performance.now();
    if (seen.page === null || seen.live === null) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
TOLD = """() => ({
  paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
  ...window.seen,
  sent: performance.getEntriesByType('resource').reduce((sum, entry) => sum + entry.transferSize, 0),
})"""


def visit(browser: Browser, address: str, watch_ms: int) -> dict[str, float]:
    """One visit with an empty cache; milliseconds, and what else WATCHED tells."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(f"({WATCHED})()")
    page = context.new_page()
    page.goto(address, timeout=LIMIT_MS)
    if watch_ms:
        page.wait_for_function(
            "() => window.seen.live !== null && window.seen.page !== null", timeout=LIMIT_MS
        )
    page.wait_for_timeout(watch_ms or 200)
    told: dict[str, float] = page.evaluate(TOLD)
    context.close()
    return told


def measure(browser: Browser, address: str, watch_ms: int, visits: int) -> dict[str, float]:
    """The median visit, the first one (which warms the server) left out; the worst shift."""
    told = [visit(browser, address, watch_ms) for _ in range(visits + 1)][1:]
    figures = {
        f"{name}_ms": round(statistics.median(each[name] for each in told))
        for name in ("paint", "page", "live")
        if told[0][name] is not None
    }
    return figures | {
        "shift": round(max(each["shift"] for each in told), 4),
        "sent_kb": round(told[0]["sent"] / 1000),
    }


def a_device(browser: Browser, dashboard: str) -> str:
    """The first patient of the wall, once there is one."""
    page = browser.new_page()
    page.goto(dashboard, timeout=LIMIT_MS)
    page.wait_for_function("() => window.wristlead?.live?.devices.length > 0", timeout=LIMIT_MS)
    device: str = page.evaluate("() => window.wristlead.live.devices[0]")
    page.close()
    return device


@contextmanager
def one_line_page() -> Iterator[str]:
    """The address of a page of one line."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "index.html").write_text("<!DOCTYPE html><title>Floor</title><p>Floor</p>")
        handler = functools.partial(_Quiet, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing: this is a floor, not a server."""


def run(chromium: str, watches: int, visits: int) -> dict[str, dict[str, float]]:
    """The figures of every page, and of the floor."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        settings = settings_in(Path(folder))
        with Household(settings, Path(folder) / "log") as house, one_line_page() as floor:
            house.start_fleet(watches, Path(folder) / "sent.log")
            house.listen(10.0)
            browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
            figures = {"floor": measure(browser, floor, 0, visits)}
            dashboard = f"http://127.0.0.1:{settings.dashboard_port}"
            device = a_device(browser, dashboard)
            for path in PAGES:
                address = dashboard + path.format(device=device)
                figures[path] = measure(browser, address, WATCH_MS, visits)
            browser.close()
    return figures


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--watches", type=int, default=8)
    parser.add_argument("--visits", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = run(options.chromium, options.watches, options.visits)
    if options.json:
        print(json.dumps(figures))
        return
    floor_ms = figures["floor"]["paint_ms"]
    for path, told in figures.items():
        line = "  ".join(f"{name} {value:g}" for name, value in told.items())
        print(f"{path:<20} {line}  paint/floor {told['paint_ms'] / floor_ms:.1f}")


if __name__ == "__main__":
    main()
