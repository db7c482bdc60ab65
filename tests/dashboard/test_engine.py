"""From samples to pixels, in a real browser without server or clock: stream.mjs and sweep.mjs."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.dashboard.script_page import script_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

# A page with nothing but the scripts: `run` moves the clock by frames and feeds a stream chunks of a quarter
# second as a device would; `at` is a chunk of one's own.
PAGE = """<!DOCTYPE html><style>
  body { margin: 0; --trace: #00ff00; --stale: #808080; --dim: #0000ff; background: #101010; }
  #holder { position: absolute; left: 10.3px; top: 20.6px; width: 400.5px; height: 120.7px; }
</style><div id="holder"></div><script>window.wristlead = { read: () => null };</script><script type="module">
  import { Stream } from "/stream.mjs";
  import { Sweep } from "/sweep.mjs";
  const FS = 512, N = 128, FRAME = 1000 / 60;
  const at = (first, mv, { session = 1, fs = FS, n = N } = {}) => ({ session, fs, first, scale: 1,
    samples: Float32Array.from({ length: n }, (_, i) => (typeof mv === "function" ? mv(first + i) : mv)) });
  const fresh = (mv = 0) => {
    const ward = { stream: new Stream(10), nowMs: 1000, sent: 0, shown: [] };
    ward.feed = (k, options) => ward.stream.take(at(k * N, mv, options), ward.nowMs, false);
    ward.run = (seconds, after = () => {}) => {
      for (const until = ward.nowMs + 1000 * seconds; ward.nowMs < until; ward.nowMs += FRAME) {
        while (ward.sent * 250 + 1250 <= ward.nowMs) { ward.feed(ward.sent); ward.sent += 1; }
        ward.stream.advance(ward.nowMs);
        after();
      }
    };
    return ward;
  };
  Object.assign(window, { Stream, Sweep, FS, N, at, fresh, holder: document.getElementById("holder") });
  window.isReady = true;
</script>"""


@pytest.fixture(scope="module")
def engine(chromium: Browser) -> Iterator[Page]:
    with script_page(chromium, PAGE) as page:
        page.wait_for_function("() => window.isReady")
        yield page


def told(engine: Page, script: str) -> Any:
    """What a function body returns in the page; a fresh holder each time."""
    return engine.evaluate(f"() => {{ holder.replaceChildren(); {script} }}")


def test_a_settled_trace_moves_by_exactly_the_time_that_passed(engine: Page) -> None:
    steps = told(
        engine,
        """const ward = fresh(); ward.run(20);
        const steps = []; let before = ward.stream.playhead;
        ward.run(4, () => { steps.push(ward.stream.playhead - before); before = ward.stream.playhead; });
        return steps;""",
    )
    assert min(steps) == pytest.approx(512 / 60, rel=1e-3)
    assert max(steps) == pytest.approx(512 / 60, rel=1e-3)


def test_the_order_of_arrival_changes_no_sample_and_what_never_came_is_a_break(engine: Page) -> None:
    shown = told(
        engine,
        """const shape = (i) => Math.sin(i / 20);
        const shownOf = (order) => {
          const stream = new Stream(10);
          for (const k of order) stream.take(at(k * N, shape), 1000, true);
          stream.advance(60000);
          return Array.from(stream.shown.subarray(0, stream.shownCount), (mv) => (mv === mv ? mv : null));
        };
        const rest = [5, 6, 7, 8, 9, 10, 11];
        return [[0, 1, 2, 3, 4], [0, 4, 2, 1, 3], [0, 1, 4]].map((order) => shownOf([...order, ...rest]));""",
    )
    assert shown[0] == shown[1]
    assert len(shown[0]) == len(shown[2]) == 12 * 128
    assert [mv is None for mv in shown[2]] == [2 * 128 <= i < 4 * 128 for i in range(12 * 128)]


def test_one_damaged_header_costs_one_chunk_and_a_restart_is_followed(engine: Page) -> None:
    """A flipped bit in session, index or rate never holds the trace still; stragglers never bring it back."""
    assert told(
        engine,
        """const found = {};
        for (const [name, damaged] of Object.entries({
          session: at(40 * N, 0, { session: 77 }),
          index: at(40 * N + 2 ** 40, 0),
          rate: at(40 * N, 0, { fs: 128 }),
        })) {
          const ward = fresh(); ward.run(10);
          ward.stream.take(damaged, ward.nowMs, false);
          const before = ward.stream.shownCount;
          ward.run(10);
          found[name] = [ward.stream.session, Math.round((ward.stream.shownCount - before) / FS)];
        }
        const ward = fresh(); ward.run(10);
        const { stream, nowMs } = ward;
        const session = (first, number) => {
          stream.take(at(first, 0, { session: number }), nowMs, false); return stream.session; };
        found.restart = [session(0, 2), session(41 * N, 1), session(42 * N, 1), session(N, 2)];
        found.joined = [session(5000, 3), session(5000 + N, 3)];
        return found;""",
    ) == {
        "session": [1, 10],
        "index": [1, 10],
        "rate": [1, 10],
        "restart": [2, 2, 2, 2],
        "joined": [2, 3],
    }


def test_behind_a_long_hole_a_moved_baseline_does_not_ring(engine: Page) -> None:
    largest = told(
        engine,
        """const stream = new Stream(10);
        for (let k = 0; k < 40; k += 1) {
          if (k < 12 || k >= 20) stream.take(at(k * N, k < 12 ? 0 : 3), 1000, true);
        }
        stream.advance(60000);
        let largest = 0;
        for (let i = 0; i < stream.shownCount; i += 1) {
          const mv = stream.shown[i % stream.size];
          if (!Number.isNaN(mv)) largest = Math.max(largest, Math.abs(mv));
        }
        return largest;""",
    )
    assert largest < 1e-3


# Rows of each column in which the trace stands, from a sweep whose frames came as they came.
INK = """
  const ink = (sweep) => {
    const { width, height } = sweep.canvas;
    const { data } = sweep.pen.getImageData(0, 0, width, height);
    return Array.from({ length: width }, (_, x) => {
      const rows = [];
      for (let y = 0; y < height; y += 1) if (data[4 * (y * width + x) + 1] > 60) rows.push(y);
      return rows;
    });
  };"""


def test_no_peak_is_thinned_away_and_time_is_true_to_scale(engine: Page) -> None:
    """An R peak every 0.75 s stands 10 mm high and 0.75 x 25 mm from the next, however the frames fell."""
    columns, mm, base = told(
        engine,
        INK
        + """const beat = (i) => Math.exp(-(((i % 384) - 192) ** 2) / 60);
        const ward = fresh(beat);
        const sweep = new Sweep(holder, ward.stream, { mmPerS: 25, mmPerMv: 10, pulse: 0 });
        ward.run(12, () => { if (ward.sent % 3) sweep.draw(); });
        sweep.draw();
        return [ink(sweep), sweep.mm, sweep.base];""",
    )
    tops = [min(rows, default=base) for rows in columns]
    heights = [base - top for top in tops]
    peaks = [
        x
        for x in range(6, len(heights) - 6)
        if heights[x] > 6 * mm and heights[x] == max(heights[x - 6 : x + 7]) and heights[x] > heights[x - 1]
    ]
    spacing = [b - a for a, b in pairwise(peaks)]
    assert len(peaks) >= 3
    assert min(heights[x] for x in peaks) > 0.9 * max(heights[x] for x in peaks)
    assert sum(abs(each - 0.75 * 25 * mm) < 2.5 for each in spacing) >= len(spacing) - 1  # one across the pen


def test_after_a_jump_the_trace_is_that_of_a_new_sweep(engine: Page) -> None:
    """An outage that ends with a whole screen at once leaves nothing of before beside it."""
    columns = told(
        engine,
        INK
        + """const ward = fresh((i) => Math.sin(i / 30));
        const sweep = new Sweep(holder, ward.stream, { mmPerS: 25, mmPerMv: 10, pulse: 0 });
        ward.run(9, () => sweep.draw());
        ward.nowMs += 30000;
        for (let k = 100; k < 156; k += 1) ward.stream.take(at(k * N, 2), ward.nowMs, true);
        ward.stream.advance(ward.nowMs);
        sweep.draw();
        return ink(sweep).map((rows) => Math.max(...rows, 0) - Math.min(...rows, 1000));""",
    )
    assert sum(each >= 0 for each in columns) > 300  # there is a trace
    assert max(columns) <= 3  # a flat one, with nothing of the sine beside it


def test_a_trace_is_one_opaque_canvas_of_whole_device_pixels(engine: Page) -> None:
    place = told(
        engine,
        """const options = { mmPerS: 25, mmPerMv: 10, pulse: 2, paper: true };
        const sweep = new Sweep(holder, new Stream(10), options);
        const box = sweep.canvas.getBoundingClientRect();
        const [corner] = [sweep.pen.getImageData(0, 0, 1, 1).data];
        return { left: box.left, top: box.top, width: box.width - sweep.canvas.width,
          height: box.height - sweep.canvas.height, count: holder.children.length, alpha: corner[3] };""",
    )
    assert place["left"] == pytest.approx(11, abs=0.02)
    assert place["top"] == pytest.approx(21, abs=0.02)
    assert (place["width"], place["height"]) == (pytest.approx(0, abs=0.02), pytest.approx(0, abs=0.02))
    assert (place["count"], place["alpha"]) == (1, 255)
