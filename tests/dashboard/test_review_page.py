"""The review page in a real browser, over a store of two minutes; and its scripts' pure parts."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from dashboard.monitor_filter import filtered
from inference.alarms.annotations import Annotate, decode_annotate, save_annotations
from ingest.store.archive import Archive
from ingest.store.schema import open_store
from ingest.vitals import SignalState, Vitals
from tests.dashboard.test_review import BED, FS, LIVE, START_US, S, fill, moment_us
from tests.dashboard.ward import Dashboard, Ward

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.timeout(300)]

READY = "() => document.getElementById('connection')?.dataset.live === 'true'"
VIEW = (
    """() => document.querySelector('[data-page=review]')?.dataset.drawn?.split('/').map(Number) ?? [0, 0]"""
)
ASKED_AGAIN = """(error) => {
  const { review } = window.wristlead;
  const { data } = review;
  let count = 0;
  data.want = () => { count += 1; };
  Object.assign(data, { error });
  review.extentAt = -Infinity;
  review.update();
  delete data.want;
  data.error = '';
  return count;
}"""
SPAN_LAWS = """async () => {
  const {
    spanOf, zoomed, moved, tilesOver, levelOf, dayOf, dayField, ofDayField, openingOf, endsOf, LEAST, MOST,
  } = await import('/assets/review_span.mjs');
  const { inOrder } = await import('/assets/review_chooser.mjs');
  const { timeMarks } = await import('/assets/time_axis.mjs');
  const faults = [];
  let seed = 7;
  const random = () => { seed = (seed * 16807) % 2147483647; return seed / 2147483647; };
  for (let k = 0; k < 500; k += 1) {
    const from = 1.79e15 + random() * 1e12;
    const span = spanOf(from, LEAST * 10 ** (random() * 5.2));
    const at = span.from + random() * (span.to - span.from);
    const near = zoomed(span, 10 ** (random() * 2 - 1), at);
    const width = near.to - near.from;
    if (width < LEAST || width > MOST) faults.push('width');
    const share = (s) => (at - s.from) / (s.to - s.from);
    if (Math.abs(share(span) - share(near)) > 0.001) faults.push('what is under the finger moved');
    const there = moved(moved(near, 5e6), -5e6);
    if (there.from !== near.from || there.to !== near.to) faults.push('moving back');
    const tiles = tilesOver(near, levelOf(near));
    if (tiles.length > 3 || tiles[0].from > near.from || tiles.at(-1).to < near.to) faults.push('tiles');
    if (tiles.some((tile, i) => i > 0 && tile.from !== tiles[i - 1].to)) faults.push('holes between tiles');
    const marks = timeMarks(near.from, near.to, 1000);
    if (marks.length > 13 || marks.some(({ us }) => us < near.from || us >= near.to)) faults.push('marks');
    const day = dayOf(from);
    if (!(day.from <= from && from < day.to) || dayOf(day.from, 1).from !== day.to) faults.push('day');
    if (ofDayField(dayField(from)) !== day.from) faults.push('day field');
    const stored = { first_us: at - 60e6 * 10 ** (random() * 3.1), last_us: at }; // up to 21 h
    const opening = openingOf(stored);
    const [wide, held] = [opening.to - opening.from, stored.last_us - stored.first_us];
    const isSeen = opening.from <= stored.first_us + 1 && opening.to >= stored.last_us - 1;
    if (!isSeen) faults.push('stored but not shown');
    const isEnough = (less) => held <= less && less < wide;
    if ([600e6, 3600e6, 28_800e6].some(isEnough)) faults.push('too wide');
    const old = openingOf({ first_us: 1e15, last_us: at });
    if (old.from !== dayOf(at).from) faults.push('not the last day');
  }
  const endOf = endsOf([{ A: 1 }, {}, {}, { B: 1 }, {}, {}, {}, {}], (k) => k * 4e6);
  if (endOf(0) !== 12e6 || endOf(3) !== 22e6) faults.push('a verdict counts for its 10 s');
  if (endsOf([{ A: 1 }, { B: 1 }], (k) => k * 4e6)(0) !== 4e6) faults.push('or until the next');
  const near = timeMarks(0, 2e6, 1000, 100).map(({ words }) => words);
  if (!near.every((words) => /:[0-9]{2}[.][0-9].[AP]M$/.test(words))) faults.push(near.join());
  const rows = Object.entries({ 'Bed 10': 99e6, gone: 5e6, 'Bed 9': 98e6, left: 7e6 });
  const stored = rows.map(([device, last_us]) => ({ device, last_us }));
  const names = inOrder(stored, (device) => device).map(({ device }) => device).join();
  if (names !== 'Bed 9,Bed 10,left,gone') faults.push(names);
  return faults;
}"""
FILTERED = """async ([mv, fs]) => {
  const { filtered } = await import('/assets/monitor_filter.mjs');
  return [...filtered(Float64Array.from(mv, (v) => v ?? NaN), fs)].map((v) => (Number.isNaN(v) ? null : v));
}"""
TREND = """async () => {
  const { Trend } = await import('/assets/trend.mjs');
  const holder = document.body.appendChild(document.createElement('div'));
  const picked = [];
  const trend = new Trend(holder, { title: 'Heart rate', unit: 'bpm', onPick: (us) => picked.push(us) });
  trend.setLimits([50, 120]);
  const [low, mean, high] = [[55, null, 70, 78], [60, null, 70, 80], [65, null, 70, 90]];
  trend.show({ from_us: 0, to_us: 4e6, step_us: 1e6, mean, low, high });
  const { canvas } = trend;
  const before = [canvas.getAttribute('aria-label'), trend.readout.textContent];
  const press = (key) => canvas.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  const said = (key) => { press(key); return trend.spoken.textContent; };
  const read = ['ArrowLeft', 'ArrowLeft', 'ArrowLeft', 'Home'].map(said);
  press('Enter');
  trend.remove();
  return { before, read, picked, isGone: holder.children.length === 0 };
}"""


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """What `fill` stores, with vitals and an annotation, where the dashboard looks for it."""
    engine = open_store(f"sqlite:///{tmp_path / 'wristlead.sqlite'}")
    fill(engine)
    vitals = [
        Vitals(BED, LIVE, START_US + k * S, k, 60.0 + k % 9, None, SignalState.GOOD) for k in range(120)
    ]
    Archive(engine).commit(vitals=vitals)
    engine.dispose()
    return tmp_path


def annotate(folder: Path, payload: bytes) -> Annotate:
    """Do what a page asked for, as the alarm service does."""
    engine = open_store(f"sqlite:///{folder / 'wristlead.sqlite'}")
    asked = decode_annotate(BED, payload, time.time_ns() // 1000)
    save_annotations(engine, [asked])
    engine.dispose()
    return asked


def test_a_past_moment_is_found_zoomed_annotated_and_taken_away(
    ward: Ward, stored: Path, dashboard: Dashboard, page: Page
) -> None:
    expect.set_options(timeout=15_000)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{dashboard.url}/review")
    page.locator(".review-device").click()
    page.wait_for_url(f"**/review/{BED}*")
    at_s = START_US // S
    page.goto(f"{dashboard.url}/review/{BED}?at={at_s}&span=120")
    page.wait_for_function(READY)
    page.wait_for_function(f"() => ({VIEW})()[0] > 0")
    canvas = page.locator(".review-canvas")
    expect(canvas).to_have_attribute("aria-label", re.compile("60 to 68 bpm"))
    expect(page.locator("[data-field=alarms]")).to_contain_text("ASYSTOLE 4 s")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    page.locator("[data-field=alarms]").get_by_role("button", name="Show: ASYSTOLE").click()
    page.wait_for_function(f"() => ({VIEW})()[0] === {moment_us(1000) - 10 * S}")
    assert page.evaluate(VIEW)[1] == moment_us(1000) + 20 * S
    canvas.focus()
    page.keyboard.press("+")
    page.wait_for_function(f"() => {{ const [a, b] = ({VIEW})(); return b - a === {15 * S}; }}")
    before = page.evaluate(VIEW)
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => ({VIEW})()[0] > {before[0]}")
    page.get_by_role("button", name="10 s", exact=True).click()
    page.wait_for_function(f"() => {{ const [a, b] = ({VIEW})(); return b - a === {10 * S}; }}")

    page.get_by_role("button", name="Annotate").click()
    page.get_by_label("Words").fill("walks to the window")
    page.get_by_role("button", name="Save").click()
    asked = ward.wait_for_request(page, f"annotate/{BED}")
    annotate(stored, page.evaluate("asked => JSON.stringify(asked)", asked).encode())
    expect(page.get_by_role("dialog")).to_be_hidden()
    notes = page.locator("[data-field=notes]")
    expect(notes).to_contain_text("walks to the window")
    notes.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    asked = ward.wait_for_request(page, f"annotate/{BED}")
    annotate(stored, page.evaluate("asked => JSON.stringify(asked)", asked).encode())
    expect(notes).to_contain_text("No annotations")

    # What failed, or may have grown since, is asked for again without a hand; the past is not.
    assert [page.evaluate(ASKED_AGAIN, each) for each in ("", "The server does not answer.")] == [0, 1]

    page.get_by_role("button", name="Export").click()
    page.get_by_label("PDF").check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert Path(download.value.path()).read_bytes()[:4] == b"%PDF"
    page.keyboard.press("Escape")
    page.goto(f"{dashboard.url}/review/{BED}?at={at_s - 90_000}&span=60")
    expect(page.locator("[data-field=note]")).to_contain_text(
        "Nothing is stored of this time: the oldest samples are of"
    )


def test_the_scripts_keep_what_is_under_the_finger_and_filter_as_the_server_does(
    scripts: Page,
) -> None:
    assert scripts.evaluate(SPAN_LAWS) == []
    mv = np.random.default_rng(3).normal(0, 1, 900)
    mv[300:340] = np.nan
    shown = scripts.evaluate(FILTERED, [[None if np.isnan(v) else v for v in mv], FS * 5])
    mine = filtered(mv.astype(np.float32), FS * 5)
    np.testing.assert_array_equal([v is None for v in shown], np.isnan(mine))
    np.testing.assert_allclose([v for v in shown if v is not None], mine[~np.isnan(mine)], atol=1e-4)
    trend = scripts.evaluate(TREND)
    assert "55 to 90 bpm, newest 80, known for 75 % of the time" in trend["before"][0]
    assert [words.split(": ", 1)[1] for words in trend["read"]] == [
        "80 bpm (78 to 90)", "70 bpm", "-- bpm", "60 bpm (55 to 65)",
    ]  # fmt: skip
    assert (trend["picked"], trend["isGone"]) == ([500_000], True)
