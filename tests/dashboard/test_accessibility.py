"""Every page against the axe-core rules of WCAG A and AA: wide, narrow, dark and light, with alarms on it."""

import time
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.ward import BED, OTHER, Dashboard, Ward

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.timeout(300)]

EVENT = f"/event/{BED}/asystole"
PATHS = (
    "/",
    f"/patient/{BED}",
    EVENT,
    "/alarms",
    "/review",
    f"/review/{BED}",
    "/devices",
    "/model",
    "/settings",
    "/connect",
    "/recordings",
    "/recording/a1",
    "/elsewhere",
)
READY = "() => document.getElementById('connection')?.dataset.live === 'true'"
STILL = "() => document.getAnimations().every((each) => !(each instanceof CSSTransition))"
THEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")
AA = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


FOUND = {"probability": 0.7, "threshold": 0.4, "presence": "present"}
RECORDING: dict[str, Any] = {
    "id": "a1",
    "n_samples": 3000,
    "start_us": 1790000000000000,
    "is_start_known": True,
    "added_us": 1,
    "who": "A. B.",
    "summary": dict.fromkeys(("local_start", "indeterminate", "main_rhythm"))
    | {"rhythm": [], "other_leads": []}
    | dict.fromkeys(("heart_rate_bpm", "lowest_rate_bpm", "highest_rate_bpm", "vendor_rate_bpm"), 72.0)
    | dict.fromkeys(("lead_told", "lead"), "I")
    | dict.fromkeys(("windows", "windows_voting", "beats"), 5)
    | {
        "file": "ecg_7.csv",
        "format": "apple",
        "identity": "a1",
        "start": "2026-09-21T14:13:20+00:00",
        "length_s": 30.0,
        "fs": 100.0,
        "device": "Watch6,2",
        "readable_share": 1.0,
        "reasons": {},
        "findings": [FOUND | {"superclass": each} for each in ("NORM", "MI", "STTC", "CD", "HYP")],
        "is_abnormal": True,
        "vendor_verdict": "Sinus Rhythm",
        "model": "m1",
        "notes": [{"about": "unit", "text": "unit mV, by the size of the waves", "is_guess": True}],
    },
}


@pytest.fixture
def busy_ward(ward: Ward) -> Ward:
    """One bed with an alarm of each look, a finding and a doubt; the other one silent."""
    ward.raise_alarm(BED, "asystole", "high", "ASYSTOLE 6 s")
    ward.raise_alarm(BED, "lead_off", "low", "LEAD OFF 12 s")
    ward.raise_alarm(BED, "finding_mi", "advisory", "Model: MI likely")
    ward.raise_alarm(OTHER, "rate_limit", "medium", "HR 134 > 120", state="ack", who="A. B.")
    ward.publish("wl/v1/recording/a1", RECORDING, retain=True)
    now_us = time.time_ns() // 1000
    channel = {"ok": True, "reason": None, "at_us": 1, "level": 0, "min_priority": "medium", "failed": 0}
    ward.publish("wl/v1/channel/phone", channel | {"sent": 3, "last_sent_us": now_us}, retain=True)
    paused = {"until_us": now_us + 3_600_000_000, "who": "A. B.", "loudest": None}
    ward.publish("wl/v1/paused", paused, retain=True)
    ward.doubts = ["unit in doubt: 1240 mV, too large"]
    return ward


def troubles(page: Page) -> list[str]:
    """What axe-core finds, as one line each."""
    found: list[dict[str, Any]] = Axe().run(page, options=AA).response["violations"]
    return [
        f"{page.url} {each['impact']} {each['id']}: {node['target']} {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("paths", [PATHS[:6], PATHS[6:]], ids=["patients", "house"])
def test_no_page_breaks_a_rule_of_accessibility_or_is_wider_than_a_phone(
    busy_ward: Ward, dashboard: Dashboard, page: Page, paths: tuple[str, ...]
) -> None:
    page.add_init_script("localStorage.setItem('wristlead-theme', 'system')")
    page.emulate_media(reduced_motion="reduce")  # axe reads colours of one moment
    found: list[str] = []
    for path in paths:
        address = f"{path}/{time.time_ns() // 1000}" if path == EVENT else path
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(f"{dashboard.url}{address}")
        page.wait_for_function(READY)
        expect(page.locator("#page > *").first).to_be_visible()
        expect(page.locator("#paused")).to_be_visible()
        if path == "/":  # a screen reader hears of all that is there, not of the last alone
            for said in ("LEAD OFF 12 s", "MI likely"):
                expect(page.locator("#announce-quiet")).to_contain_text(said)
        busy_ward.decide(BED)
        page.wait_for_timeout(700)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            expect(page.locator("html")).to_have_attribute("data-theme", theme)
            for width in (1440, 390):
                page.set_viewport_size({"width": width, "height": 844})
                page.wait_for_function(STILL)
                found += troubles(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    assert not found, "\n".join(found)


def test_the_notice_breaks_no_rule_of_accessibility(dashboard: Dashboard, chromium: Browser) -> None:
    page = chromium.new_page()
    page.goto(dashboard.url)
    expect(page.get_by_role("dialog")).to_be_visible(timeout=20_000)
    page.wait_for_timeout(500)  # it fades in
    found = troubles(page)
    assert not found, "\n".join(found)
    page.close()
