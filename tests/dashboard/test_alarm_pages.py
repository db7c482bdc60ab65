"""Alarms, strips, limits, channels and sound in a real browser, spoken to by a real broker."""

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Response, expect

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.records import save_alarms
from ingest.chunk import Chunk, Lead
from ingest.store.archive import Archive
from ingest.store.rows import ReceivedChunk
from ingest.store.schema import open_store
from ingest.wire import encode_binary
from tests.dashboard.ward import BED, FS, OTHER, Dashboard, Ward

# A cold machine takes most of a minute to start a browser and a dashboard.
pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.timeout(300)]

S = 1_000_000
READY = "() => document.getElementById('connection')?.dataset.live === 'true'"
LIMITS = {
    "device": BED,
    "rate_low_bpm": 50.0,
    "rate_high_bpm": 120.0,
    "rate_extreme_low_bpm": 40.0,
    "rate_extreme_high_bpm": 150.0,
    "sources": dict.fromkeys(
        ("rate_low_bpm", "rate_high_bpm", "rate_extreme_low_bpm", "rate_extreme_high_bpm"), "settings"
    ),
    "who": None,
    "at_us": None,
}
CHANNEL = {"ok": True, "reason": None, "at_us": 1, "level": 0, "min_priority": "medium", "failed": 0}


def now_us() -> int:
    return time.time_ns() // 1000


def visit(page: Page, dashboard: Dashboard, path: str) -> None:
    expect.set_options(timeout=15_000)
    page.goto(f"{dashboard.url}{path}")
    page.wait_for_function(READY)


