"""The patient page in a real browser: paper, freeze, calipers, trends, notes and why, as people use them."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from inference.alarms.annotations import decode_annotate, save_annotations
from inference.classifier import Classifier
from inference.explain.explanation import Explanation, ExplanationMethod, quantise
from inference.explain.records import save_explanation
from inference.verdict import Superclass
from ingest.store.archive import Archive
from ingest.store.schema import open_store
from tests.dashboard.test_accessibility import troubles
from tests.dashboard.ward import BED, Dashboard, Ward
from tests.inference.explain.test_service import service_process, store_windows, window

if TYPE_CHECKING:
    from tests.conftest import Mosquitto

# A cold machine takes most of a minute to start a browser and a dashboard, and torch takes its time.
pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.timeout(400)]

READY = "() => document.getElementById('connection')?.dataset.live === 'true'"

LAWS = """async () => {
  const c = await import('/assets/calipers.mjs');
  const w = await import('/assets/why_state.mjs');
  const mv = Float32Array.from({ length: 1000 }, (_, k) => (k === 500 ? NaN : k / 100));
  const still = { mv, fs: 250, atUs: 0 };
  const at = (sample, level = 0) => ({ sample, mv: level });
  const ring = { shown: Float32Array.from([5, 6, 2, 3, 4]), shownCount: 7, fs: 1 };
  const seen = { session: 1, first_sample: 2, model: 'm' };
  const mi = { superclass: 'MI', rhythm: null };
  const af = { superclass: null, rhythm: 'atrial fibrillation' };
  const of = (answer, more) => ({ session: 1, first_sample: 2, method: 'grad_cam', ...answer, ...more });
  const facts = { explanations: [], explaining: [], hasService: true, askedUs: 100, nowUs: 200 };
  const stands = (more, answer = mi) => w.standingOf({ ...facts, ...more }, seen, answer, 'grad_cam').state;
  const told = (state, at_us, more = {}) =>
    ({ explaining: [{ at_us, progress: of(mi, { state, ...more }) }] });
  const have = (answer, more) => ({ explanations: [of(answer, more)] });
  return {
    still: [...c.stillOf(ring, 9, 3).mv],
    short: [...c.stillOf(ring, 2, 3).mv],
    nothing: c.stillOf({ shown: undefined, shownCount: 0, fs: 500 }, 60, 3),
    second: c.between(still, at(100), at(350), true),
    swapped: c.between(still, at(350), at(100), true),
    hole: c.between(still, at(500), at(300), true),
    free: c.between(still, at(500, 0.2), at(300, 0.5), false),
    same: c.between(still, at(300), at(300), true),
    qrs: c.between(still, at(300), at(320), true).bpm,
    moved: [[3, -9], [990, 90], [3, 0.4]].map(([from, by]) => c.moved(still, at(from), by).sample),
    scrolled: [c.scrolled(still, -5, 100), c.scrolled(still, 5000, 100), c.scrolled(still, 50, 5000)],
    marches: c.marches(at(300), at(400), 0, 1000, 1),
    dense: c.marches(at(300), at(302), 0, 1000, 1),
    left: [c.leftS(0, 0, 0), c.leftS(0, 100000, 100000), c.leftS(0, 590000, 600000)],
    factor: [c.factorOf(428, 85.6, [2, 12]), c.factorOf(428, 0, [2, 12]), c.factorOf(428, 300, [2, 12])],
    states: [
      stands({}), stands({ askedUs: undefined }), stands({ hasService: false }), stands({ nowUs: 30e6 }),
      stands(told('queued', 150)), stands(told('running', 150)), stands(told('done', 150)),
      stands(told('refused', 150)), stands(told('refused', 50)),
      stands(told('done', 150, { first_sample: 9 })),
      stands(have(mi, { model: 'm' })), stands(have(mi, { model: 'older' })),
      stands(have(mi, { model: 'm', session: 8 })),
      stands(have(mi, { model: 'm' }), af), stands(have(af, { model: 'rhythm' }), af),
    ],
    pooled: [...w.pooled(Float32Array.from([0, 1, -3, 0, 0, 2]), 2)],
    account: [0.05, 0.3, 2].map((error) => w.accountOf({ effect: -1, completeness_error: error }, 0).word),
  };
}"""
STATES = ["asked", "none", "no service", "silent", "queued", "running", "done", "refused", "asked", "asked"]
STATES += ["shown", "other model", "asked", "asked", "shown"]


def test_calipers_never_invent_a_value_and_an_explanation_belongs_to_its_window(scripts: Page) -> None:
    laws = scripts.evaluate(LAWS)
    assert (laws["still"], laws["short"], laws["nothing"]) == ([2, 3, 4, 5, 6], [5, 6], None)
    assert laws["second"] == {"ms": 1000, "bpm": 60, "mv": pytest.approx(2.5)}
    assert laws["swapped"] == laws["second"]  # time goes from the earlier to the later mark
    assert laws["hole"] == {"ms": 800, "bpm": 75, "mv": None}
    assert laws["free"]["mv"] == pytest.approx(-0.3)
    assert laws["same"] == {"ms": 0, "bpm": None, "mv": 0}
    assert laws["qrs"] is None  # 80 ms is no heart rate
    assert laws["moved"] == [0, 999, 3]
    assert laws["scrolled"] == [0, 900, 0]
    assert laws["marches"] == [0, 100, 200, 500, 600, 700, 800, 900]
    assert laws["dense"] == []
    assert laws["left"] == [120, 120, 0]
    assert laws["factor"] == [pytest.approx(5.0), None, None]
    assert laws["states"] == STATES
    assert laws["pooled"] == [-3, 2]
    assert laws["account"] == ["good", "fair", "poor"]


def visit(page: Page, dashboard: Dashboard, width: int) -> None:
    expect.set_options(timeout=15_000)
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{dashboard.url}/patient/{BED}")
    page.wait_for_function(READY)
    expect(page.locator("[data-field=rate]")).to_have_text("75")


def test_a_paper_is_scaled_frozen_measured_and_let_go(ward: Ward, dashboard: Dashboard, page: Page) -> None:
    visit(page, dashboard, 390)
    scale, frozen = page.locator("[data-field=scale]"), page.locator("[data-field=frozen]")
    expect(scale).to_have_text("25 mm/s · 10 mm/mV · 0.5-40 Hz · scale not checked")
    page.locator("[data-choice=gain] button").last.click()
    page.locator("[data-field=paper]").focus()
    page.keyboard.press("<")
    expect(scale).to_have_text("12.5 mm/s · 20 mm/mV · 0.5-40 Hz · scale not checked")
    page.locator("#screen-size").click()
    page.locator("#screen-length").fill("50")
    page.get_by_label("Length of the bar").fill("200")
    expect(page.get_by_role("dialog")).to_contain_text("4.00 pixels are a millimetre")
    page.get_by_role("button", name="Save").click()
    expect(scale).to_have_text("12.5 mm/s · 20 mm/mV · 0.5-40 Hz")
    page.wait_for_timeout(2500)  # two heartbeats to measure

    page.locator("[data-field=paper]").focus()
    page.keyboard.press("f")
    expect(frozen).to_contain_text("FROZEN at")
    expect(frozen).to_contain_text("live again in")
    marks = page.get_by_role("slider", name="Mark")
    expect(marks).to_have_count(2)
    ms = page.locator("[data-field=caliper-ms]")
    before = int(ms.inner_text().split()[0])
    marks.last.focus()
    page.keyboard.press("Shift+ArrowLeft")  # ten samples at 250 Hz; nothing may be to the right yet
    assert int(ms.inner_text().split()[0]) == before - 40
    box = marks.first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 22, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 22 - 20, box["y"] + 100)
    page.mouse.up()
    # 20 px at 4 px a millimetre and 12.5 mm/s
    assert int(ms.inner_text().split()[0]) == pytest.approx(before - 40 + 400, abs=4)
    page.get_by_role("button", name="March out").click()
    expect(page.get_by_role("button", name="March out")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert troubles(page) == []
    page.keyboard.press("Escape")
    expect(frozen).to_be_hidden()
    expect(marks).to_have_count(0)
    page.locator("#freeze").click()
    expect(frozen).to_be_visible()
    ward.publish(f"wl/v1/limits_in_force/{BED}", None, retain=True)  # discharged: who comes after is another
    expect(frozen).to_be_hidden()
    ward.silent.add(BED)
    expect(page.locator("[data-field=rate]")).to_have_text("--")


def answer(ward: Ward, folder: Path, asked: dict[str, Any]) -> None:
    """What the alarm service makes of a note."""
    engine = open_store(f"sqlite:///{folder / 'wristlead.sqlite'}")
    (kept,) = save_annotations(engine, [decode_annotate(BED, msgspec.json.encode(asked), now_us())])
    ward.publish(f"wl/v1/annotation/{BED}/{asked['id']}", msgspec.to_builtins(kept))


def now_us() -> int:
    return time.time_ns() // 1000


def test_a_note_is_kept_in_its_field_until_it_is_stored_and_removed_by_who_asks(
    ward: Ward, dashboard: Dashboard, page: Page, tmp_path: Path
) -> None:
    page.add_init_script("localStorage.setItem('wristlead-who', 'A. B.')")
    visit(page, dashboard, 1440)
    expect(page.locator("#notes")).to_contain_text("No notes yet.")
    expect(page.locator("#trends")).to_contain_text("Up to ")
    expect(page.locator(".trend-canvas")).to_have_count(3)
    field, message = page.get_by_label("New note"), page.locator("[data-notes=message]")
    field.fill("Walked to the window")
    page.get_by_role("button", name="Add").click()
    asked = ward.wait_for_request(page, f"annotate/{BED}")
    assert (asked["who"], asked["text"]) == ("A. B.", "Walked to the window")
    ward.publish(
        f"wl/v1/refusal/annotate/{BED}", {"reason": "the store is full", "request": "{}", "at_us": now_us()}
    )
    expect(message).to_have_text("The alarm service refused: the store is full")
    expect(field).to_have_value("Walked to the window")
    page.get_by_role("button", name="Add").click()
    again = ward.wait_for_request(page, f"annotate/{BED}")
    assert again["id"] == asked["id"]  # the same note: twice stored it is one
    answer(ward, tmp_path, again)
    expect(message).to_have_text("Stored.")
    expect(field).to_have_value("")
    note = page.locator(".note")
    expect(note).to_contain_text("Walked to the window")
    expect(note).to_contain_text("A. B.")
    note.get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    removal = ward.wait_for_request(page, f"annotate/{BED}")
    assert removal == {"who": "A. B.", "id": asked["id"], "remove": True}
    answer(ward, tmp_path, removal)
    expect(note).to_have_count(0)
    expect(page.get_by_role("dialog")).to_be_hidden()


def explanation(method: ExplanationMethod, model: str) -> Explanation:
    """One of window 0 and STTC, whose parts add up to half of what they should."""
    to_time = np.full(1000, 0.0005, np.float32)
    return Explanation(
        device=BED,
        session=7,
        first_sample=0,
        wall_time_us=now_us(),
        model=model,
        superclass=Superclass.STTC,
        method=method,
        fs=100.0,
        attribution=quantise(to_time),
        plot=quantise(np.ones((12, 250), np.float32)),
        beat_plot=quantise(np.ones((64, 64), np.float32)),
        effect=1.0,
        completeness_error=0.5,
        made_us=now_us(),
        took_ms=30.0,
    )


def test_why_says_how_far_its_answer_is_and_keeps_the_window_that_is_looked_at(
    ward: Ward, dashboard: Dashboard, page: Page, tmp_path: Path
) -> None:
    engine = open_store(f"sqlite:///{tmp_path / 'wristlead.sqlite'}")
    store_windows(engine, "m1", {0: 0.9, 1: 0.9})
    visit(page, dashboard, 1440)
    expect(page.locator("#why-open")).to_be_disabled()
    ward.decide(BED, session=7, first_sample=0, lead="I")
    page.locator("#why-open").click()
    cam, shap = page.locator("[data-why=grad_cam]"), page.locator("[data-why=gradient_shap]")
    expect(cam).to_contain_text("The explain service is not running")
    ask = page.locator("[data-why=shap-ask]")
    expect(ask).to_be_hidden()
    ward.also.add("explain")
    place: dict[str, Any] = {"session": 7, "first_sample": 0}
    asked = {**place, "superclass": "MI", "rhythm": None, "method": "grad_cam"}
    assert ward.wait_for_request(page, f"explain/{BED}") == asked
    progress = f"wl/v1/explain_progress/{BED}"
    ward.publish(progress, {**asked, "state": "queued"})
    expect(cam).to_have_text("Waiting for its turn.")
    ward.publish(progress, {**asked, "first_sample": 5000, "state": "running", "share": 0.5})
    ward.publish(progress, {**asked, "state": "refused", "reason": "the window was judged by older"})
    expect(cam).to_have_text("The explain service refused: the window was judged by older")

    page.get_by_role("radio", name="STTC").click()
    asked |= {"superclass": "STTC"}
    assert ward.wait_for_request(page, f"explain/{BED}") == asked
    expect(shap).to_contain_text("Not asked for yet")
    ask.click()
    assert ward.wait_for_request(page, f"explain/{BED}") == asked | {"method": "gradient_shap"}
    ward.publish(progress, {**asked, "method": "gradient_shap", "state": "running", "share": 0.25})
    expect(shap).to_have_text("Computing: 25 %")
    expect(page.locator("[data-why=shap-progress]")).to_have_attribute("value", "0.25")
    for method in ExplanationMethod:
        save_explanation(engine, explanation(method, "m1"))
        ward.publish(progress, {**asked, "method": method, "state": "done", "share": 1.0})
    for told in (cam, shap):
        expect(told).to_contain_text(
            "add up to 0.50 logits; against a flat line the window moved the answer by 1.00"
        )
        expect(told).to_contain_text("They miss 0.50: a poor account, a hint at most. Model m1")

    ward.decide(BED, session=7, first_sample=5000, lead="I")
    expect(page.locator("[data-why=note]")).to_have_text(
        "A newer window has been judged since. This one stays until it is closed."
    )
    expect(cam).to_contain_text("They miss 0.50")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 844})
        assert troubles(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Close").click()
    page.locator("#why-open").click()
    expect(cam).not_to_contain_text("They miss 0.50")  # nothing of the other window


@pytest.mark.slow
def test_why_is_answered_by_the_real_explain_service(
    ward: Ward, dashboard: Dashboard, page: Page, mosquitto: "Mosquitto", tmp_path: Path
) -> None:
    model = Classifier.load().version
    engine = open_store(f"sqlite:///{tmp_path / 'wristlead.sqlite'}")
    store_windows(engine, model, {0: 0.9})
    Archive(engine).commit(windows=[window(1)])  # no verdict of it is stored
    visit(page, dashboard, 1440)
    with service_process(mosquitto.port, tmp_path):
        ward.decide(BED, session=7, first_sample=0, model=model, lead="I")
        page.locator("#why-open").click()
        cam, shap = page.locator("[data-why=grad_cam]"), page.locator("[data-why=gradient_shap]")
        expect(cam).to_contain_text("Grad-CAM: The parts add up to", timeout=120_000)
        expect(cam).to_contain_text(model)
        page.locator("[data-why=shap-ask]").click()
        expect(shap).to_contain_text("GradientShap: The parts add up to", timeout=60_000)
        ward.decide(BED, session=7, first_sample=5000, model=model, lead="I")
        expect(page.locator("[data-why=note]")).to_contain_text("A newer window")
        page.get_by_role("button", name="Close").click()
        page.locator("#why-open").click()
        expect(cam).to_contain_text("refused: the store holds no such window with a verdict", timeout=60_000)
