// The wall: a panel for every patient, made when first heard; here they are placed, shown, filled and found.

import { Kiosk } from "./kiosk.mjs";
import { Panel } from "./panel.mjs";
import { Choices } from "./wall_choices.mjs";
import { Elsewhere } from "./wall_elsewhere.mjs";
import { neighbour } from "./wall_grid.mjs";
import { groupsOf, matches, WallOrder } from "./wall_order.mjs";
import { ENLARGED, WallSections } from "./wall_sections.mjs";
import { Tools } from "./wall_tools.mjs";
import { setData, setHidden } from "./words.mjs";

const HISTORY_S = 10;
const EVERYBODY = { query: "", site: "", isAlone: false };
const NEAR = "80px"; // traces begin to be drawn a little before they come into sight

export default class Wall {
  constructor(root, live) {
    this.live = live;
    this.root = root;
    this.loading = root.querySelector("#wall-loading");
    this.empty = root.querySelector("#wall-empty");
    this.panels = new Map(); // by device
    this.visible = new Set(); // devices whose traces are drawn
    this.order = new WallOrder();
    this.choices = new Choices();
    this.sections = new WallSections(root, (site) => this.#change(site === "" ? EVERYBODY : { site }));
    this.elsewhere = new Elsewhere(root.querySelector(".wall-elsewhere"), (device) => this.#lead(device));
    this.kiosk = new Kiosk(() => this.#fit());
    this.tools = new Tools(root.querySelector(".wall-tools"), this.choices, {
      change: (values) => this.#change(values),
      sort: (sort) => this.#change({ sort }, true),
      kiosk: (isOn) => this.#setKiosk(isOn),
      full: () => this.kiosk.setFull(!this.kiosk.isFull),
    });
    this.near = new IntersectionObserver((entries) => this.#look(entries), { rootMargin: NEAR });
    this.sections.showLoading(this.choices.count);
    this.fit = () => this.#fit();
    this.press = (event) => this.#press(event);
    window.addEventListener("resize", this.fit);
    document.addEventListener("keydown", this.press);
    root.addEventListener("focusin", (event) => this.#follow(event.target));
  }

  remove() {
    this.near.disconnect();
    this.sight?.disconnect();
    this.kiosk.remove();
    window.removeEventListener("resize", this.fit);
    document.removeEventListener("keydown", this.press);
    for (const panel of this.panels.values()) panel.rest();
    this.live.want([], HISTORY_S);
  }

  update() {
    const { live } = this;
    if (live.state === null) return;
    const patients = live.devices.map((device) => live.patients.get(device)).filter(Boolean);
    setHidden(this.loading, true);
    setHidden(this.empty, live.devices.length > 0);
    setData(this.root, "empty", String(live.devices.length === 0));
    const present = new Set(live.devices);
    for (const device of this.panels.keys()) if (!present.has(device)) this.#drop(device);
    for (const { device } of patients) if (!this.panels.has(device)) this.#add(device);
    if (patients.length !== this.choices.count) this.choices.change({ count: patients.length });
    this.#place(patients);
    const now = performance.now();
    for (const patient of patients) {
      const panel = this.panels.get(patient.device);
      if (this.visible.has(patient.device) || panel.patient === undefined) panel.fill(patient, live, now);
    }
    this.sections.fill(live.patients);
    this.tools.update(live, patients, {
      shown: this.shown.length, enlarged: this.enlargedCount, isStale: this.order.isStale,
      gains: this.sections.gains, kiosk: this.kiosk,
    });
    const unseen = patients.filter(({ device }) => this.panels.get(device).isSeen === false);
    this.elsewhere.update(unseen, live.isLive && live.state.broker);
  }

  draw(now) {
    for (const device of this.visible) this.panels.get(device).draw(this.live.stream(device), now);
  }

  repaint() {
    for (const panel of this.panels.values()) panel.sweep?.fit();
  }

  // Who is where; the document is touched only where somebody moved.
  #place(patients, isAsked = false) {
    const { choices } = this;
    const devices = this.order.place(patients, choices.sort, isAsked);
    const enlarged = choices.enlarged.filter((device) => this.panels.has(device));
    const sites = new Set(devices.map((device) => device.split("/")[0]));
    const isOfSite = (device) => !sites.has(choices.site) || device.startsWith(`${choices.site}/`);
    const isFound = (device) => choices.query === "" || matches(this.live.patients.get(device), choices.query);
    this.enlargedCount = enlarged.length;
    this.shown = devices.filter((device) => isOfSite(device) && isFound(device));
    const others = this.shown.filter((device) => !enlarged.includes(device));
    const isAlone = choices.isAlone && enlarged.length > 0;
    const groups = isAlone ? [] : groupsOf(others, choices.sort === "site");
    if (enlarged.length > 0) groups.unshift([ENLARGED, enlarged]);
    const key = JSON.stringify(groups);
    if (key === this.placedKey) return;
    this.placedKey = key;
    for (const [device, panel] of this.panels) panel.setEnlarged(enlarged.includes(device));
    const laid = this.sections.lay(groups, this.panels);
    const isLaid = new Set(laid);
    for (const [device, panel] of this.panels) {
      if (isLaid.has(device)) this.#reveal(panel);
      else this.#conceal(panel);
    }
    this.laid = laid;
    this.#setCurrent(laid.includes(this.current) ? this.current : laid[0]);
    this.#fit();
  }

  #fit() {
    if (this.live.state === null) return;
    const { top, foot } = this.sections.fit(this.panels);
    for (const panel of this.panels.values()) panel.sweep?.fit(); // it stands on whole pixels of the page
    const rootMargin = `${-top}px 0px ${-foot}px 0px`; // header and bar cover what scrolls beneath them
    if (rootMargin === this.sightMargin) return;
    this.sightMargin = rootMargin;
    this.sight?.disconnect();
    this.sight = new IntersectionObserver((entries) => this.#see(entries), { rootMargin, threshold: 0.9 });
    for (const panel of this.panels.values()) this.sight.observe(panel.head);
  }

  #add(device) {
    const panel = new Panel(device, () => this.#toggleEnlarged(device));
    this.panels.set(device, panel);
    this.near.observe(panel.link);
    this.sight?.observe(panel.head);
  }

  // Discharged, here or at another screen.
  #drop(device) {
    const panel = this.panels.get(device);
    this.near.unobserve(panel.link);
    this.sight?.unobserve(panel.head);
    panel.rest();
    panel.node.remove();
    this.panels.delete(device);
    this.visible.delete(device);
    this.live.want([...this.visible], HISTORY_S);
  }

  // A choice of the person.
  #change(values, isAsked = false) {
    this.choices.change(values);
    if (this.live.state === null) return;
    if (isAsked) this.#place(this.live.devices.map((device) => this.live.patients.get(device)).filter(Boolean), true);
    this.update();
  }

  #toggleEnlarged(device) {
    this.choices.toggleEnlarged(device);
    this.update();
  }

  #setKiosk(isOn) {
    if (isOn) this.#change({ query: "" }); // nobody could see that a search hides patients
    this.kiosk.set(isOn);
    this.kiosk.setFull(isOn);
    this.update();
  }

