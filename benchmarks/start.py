"""How long after `wristlead demo` is typed a person sees eight live patients, in a real browser.

    python -m benchmarks.start --json

Prints seconds from the start of the command until `served` (the page answers), `rates` (seven heart rates:
the eighth bed has a bad connection on purpose) and `verdicts` (seven verdicts; the first window takes 10 s).
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

LIVE_RATES = """() => document.querySelectorAll('.panel').length === 8
    && document.querySelectorAll('.panel[data-rate=known]').length >= 7"""
LIVE_VERDICTS = """() => [...document.querySelectorAll('.panel .chip')]
    .filter((chip) => /NORM|MI|STTC|CD|HYP/.test(chip.textContent)).length >= 7"""
LIMIT_S = 120.0
CHROMIUM_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def open_when_served(page: Page, address: str) -> None:
    """Load the page as soon as something answers there; raises TimeoutError after LIMIT_S."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        try:
            page.goto(address, timeout=5000)
        except PlaywrightError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"{address} never answered")


def measure(browser: Browser, address: str, began_s: float) -> dict[str, float]:
    """Seconds since `began_s` to each step."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    steps: dict[str, Callable[[], object]] = {
        "served": lambda: open_when_served(page, address),
        "rates": lambda: page.wait_for_function(LIVE_RATES, timeout=1000 * LIMIT_S),
        "verdicts": lambda: page.wait_for_function(LIVE_VERDICTS, timeout=1000 * LIMIT_S),
    }
    seconds = {}
    for name, wait in steps.items():
        wait()
        seconds[name] = round(time.monotonic() - began_s, 1)
    return seconds


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=list(CHROMIUM_FLAGS))
        command = [sys.executable, "-m", "wristlead", "demo", "--no-browser", "--data-dir", folder]
        began_s = time.monotonic()
        with subprocess.Popen(command) as demo:
            seconds = measure(browser, "http://127.0.0.1:8050", began_s)
            demo.send_signal(signal.SIGINT)
    print(
        json.dumps(seconds) if options.json else "\n".join(f"{k:>10} {v:6.1f} s" for k, v in seconds.items())
    )


if __name__ == "__main__":
    main()
