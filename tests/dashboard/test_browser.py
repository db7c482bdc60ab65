"""The pages in a real browser, fed by a real broker: what a person sees, also when something dies."""

from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.ward import BED, OTHER, Dashboard, Ward

# A cold machine takes most of a minute to start a browser and a dashboard.
pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.timeout(300)]

AF = [
    {"rhythm": "normal rhythm", "probability": 0.04},
    {"rhythm": "atrial fibrillation", "probability": 0.9, "threshold": 0.42},
    {"rhythm": "other rhythm", "probability": 0.05},
    {"rhythm": "noisy", "probability": 0.01},
]
NORMAL = [AF[0] | {"probability": 0.94}, AF[1] | {"probability": 0.0}, *AF[2:]]
READY = "() => document.getElementById('connection')?.dataset.live === 'true'"
# The pixels of a panel's trace: those that are not of the ground.
PIXELS = """device => {
  const canvas = document.querySelector(`[data-device='${device}'] .trace canvas:last-child`);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let i = 1; i < data.length; i += 4) sum += data[i] !== data[1] ? 1 : 0;
  return sum;
}"""
PICTURE = (
    """device => document.querySelector(`[data-device='${device}'] .trace canvas:last-child`).toDataURL()"""
)


def panel(device: str) -> str:
    return f"a.panel[data-device='{device}']"


def test_the_wall_lives_names_what_fails_and_comes_back(ward: Ward, dashboard: Dashboard, page: Page) -> None:
    expect.set_options(timeout=15_000)
    page.goto(dashboard.url)
    page.wait_for_selector(panel(OTHER))
    bed = page.locator(panel(BED))
    expect(bed.locator(".panel-name")).to_have_text("Bed one")
    expect(bed.locator(".badge")).to_have_text("replay")
    expect(bed.locator(".rate-value")).to_have_text("75")
    page.wait_for_function(f"device => ({PIXELS})(device) > 100", arg=BED)
    before = page.evaluate(PICTURE, BED)
    page.wait_for_function(f"([device, before]) => ({PICTURE})(device) !== before", arg=[BED, before])

    ward.raise_alarm(BED, "asystole", "high", "ASYSTOLE 6 s")
    expect(bed.locator(".strip")).to_contain_text("*** ASYSTOLE 6 s")
    expect(page.locator("#worst-alarm")).to_contain_text("Bed one")
    expect(page.locator("#announce-urgent")).to_contain_text("ASYSTOLE")

    ward.silent.add(BED)
    expect(bed.locator(".trace-note")).to_contain_text("No data")
    expect(bed.locator(".rate-value")).to_have_text("--")
    expect(page.locator(panel(OTHER)).locator(".rate-value")).to_have_text("75")
    ward.silent.discard(BED)
    expect(bed.locator(".trace-note")).to_be_hidden()

    ward.silent.add("inference")
    expect(page.locator("#banners")).to_contain_text("Inference has not answered", timeout=6_000)
    ward.silent.discard("inference")
    expect(page.locator("#banners")).to_be_empty()

    assert dashboard.stop() == 0
    expect(page.locator("#banners")).to_contain_text("lost its server", timeout=3_000)
    expect(page.locator(panel(OTHER)).locator(".rate-value")).to_have_text("--", timeout=3_000)
    dashboard.start()
    page.wait_for_function(READY)
    expect(page.locator(panel(OTHER)).locator(".rate-value")).to_have_text("75")


DOUBTS = ["unit in doubt: 1240 mV, too large", "rate in doubt: claims 512 Hz"]
DOUBTS_TOLD = "Unit in doubt: 1240 mV, too large. Rate in doubt: claims 512 Hz."