  // To a patient who is out of sight: what hides the panel is undone.
  #lead(device) {
    if (!this.laid.includes(device)) this.#change(EVERYBODY);
    const { link, node } = this.panels.get(device);
    node.scrollIntoView({ block: "center" });
    link.focus({ preventScroll: true });
  }

  #look(entries) {
    for (const entry of entries) {
      const { device } = entry.target.dataset;
      const panel = this.panels.get(device);
      if (panel === undefined) continue;
      if (entry.isIntersecting) {
        this.visible.add(device);
        const patient = this.live.patients.get(device);
        if (patient) panel.fill(patient, this.live, performance.now());
      } else {
        this.visible.delete(device);
        panel.rest();
      }
    }
    this.live.want([...this.visible], HISTORY_S);
  }

  #see(entries) {
    for (const entry of entries) {
      const panel = this.panels.get(entry.target.parentElement.dataset.device);
      if (panel !== undefined) panel.isSeen = entry.isIntersecting;
    }
  }

  // Laid out again: the observers tell anew whether it is in sight.
  #reveal(panel) {
    if (!panel.isConcealed) return;
    Object.assign(panel, { isConcealed: false, isSeen: null });
    for (const [observer, node] of [[this.near, panel.link], [this.sight, panel.head]]) {
      observer?.unobserve(node);
      observer?.observe(node);
    }
  }

  #conceal(panel) {
    Object.assign(panel, { isConcealed: true, isSeen: false });
    panel.rest();
    this.visible.delete(panel.device);
    this.live.want([...this.visible], HISTORY_S);
  }

  // One panel is in the order of the Tab key; arrows lead to the others.
  #setCurrent(device) {
    this.current = device;
    for (const panel of this.panels.values()) {
      const isCurrent = panel.device === device;
      if (panel.link.tabIndex !== (isCurrent ? 0 : -1)) panel.link.tabIndex = isCurrent ? 0 : -1;
    }
  }

  #follow(target) {
    const device = target.closest?.("a.panel")?.dataset.device;
    if (device !== undefined) this.#setCurrent(device);
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest?.("input, select, textarea, [role='dialog'], dialog")) return;
    const panel = event.target.closest?.(".cell")?.querySelector("a.panel")?.dataset.device;
    const isFree = event.target === document.body || panel !== undefined;
    if (event.key === "/" && !this.kiosk.isOn) this.tools.focusSearch();
    else if (event.key === "Escape") this.#undo();
    else if (event.key === "f" && panel !== undefined) this.#enlargeByKey(panel);
    else if (isFree && this.#goesWith(event.key)) this.#go(event.key, panel !== undefined);
    else return;
    event.preventDefault();
  }

  #enlargeByKey(device) {
    this.#toggleEnlarged(device);
    this.panels.get(device).link.focus();
  }

  // The last thing that was asked for, one at a time.
  #undo() {
    const { choices } = this;
    if (this.kiosk.isOn) this.#setKiosk(false);
    else if (choices.query !== "") this.#change({ query: "" });
    else if (choices.isAlone) this.#change({ isAlone: false });
    else if (choices.enlarged.length > 0) this.#change({ enlarged: [] });
  }

  #goesWith(key) {
    return this.laid?.length > 0 && ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(key);
  }

  #go(key, isInside) {
    const at = this.laid.indexOf(this.current);
    let to = at; // the first arrow only shows where one is
    if (key === "Home") to = 0;
    else if (key === "End") to = this.laid.length - 1;
    else if (isInside) to = neighbour(this.laid.map((device) => boxOf(this.panels.get(device))), at, key);
    this.panels.get(this.laid[to]).link.focus();
  }
}

const boxOf = (panel) => panel.node.getBoundingClientRect();
