"""What is old, or another patient's, never stands there as if it were true; in a browser without a server."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.dashboard.script_page import FACTS_PAGE, script_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

PAGE = f"""{FACTS_PAGE}<script>
  window.WebSocket = class {{
    constructor() {{ window.socket = this; }}
    send() {{}}
    close() {{}}
  }};
</script>"""
# The trace of a device before and after somebody else came on it, was discharged, and after a new connection.
STREAMS = """async () => {
  const { Live } = await import('/live.mjs');
  const live = new Live();
  const patient = (index) => ({ device: 'ward/1', index, alarms: [] });
  const say = (patients, devices = ['ward/1']) => window.socket.onmessage({
    data: JSON.stringify({ at_us: 1, devices, patients, own_alarms: [], services: [], broker: true }),
  });
  live.want(['ward/1'], 10);
  say([patient(0)]);
  const streams = [live.stream('ward/1')];
  const look = () => streams.push(live.stream('ward/1'));
  say([patient(0)]);
  look();
  live.isOpen = false; // another server may number its patients otherwise: the same patient goes on
  say([patient(5)]);
  look();
  say([patient(6)]); // somebody else, between two frames
  look();
  say([], []);
  look();
  return streams.map((stream, k) => k > 0 && stream === streams[k - 1]);
}"""
ELSEWHERE = """async () => {
  const { Elsewhere } = await import('/wall_elsewhere.mjs');
  const holder = document.body.appendChild(document.createElement('div'));
  const elsewhere = new Elsewhere(holder, () => {});
  return [true, false].map((isLive) => {
    elsewhere.update([{ device: 'ward/1', name: 'A', alarms: [] }], isLive);
    return elsewhere.calm.textContent;
  });
}"""
# The tip of a panel's alarm names all of them, also when only a lesser one changed.
STRIP = """async () => {
  const { Panel } = await import('/panel.mjs');
  const panel = new Panel('ward/1', () => {});
  const alarm = (priority, kind) => ({ device: 'ward/1', kind, priority, queue: 'physiological', state: 'on',
    text: kind, since_us: 1, at_us: 1, count: 1, who: null });
  const live = { isLive: true, state: { broker: true }, nowUs: () => 2, streams: new Map() };
  const patient = (...alarms) => ({ device: 'ward/1', name: 'A', alarms, verdict: null, limits: null,
    lead: null, data_at_us: 1, vitals_at_us: null, vitals: null, battery: null, source: null });
  return ['LEAD OFF', 'BATTERY LOW'].map((kind) => {
    panel.fill(patient(alarm('high', 'ASYSTOLE'), alarm('low', kind)), live, 0);
    return panel.strip.title;
  });
}"""
MIDNIGHT = """async () => {
  const { fillTimes } = await import('/times.mjs');
  const us = new Date(2026, 10, 25, 23, 50).getTime() * 1000;
  document.body.innerHTML = `<time data-us="${us}" data-style="date"></time>`;
  const Real = Date;
  const at = (now) => {
    window.Date = class extends Real {
      constructor(...given) { super(...(given.length === 0 ? [now] : given)); }
      static now() { return now; }
    };
    fillTimes(document.body);
    window.Date = Real;
    return document.querySelector('time').textContent;
  };
  return [at(us / 1000 + 60_000), at(us / 1000 + 3_600_000)];
}"""
# A wall that was left while its browser was still asked to stay awake, and refused.
KIOSK = """async () => {
  const { Kiosk } = await import('/kiosk.mjs');
  let refuse;
  let asked = 0;
  const request = () => { asked += 1; return new Promise((_, reject) => { refuse = reject; }); };
  Object.defineProperty(navigator, 'wakeLock', { value: { request }, configurable: true });
  const waits = [];
  const { setTimeout } = window;
  window.setTimeout = (act, ms) => { waits.push(ms); return setTimeout(() => {}, 0); };
  let changes = 0;
  const kiosk = new Kiosk(() => { changes += 1; });
  kiosk.set(true);
  const before = changes;
  kiosk.remove();
  refuse(new Error('no'));
  await new Promise((done) => setTimeout(done, 0));
  window.setTimeout = setTimeout;
  return [asked, changes - before, waits.includes(30_000)];
}"""


@pytest.fixture(scope="module")
def scripts(chromium: Browser) -> Iterator[Page]:
    with script_page(chromium, PAGE, locale="en-GB") as page:
        yield page


def told(scripts: Page, script: str) -> Any:
    return scripts.evaluate(script)


def test_who_comes_after_on_a_device_has_no_trace_of_the_one_before(scripts: Page) -> None:
    assert told(scripts, STREAMS) == [False, True, True, False, False]


def test_a_wall_that_is_not_live_claims_nothing_of_alarms_out_of_sight(scripts: Page) -> None:
    live, old = told(scripts, ELSEWHERE)
    assert live == "1 out of sight, no alarms"
    assert old == "1 out of sight, alarms unknown"


def test_the_tip_of_an_alarm_names_those_that_are_there_now(scripts: Page) -> None:
    before, after = told(scripts, STRIP)
    assert "LEAD OFF" in before
    assert "BATTERY LOW" in after
    assert "LEAD OFF" not in after


def test_after_midnight_a_time_of_yesterday_has_its_day(scripts: Page) -> None:
    assert told(scripts, MIDNIGHT) == ["23:50:00", "25 Nov 23:50:00"]


def test_a_wall_that_was_left_asks_for_no_screen_any_more(scripts: Page) -> None:
    assert told(scripts, KIOSK) == [1, 0, False]
