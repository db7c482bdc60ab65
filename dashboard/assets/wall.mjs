// The wall: a panel for every device, made when it is first heard and never moved or rebuilt.

import { alarmRemark, alarmText, shapeOf, viewOf } from "./patient_view.mjs";
import { Sweep } from "./sweep.mjs";
import { element, navigate, say, setData, setHidden, setText, setTitle, texts } from "./words.mjs";

const SWEEP = { mmPerS: 25, mmPerMv: 10, pulse: 2, baseline: 0.66 };
const HISTORY_S = 10;
const PANEL_MIN = { width: 360, height: 180 }; // CSS px; below it a panel is no longer read from a distance
const GAP = 8;

export default class Wall {
  constructor(root, live) {
    this.live = live;
    this.grid = root.querySelector("#wall");
    this.loading = root.querySelector("#wall-loading");
    this.empty = root.querySelector("#wall-empty");
    this.panels = new Map();
    this.visible = new Set();
    this.fitGrid = () => this.#fitGrid();
    window.addEventListener("resize", this.fitGrid);
    this.observer = new IntersectionObserver((entries) => this.#look(entries), { rootMargin: "80px" });
  }

  remove() {
    this.observer.disconnect();
    window.removeEventListener("resize", this.fitGrid);
    for (const panel of this.panels.values()) panel.sweep?.remove();
    this.live.want([], HISTORY_S);
  }

  update() {
    const { live } = this;
    if (live.state !== null) {
      setHidden(this.loading, true);
      setHidden(this.empty, live.devices.length > 0);
    }
    for (const device of this.panels.keys()) {
      if (live.state !== null && !live.devices.includes(device)) this.#drop(device);
    }
    live.devices.forEach((device, place) => {
      if (!live.patients.has(device)) return;
      if (!this.panels.has(device)) this.#add(device);
      const { node } = this.panels.get(device);
      if (node.style.order !== String(place)) node.style.order = place;
    });
    if (this.panels.size !== this.fittedTo) this.#fitGrid();
    for (const [device, panel] of this.panels) this.#fill(panel, live.patients.get(device));
  }

  draw(now) {
    for (const device of this.visible) {
      const panel = this.panels.get(device);
      const stream = this.live.stream(device);
      if (panel.sweep?.stream !== stream) {
        panel.sweep?.remove();
        panel.sweep = new Sweep(panel.trace, stream, SWEEP);
        panel.sweep.setGrey(panel.isGrey);
      }
      stream.advance(now);
      panel.sweep.draw();
    }
  }

  repaint() {
    for (const panel of this.panels.values()) panel.sweep?.fit();
  }

  // As few columns as let all panels fit the screen: the fewer, the longer the traces.
  #fitGrid() {
    this.fittedTo = this.panels.size;
    const count = this.panels.size || this.loading.children.length;
    const most = Math.max(1, Math.floor((window.innerWidth - 32) / (PANEL_MIN.width + GAP)));
    const fitting = Math.max(1, Math.floor((window.innerHeight - 130) / (PANEL_MIN.height + GAP)));
    const columns = Math.min(most, Math.max(1, Math.ceil(count / fitting)));
    for (const grid of [this.grid, this.loading]) {
      grid.style.setProperty("--columns", columns);
      grid.style.setProperty("--rows", Math.ceil(count / columns));
    }
  }

