"""Every row of the starting project's feature list, by its name: in the dashboard and on the command line.

The dashboard's rows go through one visit with a real browser, broker, ingest, inference and, where it can be
had, explain.
"""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from benchmarks.recording_files import apple_csv, ecg_uv, samsung_csv, table_csv, write_export_zip
from inference.explain.extra import missing_packages
from ingest.recordings import Format, Hints
from ingest.recordings.reader import read_source
from ingest.recordings.recording import Recording, Source
from tests.conftest import Mosquitto, find_free_port, wait_for_messages, wait_until_listening

ROOT = Path(__file__).parents[2]
WRISTLEAD = (sys.executable, "-m", "wristlead")
SLOW_S = 240  # a house on a busy machine
APPLE = apple_csv(ecg_uv(30, 512.414, rhythm="af"), verdict="Atrial Fibrillation")
SAMSUNG = samsung_csv(ecg_uv(30, 500))
RATELESS = ("ecg_I_mV\n" + "\n".join(f"{v / 1000:.3f}" for v in ecg_uv(12, 300))).encode()


def of(name: str, content: bytes) -> Any:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


@pytest.fixture
def house(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[str]:
    port = find_free_port()
    options = ["--broker", f"127.0.0.1:{mosquitto.port}", "--data-dir", str(tmp_path / "data")]
    options += ["--dashboard-port", str(port), "--no-browser", "--metrics-port", "none"]
    with subprocess.Popen([*WRISTLEAD, "run", *options], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_listening(port, within_s=SLOW_S)
            if not missing_packages():  # torch takes its time on a busy machine
                wait_for_messages(mosquitto.port, "wl/v1/service/explain", within_s=SLOW_S)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.add_init_script("localStorage.setItem('wristlead-notice', '1')")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(60_000)
    yield page
    context.close()
    assert errors == []


def upload_csv(page: Page) -> None:
    """Several at once; what is guessed is marked, what is refused says why, and no name is kept."""
    page.locator("[data-field=files]").set_input_files(
        [of("Jane Roe table.csv", table_csv(ecg_uv(12, 500))), of("bad.csv", b"t,ecg\n1,a\n")]
    )
    table = page.locator(".upload", has_text="Jane Roe table.csv")
    expect(table.locator(".upload-state")).to_have_text("1 recording")
    expect(table.locator("[data-guess=true]").first).to_be_visible()
    expect(page.locator(".upload", has_text="bad.csv").locator(".upload-refused")).not_to_be_empty()
    expect(kept(page)).to_have_count(1)
    assert "Roe" not in kept(page).first.inner_text()


def apple_and_samsung_exports(page: Page, folder: Path) -> None:
    """Single files and a whole export.zip; the vendor's verdict stands beside ours."""
    files = page.locator("[data-field=files]")
    files.set_input_files([of("ecg_2026-07-26.csv", APPLE), of("samsung.csv", SAMSUNG)])
    expect(kept(page)).to_have_count(3)
    write_export_zip(folder / "export.zip", 3, seconds=12)
    files.set_input_files(folder / "export.zip")
    expect(kept(page)).to_have_count(6)
    cells = kept(page).filter(has_text="ecg_2026_07_26.csv").locator("td")
    expect(cells.nth(4)).to_contain_text(".")
    expect(cells.nth(5)).to_have_text("Atrial Fibrillation")


def set_the_rate(page: Page) -> None:
    """Without one the file is refused in words of the page, with one it is read."""
    page.locator("[data-field=files]").set_input_files([of("rateless.csv", RATELESS)])
    rateless = page.locator(".upload", has_text="rateless.csv")
    expect(rateless.locator(".upload-refused")).to_contain_text("under Rate")
    page.locator("#hint-fs").fill("300")
    rateless.get_by_role("button", name="Read again").click()
    expect(rateless.locator(".upload-one")).to_contain_text("300 Hz")
    page.locator("#hint-fs").fill("")


def demo_ecg(page: Page) -> None:
    """An abnormal one of the length that was asked for; its page opens."""
    page.locator("#demo-kind").select_option("replay:AF")
    page.locator("#demo-seconds").fill("20")
    page.get_by_role("button", name="Add demo ECG").click()
    demo = page.locator(".upload", has_text="Demo ECG: Atrial fibrillation, 20 s")
    expect(demo.locator(".upload-state")).to_have_text("1 recording")
    demo.get_by_role("link", name="Open").click()


def heart_rate_classification_and_distribution(page: Page) -> None:
    """Of the whole recording, with thresholds and plain words."""
    page.wait_for_function("() => Number(document.querySelector('[data-field=rate]')?.textContent) > 40")
    expect(page.locator("[data-field=found]")).to_contain_text("atrial fibrillation .")
    expect(page.locator(".finding-value", has_text=".")).to_have_count(5)
    expect(page.locator(".finding:not([data-presence='']) .bar-threshold")).to_have_count(5)
    expect(page.locator("[data-field=words]")).to_contain_text("What it cannot mean")


def waveform(page: Page) -> None:
    """Over the whole length, and a window of it."""
    page.wait_for_function("() => Number(document.querySelector('[data-recording]').dataset.drawn) > 500")
    expect(page.locator(".recording-window")).to_have_count(3)  # the whole, and two of 10 s
    page.locator(".recording-window").nth(2).click()
    expect(page.locator("[data-field=verdict-of]")).to_contain_text("10 to 20 s")


def ai_explanation(page: Page) -> None:
    """Plots of that window, and what speaks for the answer."""
    page.locator("#why-open").click()
    page.wait_for_function("() => document.querySelector('[data-why=lag]').width > 100")
    if not missing_packages():
        expect(page.locator("[data-why=grad_cam]")).to_contain_text("The parts add up to")
    page.locator("[data-why=close]").click()


def report_and_fhir(page: Page) -> None:
    with page.expect_download() as report:
        page.get_by_role("button", name="Report (PDF)").click()
    assert report.value.path().read_bytes().startswith(b"%PDF")
    with page.expect_download() as fhir:
        page.get_by_role("button", name="FHIR").click()
    (back,) = read_source(Source("fhir.json", fhir.value.path().read_bytes()), Hints())
    assert isinstance(back, Recording)
    assert (back.format, back.fs, round(back.length_s)) == (Format.FHIR, 500.0, 20)


def replay_as_live(page: Page) -> None:
    """A patient with a badge, until it is stopped; no recording is one."""
    page.get_by_role("button", name="Replay as live").click()
    page.locator("[data-field=live]", has_text="open it").click()
    expect(page.locator(".badge[data-field=source]")).to_have_text("replay")
    page.wait_for_function("() => window.wristlead.live.devices.length === 1")
    page.go_back()
    page.get_by_role("button", name="Stop the replay").click()
    page.wait_for_function("() => window.wristlead.live.devices.length === 0")
    page.wait_for_timeout(2_500)  # ingest goes on telling of its stream each second: nobody comes back
    assert page.evaluate("window.wristlead.live.devices") == []


def remove(page: Page) -> None:
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(kept(page).filter(has_text="demo_AF_20_s.csv")).to_have_count(0)


def kept(page: Page) -> Locator:
    return page.locator(".recordings-table tbody tr")


@pytest.mark.browser
@pytest.mark.broker
@pytest.mark.timeout(600)
def test_every_row_works_in_the_dashboard(house: str, page: Page, tmp_path: Path) -> None:
    expect.set_options(timeout=60_000)
    page.goto(f"{house}/recordings")
    upload_csv(page)
    apple_and_samsung_exports(page, tmp_path)
    set_the_rate(page)
    demo_ecg(page)
    heart_rate_classification_and_distribution(page)
    waveform(page)
    ai_explanation(page)
    report_and_fhir(page)
    replay_as_live(page)
    remove(page)
    with pytest.raises(urllib.error.HTTPError, match="403"):  # a page of another site adds nothing
        urllib.request.urlopen(urllib.request.Request(f"{house}/data/recordings/demo", method="POST"))


def test_every_row_works_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "ecg_apple.csv").write_bytes(APPLE)
    (tmp_path / "samsung.csv").write_bytes(SAMSUNG)
    (tmp_path / "rateless.csv").write_bytes(RATELESS)
    demo = [
        *WRISTLEAD,
        "simulate",
        "--to",
        str(tmp_path / "demo.csv"),
        "--rhythm",
        "replay:AF",
        "--seconds",
        "20",
    ]
    subprocess.run(demo, cwd=ROOT, check=True)
    classify = [*WRISTLEAD, "classify", *map(str, sorted(tmp_path.glob("*.csv"))), "--json"]
    classify += ["--report", str(tmp_path / "report.html")]
    done = subprocess.run(classify, cwd=ROOT, check=False, capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert [each["file"] for each in told["recordings"]] == ["demo.csv", "ecg_apple.csv", "samsung.csv"]
    assert "--fs" in told["refused"][0]
    for each in told["recordings"]:
        assert each["heart_rate_bpm"] > 40
        assert len(each["findings"]) == 5
        assert all(0 <= finding["probability"] <= 1 for finding in each["findings"])
    assert told["recordings"][0]["main_rhythm"] == "atrial fibrillation"
    assert "<svg" in (tmp_path / "report.html").read_text()
    one = [*WRISTLEAD, "classify", str(tmp_path / "rateless.csv"), "--fs", "300", "--json"]
    (rated,) = json.loads(subprocess.run(one, cwd=ROOT, check=False, capture_output=True).stdout)[
        "recordings"
    ]
    assert rated["fs"] == 300
