// The page of settings: what is in force, as its owners say it; each change is asked of them, and its answer shown.

import { Channels } from "./channels.mjs";
import { Keeping } from "./keeping.mjs";
import { LimitsDialog } from "./limits_dialog.mjs";
import { NameDialog } from "./name_dialog.mjs";
import { bpm } from "./patient_view.mjs";
import { Polled } from "./polled.mjs";
import { SettingsLog } from "./settings_log.mjs";
import { dateAndTime } from "./times.mjs";
import { element, fieldsOf, say, setData, setHidden, setText, texts as all } from "./words.mjs";

const texts = all.settings;
const EVERY_MS = 1000;
const STALE_MS = 5000;

export default class SettingsPage {
  constructor(root, live) {
    Object.assign(this, { root, live });
    this.field = fieldsOf(root);
    this.rows = { sites: new Map(), patients: new Map() };
    this.channels = new Channels(root, live);
    this.settings = new Polled(() => (live.isLive ? "/data/settings" : null), EVERY_MS, () => this.update());
    this.keeping = new Keeping(this.field, live, {
      now: () => (this.isKnown ? this.settings.data.keeping : null),
      ask: (request) => this.#ask("keeping", request),
      refusal: () => this.settings.data.refusals.retention,
    });
    this.log = new SettingsLog(document.getElementById("log-rows"), this.field, live, {
      state: (change) => this.#stateOf(change),
      refusal: (change) => this.settings.data?.refusals[refusedAs(change)],
      ask: (what, request) => this.#ask(what, request),
      keeping: this.keeping,
    });
    live.want([], 10);
    if (window.location.pathname.startsWith("/channels")) this.#leadOn("channels");
    else if (window.location.hash) this.#leadOn(window.location.hash.slice(1));
  }

  get isKnown() {
    return this.settings.data !== null && this.settings.ageMs < STALE_MS;
  }

  remove() {
    this.dialog?.node.remove();
    this.keeping.dialog?.remove();
  }

  draw() {}

  repaint() {}

  update() {
    this.settings.turn();
    this.channels.update();
    this.keeping.update();
    this.log.update();
    if (this.dialog?.update() === false) this.dialog = undefined;
    if (this.settings.data === null) return;
    setData(this.root, "told", "true");
    const { sites, patients } = this.settings.data;
    this.#follow("sites", sites, document.getElementById("site-rows"), "no_sites");
    this.#follow("patients", patients, document.getElementById("patient-rows"), "no_patients");
  }

  #follow(kind, entries, body, note) {
    const rows = this.rows[kind];
    const scopes = entries.map((entry) => entry.scope);
    for (const [scope, row] of rows) {
      if (scopes.includes(scope)) continue;
      row.node.remove();
      rows.delete(scope);
    }
    entries.forEach((entry, place) => {
      if (!rows.has(entry.scope)) rows.set(entry.scope, this.#add(kind, entry.scope));
      const row = rows.get(entry.scope);
      if (body.children[place] !== row.node) body.insertBefore(row.node, body.children[place] ?? null);
      this.#fill(row, entry);
    });
    setHidden(this.field[kind], entries.length === 0);
    setHidden(this.field[note], entries.length > 0);
    setText(this.field[note], texts.nobody);
  }

