// One patient on the wall: made once, then only what changed is written, as there may be 64 of them.

import { alarmRemark, alarmText, shapeOf, viewOf } from "./patient_view.mjs";
import { Sweep } from "./sweep.mjs";
import { siteNameOf } from "./wall_order.mjs";
import { element, navigate, say, setData, setHidden, setText, setTitle, texts } from "./words.mjs";

const SWEEP = { mmPerS: 25, pulse: 2, baseline: 0.66 };
const FILL_MS = 200; // between two fillings of a patient about whom nothing came: ages count seconds
const LOW_BATTERY = 20; // per cent, as the alarm of that name has it

export class Panel {
  // onEnlarge() when a person asks for it to be larger, or for its place again.
  constructor(device, onEnlarge) {
    this.device = device;
    this.isGrey = false;
    this.mmPerMv = 10;
    this.isSeen = null; // whether its name and alarm are on the screen; null before anybody looked
    this.#make();
    this.link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      navigate(this.link.getAttribute("href"));
    });
    this.enlarge.addEventListener("click", onEnlarge);
  }

  // The trace up to now; its canvas is made when the panel comes into sight.
  draw(stream, now) {
    if (this.sweep?.stream !== stream || this.sweep.options.mmPerMv !== this.mmPerMv) {
      this.rest();
      this.sweep = new Sweep(this.trace, stream, { ...SWEEP, mmPerMv: this.mmPerMv });
      this.sweep.setGrey(this.isGrey);
    }
    stream.advance(now);
    this.sweep.draw();
  }

  // Out of sight.
  rest() {
    this.sweep?.remove();
    this.sweep = null;
  }

  setEnlarged(isEnlarged) {
    setData(this.node, "enlarged", String(isEnlarged));
    if (this.isEnlarged === isEnlarged) return;
    this.isEnlarged = isEnlarged;
    this.enlarge.setAttribute("aria-pressed", String(isEnlarged));
  }

  fill(patient, live, nowMs) {
    if (patient === this.patient && live.isLive === this.wasLive && nowMs - this.filledAt < FILL_MS) return;
    Object.assign(this, { patient, wasLive: live.isLive, filledAt: nowMs });
    const view = viewOf(patient, live);
    this.#fillHead(patient, view);
    this.#fillStrip(view.alarms);
    setText(this.rate, view.rate);
    setData(this.link, "rate", view.isRateKnown ? "known" : "unknown");
    setData(this.link, "stale", String(view.isStale));
    setText(this.limits, view.limits);
    setTitle(this.limits, view.limitsTitle);
    setText(this.note, view.note);
    setHidden(this.note, view.note === "");
    this.#fillDoubt(view);
    this.#fillVerdict(view);
    this.#fillBattery(view.batteryPercent);
    this.#fillLabel(patient, view);
    this.isGrey = view.isGrey;
    this.sweep?.setGrey(view.isGrey);
  }

  #make() {
    const part = (tag, name) => element(tag, name);
    Object.assign(this, {
      name: part("span", "panel-name"),
      source: part("span", "badge"),
      site: part("span", "dim panel-site"),
      lead: part("span", "dim panel-lead push"),
      complete: element("span", "dim num panel-complete", { title: texts.complete_title }),
      strip: part("div", "strip"),
      trace: element("div", "trace", { "aria-hidden": "true" }),
      note: part("div", "trace-note"),
      rate: part("span", "rate-value num"),
      doubt: element("span", "chip doubt-chip", { role: "note" }),
      doubtText: part("span", "doubt-text"),
      verdict: part("span", "chip verdict-chip"),
      rhythm: element("span", "chip rhythm-chip", { title: texts.rhythm_title }),
      charge: part("i", ""),
      batteryText: part("span", "battery-text num"),
      limits: element("div", "limits num", {}, [texts.unknown]),
    });
    this.doubt.append(shapeOf("low"), this.doubtText);
    const shape = element("span", "battery-shape", {}, [this.charge]);
    this.battery = element("span", "dim battery push", {}, [shape, this.batteryText]);
    const unit = element("div", "unit", {}, [texts.bpm]);
    const head = [this.name, this.source, this.site, this.lead, this.complete, this.strip];
    this.traceBox = element("div", "trace-box", {}, [this.trace, this.note]);
    this.head = element("div", "panel-head", {}, head);
    this.link = element("a", "panel", { href: `/patient/${this.device}`, "data-device": this.device, tabindex: -1 }, [
      this.head,
      this.traceBox,
      element("div", "rate", {}, [this.rate, unit, this.limits]),
      element("div", "panel-foot", {}, [this.doubt, this.verdict, this.rhythm, this.battery]),
    ]);
    this.enlarge = element("button", "enlarge", { type: "button", tabindex: -1, "aria-pressed": "false" });
    this.node = element("li", "cell", {}, [this.link, this.enlarge]);
  }

  #fillHead(patient, view) {
    setText(this.name, patient.name);
    setTitle(this.name, `${patient.name} · ${patient.device}`);
    setText(this.site, siteNameOf(patient));
    setHidden(this.source, view.source === null);
    setText(this.source, view.source ?? "");
    setText(this.lead, view.lead.text);
    setTitle(this.lead, view.lead.title);
    setText(this.complete, view.complete);
    const name = say(texts.wall.enlarge, { name: patient.name });
    if (this.enlarge.title !== name) {
      this.enlarge.title = name;
      this.enlarge.setAttribute("aria-label", name);
    }
  }

  #fillStrip(alarms) {
    const [worst] = alarms;
    setHidden(this.strip, worst === undefined);
    setData(this.link, "priority", worst?.priority ?? "");
    setData(this.link, "queue", worst?.queue ?? "");
    setData(this.link, "state", worst?.state ?? "");
    setData(this.traceBox, "mark", texts.wall.remark[worst?.state] ?? "");
    if (worst === undefined) return;
    setTitle(this.strip, alarms.map(alarmText).join(" · "));
    const more = alarms.length > 1 ? say(texts.more, { count: alarms.length - 1 }) : "";
    const remark = [worst.state === "ack" ? texts.alarm_ack : alarmRemark(worst), more].filter(Boolean).join(" · ");
    const mark = texts.wall.remark[worst.state] ?? ""; // where there is no room for more
    const short = [mark, more].filter(Boolean).join(" ");
    const key = `${worst.priority}|${alarmText(worst)}|${remark}|${short}`;
    if (this.stripKey === key) return;
    this.stripKey = key;
    this.strip.replaceChildren(
      shapeOf(worst.priority),
      element("span", "strip-text", {}, [alarmText(worst)]),
      element("span", "strip-remark", {}, [remark]),
      element("span", "strip-short", {}, [short]),
    );
  }

  #fillDoubt(view) {
    setHidden(this.doubt, view.doubt === "");
    setText(this.doubtText, view.doubtChip);
    setTitle(this.doubt, view.doubt);
    if (this.doubtLabel !== view.doubt) this.doubt.setAttribute("aria-label", this.doubtLabel = view.doubt);
  }

  #fillVerdict(view) {
    setHidden(this.verdict, view.isVerdictDoubtful);
    setText(this.verdict, view.verdict.text);
    setData(this.verdict, "old", String(view.verdict.isOld));
    setTitle(this.verdict, view.verdict.title ?? "");
    setHidden(this.rhythm, view.rhythm === null);
    setText(this.rhythm, view.rhythm?.text ?? "");
    setData(this.rhythm, "found", String(view.rhythm?.isFound ?? false));
  }

  #fillBattery(percent) {
    if (this.percent === percent) return;
    this.percent = percent;
    const isLow = percent !== null && percent <= LOW_BATTERY;
    const shown = percent ?? texts.unknown;
    setData(this.battery, "low", String(isLow));
    setData(this.battery, "unknown", String(percent === null));
    setTitle(this.battery, say(texts.battery, { battery: shown }));
    setText(this.batteryText, say(isLow ? texts.wall.battery_low : texts.wall.battery, { battery: shown }));
    this.charge.style.width = `${percent ?? 0}%`;
  }

  #fillLabel(patient, view) {
    const rate = view.isRateKnown ? `${view.rate} ${texts.bpm}` : `${texts.unknown} ${view.note}`;
    const alarm = [view.alarms[0]?.text, view.doubt].filter(Boolean).join(". ");
    const label = say(texts.panel_label, { name: patient.name, rate, alarm });
    if (this.label !== label) this.link.setAttribute("aria-label", this.label = label);
  }
}
