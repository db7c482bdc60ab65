"""Devices and services, settings, the model and the way between pages, in a real browser."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from inference.alarms.records import SettingChange, save_alarms
from inference.released import CARD_NAME, RELEASED_WEIGHTS
from ingest.store.archive import Archive
from ingest.store.rows import Refused
from ingest.store.schema import open_store
from tests.dashboard.test_alarm_pages import LIMITS, READY, now_us, visit
from tests.dashboard.ward import BED, OTHER, Dashboard, Ward

# A cold machine takes most of a minute to start a browser and a dashboard.
pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.timeout(300)]

DAY_US = 86_400_000_000
WORD_LAWS = """async () => {
  const { offBy, clockOf, shortTime } = await import('/assets/device_words.mjs');
  const { compare } = await import('/assets/devices.mjs');
  const { daysOf, lossWords } = await import('/assets/keeping.mjs');
  const { faultOfName } = await import('/assets/name_dialog.mjs');
  const devices = [
    { device: 'a/10', name: 'B', battery: null }, { device: 'a/2', name: 'A', battery: 5 },
    { device: 'a/1', name: 'C', battery: 90 }, { device: 'a/3', name: 'a', battery: 5 },
  ];
  const sorted = (key, isDown) => devices.toSorted((a, b) => compare(a, b, key, isDown))
    .map((each) => each.device);
  return {
    off: [0, -0.00012, 0.0009, 0.0125, -0.5].map(offBy),
    clock: [0, -0.0021, 0.9, -3.21, 150, 86400 * 400].map(clockOf),
    short: [0.42, 1.24].map(shortTime),
    sorted: [sorted('name', false), sorted('battery', false), sorted('battery', true)],
    days: [daysOf('7', false), daysOf('', true), daysOf('0.1', false)],
    noDays: ['', '0', '-7', 'x', '1e9', '7 days'].filter((typed) => !Number.isNaN(daysOf(typed, false))),
    loss: [lossWords({ oldest_us: null }),
      lossWords({ oldest_us: 1, before_us: 2, windows: 12345, devices: 8 })],
    names: [faultOfName('x'.repeat(64)), faultOfName('x'.repeat(65)), faultOfName('\\u{1F600}'.repeat(64))],
  };
}"""


def test_devices_and_services_are_told_live_with_what_was_refused(
    ward: Ward, dashboard: Dashboard, page: Page, tmp_path: Path
) -> None:
    archive = Archive.open(f"sqlite:///{tmp_path / 'wristlead.sqlite'}")
    archive.commit(
        refused=[
            Refused(BED, now_us(), "payload is 3 bytes <b>x</b>", b"\xec\x47{"),
            Refused("?", now_us(), "names no device", b"hello"),
        ]
    )
    ward.publish("wl/v1/service/notify", {"online": False}, retain=True)
    visit(page, dashboard, "/devices")
    laws = page.evaluate(WORD_LAWS)
    assert laws["off"] == ["0 ppm", "\u2212120 ppm", "+900 ppm", "+1.25 %", "\u221250.00 %"]
    assert laws["clock"] == ["0 ms", "\u22122 ms", "+900 ms", "\u22123.2 s", "+150 s", "+9600 h"]
    assert laws["short"] == ["420 ms", "1.2 s"]
    assert laws["sorted"] == [
        ["a/2", "a/3", "a/10", "a/1"],
        ["a/2", "a/3", "a/1", "a/10"],  # unknown last, in either direction
        ["a/1", "a/2", "a/3", "a/10"],
    ]
    assert (laws["days"], laws["noDays"]) == ([7, None, 0.1], [])
    assert "12,345 windows" in laws["loss"][1]
    assert laws["names"][0] == laws["names"][2] == ""
    assert "65 characters" in laws["names"][1]

    row, other = (page.locator(f"#device-rows tr[data-device='{each}']") for each in (BED, OTHER))
    expect(row).to_contain_text("Bed one")
    expect(row).to_have_attribute("data-state", "here")
    expect(row.locator("td").nth(4)).to_have_text("--250 Hz")  # claimed, and not measured yet
    expect(row.locator("td").nth(11)).to_contain_text("ms")
    expect(page.locator("#device-rows tr[data-device='?']")).to_have_attribute("data-state", "only_refused")
    names = page.locator("#device-rows tr[data-device]")
    assert [each.get_attribute("data-device") for each in names.all()] == [BED, OTHER, "?"]
    page.get_by_role("button", name="Device", exact=True).click()
    assert [each.get_attribute("data-device") for each in names.all()] == ["?", OTHER, BED]
    expect(page.locator("th[data-sort=name]")).to_have_attribute("aria-sort", "descending")

    row.get_by_role("button", name="Bed one").click()
    detail = page.locator("#device-rows tr.detail-row:visible")
    for words in ("payload is 3 bytes <b>x</b>", "ec 47 7b", ".G{", "wire v1, as it comes"):
        expect(detail).to_contain_text(words)

    states = {
        each: page.locator(f"#service-rows tr[data-service={each}]")
        for each in ("ingest", "explain", "notify", "broker", "dashboard")
    }
    for service, words in (
        ("ingest", "Well"),
        ("explain", "optional; not started"),
        ("notify", "Not running"),
        ("broker", "mosquitto"),
        ("dashboard", "browsers 1"),
    ):
        expect(states[service]).to_contain_text(words)
    ward.silent |= {OTHER, "ingest"}
    expect(other).to_have_attribute("data-state", "late")
    expect(states["ingest"]).to_contain_text("Silent")
    dashboard.kill()
    expect(row.locator("td").nth(2)).to_have_text("--")  # nothing is frozen
    expect(page.locator("[data-field=count]")).to_contain_text("lost its server")


def keeping(days: float | None, **more: Any) -> dict[str, Any]:
    facts = {"default_days": 30.0, "is_default": days == 30.0, "who": "Ada", "at_us": now_us()}
    return {"keep_days": days, "deletes_from_us": None, "asked": None} | facts | more


def rename(page: Page, row: Locator, name: str) -> Locator:
    row.get_by_role("button", name="Rename").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_role("button", name="Save").click()
    return dialog


def test_what_people_set_is_asked_of_its_owner_shown_when_done_and_undone_with_one_click(
    ward: Ward, dashboard: Dashboard, page: Page, tmp_path: Path
) -> None:
    engine = open_store(f"sqlite:///{tmp_path / 'wristlead.sqlite'}")
    ward.publish("wl/v1/retention_in_force", keeping(30.0), retain=True)
    ward.publish(f"wl/v1/limits_in_force/{BED}", LIMITS, retain=True)
    ward.publish("wl/v1/limits_in_force/ward", LIMITS | {"device": "ward"}, retain=True)
    page.add_init_script("localStorage.setItem('wristlead-who', 'A. B.')")
    visit(page, dashboard, "/channels")  # an old address leads on
    expect(page).to_have_url(f"{dashboard.url}/settings#channels")
    expect(page.locator("#channels")).to_contain_text("No channel is set up")

    row = page.locator(f"#patient-rows tr[data-scope='{BED}']")
    dialog = rename(page, row, "Mrs Öst")
    assert ward.wait_for_request(page, f"name/{BED}") == {"who": "A. B.", "name": "Mrs Öst"}
    refusal = {"reason": "the name is taken", "request": "", "at_us": now_us()}
    ward.publish(f"wl/v1/refusal/name/{BED}", refusal)
    expect(dialog).to_contain_text("Refused: the name is taken")
    dialog.get_by_role("button", name="Save").click()
    ward.wait_for_request(page, f"name/{BED}")
    entry = {"name": "Mrs Öst", "who": "A. B.", "at_us": now_us()}
    save_alarms(engine, [], {}, [SettingChange(now_us(), "A. B.", "name", BED, None, "Mrs Öst")])
    ward.publish(f"wl/v1/name_in_force/{BED}", entry, retain=True)
    expect(dialog).to_have_count(0)
    expect(row).to_contain_text("Mrs Öst")
    line = page.locator("#log-rows tr").first
    for words in ("A. B.", "Name", BED, "--", "Mrs Öst"):
        expect(line).to_contain_text(words)
    line.get_by_role("button", name="Undo").click()
    assert ward.wait_for_request(page, f"name/{BED}") == {"who": "A. B.", "reset": True}
    ward.publish(f"wl/v1/name_in_force/{BED}", None, retain=True)
    expect(line).to_contain_text("Set back.")
    expect(row).not_to_contain_text("Mrs Öst")

    page.locator("#site-rows").get_by_role("button", name="Limits of ward").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("#limit-rate_high_bpm-default").uncheck()
    dialog.locator("#limit-rate_high_bpm").fill("130")
    dialog.get_by_role("button", name="Save").click()
    assert ward.wait_for_request(page, "limits/ward")["rate_high_bpm"] == 130
    inherited: Any = LIMITS["sources"]
    sources = inherited | {"rate_high_bpm": "site"}
    limits = LIMITS | {"device": "ward", "rate_high_bpm": 130.0, "sources": sources}
    ward.publish("wl/v1/limits_in_force/ward", limits, retain=True)
    expect(dialog).to_have_count(0)
    expect(page.locator("#site-rows")).to_contain_text("50-130")

    keep_with_loss(ward, page)
    engine.dispose()


def keep_with_loss(ward: Ward, page: Page) -> None:
    """A shorter time is asked for twice, the second time with what will be lost in words."""
    section = page.locator("#keeping")
    section.get_by_label("Keep for").fill("0")
    section.get_by_role("button", name="Change").click()
    expect(section).to_contain_text("from 0.1 to 36,500")
    section.get_by_label("Keep for").fill("7")
    section.get_by_role("button", name="Change").click()
    assert ward.wait_for_request(page, "retention") == {"who": "A. B.", "keep_days": 7}
    before_us = now_us() - 7 * DAY_US
    loses = {"before_us": before_us, "oldest_us": before_us - DAY_US, "windows": 8640, "devices": 2}
    asked = {"keep_days": 7.0, "is_default": False, "who": "A. B.", "at_us": now_us(), "loses": loses}
    ward.publish("wl/v1/retention_in_force", keeping(30.0, asked=asked), retain=True)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("at least 8,640 windows of 10 s")
    assert [topic for topic, _ in ward.asked] == []  # nothing is confirmed for anybody
    dialog.get_by_role("button", name="Delete them").click()
    confirmed = {"who": "A. B.", "keep_days": 7, "confirm": asked["at_us"]}
    assert ward.wait_for_request(page, "retention") == confirmed
    ward.publish(
        "wl/v1/retention_in_force", keeping(7.0, deletes_from_us=now_us() + 600_000_000), retain=True
    )
    expect(section).to_contain_text("Saved.")
    expect(section).to_contain_text("until then undoing loses nothing")


def test_every_page_is_reached_by_name_key_and_thumb_and_the_model_tells_of_itself(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    version = json.loads((RELEASED_WEIGHTS / CARD_NAME).read_bytes())["version"]
    visit(page, dashboard, "/model")
    expect(page.locator("[data-field=card_version]")).to_have_text(version)
    expect(page.locator("[data-field=in_force]")).to_have_text("unknown: inference is not heard")
    ward.silent.add("inference")  # this one says more
    beat = {"online": True, "at_us": now_us(), "counters": {"model": version, "store": "ok"}}
    deadline = time.monotonic() + 20
    while page.locator("[data-field=in_force][data-ok=true]").count() == 0:
        ward.publish("wl/v1/service/inference", beat, retain=True)
        page.wait_for_timeout(500)
        assert time.monotonic() < deadline
    page.get_by_text("The whole card").click()
    picture = page.get_by_role("img", name="Reliability")
    expect(picture).to_be_visible()
    assert picture.evaluate("(node) => node.decode().then(() => node.naturalWidth)") > 300

    expect(page).to_have_title("The model \u00b7 Wristlead")
    pages = page.get_by_role("navigation", name="Pages")
    expect(pages.get_by_role("link", name="Model")).to_have_attribute("aria-current", "page")
    pages.get_by_role("link", name="Alarms").click()
    expect(page).to_have_title("Alarms \u00b7 Wristlead")
    expect(pages.locator("[aria-current]")).to_have_text("Alarms")
    page.reload()
    page.wait_for_function(READY)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    skip.press("Enter")
    expect(page.locator("main")).to_be_focused()

    page.set_viewport_size({"width": 390, "height": 844})
    places = [link.bounding_box() for link in pages.get_by_role("link").all()]
    assert len(places) == 7
    for place in places:
        assert place is not None
        assert place["y"] > 844 - 80  # within reach of a thumb
        assert place["height"] >= 44
        assert place["width"] >= 44
    tops = {round(place["y"]) for place in places if place}
    assert len(tops) == 1  # one row
