// One device opened: what it says of itself, what arrives, and the newest messages of it that were refused.

import { Polled } from "./polled.mjs";
import { dateAndTime } from "./times.mjs";
import { element, say, setHidden, texts as all } from "./words.mjs";

const texts = all.devices;
const EVERY_MS = 10_000;

export class DeviceDetail {
  constructor(device, nColumns) {
    this.device = device;
    this.isOpen = false;
    const url = `/data/refused?device=${encodeURIComponent(device)}`;
    this.refused = new Polled(() => (this.isOpen ? url : null), EVERY_MS, () => this.#fillRefused());
    this.claims = element("dl", "facts");
    this.arrives = element("dl", "facts");
    this.messages = element("div", "", {}, [texts.refused_loading]);
    const parts = [
      element("div", "", {}, [element("h3", "", {}, [texts.detail_claims]), this.claims]),
      element("div", "", {}, [element("h3", "", {}, [texts.detail_arrives]), this.arrives]),
      element("div", "detail-refused", {}, [element("h3", "", {}, [texts.detail_refused]), this.messages]),
    ];
    const cell = element("td", "", { colspan: String(nColumns) }, [element("div", "detail", {}, parts)]);
    this.node = element("tr", "detail-row", { hidden: "" }, [cell]);
  }

  toggle() {
    this.isOpen = !this.isOpen;
    setHidden(this.node, !this.isOpen);
    this.refused.hurry();
  }

  update(device, shown, isKnown) {
    if (!this.isOpen) return;
    this.refused.turn();
    const { about } = device;
    fillFacts(this.claims, {
      device: device.device, model: about.model, firmware: about.firmware, source: all.source[about.source],
      lead: device.lead, unit: about.unit, time_zone: about.time_zone, fs_claimed: shown.claimed,
    });
    fillFacts(this.arrives, {
      mapper: device.is_patient ? texts.mapper[device.is_mapped] : null, session: sessionOf(device.session),
      fs_measured: shown.rate, rate_off: shown.off, lost: lostOf(shown), offset: shown.offset, delay: shown.delay,
      doubts: isKnown && device.doubts.length > 0 ? device.doubts.join(" ") : null,
    });
  }

  #fillRefused() {
    const { refused, unreadable } = this.refused.data;
    if (unreadable !== undefined) {
      this.messages.replaceChildren(element("p", "", {}, [say(texts.unreadable, { reason: unreadable })]));
      return;
    }
    const key = JSON.stringify(refused.map((each) => each.at_us));
    if (key === this.key) return;
    this.key = key;
    this.messages.replaceChildren(...(refused.length === 0
      ? [element("p", "dim", {}, [texts.refused_none])]
      : [refusedList(refused), element("p", "dim small", {}, [texts.refused_more])]));
  }
}

const sessionOf = (session) => (session === null || session === undefined ? null
  : session.toString(16).padStart(8, "0"));

const lostOf = (shown) => (shown.lostTitle === all.unknown ? shown.lost
  : say(texts.lost_of, { n: shown.lost, seconds: shown.lostTitle.replace(/ s$/, "") }));

function fillFacts(list, facts) {
  const said = Object.entries(facts).map(([key, value]) => [texts.detail[key], value ?? all.unknown]);
  const key = JSON.stringify(said);
  if (list.filledWith === key) return;
  list.filledWith = key;
  list.replaceChildren(...said.flatMap(([name, value]) =>
    [element("dt", "", {}, [name]), element("dd", "num", {}, [String(value)])]));
}

// Time and reason of each, and its first bytes: as they are, and as text where they can be read.
function refusedList(refused) {
  return element("ol", "refused-list", { tabindex: "0", "aria-label": texts.detail_refused }, refused.map((each) => element("li", "", {}, [
    element("div", "refused-head", {}, [
      element("time", "num dim", {}, [dateAndTime(each.at_us)]),
      element("b", "", {}, [each.reason]),
      element("span", "num dim", {}, [`${each.is_cut ? say(texts.refused_cut, { n: each.bytes }) : each.bytes} B`]),
    ]),
    element("code", "refused-bytes", {}, [each.hex || all.unknown]),
    element("code", "refused-bytes dim", {}, [each.text]),
  ])));
}