def test_an_alarm_is_acknowledged_from_the_list_and_leaves_it_when_it_is_off(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    page.add_init_script("localStorage.setItem('wristlead-who', 'A. B.')")
    visit(page, dashboard, "/alarms")
    expect(page.locator("[data-field=none]")).to_have_text("No alarms. Nobody needs you now.")
    since_us = now_us()
    facts: dict[str, Any] = {"since_us": since_us, "peak": 8.0, "count": 2, "escalation": 1}
    ward.raise_alarm(BED, "asystole", "high", "ASYSTOLE 6 s", **facts)
    ward.raise_alarm(BED, "extreme_rate", "high", "HR 161 > 150", since_us=since_us)
    ward.raise_alarm(OTHER, "lead_off", "low", "Lead off 5 s")
    rows = page.locator("#active-alarms tr")
    expect(rows).to_have_count(3)
    first = rows.first
    for words in ("***", "High", "Bed one", "ASYSTOLE 6 s", "8 s", "2", "On", "passed on: 1"):
        expect(first).to_contain_text(words)
    expect(first.locator(".row-link")).to_have_attribute("href", f"/event/{BED}/asystole/{since_us}")
    places = [row.bounding_box() for row in rows.all()]
    first.get_by_role("button", name="Acknowledge: Bed one").click()
    asked = ward.wait_for_request(page, f"acknowledge/{BED}/asystole")
    assert asked == {"who": "A. B.", "since_us": since_us}
    ward.raise_alarm(BED, "asystole", "high", "ASYSTOLE 7 s", state="ack", who="A. B.", **facts)
    expect(first).to_contain_text("acknowledged by A. B.")
    expect(first.get_by_role("button")).to_be_disabled()
    assert [row.bounding_box() for row in rows.all()] == places  # nothing moves under a finger
    ward.publish(f"wl/v1/alarm/{BED}/asystole", None, retain=True)
    expect(rows).to_have_count(2)


def test_a_pause_counts_down_in_every_browser_and_ends_in_every_browser(
    ward: Ward, dashboard: Dashboard, page: Page, chromium: Browser
) -> None:
    visit(page, dashboard, "/alarms")
    other = chromium.new_page()
    other.add_init_script("localStorage.setItem('wristlead-notice', '1')")
    visit(other, dashboard, f"/patient/{BED}")
    for each in (page, other):
        expect(each.locator("#paused")).to_be_hidden()
    page.get_by_role("button", name="Pause all for 2 min").click()
    asked = ward.wait_for_request(page, "pause")
    assert abs(now_us() - asked.pop("asked_us")) < 30 * S
    assert asked == {"who": "someone at this screen", "on": True}
    ward.publish("wl/v1/refusal/pause", {"reason": "asked too long ago", "request": "", "at_us": now_us()})
    expect(page.locator("[data-field=pause_note]")).to_have_text("Not paused: asked too long ago")
    ward.publish(
        "wl/v1/paused", {"until_us": now_us() + 120 * S, "who": "A. B.", "loudest": None}, retain=True
    )
    for each in (page, other):
        expect(each.locator("#paused")).to_contain_text("Paused 1:5")
        expect(each.locator("#paused")).to_contain_text("Paused 1:56")  # it counts
    expect(page.locator("[data-field=pause_note]")).to_be_hidden()
    page.get_by_role("button", name="End the pause").click()
    assert ward.wait_for_request(page, "pause")["on"] is False
    ward.publish("wl/v1/paused", None, retain=True)
    for each in (page, other):
        expect(each.locator("#paused")).to_be_hidden()
    other.close()


def test_limits_are_shown_checked_changed_and_a_refusal_is_read(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    visit(page, dashboard, "/")
    panel = page.locator(f"a.panel[data-device='{BED}']")
    expect(panel.locator(".limits")).to_have_text("--")
    ward.publish(f"wl/v1/limits_in_force/{BED}", LIMITS, retain=True)
    expect(panel.locator(".limits")).to_have_text("50-120")
    panel.click()
    expect(page.locator("[data-field=limits]")).to_have_text("50-120")
    expect(page.locator("[data-field=extreme]")).to_have_text("extreme 40-150")
    page.click("#edit-limits")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("default of this installation")
    low = dialog.locator("#limit-rate_low_bpm")
    expect(low).to_be_disabled()
    dialog.locator("#limit-rate_low_bpm-default").uncheck()
    for wrong, words in (
        ("130", "Low must be below High"),
        ("115", "at least 6 bpm apart"),  # at 117.5 an alarm would never end
        ("9", "from 15 to 300"),
        ("", "from 15 to 300"),
    ):
        low.fill(wrong)
        expect(dialog.get_by_role("alert")).to_contain_text(words)
        expect(dialog.get_by_role("button", name="Save")).to_be_disabled()
    low.fill("45")
    dialog.get_by_role("button", name="Save").click()
    asked = ward.wait_for_request(page, f"limits/{BED}")
    assert (asked["rate_low_bpm"], asked["rate_high_bpm"]) == (45, None)
    refusal = {"reason": "the site keeps its limits", "request": "{}", "at_us": now_us()}
    ward.publish(f"wl/v1/refusal/limits/{BED}", refusal)
    expect(dialog.get_by_role("alert")).to_have_text("The alarm service refused: the site keeps its limits")
    dialog.get_by_role("button", name="Save").click()
    ward.wait_for_request(page, f"limits/{BED}")
    sources = {**LIMITS["sources"], "rate_low_bpm": "patient"}  # type: ignore[dict-item]
    changed = LIMITS | {"rate_low_bpm": 45.0, "sources": sources, "who": "A. B.", "at_us": now_us()}
    ward.publish(f"wl/v1/limits_in_force/{BED}", changed, retain=True)
    expect(dialog).to_be_hidden()
    expect(page.locator("[data-field=limits]")).to_have_text("45-120")
    expect(page.locator("[data-field=limits-source]")).to_have_text("patient's own")


def test_a_patient_is_discharged_only_after_a_second_word(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    visit(page, dashboard, f"/patient/{BED}")
    expect(page.locator("[data-field=rate]")).to_have_text("75")
    page.get_by_role("button", name="Discharge").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    ward.silent.add(BED)
    page.get_by_role("button", name="Discharge").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Discharge").click()
    assert ward.wait_for_request(page, f"discharge/{BED}") == {"who": "someone at this screen"}
    expect(dialog.get_by_role("alert")).to_have_text("Asking the alarm service.")
    refusal = {"reason": "the store cannot be read yet: ask again", "request": "{}", "at_us": now_us()}
    ward.publish(f"wl/v1/refusal/discharge/{BED}", refusal)
    expect(dialog.get_by_role("alert")).to_contain_text("refused: the store cannot be read yet: ask again")
    expect(page.locator("[data-field=name]")).to_have_text("Bed one")  # nobody has left
    dialog.get_by_role("button", name="Discharge").click()
    ward.wait_for_request(page, f"discharge/{BED}")
    ward.publish(f"wl/v1/limits_in_force/{BED}", None, retain=True)
    expect(dialog).to_have_count(0)
    expect(page.locator("a.panel")).to_have_count(1)
    ward.silent.discard(BED)
    expect(page.locator("a.panel")).to_have_count(2)  # it goes on sending: a new patient


def test_a_part_of_wristlead_that_was_taken_away_is_dismissed_from_its_row(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    visit(page, dashboard, "/alarms")
    ward.raise_alarm("wristlead/explain", "service", "medium", "Service explain silent 12 h")
    row = page.locator("#active-alarms tr")
    row.get_by_role("button", name="Dismiss: The explain service").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The explain service: dismiss its alarms?")
    dialog.get_by_role("button", name="Dismiss").click()
    asked = ward.wait_for_request(page, "discharge/wristlead/explain")
    assert asked == {"who": "someone at this screen"}
    refusal = {"reason": "ask again", "request": "{}", "at_us": now_us()}
    ward.publish("wl/v1/refusal/discharge/wristlead/explain", refusal)
    expect(dialog.get_by_role("alert")).to_have_text("The alarm service refused: ask again")
    dialog.get_by_role("button", name="Dismiss").click()
    ward.wait_for_request(page, "discharge/wristlead/explain")
    ward.publish("wl/v1/alarm/wristlead/explain/service", None, retain=True)
    expect(dialog).to_have_count(0)
    expect(row).to_have_count(0)


def test_an_alarm_that_is_stored_after_it_was_shown_reaches_the_past_all_the_same(
    ward: Ward, dashboard: Dashboard, page: Page, tmp_path: Path
) -> None:
    visit(page, dashboard, "/alarms")
    expect(page.locator("#alarm-history")).to_contain_text("No alarm of this kind")
    since_us = now_us()

    def is_answer(response: Response) -> bool:
        return '"output":"alarm-history.children"' in (response.request.post_data or "")

    with page.expect_response(is_answer):
        ward.raise_alarm(BED, "asystole", "high", "ASYSTOLE 4 s", since_us=since_us)
    log_alarm(f"sqlite:///{tmp_path / 'wristlead.sqlite'}", since_us)  # the first answer was too early
    expect(page.locator("#alarm-history tbody tr")).to_have_count(1)


def test_each_alarm_on_the_page_of_a_patient_leads_to_its_strip(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    visit(page, dashboard, f"/patient/{BED}")
    since_us = now_us()
    ward.raise_alarm(BED, "asystole", "high", "ASYSTOLE 6 s", since_us=since_us)
    ward.raise_alarm(BED, "lead_off", "low", "Lead off 5 s", since_us=since_us)
    alarms = page.locator("[data-field=alarms]")
    expect(alarms.get_by_role("link")).to_have_count(2)
    page.evaluate("window.isSamePage = true")
    alarms.get_by_role("link", name="Strip: ASYSTOLE 6 s").click()
    page.wait_for_url(f"{dashboard.url}/event/{BED}/asystole/{since_us}")
    expect(page.locator("[data-field=now]")).to_contain_text("*** ASYSTOLE 6 s")
    assert page.evaluate("window.isSamePage")  # nothing was loaded again, and the sound goes on


def seconds_of_ecg(since_us: int, seconds: range) -> list[ReceivedChunk]:
    """A chunk for each second around an event, of a session of its own, with 75 beats a minute."""
    chunks = []
    for second in seconds:
        first = (1000 + second) * round(FS)
        t = (first + np.arange(round(FS))) / FS
        ecg_mv = np.exp(-(((t % 0.8) - 0.4) ** 2) / 0.0004).astype(np.float32)[:, None]
        chunk = Chunk(BED, since_us // S % 100_000, 1000 + second, first, 1, 0, FS, (Lead.II,), ecg_mv)
        chunks.append(ReceivedChunk(chunk, encode_binary(chunk), since_us + (second + 1) * S))
    return chunks


def log_alarm(url: str, since_us: int) -> None:
    asystole, queue = AlarmKind.ASYSTOLE, AlarmQueue.PHYSIOLOGICAL
    on = Alarm(
        BED, asystole, queue, AlarmPriority.HIGH, AlarmState.ON, "ASYSTOLE 4 s", since_us, since_us + 4
    )
    save_alarms(open_store(url), [on], {})


SAMPLES = "() => (window.wristlead.eventStrip?.pieces ?? []).flatMap((p) => p.uv).length"
INK = """() => [...document.querySelectorAll('.event-row')].map((canvas) => {
  const trace = getComputedStyle(canvas).getPropertyValue('--trace').trim();
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(trace.slice(at, at + 2), 16));
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let ink = 0;
  for (let i = 0; i < data.length; i += 4) ink += data[i] === r && data[i + 1] === g && data[i + 2] === b;
  return ink;
})"""


def test_a_strip_stands_on_its_page_and_fills_in_while_it_is_young(
    ward: Ward, dashboard: Dashboard, page: Page, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'wristlead.sqlite'}"
    archive = Archive.open(url)
    old_us, young_us = now_us() - 3600 * S, now_us()
    archive.commit(seconds_of_ecg(old_us, range(-30, 40)))
    log_alarm(url, old_us)
    page.set_viewport_size({"width": 1440, "height": 900})
    visit(page, dashboard, f"/event/{BED}/asystole/{old_us}")
    expect(page.locator(".event-row")).to_have_count(3)  # of 10 s each
    assert min(page.evaluate(INK)) > 300
    widths = page.evaluate("() => [...document.querySelectorAll('.event-row')].map((c) => c.clientWidth)")
    assert widths == [pytest.approx((8 + 250) * 96 / 25.4, abs=1)] * 3  # 25 mm a second
    expect(page.locator("#event-note")).to_be_empty()
    expect(page.locator("#event-log")).to_contain_text("ASYSTOLE 4 s")
    expect(page.locator("[data-field=now]")).to_have_text("This alarm is over.")
    expect(page.locator("[data-field=name]")).to_have_text("Bed one")
    label = page.locator(".event-row").first.get_attribute("aria-label")
    assert label is not None
    assert re.fullmatch(r"ECG from -10 s to 0 s around the alarm's beginning; 1[23] beats found", label)

    ward.raise_alarm(BED, "asystole", "high", "ASYSTOLE 4 s", since_us=young_us)
    archive.commit(seconds_of_ecg(young_us, range(-12, 2)))
    log_alarm(url, young_us)
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, dashboard, f"/event/{BED}/asystole/{young_us}")
    expect(page.locator(".event-row")).to_have_count(1)  # one long row to be moved sideways
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.locator("[data-field=now]")).to_contain_text("*** ASYSTOLE 4 s")
    page.wait_for_function(f"() => ({SAMPLES})() > 0")
    before = page.evaluate(SAMPLES)
    assert before == pytest.approx(12 * FS, abs=2)
    archive.commit(seconds_of_ecg(young_us, range(2, 8)))
    page.wait_for_function(f"before => ({SAMPLES})() > before + 1000", arg=before)

    visit(page, dashboard, f"/event/{BED}/asystole/12")
    expect(page.locator("#event-note")).to_contain_text("No such alarm is known")
    expect(page.locator(".event-row")).to_have_count(0)


def test_a_channel_is_tested_and_its_outcome_is_read(ward: Ward, dashboard: Dashboard, page: Page) -> None:
    visit(page, dashboard, "/channels")
    expect(page.locator("[data-field=channels_none]")).to_contain_text("--notify-config channels.toml")
    ward.publish("wl/v1/channel/phone", CHANNEL | {"sent": 3, "last_sent_us": None}, retain=True)
    row = page.locator("tr[data-channel=phone]")
    for words in ("phone", "Works", "at once, from medium on", "none yet", "3, 0"):
        expect(row).to_contain_text(words)
    row.get_by_role("button", name="Send a test on phone").click()
    assert ward.wait_for_request(page, "channel_test/phone") == {"who": "someone at this screen"}
    expect(row).to_contain_text("Sending a test.")
    ward.publish("wl/v1/channel/phone", CHANNEL | {"sent": 4, "last_sent_us": now_us()}, retain=True)
    expect(row).to_contain_text("Test delivered")
    row.get_by_role("button").click()
    ward.wait_for_request(page, "channel_test/phone")
    failing = {"ok": False, "reason": "no such host", "failed": 1, "sent": 4, "last_sent_us": now_us()}
    ward.publish("wl/v1/channel/phone", CHANNEL | failing, retain=True)
    expect(row).to_contain_text("Test failed: no such host")
    ward.raise_alarm("wristlead/phone", "notifier", "medium", "Notifications by phone fail: no such host")
    expect(page.locator("#banners")).to_contain_text("** Notifications by phone fail: no such host")
    page.goto(dashboard.url)
    page.wait_for_function(READY)
    expect(page.locator("a.panel")).to_have_count(2)  # a part of Wristlead is nobody's panel


SOUND_LAWS = """async () => {
  const { BURSTS, HARMONICS, loudest } = await import('/assets/sound.mjs');
  const alarms_heard = [{ name: 'alarms', is_missing: false, since_us: 0 }];
  const heard = { broker: true, broker_since_us: 0, services: alarms_heard };
  const liveWith = (state, ...alarms) => ({
    isLive: true, nowUs: () => 60e6, patients: new Map([['a', { alarms }]]),
    state: { ...heard, own_alarms: [], ...state },
  });
  const live = (...alarms) => liveWith({}, ...alarms);
  const noBroker = (s) => ({ broker: false, broker_since_us: (60 - s) * 1e6 });
  const noAlarms = (s) => ({ services: [{ name: 'alarms', is_missing: true, since_us: (60 - s) * 1e6 }] });
  const alarm = (priority, sounding = true) => ({ priority, sounding });
  return {
    pulses: Object.entries(BURSTS).map(([priority, { pulses }]) => [priority, pulses.length]),
    fits: Object.values(BURSTS).every(({ pulses, every }) => {
      const ends = pulses.map(([start, length]) => start + length);
      return pulses.every(([start], i) => i === 0 || start > ends[i - 1]) && ends.at(-1) < every;
    }),
    hz: Object.values(BURSTS).map(({ hz }) => hz),
    harmonics: HARMONICS.slice(1).filter((level) => 20 * Math.log10(level / HARMONICS[0]) > -15).length,
    loudest: [
      loudest(live()), loudest(live(alarm('low'), alarm('high'), alarm('medium'))),
      loudest(live(alarm('high', false), alarm('low'))), loudest(live(alarm('advisory', true))),
      loudest({ isLive: false, silentS: () => 3 }), loudest({ isLive: false, silentS: () => 30 }),
    ],
    deaf: [noBroker, noAlarms].flatMap((lost) => [
      loudest(liveWith(lost(9))), loudest(liveWith(lost(11))),
      loudest(liveWith(lost(11), alarm('high', false))), loudest(liveWith(lost(11), alarm('high'))),
    ]),
  };
}"""


def test_sound_is_asked_for_follows_the_most_urgent_alarm_and_is_quiet_when_all_are_seen(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    visit(page, dashboard, "/alarms")
    laws = page.evaluate(SOUND_LAWS)
    assert laws["pulses"] == [["high", 10], ["medium", 3], ["low", 1]]
    assert laws["fits"]
    assert all(150 <= hz <= 1000 for hz in laws["hz"])
    assert laws["harmonics"] >= 4
    assert laws["loudest"] == [None, "high", "low", None, None, "low"]
    # Nobody can tell of an alarm without the broker or the alarm service, least of all of its own absence.
    assert laws["deaf"] == [None, "low", "low", "high"] * 2

    sound = page.locator("#sound")
    ward.raise_alarm(BED, "rate_limit", "medium", "HR 134 > 120")
    expect(page.locator("#active-alarms tr")).to_have_count(1)
    expect(sound).to_have_attribute("aria-pressed", "false")
    expect(sound).to_have_attribute("data-sounding", "")
    sound.click()
    expect(sound).to_have_attribute("data-state", "on")
    expect(sound).to_have_attribute("data-sounding", "medium")
    page.wait_for_function("() => window.wristlead.sound.playing?.priority === 'medium'")
    ward.raise_alarm(OTHER, "asystole", "high", "ASYSTOLE 6 s")
    page.wait_for_function("() => window.wristlead.sound.playing?.priority === 'high'")
    for device, kind, priority in ((OTHER, "asystole", "high"), (BED, "rate_limit", "medium")):
        ward.raise_alarm(device, kind, priority, "seen", state="ack", sounding=False)
    page.wait_for_function("() => window.wristlead.sound.playing === null")
    page.reload()
    expect(sound).to_have_attribute("aria-pressed", "true")  # this browser keeps it
    page.get_by_role("button", name="Try the sounds").click()
    page.wait_for_function("() => window.wristlead.sound.context.state === 'running'")
