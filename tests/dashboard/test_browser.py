"""The pages in a real browser, fed by a real broker: what a person sees, also when something dies."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from ingest.chunk import Chunk, Lead
from ingest.link import MqttLink
from ingest.settings import load_settings
from ingest.wire import encode_binary

# A cold machine takes most of a minute to start a browser and a dashboard.
pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.timeout(300)]

BED, OTHER = "ward/bed-1", "ward/bed-2"
FS = 250.0
AF = [
    {"rhythm": "normal rhythm", "probability": 0.04},
    {"rhythm": "atrial fibrillation", "probability": 0.9, "threshold": 0.42},
    {"rhythm": "other rhythm", "probability": 0.05},
    {"rhythm": "noisy", "probability": 0.01},
]
NORMAL = [AF[0] | {"probability": 0.94}, AF[1] | {"probability": 0.0}, *AF[2:]]
CHUNK = 63  # about a quarter of a second
READY = "() => document.getElementById('connection')?.dataset.live === 'true'"
# The pen's column: the newest drawn sample of a panel; and the pixels of its trace.
PIXELS = """device => {
  const canvas = document.querySelector(`[data-device='${device}'] .trace canvas:last-child`);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let i = 3; i < data.length; i += 4) sum += data[i] > 0 ? 1 : 0;
  return sum;
}"""
PICTURE = (
    """device => document.querySelector(`[data-device='${device}'] .trace canvas:last-child`).toDataURL()"""
)


class Broker(Protocol):
    """The part of conftest's `mosquitto` used here."""

    address: tuple[str, int]


