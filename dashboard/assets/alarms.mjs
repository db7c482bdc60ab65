// The alarms page: every alarm that is there, kept up to date; the past comes from the server when one changed.

import { DischargeDialog } from "./discharge_dialog.mjs";
import { alarmRemark, nameOf, shapeOf } from "./patient_view.mjs";
import { fillTimes } from "./times.mjs";
import {
  age, element, fieldsOf, minutesAndSeconds, probability, say, setData, setHidden, setText, texts,
} from "./words.mjs";

const PRIORITIES = ["high", "medium", "low", "advisory"];
const HISTORY_AFTER_MS = [700, 3000]; // stored by then; in trouble it is shown first, and stored a second later
const HISTORY_EVERY_MS = 60_000;
const REFUSAL_SHOWN_S = 30; // that a pause was not begun

export default class AlarmsPage {
  constructor(root, live) {
    this.root = root;
    this.live = live;
    this.rows = new Map(); // "device/kind/since" -> its cells
    this.field = fieldsOf(root);
    this.body = document.getElementById("active-alarms");
    this.pause = document.getElementById("pause-all");
    this.pause.addEventListener("click", () => live.ask("pause", {
      on: live.pausedS() === 0, asked_us: Math.round(live.nowUs()),
    }));
    document.getElementById("sound-test").addEventListener("click", () => window.wristlead.sound.test());
    this.historyAt = [performance.now() + HISTORY_EVERY_MS]; // when to ask, the next first
    this.historyCount = 0;
    live.want([], 10);
  }

  remove() {
    this.dialog?.node.remove();
  }

  draw() {}

  repaint() {}

  update() {
    fillTimes(this.root);
    this.#fillActive();
    this.#fillPause();
    if (this.dialog?.update() === false) this.dialog = undefined;
    if (performance.now() >= this.historyAt[0]) this.#askForHistory();
  }

  #fillActive() {
    const { live, field } = this;
    const alarms = live.state === null ? [] : activeAlarms(live);
    const keys = alarms.map((alarm) => `${alarm.device}/${alarm.kind}/${alarm.since_us}`);
    for (const [key, row] of this.rows) if (!keys.includes(key)) this.#drop(key, row);
    alarms.forEach((alarm, place) => {
      if (!this.rows.has(keys[place])) this.rows.set(keys[place], this.#add(alarm));
      const row = this.rows.get(keys[place]);
      if (this.body.children[place] !== row.node) this.body.insertBefore(row.node, this.body.children[place] ?? null);
      this.#fill(row, alarm);
    });
    setHidden(field.active, alarms.length === 0);
    setHidden(field.none, alarms.length > 0);
    if (live.state !== null) setText(field.none, live.isLive ? texts.active_none : texts.active_unknown);
    const told = alarms.map(({ device, kind, since_us, state }) => [device, kind, since_us, state].join(" ")).join();
    if (told !== this.told && this.told !== undefined) {
      this.historyAt = HISTORY_AFTER_MS.map((after) => performance.now() + after);
    }
    if (live.state !== null) {
      this.told = told;
      setData(this.root, "told", "true");
    }
  }

