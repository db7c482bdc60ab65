// The slim row above the wall: how everybody is, the order, the site, the search, and the ways to a wall screen.

import { wakeWords } from "./kiosk.mjs";
import { siteNameOf, siteOf, SORTS } from "./wall_order.mjs";
import { element, minutesAndSeconds, say, setData, setHidden, setText, setTitle, texts } from "./words.mjs";

const words = texts.wall;

// Patients -> how many there are, with alarms, and with findings of the model alone.
export function countsOf(patients) {
  const has = (patient, isAdvisory) => patient.alarms.some((alarm) => (alarm.priority === "advisory") === isAdvisory);
  const alarms = patients.filter((patient) => has(patient, false));
  return {
    count: patients.length,
    alarms: alarms.length,
    findings: patients.filter((patient) => has(patient, true)).length,
  };
}

// `8 patients, no alarms`; `phrases` as texts.wall.summary.
export function summaryOf(counts, phrases) {
  const calm = counts.count === 1 ? phrases.calm_one : phrases.calm;
  const text = say(counts.alarms > 0 ? phrases.alarms : calm, counts);
  return counts.findings > 0 && phrases.findings ? say(phrases.findings, { ...counts, text }) : text;
}

export class Tools {
  // actions: change(values), sort(sort), kiosk(isOn), full(isFull)
  constructor(holder, choices, actions) {
    this.choices = choices;
    this.sites = null;
    this.summary = element("span", "wall-summary num");
    this.notes = element("span", "wall-notes", { role: "status" });
    this.clock = element("span", "wall-clock dim num");
    this.scale = element("span", "wall-scale dim small num");
    this.#makeChoice(actions);
    this.#makeSearch(actions);
    this.#makeEnlarged(actions);
    this.#makeScreen(actions);
    holder.setAttribute("role", "group");
    holder.setAttribute("aria-label", words.tools);
    holder.replaceChildren(
      this.summary, this.notes, element("span", "push"), this.enlarged, this.site, this.sorts, this.searchBox,
      this.scale, this.fullButton, this.kioskButton, this.leave, this.clock,
    );
  }

  // shown, enlarged: how many are; isStale: sorting again would move somebody; gains: mm/mV
  update(live, patients, { shown, enlarged, isStale, gains, kiosk }) {
    const { choices } = this;
    const isLive = live.isLive && live.state.broker;
    setText(this.summary, isLive ? summaryOf(countsOf(patients), words.summary) : words.summary.unknown);
    this.#fillSites(patients);
    const sort = choices.sort === "site" && this.sortButtons.get("site").hidden ? "bed" : choices.sort;
    for (const [name, button] of this.sortButtons) button.setAttribute("aria-pressed", String(sort === name));
    setHidden(this.again, sort !== "alarm");
    setData(this.again, "stale", String(isStale));
    this.again.tabIndex = isStale ? 0 : -1;
    const isTyping = document.activeElement === this.search;
    if (!isTyping && this.search.value !== choices.query) this.search.value = choices.query;
    const isSearching = choices.query !== "";
    const counts = { count: shown, total: patients.length };
    setText(this.found, isSearching ? say(words.search_count, counts) : "");
    setText(this.said, isSearching ? say(words.search_said, counts) : "");
    setHidden(this.enlarged, enlarged === 0);
    this.alone.setAttribute("aria-pressed", String(choices.isAlone));
    setText(this.scale, say(words.scale, { gain: [...gains].join(", ") }));
    setText(this.fullButton, kiosk.isFull ? words.full_leave : words.full);
    setText(this.clock, new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    const notes = this.#notes(live, kiosk);
    setText(this.notes, notes);
    setTitle(this.notes, notes);
  }

  focusSearch() {
    this.search.focus();
    this.search.select();
  }

  #makeChoice(actions) {
    this.site = element("select", "wall-select", { "aria-label": words.site });
    this.site.addEventListener("change", () => actions.change({ site: this.site.value }));
    this.sortButtons = new Map(SORTS.map((sort) => {
      const attributes = { type: "button", title: words.sort_titles[sort] };
      const button = element("button", "", attributes, [words.sorts[sort]]);
      button.addEventListener("click", () => actions.sort(sort));
      return [sort, button];
    }));
    const group = { role: "group", "aria-label": words.sort };
    this.again = element("button", "wall-again", { type: "button" }, [words.sort_again]);
    this.again.addEventListener("click", () => actions.sort(this.choices.sort));
    this.sorts = element("span", "wall-sorts", group, [
      this.again, element("span", "dim small", {}, [words.sort]), ...this.sortButtons.values(),
    ]);
  }