class Ward:
    """Two beds and three services, spoken by hand; `silent` says which of them hold their tongue."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.silent: set[str] = set()
        self.doubts: list[str] = []
        self.rhythm: dict[str, object] = {}  # fields of vitals that RR intervals tell
        self.acknowledged: list[tuple[str, bytes]] = []
        self._link = MqttLink(address, "test-ward")
        self._link.subscribe("wl/v1/acknowledge/#")
        self._link.connect()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._link.close()

    def publish(self, topic: str, message: object, *, retain: bool = False) -> None:
        with self._lock:
            self._link.publish(topic, b"" if message is None else json.dumps(message).encode(), retain=retain)

    def raise_alarm(self, device: str, kind: str, priority: str, text: str, state: str = "on") -> None:
        now_us = time.time_ns() // 1000
        queue = "technical" if kind == "lead_off" else "physiological"
        alarm: dict[str, object] = {
            "device": device,
            "kind": kind,
            "queue": queue,
            "priority": priority,
            "state": state,
        }
        alarm |= {"text": text, "since_us": now_us, "at_us": now_us}
        self.publish(f"wl/v1/alarm/{device}/{kind}", alarm, retain=True)

    def decide(self, device: str, **more: object) -> None:
        """A verdict with MI present; `more` replaces or adds fields."""
        now_us = time.time_ns() // 1000
        findings = [
            {
                "superclass": s,
                "probability": p,
                "threshold": 0.4,
                "presence": "present" if p > 0.5 else "absent",
            }
            for s, p in (("NORM", 0.02), ("MI", 0.91), ("STTC", 0.1), ("CD", 0.2), ("HYP", 0.3))
        ]
        verdict: dict[str, object] = {
            "device": device,
            "session": 5,
            "first_sample": 0,
            "wall_time_us": now_us,
            "model": "m1",
        }
        verdict |= {"decided_us": now_us, "historic": False, "findings": findings} | more
        self.publish(f"wl/v1/verdict/{device}", verdict)

    def _run(self) -> None:
        for device, name in ((BED, "Bed one"), (OTHER, "Bed two")):
            self.publish(f"ecg/v1/{device}/meta", {"name": name, "source": "replay"}, retain=True)
        start, k = time.monotonic(), 0
        while not self._stop.is_set():
            with self._lock:
                self.acknowledged += [(m.topic, m.payload) for m in self._link.poll(0.01)]
            if time.monotonic() >= start + k * CHUNK / FS:
                self._speak(k)
                k += 1

    def _speak(self, k: int) -> None:
        now_us = time.time_ns() // 1000
        t = (np.arange(k * CHUNK, (k + 1) * CHUNK) / FS).astype(np.float32)
        ecg_mv = np.exp(-(((t % 0.8) - 0.4) ** 2) / 0.0004).astype(np.float32)[:, None]  # 75 beats a minute
        with self._lock:
            for device in {BED, OTHER} - self.silent:
                chunk = Chunk(device, 5, k, k * CHUNK, now_us, 0, FS, (Lead.I,), ecg_mv.copy())
                self._link.publish(f"ecg/v1/{device}/chunk", encode_binary(chunk), qos=0)
        if k % 4 == 0:
            vitals: dict[str, object] = {
                "session": 5,
                "at_us": now_us,
                "last_sample": k * CHUNK,
                "heart_rate_bpm": 75.2,
            }
            vitals |= {"since_beat_s": 0.2, "signal": "good", "doubts": list(self.doubts), **self.rhythm}
            self.publish("wl/v1/vitals/ward", [vitals | {"device": d} for d in {BED, OTHER} - self.silent])
            for name in {"ingest", "inference", "alarms"} - self.silent:
                self.publish(f"wl/v1/service/{name}", {"online": True, "at_us": now_us})


class Dashboard:
    """The real process on a free port."""

    def __init__(self, broker: tuple[str, int], port: int, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        settings = load_settings(broker=f"{broker[0]}:{broker[1]}", dashboard_port=port, data_dir=folder)
        self._environment = os.environ | settings.as_environment()
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        code = "import ingest.settings as s, dashboard.service as d; d.run(s.load_settings())"
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error::DeprecationWarning", "-c", code], env=self._environment
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(self.url, timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return self.process
        raise TimeoutError(f"no dashboard at {self.url}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)


@pytest.fixture
def ward(mosquitto: Broker) -> Iterator[Ward]:
    ward = Ward(mosquitto.address)
    yield ward
    ward.stop()


@pytest.fixture
def dashboard(mosquitto: Broker, free_port: int, tmp_path: Path) -> Iterator[Dashboard]:
    dashboard = Dashboard(mosquitto.address, free_port, tmp_path)
    yield dashboard
    if dashboard.process.poll() is None:
        dashboard.process.kill()
        dashboard.process.wait()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of someone who has read the notice; anything it complains of fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script("localStorage.setItem('wristlead-notice', '1')")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: (
            errors.append(message.text) if message.type == "error" and "/live" not in message.text else None
        ),
    )
    page.set_default_timeout(20_000)
    yield page
    context.close()
    assert errors == []


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
    expect(page.locator("#banners")).to_contain_text("Inference is not answering", timeout=6_000)
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


@pytest.mark.parametrize("width", [390, 1440])
def test_a_doubt_about_unit_or_rate_stands_on_the_patient_page_until_it_ends(
    ward: Ward, dashboard: Dashboard, page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{dashboard.url}/patient/{BED}")
    page.wait_for_function(READY)
    expect(page.locator("[data-field=rate]")).to_have_text("75", timeout=15_000)
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


RHYTHM: dict[str, object] = {"rmssd_ms": 31.4, "sdnn_ms": 128.6, "ectopic_per_min": 12, "irregular": False}
FIBRILLATION: dict[str, object] = {"rmssd_ms": None, "irregular": True, "irregular_for_s": 754.2}


@pytest.mark.parametrize(("width", "theme"), [(320, "dark"), (390, "light"), (901, "dark"), (1440, "light")])
def test_what_the_intervals_tell_stands_beside_the_rate_and_moves_nothing(
    ward: Ward, dashboard: Dashboard, page: Page, width: int, theme: str
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.add_init_script(f"localStorage.setItem('wristlead-theme', '{theme}')")
    page.goto(f"{dashboard.url}/patient/{BED}")
    page.wait_for_function(READY)
    expect(page.locator("[data-field=rate]")).to_have_text("75", timeout=15_000)
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
    deadline = time.monotonic() + 5
    while not ward.acknowledged and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert ward.acknowledged == [(f"wl/v1/acknowledge/{BED}/rate_limit", b'{"who":"someone at this screen"}')]
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
    page.wait_for_function("() => document.querySelector('#recurrence-plot .js-plotly-plot') !== null")
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


def test_a_stream_places_late_samples_and_leaves_holes_open(dashboard: Dashboard, page: Page) -> None:
    page.goto(dashboard.url)
    laws = page.evaluate(STREAM_LAWS)
    assert laws["lengths"] == [600] * 3  # all of it is drawn, however it was cut
    assert laws["lost"] <= 25  # after the first late chunk it stands far enough behind
    assert laws["holes"] == list(range(250, 275))  # never bridged
    assert laws["drift"]  # the baseline is taken away