  #drop(key, row) {
    row.node.remove();
    this.rows.delete(key);
  }

  #add(alarm) {
    const { device, kind, since_us: since } = alarm;
    const isOwn = alarm.isOwn;
    const row = {
      name: element(isOwn ? "span" : "a", "", isOwn ? {} : { href: `/patient/${device}` }),
      mark: element("span", "mark"),
      text: element("span", "row-text"),
      lasts: element("span", "num"),
      times: element("span", "num"),
      peak: element("span", "num"),
      state: element("span", "row-state"),
      remark: element("span", "dim small"),
      button: element("button", "row-button", { type: "button" }, [texts.acknowledge]),
    };
    row.button.addEventListener("click", () => this.live.acknowledge(alarm));
    const time = element("time", "num", { "data-us": since, "data-style": "date" });
    const href = `/event/${device}/${kind}/${since}`;
    const strip = isOwn ? "" : element("a", "row-link", { href }, [texts.strip_link]);
    const kindWords = element("span", "dim small", {}, [texts.kinds[kind] ?? kind]);
    const cells = [
      row.mark, row.name, [row.text, kindWords], time, row.lasts, row.times, row.peak, [row.state, row.remark],
      strip, [row.button, this.#dismiss(alarm)],
    ];
    row.node = element("tr", "", {}, cells.map((cell, place) =>
      element("td", "", { "data-label": texts.active_columns[place] }, [cell].flat())));
    return row;
  }

  // A part of Wristlead that was taken away for good says nothing any more, and nobody else can end its alarm.
  #dismiss({ device, isOwn }) {
    if (!isOwn) return "";
    const label = `${texts.dismiss}: ${nameOf(device, this.live)}`;
    const button = element("button", "plain-button dismiss", { type: "button", "aria-label": label }, [texts.dismiss]);
    button.addEventListener("click", () => {
      this.dialog = new DischargeDialog(this.live, device);
    });
    return button;
  }

  #fill(row, alarm) {
    const { live } = this;
    setData(row.node, "priority", alarm.priority);
    setData(row.node, "queue", alarm.queue);
    setData(row.node, "state", alarm.state);
    if (row.priority !== alarm.priority) {
      row.priority = alarm.priority;
      row.mark.replaceChildren(...markOf(alarm.priority));
    }
    setText(row.name, nameOf(alarm.device, live));
    setText(row.text, alarm.text.replace(/^[*\s]+/, ""));
    setText(row.lasts, age(Math.max(0, live.nowUs() - alarm.since_us) / 1e6));
    setText(row.times, String(alarm.count));
    setText(row.peak, peakOf(alarm));
    setText(row.state, alarm.state === "on" ? texts.alarm_state_on : alarmRemark(alarm));
    setText(row.remark, alarm.escalation > 0 ? say(texts.alarm_escalated, { count: alarm.escalation }) : "");
    row.button.disabled = !live.isLive || alarm.state === "ack";
    const label = `${texts.acknowledge}: ${row.name.textContent}, ${row.text.textContent}`;
    if (row.label !== label) row.button.setAttribute("aria-label", row.label = label);
  }

  #fillPause() {
    const left = this.live.pausedS();
    this.pause.disabled = !this.live.isLive;
    setText(this.pause.querySelector(".mantine-Button-label"), left > 0
      ? `${texts.pause_end} (${minutesAndSeconds(left)})` : texts.pause);
    const refusal = this.live.state?.own_refusals.pause;
    const isNews = refusal !== undefined && left === 0 && this.live.nowUs() - refusal.at_us < REFUSAL_SHOWN_S * 1e6;
    setHidden(this.field.pause_note, !isNews);
    if (isNews) setText(this.field.pause_note, say(texts.pause_refused, refusal));
  }

  #askForHistory() {
    this.historyCount += 1;
    this.historyAt = this.historyAt.slice(1);
    if (this.historyAt.length === 0) this.historyAt = [performance.now() + HISTORY_EVERY_MS];
    window.dash_clientside.set_props("history-changed", { data: this.historyCount });
  }
}

// Every alarm that is not off: by priority, then the newest first. Its state moves no row, so that none moves
// away from under a finger that acknowledges.
export function activeAlarms(live) {
  const ofPatients = [...live.patients.values()].flatMap((patient) => patient.alarms);
  const own = live.state.own_alarms.map((alarm) => ({ ...alarm, isOwn: true }));
  const rank = (alarm) => PRIORITIES.indexOf(alarm.priority);
  const place = (alarm) => `${alarm.device}/${alarm.kind}`;
  return [...ofPatients, ...own].toSorted((a, b) =>
    rank(a) - rank(b) || b.since_us - a.since_us || place(a).localeCompare(place(b)));
}

function markOf(priority) {
  return [shapeOf(priority), element("span", "mark-stars", { "aria-hidden": "true" }, [texts.stars[priority]]),
    element("span", "", {}, [texts.priority[priority]])];
}

function peakOf({ kind, peak }) {
  if (peak === null || peak === undefined || !(kind in texts.peaks)) return texts.unknown;
  const [digits, unit] = texts.peaks[kind];
  if (digits === 2) return probability(peak);
  return `${peak.toFixed(digits)} ${unit}`;
}