  #makeSearch(actions) {
    this.search = element("input", "wall-search", {
      type: "search", placeholder: words.search_hint, title: words.search_title, "aria-label": words.search,
      "aria-keyshortcuts": "/", autocomplete: "off", spellcheck: "false",
    });
    this.search.addEventListener("input", () => actions.change({ query: this.search.value.trim() }));
    this.search.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation(); // one Escape, one thing undone
      if (this.search.value === "") this.search.blur();
      this.search.value = "";
      actions.change({ query: "" });
    });
    this.found = element("span", "wall-found dim num", { "aria-hidden": "true" });
    this.said = element("span", "unseen", { role: "status" });
    this.searchBox = element("span", "wall-search-box", {}, [this.search, this.found, this.said]);
  }

  #makeEnlarged(actions) {
    const { choices } = this;
    this.alone = element("button", "", { type: "button", title: words.alone_title }, [words.alone]);
    this.alone.addEventListener("click", () => actions.change({ isAlone: !choices.isAlone }));
    const back = element("button", "", { type: "button" }, [words.put_back]);
    back.addEventListener("click", () => actions.change({ enlarged: [] }));
    this.enlarged = element("span", "wall-sorts wall-enlarged", { role: "group", "aria-label": words.enlarged }, [
      element("span", "dim small", {}, [words.enlarged]), this.alone, back,
    ]);
  }

  #makeScreen(actions) {
    const button = (name, text, title) =>
      element("button", `wall-button ${name}`, { type: "button", title }, [text]);
    this.fullButton = button("wall-full", words.full, words.full);
    this.fullButton.hidden = !document.fullscreenEnabled;
    this.fullButton.addEventListener("click", () => actions.full());
    this.kioskButton = button("wall-kiosk", words.kiosk, words.kiosk_title);
    this.kioskButton.addEventListener("click", () => actions.kiosk(true));
    this.leave = button("wall-leave", words.kiosk_leave, words.kiosk_leave);
    this.leave.addEventListener("click", () => actions.kiosk(false));
  }

  // A site is worth choosing only where there are several.
  #fillSites(patients) {
    const named = new Map(patients.map((patient) => [siteOf(patient), siteNameOf(patient)]));
    const sites = [...named].sort(([, a], [, b]) => a.localeCompare(b));
    const key = JSON.stringify(sites);
    if (this.sites !== key) {
      this.sites = key;
      const option = (value, text) => element("option", "", { value }, [text]);
      this.site.replaceChildren(option("", words.site_all), ...sites.map(([site, name]) => option(site, name)));
      setHidden(this.site, sites.length < 2);
      setHidden(this.sortButtons.get("site"), sites.length < 2);
    }
    if (this.site.value !== this.choices.site) this.site.value = this.choices.site;
  }

  // What is wrong and stands nowhere else: in kiosk mode the header is gone.
  #notes(live, kiosk) {
    const notes = [wakeWords(kiosk.wake)];
    if (kiosk.isOn) {
      const left = live.pausedS();
      if (left > 0) notes.push(say(texts.paused, { time: minutesAndSeconds(left) }));
      if (document.getElementById("sound")?.dataset.state === "waiting") notes.push(texts.sound.waiting);
    }
    return notes.filter(Boolean).join(" · ");
  }
}
