"""Hidden tabs, lost connections, a killed server beside another, a page that fails: what its people see."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import find_free_port
from tests.dashboard.ward import BED, Broker, Dashboard, Ward

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.timeout(300)]

PANEL = f"a.panel[data-device='{BED}']"
# What the connection of a page brings, by kind; kept over reconnections.
COUNT = """() => {
  const { live } = window.wristlead;
  window.came = { samples: 0, states: 0 };
  live.socket.addEventListener("message", ({ data }) => {
    window.came[typeof data === "string" ? "states" : "samples"] += 1;
  });
}"""
HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
STREAM = f"window.wristlead.live.streams.get('{BED}')"
SHOWN_S = f"() => {STREAM} && {STREAM}.shownCount > 0 && {STREAM}.shownCount / {STREAM}.fs"
LAST_S = f"""() => {{
  const s = {STREAM};
  const newest = Array.from({{ length: 3 * s.fs }}, (_, k) => s.shown[(s.shownCount - 1 - k) % s.size]);
  return s.shownCount >= newest.length && newest.every((mv) => !Number.isNaN(mv));
}}"""


@pytest.fixture
def second(mosquitto: Broker, tmp_path: Path) -> Iterator[Dashboard]:
    dashboard = Dashboard(mosquitto.address, find_free_port(), tmp_path / "second")
    yield dashboard
    dashboard.kill()


def test_a_hidden_tab_gets_no_samples_and_shows_all_of_the_last_seconds_when_it_is_seen_again(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    assert ward.silent == set()
    page.goto(dashboard.url)
    page.wait_for_function(f"() => {STREAM}?.shownCount > 4 * 250")
    page.evaluate(COUNT)
    page.evaluate(HIDE, arg=True)
    page.wait_for_function("() => window.came.states >= 2")  # what was under way has come
    page.evaluate("() => Object.assign(window.came, { samples: 0, states: 0 })")
    page.wait_for_function("() => window.came.states >= 4")
    assert page.evaluate("() => window.came.samples") == 0

    page.evaluate(HIDE, arg=False)
    first_s = page.wait_for_function(SHOWN_S).json_value()
    assert first_s >= 4  # at once, not as time passes
    expect(page.locator(PANEL).locator(".trace-note")).to_be_hidden()

    page.evaluate("() => window.wristlead.live.socket.close()")
    page.wait_for_function("() => !window.wristlead.live.isOpen")
    before = page.evaluate(f"() => {STREAM}.end")
    page.wait_for_function(
        f"() => window.wristlead.live.isOpen && {STREAM}.playhead > {before} + 2 * {STREAM}.fs"
    )
    assert page.evaluate(LAST_S)  # what was sent meanwhile has come too


def test_two_dashboards_agree_and_one_goes_on_when_the_other_is_killed(
    ward: Ward, dashboard: Dashboard, second: Dashboard, chromium: Browser
) -> None:
    expect.set_options(timeout=15_000)
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script("localStorage.setItem('wristlead-notice', '1')")
    pages = [context.new_page(), context.new_page()]
    for page, server in zip(pages, (dashboard, second), strict=True):
        page.goto(server.url)
    ward.raise_alarm(BED, "asystole", "high", "ASYSTOLE 6 s")
    for page in pages:
        expect(page.locator(PANEL).locator(".rate-value")).to_have_text("75")
        expect(page.locator(PANEL).locator(".strip")).to_contain_text("ASYSTOLE 6 s")

    dashboard.kill()
    expect(pages[0].locator("#banners")).to_contain_text("lost its server")
    expect(pages[0].locator(PANEL).locator(".rate-value")).to_have_text("--")
    ward.raise_alarm(BED, "asystole", "high", "ASYSTOLE 9 s")
    expect(pages[1].locator(PANEL).locator(".strip")).to_contain_text("ASYSTOLE 9 s")
    expect(pages[1].locator(PANEL).locator(".rate-value")).to_have_text("75")
    expect(pages[1].locator("#banners")).to_be_empty()
    before = pages[1].evaluate(f"() => {STREAM}.shownCount")
    pages[1].wait_for_function(f"() => {STREAM}.shownCount > {before}")

    dashboard.start()
    expect(pages[0].locator(PANEL).locator(".strip")).to_contain_text("ASYSTOLE 9 s")  # the broker keeps it
    expect(pages[0].locator(PANEL).locator(".rate-value")).to_have_text("75")

    # A fault in a page's own script: it shows nothing rather than what is no longer true.
    pages[1].evaluate(
        "() => { CanvasRenderingContext2D.prototype.stroke = () => { throw new Error('broken'); }; }"
    )
    expect(pages[1].locator(".page-failed")).to_contain_text("has failed")
    expect(pages[1].locator(PANEL)).to_be_hidden()
    context.close()