def test_a_doubt_about_unit_or_rate_stands_on_the_patient_page_until_it_ends(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    page.goto(f"{dashboard.url}/patient/{BED}")
    page.wait_for_function(READY)
    expect(page.locator("[data-field=rate]")).to_have_text("75", timeout=15_000)
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        doubt_comes_and_goes(ward, page, width)


def doubt_comes_and_goes(ward: Ward, page: Page, width: int) -> None:
    ward.decide(BED, findings=[], indeterminate="noisy")
    remedy, doubt = page.locator("[data-field=remedy]"), page.locator("[data-field=doubt]")
    expect(remedy).to_contain_text("Keep still", timeout=5_000)
    expect(doubt).to_be_hidden()
    place = page.locator("#acknowledge").bounding_box()
    ward.doubts = DOUBTS
    expect(doubt).to_have_text(DOUBTS_TOLD)
    expect(remedy).to_have_text(DOUBTS_TOLD)
    assert page.locator("#acknowledge").bounding_box() == place  # nothing moves under a finger
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ward.doubts = []
    expect(doubt).to_be_hidden()
    expect(remedy).to_contain_text("Keep still")
    ward.rhythm = {"signal": "noisy", "noise": "muscle"}
    expect(page.locator("[data-field=signal]")).to_have_text("Noisy: muscle")
    assert page.locator("#acknowledge").bounding_box() == place
    ward.rhythm = {}


RHYTHM: dict[str, object] = {"rmssd_ms": 31.4, "sdnn_ms": 128.6, "ectopic_per_min": 12, "irregular": False}
FIBRILLATION: dict[str, object] = {"rmssd_ms": None, "irregular": True, "irregular_for_s": 754.2}


LOOKS: tuple[tuple[int, Literal["dark", "light"]], ...]
LOOKS = ((320, "dark"), (390, "light"), (901, "dark"), (1440, "light"))


def test_what_the_intervals_tell_stands_beside_the_rate_and_moves_nothing(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    page.add_init_script("localStorage.setItem('wristlead-theme', 'system')")
    page.goto(f"{dashboard.url}/patient/{BED}")
    page.wait_for_function(READY)
    for width, theme in LOOKS:
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 844})
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        ward.rhythm = {}
        ward.silent.discard(BED)
        expect(page.locator("[data-field=rate]")).to_have_text("75", timeout=15_000)
        intervals_move_nothing(ward, page, width)


def intervals_move_nothing(ward: Ward, page: Page, width: int) -> None:
    told = page.locator(".intervals dd")
    expect(told).to_have_text(["--"] * 4)
    acknowledge, size = page.locator("#acknowledge").bounding_box(), page.locator(".intervals").bounding_box()
    ward.rhythm = RHYTHM
    expect(told).to_have_text(["31ms", "129ms", "12/min", "regular"], timeout=5_000)
    ward.rhythm = FIBRILLATION
    expect(told).to_have_text(["--", "--", "--", "irregular12 min"], timeout=5_000)
    assert page.locator("#acknowledge").bounding_box() == acknowledge  # nothing moves under a finger
    assert page.locator(".intervals").bounding_box() == size
    assert all(told.nth(k).evaluate("node => node.scrollWidth <= node.clientWidth") for k in range(4))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ward.silent.add(BED)
    expect(told).to_have_text(["--"] * 4, timeout=8_000)


