// The page of devices and services: rows that are filled anew each second and move only when somebody sorts.

import { DeviceDetail } from "./device_detail.mjs";
import { clockOf, offBy, shortTime } from "./device_words.mjs";
import { Polled } from "./polled.mjs";
import { fillServices } from "./service_table.mjs";
import { age, element, fieldsOf, say, setData, setHidden, setText, setTitle, texts as all } from "./words.mjs";

const texts = all.devices;
const EVERY_MS = 1000;
const REFUSED_EVERY_MS = 10_000;
const STALE_MS = 4000; // of an answer: nothing on the page is known any more
const SILENT_S = 3;
const UNKNOWN_DEVICE = "?";
const SORT_KEY = "wristlead-devices-sort";
const number = new Intl.NumberFormat();

export default class DevicesPage {
  constructor(root, live) {
    this.root = root;
    this.live = live;
    this.field = fieldsOf(root);
    this.body = document.getElementById("device-rows");
    this.rows = new Map(); // by device
    this.services = new Map();
    this.order = "";
    [this.sortKey, this.isDown] = readSort();
    this.house = new Polled(() => (live.isLive ? "/data/devices" : null), EVERY_MS, () => this.update());
    this.refused = new Polled(() => (live.isLive ? "/data/refused" : null), REFUSED_EVERY_MS, () => this.update());
    for (const heading of root.querySelectorAll("th[data-sort]")) {
      heading.querySelector("button").addEventListener("click", () => this.#sortBy(heading.dataset.sort));
    }
    this.#markSort();
    live.want([], 10);
  }

  remove() {}

  draw() {}

  repaint() {}

  update() {
    this.house.turn();
    this.refused.turn();
    const { field, house } = this;
    if (house.data === null) return;
    const isKnown = house.ageMs < STALE_MS;
    const devices = this.#withRefused(house.data.devices);
    this.#follow(devices);
    for (const device of devices) this.#fill(this.rows.get(device.device), device, isKnown);
    setData(this.root, "told", "true");
    setHidden(field.loading, true);
    setHidden(field.table, devices.length === 0);
    setHidden(field.none, devices.length > 0);
    const n = devices.filter((device) => device.device !== UNKNOWN_DEVICE).length;
    const count = n === 1 ? texts.device_one : say(texts.device_many, { count: n });
    setText(field.count, isKnown ? count : texts.not_live);
    setHidden(field.services_loading, true);
    setHidden(field.services, false);
    fillServices(document.getElementById("service-rows"), this.services, house.data, isKnown, this.nowUs());
  }

  nowUs() {
    return this.house.data.at_us + this.house.ageMs * 1000;
  }

  // Devices of which nothing is known but what was refused, and "?" for messages that named none.
  #withRefused(devices) {
    const known = new Set(devices.map((device) => device.device));
    const more = Object.keys(this.refused.data?.devices ?? {}).filter((device) => !known.has(device));
    return [...devices, ...more.map((device) => ({
      device, name: device === UNKNOWN_DEVICE ? texts.refused_unknown : device.split("/")[1], about: {},
      isOnlyRefused: true, doubts: [],
    }))];
  }

  // Rows come and go with their devices; their order is found anew when the set of devices or the sort changed.
  #follow(devices) {
    const key = `${this.sortKey} ${this.isDown} ${devices.map((device) => device.device).join(" ")}`;
    if (key === this.order) return;
    this.order = key;
    const names = new Set(devices.map((device) => device.device));
    for (const [name, row] of this.rows) {
      if (names.has(name)) continue;
      row.node.remove();
      row.detail.node.remove();
      this.rows.delete(name);
    }
    const sorted = devices.toSorted((a, b) => compare(a, b, this.sortKey, this.isDown));
    for (const device of sorted) {
      if (!this.rows.has(device.device)) this.rows.set(device.device, this.#add(device));
      const row = this.rows.get(device.device);
      this.body.append(row.node, row.detail.node);
    }
  }