  #add(kind, scope) {
    const isSite = kind === "sites";
    const row = {
      scope: element(isSite ? "b" : "a", "", isSite ? {} : { href: `/patient/${scope}` }, [scope]),
      name: element("span", ""),
      given: element("span", "dim small"),
      third: element("span", isSite ? "num" : "dim"),
      limits: element("span", "num"),
      extreme: element("span", "dim small num"),
      source: element("span", "dim small"),
      rename: element("button", "plain-button", { type: "button" }, [texts.rename]),
      change: element("button", "plain-button", { type: "button" }, [texts.limits]),
    };
    row.rename.addEventListener("click", () => this.#rename(kind, scope));
    row.change.addEventListener("click", () => this.#limit(kind, scope));
    const cells = [
      [row.scope], [row.name, row.given], [row.third], [row.limits, row.extreme, row.source],
      [element("span", "set-buttons", {}, [row.rename, row.change])],
    ];
    const labels = isSite ? texts.site_column : texts.patient_column;
    row.node = element("tr", "", { "data-scope": scope }, cells.map((cell, place) =>
      element("td", "", { "data-label": labels[place] }, cell)));
    return row;
  }

  #fill(row, entry) {
    const name = entry.given_name ?? (entry.scope.includes("/") ? entry.own_name : all.unknown);
    setText(row.name, name);
    setText(row.given, entry.given_name === null ? ""
      : say(texts.given_by, { who: entry.who, time: dateAndTime(entry.at_us) }));
    setText(row.third, entry.scope.includes("/") ? entry.own_name : String(entry.n_patients));
    const { limits } = entry;
    const pair = (low, high) => (limits === null ? all.unknown : `${bpm(limits[low])}-${bpm(limits[high])}`);
    setText(row.limits, pair("rate_low_bpm", "rate_high_bpm"));
    setText(row.extreme, say(texts.extreme, { limits: pair("rate_extreme_low_bpm", "rate_extreme_high_bpm") }));
    const own = entry.scope.includes("/") ? "patient" : "site";
    const hasOwn = limits !== null && Object.values(limits.sources).includes(own);
    setText(row.source, hasOwn ? texts.limits_sources[own] : "");
    const shown = entry.given_name ?? entry.own_name;
    for (const [button, label] of [[row.rename, texts.rename_label], [row.change, texts.limits_label]]) {
      const words = say(label, { name: shown });
      if (button.getAttribute("aria-label") !== words) button.setAttribute("aria-label", words);
      button.disabled = !this.live.isLive || !this.isKnown;
    }
    row.change.disabled ||= limits === null;
  }

  #entry(kind, scope) {
    return this.settings.data[kind].find((entry) => entry.scope === scope);
  }

  #rename(kind, scope) {
    this.dialog = new NameDialog(this.live, () => this.#entry(kind, scope),
      (name) => this.#ask("name", { scope, name }), () => this.settings.data.refusals[`name/${scope}`]);
  }

  #limit(kind, scope) {
    const isSite = kind === "sites";
    const entry = () => this.#entry(kind, scope);
    this.dialog = new LimitsDialog(this.live, scope, {
      own: isSite ? "site" : "patient",
      inherits: isSite
        ? { box: texts.site_default, reset: texts.site_reset, source: all.limits_sources.settings }
        : { box: all.limits_default, reset: all.limits_reset, source: all.limits_sources.site_default },
      isThere: () => entry() !== undefined,
      name: () => entry().given_name ?? entry().own_name,
      limits: () => entry()?.limits ?? null,
      refusal: () => this.settings.data.refusals[`limits/${scope}`],
      ask: (request) => this.#ask(isSite ? "site_limits" : "limits", { [isSite ? "site" : "device"]: scope, ...request }),
    });
  }

  #ask(what, request) {
    this.live.ask(what, request);
    this.settings.hurry(150);
    this.log.hurry(800); // written by then
  }

  // What a change of the log is about, as it is now: an undo is done when this is another.
  #stateOf({ name, limits, site_limits: siteLimits }) {
    const scope = name?.scope ?? limits?.device ?? siteLimits?.site;
    const entry = this.#entry(scope.includes("/") ? "patients" : "sites", scope);
    return JSON.stringify(name ? entry?.given_name : entry?.limits);
  }

  // An old address, or one with a section: there, once the page has its height.
  #leadOn(section) {
    if (window.location.pathname !== "/settings") {
      window.history.replaceState(window.history.state, "", `/settings#${section}`);
    }
    window.setTimeout(() => document.getElementById(section)?.scrollIntoView(), 300);
  }
}

const refusedAs = ({ name, limits, site_limits: siteLimits }) =>
  (name ? `name/${name.scope}` : `limits/${limits?.device ?? siteLimits?.site}`);