def test_a_doubt_stands_on_the_wall_before_a_verdict_it_explains_and_beside_any_other(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(dashboard.url)
    bed = page.locator(panel(BED))
    expect(bed.locator(".rate-value")).to_have_text("75", timeout=15_000)
    doubt, verdict = bed.locator(".doubt-chip"), bed.locator(".chip:not(.doubt-chip, .rhythm-chip)")
    ward.decide(BED, findings=[], indeterminate="noisy")
    expect(verdict).to_have_text("Cannot tell: noisy", timeout=5_000)
    expect(doubt).to_be_hidden()
    ward.doubts = DOUBTS
    expect(doubt).to_have_text("Unit in doubt +1")
    expect(doubt).to_have_attribute("title", DOUBTS_TOLD)
    expect(doubt).to_have_attribute("aria-label", DOUBTS_TOLD)
    expect(bed).to_have_attribute("aria-label", f"Bed one: 75 bpm. {DOUBTS_TOLD}")
    expect(verdict).to_be_hidden()
    ward.decide(BED, rhythm=NORMAL)
    expect(verdict).to_contain_text("MI .91", timeout=5_000)
    expect(doubt).to_be_visible()
    width = verdict.evaluate("node => node.getBoundingClientRect().width")
    assert bed.locator(".panel-foot").evaluate("node => node.scrollWidth <= node.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    ward.doubts = []
    expect(doubt).to_be_hidden()
    assert verdict.evaluate("node => node.getBoundingClientRect().width") == pytest.approx(width, abs=0.1)


def test_a_patient_page_on_a_phone_acknowledges_and_shows_the_verdict(
    ward: Ward, dashboard: Dashboard, page: Page
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{dashboard.url}/patient/{BED}")
    page.wait_for_function(READY)
    expect(page.locator("[data-field=rate]")).to_have_text("75", timeout=15_000)
    expect(page.locator("#acknowledge")).to_be_disabled()
    ward.raise_alarm(BED, "rate_limit", "medium", "HR 134 > 120")
    expect(page.locator(".alarm-list")).to_contain_text("** HR 134 > 120", timeout=5_000)
    page.locator("#acknowledge").click()
    assert ward.wait_for_request(page, f"acknowledge/{BED}/rate_limit")["who"] == "someone at this screen"
    ward.decide(BED)
    finding = page.locator(".finding[data-superclass=MI]")
    expect(finding).to_contain_text("present", timeout=5_000)
    expect(finding).to_contain_text(".91")
    expect(page.locator("[data-field=rhythm-value]")).to_have_text("--")
    ward.decide(BED, rhythm=AF, lead="II", lead_inferred=True)
    expect(page.locator(".rhythm[data-found=true]")).to_contain_text("atrial fibrillation", timeout=5_000)
    expect(page.locator("[data-field=lead]")).to_have_text("lead II, inferred")
    ward.decide(BED, findings=[], indeterminate="electrodes swapped", lead="I")
    expect(page.locator(".indeterminate")).to_contain_text("electrodes swapped?", timeout=5_000)
    expect(page.locator(".indeterminate")).to_contain_text("Check left and right")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".back").click()
    page.wait_for_selector(panel(OTHER))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_notice_stands_before_first_use_and_only_then(dashboard: Dashboard, chromium: Browser) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(dashboard.url)
    page.get_by_label("Your name or initials").fill("A. B.")
    page.get_by_role("button", name="I understand").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#wall-empty")).to_contain_text("ecg/v1/{site}/{device}/chunk")
    page.reload()
    expect(page.locator("#wall-empty")).to_be_visible(timeout=10_000)
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate("localStorage.getItem('wristlead-who')") == "A. B."
    context.close()


STREAM_LAWS = """async () => {
  const { Stream } = await import('/assets/stream.mjs');
  const fs = 100;
  const ecg = (i) => Math.sin(i / 7) + (i % 80 === 40 ? 1 : 0);
  const play = (pieces) => {
    const stream = new Stream(10);
    let now = 0;
    for (const [first, n, atMs] of pieces) {
      while (now < atMs) { now += 10; stream.advance(now); }
      const samples = Float32Array.from({ length: n }, (_, k) => ecg(first + k));
      stream.take({ session: 1, first, samples, scale: 1, fs, flags: 0 }, now, false);
    }
    for (let k = 0; k < 300; k += 1) { now += 10; stream.advance(now); }
    return [...stream.shown.slice(0, stream.shownCount)];
  };
  const at = (first, n) => [first, n, (first + n) * 10];
  const steady = play(Array.from({ length: 24 }, (_, k) => at(k * 25, 25)));
  const swapped = play([...Array(24).keys()].map((k) => [k * 25, 25, (k + 1) * 250 + (k % 2 ? 0 : 300)])
    .sort((a, b) => a[2] - b[2]));
  const coarse = play(Array.from({ length: 6 }, (_, k) => at(k * 100, 100)));
  const holed = play(Array.from({ length: 24 }, (_, k) => at(k * 25, 25)).filter((p) => p[0] !== 250));
  return {
    lengths: [steady.length, coarse.length, holed.length],
    lost: swapped.filter(Number.isNaN).length,
    holes: holed.map((v, i) => (Number.isNaN(v) ? i : -1)).filter((i) => i >= 0),
    drift: Math.abs(steady.slice(-200).reduce((a, b) => a + b, 0) / 200) < 0.2,
  };
}"""


def test_a_stream_places_late_samples_and_leaves_holes_open(scripts: Page) -> None:
    laws = scripts.evaluate(STREAM_LAWS)
    assert laws["lengths"] == [600] * 3  # all of it is drawn, however it was cut
    assert laws["lost"] <= 25  # after the first late chunk it stands far enough behind
    assert laws["holes"] == list(range(250, 275))  # never bridged
    assert laws["drift"]  # the baseline is taken away
