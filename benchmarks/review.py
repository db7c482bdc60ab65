"""How long a picture of a stored day takes: what the page asks of the server for each span, and in a browser.

    python -m benchmarks.review --json

Makes a day (stored_day.py), starts a dashboard on it, asks for what the page asks for at random moments, and
opens the page in Chromium (unless --no-browser). The floor reads the same rows and messages bare: the files'
blocks and nothing made of them. `cold` is the first look at a place, `warm` the same again.
"""

import argparse
import json
import random
import socket
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.stored_day import DAY_US, DEVICE, make_day
from dashboard.past import Past

SECOND_US = 1_000_000
SPANS_S = {"24 h": 86_400, "1 h": 3600, "1 min": 60, "10 s": 10, "1 s": 1}
CHROMIUM = "/usr/bin/chromium"
PICTURE_S = 3600  # spans up to it show the waveform


def main() -> None:
    """Print milliseconds by span."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--times", type=int, default=20, help="moments for each span")
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the day is kept, and found again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        file = folder / "wristlead.sqlite"
        url = f"sqlite:///{file}"
        if not file.exists():
            folder.mkdir(exist_ok=True)
            make_day(url)
        found = {
            name: measured(url, seconds, options.times, random.Random(seconds))
            for name, seconds in SPANS_S.items()
        }
        if not options.no_browser:
            with served(folder) as address:
                for name, figures in in_browser(address, options.times).items():
                    found[name] |= figures
    print(json.dumps(found, indent=None if options.json else 2))


def measured(url: str, seconds: int, times: int, rng: random.Random) -> dict[str, dict[str, float]]:
    """By `cold`, `warm` and `floor`: ms of what one picture needs, without a network."""
    from dashboard.data_routes import trend_answer  # noqa: PLC0415 - after the store is there
    from dashboard.review_routes import happened_answer, picture_answer  # noqa: PLC0415 - same
    from dashboard.review_source import ReviewSource  # noqa: PLC0415 - same

    past = Past(url)
    source = ReviewSource(past)
    past.extents([DEVICE])  # opens the store
    spent: dict[str, list[tuple[float, float]]] = {"floor": [], "cold": [], "warm": []}
    for _ in range(times):
        from_us = DAY_US + rng.randrange(0, max(1, 86_400 - seconds)) * SECOND_US
        to_us = from_us + seconds * SECOND_US
        asked = {"from_us": str(from_us), "to_us": str(to_us)}

        def picture(asked: dict[str, str] = asked) -> None:
            trend_answer(past, DEVICE, asked | {"points": str(min(1024, max(64, seconds)))})
            happened_answer(source, DEVICE, asked | {"points": "256"})
            if seconds <= PICTURE_S:
                picture_answer(source, DEVICE, asked | {"points": "2048"})

        def bare(span_us: tuple[int, int] = (from_us, to_us)) -> None:
            waveforms = past.archive().waveforms
            waveforms.vitals_rows(DEVICE, *span_us)
            waveforms.places(DEVICE, *span_us)
            if seconds <= PICTURE_S:
                waveforms.between_arrivals(DEVICE, *span_us)

        spent["cold"].append(ms(picture))
        spent["warm"].append(ms(picture))
        spent["floor"].append(ms(bare))
    past.close()
    return {
        name: quantiles([wall for wall, _ in values])
        | {"cpu_p50_ms": round(statistics.median(cpu for _, cpu in values), 1)}
        for name, values in spent.items()
    }


def ms(work: Callable[[], None]) -> tuple[float, float]:
    """Milliseconds that it took, and of this process's CPU; other work here counts in the first alone."""
    begun_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    return 1000 * (time.perf_counter() - begun_s), 1000 * (time.process_time() - cpu_s)


def quantiles(values: list[float]) -> dict[str, float]:
    """p50 and p95."""
    ordered = sorted(values)
    place = min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))
    return {"p50_ms": round(statistics.median(ordered), 1), "p95_ms": round(ordered[place], 1)}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A dashboard on the folder, without a broker."""
    import asyncio  # noqa: PLC0415 - for the browser alone

    import uvicorn  # noqa: PLC0415 - same

    from dashboard.app import create_server  # noqa: PLC0415 - same
    from dashboard.hub import Hub  # noqa: PLC0415 - same
    from ingest.settings import load_settings  # noqa: PLC0415 - same

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    hub = Hub(("127.0.0.1", 1))
    hub.start()
    app = create_server(load_settings(data_dir=folder, dashboard_port=port), hub)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", ws="websockets-sansio"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            urllib.request.urlopen(address, timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield address
    server.should_exit = True
    thread.join(timeout=5)
    hub.stop()


SHOWN = """([from, to]) => new Promise((resolve) => {
  const root = document.querySelector('[data-page=review]');
  const begun = performance.now();
  const look = () => {
    const { drawn, isWhole } = root.dataset;
    if (drawn === `${from}/${to}` && isWhole === 'true') resolve(performance.now() - begun);
    else requestAnimationFrame(look);
  };
  window.wristlead.review.show({ from, to });
  requestAnimationFrame(look);
})"""


def in_browser(address: str, times: int) -> dict[str, dict[str, dict[str, float]]]:
    """By span: from asking for a view to a canvas that shows all of it; a first look, and half a view on."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of the dev extra

    found: dict[str, dict[str, dict[str, float]]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script("localStorage.setItem('wristlead-notice', '1')")
        page.goto(f"{address}/review/{DEVICE}?at={DAY_US // SECOND_US}&span=60")
        page.wait_for_selector("[data-drawn]")
        for name, seconds in SPANS_S.items():
            rng = random.Random(1000 + seconds)
            first, step = [], []
            for _ in range(times):
                from_us = DAY_US + rng.randrange(0, max(1, 86_400 - 2 * seconds)) * SECOND_US
                width = seconds * SECOND_US
                first.append(float(page.evaluate(SHOWN, [from_us, from_us + width])))
                page.wait_for_timeout(600)  # the neighbours come
                begin_us = from_us + width // 2
                step.append(float(page.evaluate(SHOWN, [begin_us, begin_us + width])))
            found[name] = {"browser_first": quantiles(first), "browser_step": quantiles(step)}
        browser.close()
    return found


if __name__ == "__main__":
    main()