  #add({ device }) {
    const button = element("button", "device-name", { type: "button", "aria-expanded": "false" });
    const cells = Object.fromEntries(texts.columns.map((key) => [key, element("span", "")]));
    const row = { button, cells, small: {}, detail: new DeviceDetail(device, texts.columns.length) };
    row.id = element("span", "dim small");
    row.doubt = element("span", "small device-doubt");
    row.claimed = element("span", "dim small");
    const content = { name: [button, row.id], state: [cells.state, row.doubt], rate: [cells.rate, row.claimed] };
    row.node = element("tr", "", { "data-device": device }, texts.columns.map((key) =>
      element("td", ["name", "state"].includes(key) ? "" : "num right", { "data-label": texts.headings[key] },
        content[key] ?? [cells[key]])));
    button.addEventListener("click", () => {
      row.detail.toggle();
      button.setAttribute("aria-expanded", String(row.detail.isOpen));
      this.update();
    });
    return row;
  }

  #fill(row, device, isKnown) {
    const { cells } = row;
    const shown = shownOf(device, this.nowUs(), isKnown);
    setText(row.button, device.name);
    setTitle(row.button, say(texts.open, { name: device.name }));
    setText(row.id, device.device === UNKNOWN_DEVICE ? texts.refused_unknown_help : device.device);
    for (const key of texts.columns) if (key !== "name") setText(cells[key], shown[key]);
    setText(row.claimed, shown.claimed);
    setTitle(cells.lost, shown.lostTitle);
    const doubts = device.doubts.map((doubt) => doubt.split(":")[0]);
    setText(row.doubt, isKnown ? doubts.join(", ") : "");
    setTitle(row.doubt, device.doubts.join(" "));
    setData(row.node, "state", shown.stateKey);
    row.detail.update(device, shown, isKnown);
  }

  #sortBy(key) {
    [this.sortKey, this.isDown] = key === this.sortKey ? [key, !this.isDown] : [key, false];
    window.wristlead.write(SORT_KEY, `${this.sortKey} ${this.isDown}`);
    this.#markSort();
    this.update();
  }

  #markSort() {
    for (const heading of this.root.querySelectorAll("th[data-sort]")) {
      const direction = this.isDown ? "descending" : "ascending";
      heading.setAttribute("aria-sort", heading.dataset.sort === this.sortKey ? direction : "none");
    }
  }
}

// What stands in each cell of a device; "--" for what is unknown.
export function shownOf(device, nowUs, isKnown) {
  const { unknown } = all;
  const value = (each, words) => (each === null || each === undefined || !isKnown ? unknown : words(each));
  const count = (each) => value(each, (n) => number.format(n));
  const ageS = isKnown && device.data_at_us ? Math.max(0, (nowUs - device.data_at_us) / 1e6) : null;
  const stateKey = isKnown ? stateOf(device, ageS) : "unknown";
  return {
    stateKey,
    state: say(texts.state[stateKey], { age: ageS === null ? unknown : age(ageS) }),
    battery: value(device.battery, (n) => say(texts.percent, { n })),
    age: value(ageS, age),
    rate: value(device.fs_measured, (n) => say(texts.hz, { n: n.toFixed(2) })),
    claimed: value(device.fs_claimed, (n) => say(texts.hz, { n: Math.round(n * 1000) / 1000 })),
    off: value(device.rate_off, offBy),
    lost: count(device.lost_samples),
    lostTitle: value(device.lost_s, (n) => say(texts.samples_s, { n: n.toFixed(1) })),
    late: count(device.late),
    duplicates: count(device.duplicates),
    refused: count(device.refused),
    offset: value(device.clock_offset_s, clockOf),
    delay: value(device.delay_s, shortTime),
  };
}

function stateOf(device, ageS) {
  if (device.isOnlyRefused) return "only_refused";
  if (ageS !== null && ageS <= SILENT_S) return "here";
  if (device.online === false) return ageS === null ? "offline" : "gone";
  if (ageS !== null) return "late";
  return device.online === true ? "waiting" : "unknown";
}

const SORT_VALUE = {
  name: (device) => device.name.toLowerCase(),
  state: (device) => (device.data_at_us ? -device.data_at_us : Infinity),
  battery: (device) => device.battery,
  age: (device) => (device.data_at_us ? -device.data_at_us : null),
  rate: (device) => device.fs_measured,
  off: (device) => (device.rate_off === null || device.rate_off === undefined ? null : Math.abs(device.rate_off)),
  lost: (device) => device.lost_samples,
  late: (device) => device.late,
  duplicates: (device) => device.duplicates,
  refused: (device) => device.refused,
  offset: (device) => (device.clock_offset_s === null || device.clock_offset_s === undefined ? null
    : Math.abs(device.clock_offset_s)),
  delay: (device) => device.delay_s,
};

// By the column, unknown last in either direction; among equals by id, with numbers as numbers.
export function compare(a, b, key, isDown) {
  const [one, other] = [SORT_VALUE[key](a) ?? null, SORT_VALUE[key](b) ?? null];
  const byName = a.device.localeCompare(b.device, undefined, { numeric: true });
  if (one === null || other === null) return (one === null) - (other === null) || byName;
  const order = typeof one === "string" ? one.localeCompare(other, undefined, { numeric: true }) : one - other;
  return (isDown ? -order : order) || byName;
}

function readSort() {
  const [key, isDown] = (window.wristlead.read(SORT_KEY) ?? "name false").split(" ");
  return key in SORT_VALUE ? [key, isDown === "true"] : ["name", false];
}
