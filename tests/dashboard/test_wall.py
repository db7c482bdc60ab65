"""The wall: laws of order, grid and search, and visits by pointer, keyboard and on a screen that hangs."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dashboard import app as app_module
from dashboard.texts import wall as texts
from tests.dashboard.ward import BED, OTHER, Dashboard, Ward

SCRIPTS = [*Path(app_module.__file__).parent.joinpath("assets").glob("*.mjs")]


def test_every_word_that_the_walls_scripts_say_exists() -> None:
    spoken = {path.name: path.read_text() for path in SCRIPTS if "texts.wall" in path.read_text()}
    told = {
        word
        for text in spoken.values()
        for word in re.findall(r"\bwords\.(\w+)", text) + re.findall(r"texts\.wall\.(\w+)", text)
    } - {"mjs"}
    assert told == set(texts.SCRIPT)


LAWS = """async () => {
  const { WallOrder, groupsOf, matches } = await import('/assets/wall_order.mjs');
  const { fit, gainOf, neighbour, rowsOf } = await import('/assets/wall_grid.mjs');
  const { elsewhereOf } = await import('/assets/wall_elsewhere.mjs');
  const patient = (device, name, ...alarms) => ({ device, name, alarms });
  const alarm = (priority, state = 'on', since_us = 1) => ({ kind: 'k', priority, state, since_us });
  const order = new WallOrder();
  const calm = [patient('b/2', 'Bed 2'), patient('a/1', 'Bed 9'), patient('a/3', 'Bed 10')];
  const [low, medium, high] = ['low', 'medium', 'high'].map((priority) => alarm(priority));
  const withAlarms = (...alarms) => calm.map((one, k) => ({ ...one, alarms: alarms[k] ? [alarms[k]] : [] }));
  const moved = [...withAlarms(null, medium, low), patient('c/1', 'A', medium)].slice(1);
  const placed = {
    bed: order.place(calm, 'bed'),
    site: order.place(calm, 'site'),
    asked: order.place(withAlarms(null, null, low), 'alarm', true),
    lesser: order.place(withAlarms(null, medium, low), 'alarm'),
    staleThen: order.isStale,
    high: order.place(withAlarms(high, medium, low), 'alarm'),
    over: order.place(withAlarms(null, medium, low), 'alarm'),
    newcomer: order.place(moved, 'alarm'),
    again: order.place(moved, 'alarm', true),
    seen: order.place(withAlarms(alarm('high', 'ack'), medium, null), 'alarm', true),
  };
  const screens = [[1408, 750], [1888, 930], [374, 640]];
  const fits = screens.map(([w, h]) => Array.from({ length: 64 }, (_, k) => [k + 1, fit([k + 1], w, h)]));
  const holds = fits.map((all, k) => all.every(([n, { columns, rowPx, doesScroll }]) =>
    doesScroll || rowsOf([n], columns) * (rowPx + 6) <= screens[k][1] + 6.01));
  const least = fits.slice(0, 2).flatMap((all, k) => all.map(([, { columns, rowPx }]) =>
    [(screens[k][0] + 6) / columns - 6, rowPx]));
  const box = (left, top) => ({ left, top, right: left + 10, bottom: top + 10 });
  const boxes = [box(0, 0), box(20, 0), box(40, 0), box(0, 20), box(20, 20)];
  const walk = (at, ...keys) => keys.reduce((place, key) => neighbour(boxes, place, `Arrow${key}`), at);
  const found = ['oberhuber', 'ICU', 'bed-7', 'ober icu', 'Zoe', 'second floor', '', 'nobody'].map((query) =>
    matches({ ...patient('icu/bed-7', 'Zo\\u00eb Oberhuber'), site_name: 'Second floor' }, query));
  const out = elsewhereOf([patient('a/1', 'A', alarm('high', 'ack')), patient('a/2', 'B', alarm('advisory')),
    patient('a/3', 'C', low, medium)]);
  return {
    placed, holds, found, least: [0, 1].map((side) => Math.min(...least.map((sides) => sides[side]))),
    columns: fits.map((all) => all.map(([, one]) => one.columns)),
    scrolls: fits.map((all) => all.filter(([, one]) => one.doesScroll).length),
    crowd: fit([150], 1408, 750).doesScroll,
    gains: [62, 120, 750].map(gainOf),
    walks: [walk(2, 'Down'), walk(0, 'Down', 'Up'), walk(4, 'Right'), walk(0, 'Left'),
      walk(0, 'Right', 'Right', 'Right')],
    groups: [[['a/1', 'b/1', 'a/2'], true], [['a/1', 'a/2'], true], [['b/1', 'a/2'], false]]
      .map(([devices, isBySite]) => groupsOf(devices, isBySite)),
    out: [out.count, out.alarms, out.worst.patient.name, out.worst.alarm.priority, out.more],
  };
}"""


@pytest.mark.browser
def test_the_laws_of_order_grid_and_search(scripts: Page) -> None:
    laws = scripts.evaluate(LAWS)
    placed = laws["placed"]
    assert placed["bed"] == ["b/2", "a/1", "a/3"]  # numbers as numbers, whichever site
    assert placed["site"] == ["a/1", "a/3", "b/2"]
    assert placed["asked"] == ["a/3", "b/2", "a/1"]
    assert placed["lesser"] == placed["asked"]  # a lesser alarm moves nobody
    assert placed["staleThen"] is True
    assert placed["high"] == ["b/2", "a/1", "a/3"]
    assert placed["over"] == placed["high"]  # nor does the end of a high one
    assert placed["newcomer"] == ["a/1", "a/3", "c/1"]  # who leaves or comes moves no other
    assert placed["again"] == ["c/1", "a/1", "a/3"]
    assert placed["seen"] == ["b/2", "a/1", "a/3"]  # acknowledged, and still the most urgent

    assert laws["holds"] == [True] * 3  # whoever is not scrolled to fits the screen
    assert laws["scrolls"][:2] == [0, 0]  # all of 1 to 64 fit a desk and a wall
    assert laws["crowd"] is True
    assert laws["least"][0] >= 160
    assert laws["least"][1] >= 46
    assert set(laws["columns"][2]) == {1}  # a phone
    assert laws["gains"] == [5, 10, 20]

    assert laws["walks"] == [4, 0, 4, 0, 3]
    assert laws["groups"][0] == [["a", ["a/1", "a/2"]], ["b", ["b/1"]]]
    assert laws["groups"][1] == [["", ["a/1", "a/2"]]]  # one site needs no heading
    assert laws["groups"][2] == [["", ["b/1", "a/2"]]]
    assert laws["found"] == [*[True] * 7, False]
    assert laws["out"] == [3, 2, "C", "medium", 1]


LIMITS: dict[str, object] = {
    "rate_low_bpm": 50,
    "rate_high_bpm": 120,
    "rate_extreme_low_bpm": 40,
    "rate_extreme_high_bpm": 150,
}
# A browser that grants, takes back at will and counts.
WAKE = """Object.defineProperty(navigator, 'wakeLock', { value: {
  asked: 0,
  async request() {
    this.asked += 1;
    this.lock = new EventTarget();
    this.lock.release = () => this.lock.dispatchEvent(new Event('release'));
    return this.lock;
  },
} });"""
ORDER = "[...document.querySelectorAll('.wall-grid a.panel')].map((panel) => panel.dataset.device)"
HELD = "document.activeElement.dataset.device"
BOXES = "[...document.querySelectorAll('.cell')].map((cell) => JSON.stringify(cell.getBoundingClientRect()))"


def admit(ward: Ward, *devices: str) -> None:
    """Patients of whom nothing is known but their limits."""
    for device in devices:
        limits = LIMITS | {"device": device, "sources": {}, "who": None, "at_us": None}
        ward.publish(f"wl/v1/limits_in_force/{device}", limits, retain=True)


def wait_for(page: Page, expression: str, value: Any) -> None:
    page.wait_for_function(f"(value) => JSON.stringify({expression}) === JSON.stringify(value)", arg=value)


HOME = ["home/bed-3", "home/bed-4", "home/bed-5"]


@pytest.mark.browser
@pytest.mark.broker
@pytest.mark.timeout(300)
def test_a_person_sorts_searches_and_enlarges_and_no_alarm_is_missed(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    expect.set_options(timeout=10_000)
    admit(ward, *HOME)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(dashboard.url)
    wait_for(page, ORDER, [*HOME, BED, OTHER])
    sort_by_alarm(ward, page)
    search_while_somebody_needs_help(ward, page)
    enlarge_and_leave(page)
    walk_by_keyboard(page)


def sort_by_alarm(ward: Ward, page: Page) -> None:
    expect(page.locator(".wall-heading")).to_have_text(["home3 patients", "ward2 patients"])
    expect(page.locator(".wall-summary")).to_have_text("5 patients, no alarms")
    expect(page.locator(".wall-elsewhere")).to_be_hidden()  # all fit

    places = page.evaluate(BOXES)
    ward.raise_alarm(OTHER, "rate_limit", "medium", "HR 134 > 120")
    expect(page.locator(".strip:visible")).to_have_text("** HR 134 > 120")
    expect(page.locator(".wall-summary")).to_have_text("1 of 5 with alarms")
    expect(page.locator(".wall-heading").last).to_have_text("ward1 of 2 with alarms")
    assert page.evaluate(BOXES) == places  # nothing moves when an alarm comes
    page.get_by_role("button", name="Alarm", exact=True).click()
    assert page.evaluate(ORDER) == [OTHER, BED, *HOME]
    ward.raise_alarm("home/bed-5", "lead_off", "low", "LEAD OFF 5 s")
    expect(page.locator(".strip:visible")).to_have_count(2)
    assert page.evaluate(ORDER) == [OTHER, BED, *HOME]
    page.get_by_role("button", name="Sort again").click()
    assert page.evaluate(ORDER) == [OTHER, "home/bed-5", BED, "home/bed-3", "home/bed-4"]


def search_while_somebody_needs_help(ward: Ward, page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("bed 9")
    assert page.evaluate(ORDER) == []
    expect(page.locator(".wall-none")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.type("HOME 3")
    assert page.evaluate(ORDER) == ["home/bed-3"]
    expect(page.locator(".wall-found")).to_have_text("1 of 5")
    lead = page.locator(".wall-lead")
    expect(lead).to_contain_text("Bed two  ** HR 134 > 120 +1")
    ward.raise_alarm(BED, "asystole", "high", "ASYSTOLE 6 s")
    expect(lead).to_contain_text("Bed one  *** ASYSTOLE 6 s +2")
    lead.click()
    assert page.evaluate(HELD) == BED
    assert page.evaluate(ORDER)[0] == BED  # a high alarm sorts anew
    expect(page.locator(".wall-elsewhere")).to_be_hidden()


def enlarge_and_leave(page: Page) -> None:
    page.keyboard.press("f")
    expect(page.locator(".cell[data-enlarged=true] a.panel")).to_have_attribute("data-device", BED)
    assert page.evaluate(HELD) == BED
    height = "node => node.getBoundingClientRect().height"
    large, small = (page.locator(f"a.panel[data-device='{one}']").evaluate(height) for one in (BED, OTHER))
    assert large > 2 * small
    page.get_by_role("button", name="Only these").click()
    assert page.evaluate(ORDER) == [BED]
    expect(page.locator(".wall-lead")).to_contain_text("Bed two")
    page.reload()
    wait_for(page, ORDER, [BED])  # as it was left
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    wait_for(page, ORDER, [BED, OTHER, "home/bed-5", "home/bed-3", "home/bed-4"])


def walk_by_keyboard(page: Page) -> None:
    page.get_by_label("Site").select_option("home")
    assert page.evaluate(ORDER) == ["home/bed-5", "home/bed-3", "home/bed-4"]
    page.evaluate("document.activeElement.blur()")
    for key, device in (("ArrowDown", "home/bed-5"), ("End", "home/bed-4"), ("ArrowUp", "home/bed-3")):
        page.keyboard.press(key)
        assert page.evaluate(HELD) == device
    page.keyboard.press("Enter")
    page.wait_for_url("**/patient/home/bed-3")


@pytest.mark.browser
@pytest.mark.broker
@pytest.mark.timeout(300)
def test_a_screen_that_hangs_shows_patients_and_stays_awake(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    expect.set_options(timeout=10_000)
    page.add_init_script(WAKE)
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(dashboard.url)
    page.wait_for_selector(f"a.panel[data-device='{OTHER}']")
    assert page.evaluate("navigator.wakeLock.asked") == 0
    page.get_by_role("button", name="Kiosk").click()
    expect(page.locator(".top")).to_be_hidden()
    expect(page.locator(".wall-search")).to_be_hidden()
    expect(page.locator(".research")).to_be_visible()
    expect(page.locator(".wall-summary")).to_be_visible()
    page.evaluate("document.exitFullscreen().catch(() => {})")
    page.reload()
    page.wait_for_selector(f"a.panel[data-device='{OTHER}']")
    assert page.url.endswith("/?kiosk")
    expect(page.locator(".top")).to_be_hidden()
    wait_for(page, "navigator.wakeLock.asked", 1)

    page.evaluate("navigator.wakeLock.lock.release()")
    expect(page.locator(".wall-notes")).to_contain_text("does not keep this screen awake")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # the tab comes back
    expect(page.locator(".wall-notes")).to_be_hidden()
    assert page.evaluate("navigator.wakeLock.asked") == 2
    page.wait_for_function("'idle' in document.documentElement.dataset")
    assert page.evaluate("getComputedStyle(document.querySelector('a.panel')).cursor") == "none"

    page.locator(f"a.panel[data-device='{BED}']").click()
    page.wait_for_url("**/patient/**")
    expect(page.locator(".top")).to_be_visible()
    page.locator(".brand").click()
    expect(page.locator(".top")).to_be_hidden()  # back on the wall, it hangs again
    ward.silent.add("inference")
    expect(page.locator("#banners")).to_contain_text("Inference has not answered")
    page.mouse.move(200, 200)
    page.get_by_role("button", name="Leave kiosk").click()
    expect(page.locator(".top")).to_be_visible()
    assert "kiosk" not in page.url