  #add(device) {
    const part = (tag, name) => element(tag, name);
    const panel = {
      device,
      isGrey: false,
      name: part("span", "panel-name"),
      source: part("span", "badge"),
      site: part("span", "dim panel-site"),
      lead: part("span", "dim push"),
      complete: element("span", "dim num panel-complete", { title: texts.complete_title }),
      strip: part("div", "strip"),
      trace: element("div", "trace", { "aria-hidden": "true" }),
      note: part("div", "trace-note"),
      rate: part("span", "rate-value num"),
      doubt: element("span", "chip doubt-chip", { role: "note" }),
      doubtText: part("span", "doubt-text"),
      verdict: part("span", "chip"),
      rhythm: element("span", "chip rhythm-chip", { title: texts.rhythm_title }),
      battery: part("span", "dim num push"),
    };
    panel.doubt.append(shapeOf("low"), panel.doubtText);
    panel.limits = element("div", "limits num", {}, [texts.unknown]);
    const unit = element("div", "unit", {}, [texts.bpm]);
    panel.node = element("a", "panel", { href: `/patient/${device}`, "data-device": device }, [
      element("div", "panel-head", {}, [panel.name, panel.source, panel.site, panel.lead, panel.complete]),
      element("div", "panel-body", {}, [
        element("div", "trace-box", {}, [panel.trace, panel.strip, panel.note]),
        element("div", "rate", {}, [panel.rate, unit, panel.limits]),
      ]),
      element("div", "panel-foot", {}, [panel.doubt, panel.verdict, panel.rhythm, panel.battery]),
    ]);
    panel.node.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      navigate(panel.node.getAttribute("href"));
    });
    this.panels.set(device, panel);
    this.grid.append(panel.node);
    this.observer.observe(panel.node);
  }

  // Discharged, here or at another screen.
  #drop(device) {
    const panel = this.panels.get(device);
    this.observer.unobserve(panel.node);
    panel.sweep?.remove();
    panel.node.remove();
    this.panels.delete(device);
    this.visible.delete(device);
    this.live.want([...this.visible], HISTORY_S);
  }

  #fill(panel, patient) {
    if (patient === undefined) return;
    const view = viewOf(patient, this.live);
    setText(panel.name, patient.name);
    setText(panel.site, patient.device.split("/")[0]);
    setHidden(panel.source, view.source === null);
    setText(panel.source, view.source ?? "");
    setText(panel.lead, view.lead.text);
    setTitle(panel.lead, view.lead.title);
    setText(panel.complete, view.complete);
    setText(panel.rate, view.rate);
    setData(panel.node, "rate", view.isRateKnown ? "known" : "unknown");
    setData(panel.node, "stale", String(view.isStale));
    setText(panel.limits, view.limits);
    setTitle(panel.limits, view.limitsTitle);
    setText(panel.note, view.note);
    setHidden(panel.note, view.note === "");
    this.#fillDoubt(panel, view);
    setHidden(panel.verdict, view.isVerdictDoubtful);
    setText(panel.verdict, view.verdict.text);
    setData(panel.verdict, "old", String(view.verdict.isOld));
    setTitle(panel.verdict, view.verdict.title ?? "");
    setHidden(panel.rhythm, view.rhythm === null);
    setText(panel.rhythm, view.rhythm?.text ?? "");
    setData(panel.rhythm, "found", String(view.rhythm?.isFound ?? false));
    setText(panel.battery, view.battery);
    this.#fillStrip(panel, view.alarms);
    const rate = view.isRateKnown ? `${view.rate} ${texts.bpm}` : `${texts.unknown} ${view.note}`;
    const alarm = [view.alarms[0]?.text, view.doubt].filter(Boolean).join(". ");
    const label = say(texts.panel_label, { name: patient.name, rate, alarm });
    if (panel.label !== label) panel.node.setAttribute("aria-label", panel.label = label);
    panel.isGrey = view.isGrey;
    panel.sweep?.setGrey(view.isGrey);
  }

  #fillDoubt(panel, view) {
    setHidden(panel.doubt, view.doubt === "");
    setText(panel.doubtText, view.doubtChip);
    setTitle(panel.doubt, view.doubt);
    if (panel.doubtLabel !== view.doubt) panel.doubt.setAttribute("aria-label", panel.doubtLabel = view.doubt);
  }

  #fillStrip(panel, alarms) {
    const [worst] = alarms;
    setHidden(panel.strip, worst === undefined);
    setData(panel.node, "priority", worst?.priority ?? "");
    setData(panel.node, "queue", worst?.queue ?? "");
    setData(panel.node, "state", worst?.state ?? "");
    if (worst === undefined) return;
    const remark = [alarmRemark(worst), alarms.length > 1 ? say(texts.more, { count: alarms.length - 1 }) : ""]
      .filter(Boolean).join(" · ");
    const key = `${worst.priority}|${alarmText(worst)}|${remark}`;
    if (panel.stripKey === key) return;
    panel.stripKey = key;
    panel.strip.replaceChildren(
      shapeOf(worst.priority),
      element("span", "strip-text", {}, [alarmText(worst)]),
      element("span", "strip-remark", {}, [remark]),
    );
  }

  #look(entries) {
    for (const entry of entries) {
      const { device } = entry.target.dataset;
      if (entry.isIntersecting) {
        this.visible.add(device);
      } else {
        this.visible.delete(device);
        this.panels.get(device).sweep?.remove();
        this.panels.get(device).sweep = null;
      }
    }
    this.live.want([...this.visible], HISTORY_S);
  }
}
