// The review page: a span of a patient's past that is moved and zoomed, and what happened in it.

import { answer, PICTURE_LEVEL, ReviewData } from "./review_data.mjs";
import { ReviewDrawing, uniqueAlarms } from "./review_drawing.mjs";
import { ExportDialog } from "./review_export.mjs";
import { fillAlarms, fillWindow, rateAt } from "./review_lists.mjs";
import { Moves } from "./review_moves.mjs";
import { Notes } from "./review_notes.mjs";
import {
  around, DAY, dayField, dayOf, levelOf, moved, ofDayField, openingOf, SECOND, spanOf, zoomed,
} from "./review_span.mjs";
import { pxPerMm } from "./paper.mjs";
import { Chooser } from "./review_chooser.mjs";
import { dateAndTime, dayInWords } from "./times.mjs";
import { element, fieldsOf, say, setText, texts, timeOfDay } from "./words.mjs";

const FOLLOW_EVERY_MS = 1000;
const EXTENT_EVERY_MS = 10_000;
const GAINS = [10, 20, 40, 5]; // mm/mV
const EVENT_S = [10, 20]; // before and after an alarm's beginning

export default class ReviewPage {
  constructor(root, live) {
    if (root.dataset.device === undefined) return new Chooser(root, live);
    this.root = root;
    this.live = live;
    this.device = root.dataset.device;
    this.field = fieldsOf(root);
    this.day = element("input", "review-day", { type: "date", "aria-label": texts.review.day });
    this.field.day.append(this.day);
    this.jumps = root.querySelectorAll("[data-act=first], [data-act=last]");
    this.gain = 10; // mm/mV
    this.view = dayOf(live.nowUs()); // until it is known what is stored
    this.isShown = false;
    this.cursor = null;
    this.isFiltered = true;
    this.isFollowing = false;
    this.extent = null;
    this.data = new ReviewData(this.device, () => live.nowUs(), () => this.#came());
    this.notes = new Notes(this.device, live, this.field.notes, {
      onChange: () => this.#changed(), onShow: (note) => this.show(around((note.from_us + (note.to_us ?? note.from_us)) / 2,
        Math.max(30 * SECOND, 1.4 * ((note.to_us ?? note.from_us) - note.from_us)))),
    });
    this.drawing = new ReviewDrawing(this.field.canvas);
    this.moves = new Moves(this.field.canvas, this);
    root.addEventListener("click", (event) => this.#press(event));
    this.day.addEventListener("change", () => {
      const at = ofDayField(this.day.value);
      if (at !== null) this.show(dayOf(at));
    });
    this.observer = new ResizeObserver(() => this.#changed());
    this.observer.observe(this.field.canvas);
    live.want([], 10);
    window.wristlead.review = this; // for measurements
    this.#open();
  }

  remove() {
    this.observer.disconnect();
    this.moves.remove();
    this.dialog?.node.remove();
    this.notes.remove();
  }

  // Show this span from now on.
  show(span, { isFollowing = false } = {}) {
    this.isShown = true;
    this.view = span;
    this.isFollowing = isFollowing;
    this.data.want(span);
    this.notes.want(span);
    this.#changed();
    const query = new URLSearchParams({ at: Math.round(span.from / SECOND), span: Math.round((span.to - span.from) / SECOND) });
    clearTimeout(this.urlTimer);
    this.urlTimer = setTimeout(() => {
      if (!this.root.isConnected) return;
      window.history.replaceState(window.history.state, "", `?${query}`);
      if (!isFollowing) setText(this.field.spoken, this.field.when.textContent); // once the view has come to rest
    }, 300);
  }

  zoom(factor, at = this.#middle()) {
    this.show(zoomed(this.view, factor, at));
  }

  move(share) {
    this.show(moved(this.view, share * (this.view.to - this.view.from)));
  }

  look(us) {
    this.cursor = us;
    this.isDue = true;
    fillWindow(this.field.window, this.data.found("happened", this.view), us);
  }

  // An alarm or annotation that was pressed: the view moves to its strip.
  pick(what) {
    if (what.alarm !== undefined) this.#toAlarm(what.alarm.since_us);
    else this.notes.open(what.note);
  }

  timeAt(x) {
    const width = Math.max(1, this.field.canvas.clientWidth);
    return this.view.from + (x / width) * (this.view.to - this.view.from);
  }

  update() {
    const { live, field } = this;
    setText(field.name, live.patients.get(this.device)?.name ?? this.device.split("/")[1]);
    this.notes.update();
    if (this.dialog?.update() === false) this.dialog = undefined;
    const now = performance.now();
    if (now - (this.extentAt ?? -Infinity) > EXTENT_EVERY_MS) {
      this.#lookAtExtent();
      if (this.data.error !== "" || this.view.to > live.nowUs() - 60 * SECOND) this.data.want(this.view); // more may be there
    }
    if (this.isFollowing && live.isLive && now - (this.followedAt ?? -Infinity) > FOLLOW_EVERY_MS) {
      this.followedAt = now;
      const width = this.view.to - this.view.from;
      this.data.refresh();
      this.show(spanOf(live.nowUs() - width, width), { isFollowing: true });
    }
    this.#say();
  }

  draw() {
    if (!this.isDue || !this.isShown) return;
    this.isDue = false;
    const { view, data, cursor, isFiltered, gain } = this;
    this.drawing.draw({ view, data, cursor, isFiltered, gain, notes: this.notes.all, nowUs: this.live.nowUs() });
    this.root.dataset.drawn = `${view.from}/${view.to}`; // for measurements and tests, as is the next
    const kinds = ["trend", "happened", ...(levelOf(view) <= PICTURE_LEVEL ? ["picture"] : [])];
    this.root.dataset.isWhole = String(kinds.every((kind) => data.isWhole(kind, view)));
  }

  repaint() {
    this.isDue = true;
  }

  toEdge(isBegin) {
    const { view } = this;
    const [day, width] = [dayOf(view.from), view.to - view.from];
    this.show(isBegin ? spanOf(day.from, width) : spanOf(Math.min(day.to, this.live.nowUs()) - width, width));
  }

  command(name) {
    const { view } = this;
    const commands = {
      earlier: () => this.move(-0.5), later: () => this.move(0.5),
      closer: () => this.zoom(0.5), wider: () => this.zoom(2),
      "day-before": () => this.show(dayOf(view.from, -1)), "day-after": () => this.show(dayOf(view.from, 1)),
      now: () => this.#now(),
      "true-scale": () => this.show(around((view.from + view.to) / 2,
        (this.field.canvas.clientWidth / (25 * pxPerMm())) * SECOND)),
      filter: () => this.#filter(),
      gain: () => this.#gain(),
      annotate: () => this.notes.write(this.cursor ?? (view.from + view.to) / 2, view),
      export: () => { this.dialog = new ExportDialog(this.device, view, this.isFiltered); },
      first: () => this.show(spanOf(this.extent.first_us, view.to - view.from)),
      last: () => this.show(spanOf(this.extent.last_us - (view.to - view.from), view.to - view.from)),
    };
    commands[name]?.();
  }

  // Where the address says, else where something is stored, unless somebody has moved meanwhile.
  async #open() {
    const query = new URLSearchParams(window.location.search);
    const [at, span] = [Number(query.get("at")), Number(query.get("span"))];
    if (at > 0) this.show(spanOf(at * SECOND, (span > 0 ? span : 60) * SECOND));
    await this.#lookAtExtent();
    if (this.isShown || !this.root.isConnected) return;
    this.show((this.extent?.first_us ?? null) === null ? this.view : openingOf(this.extent));
  }

  #press(event) {
    const button = event.target.closest?.("button");
    if (button === null || button === undefined) return;
    const { span, act, since } = button.dataset;
    if (span !== undefined) this.#span(Number(span) * SECOND);
    else if (since !== undefined) this.#toAlarm(Number(since));
    else if (act !== undefined) this.command(act);
  }

  // Of what is stored of the view, or of the view where nothing is: closer is never into the void beside it.
  #middle() {
    const { view: { from, to }, extent } = this;
    const [first, last] = [Math.max(from, extent?.first_us ?? from), Math.min(to, extent?.last_us ?? to)];
    return first < last ? (first + last) / 2 : (from + to) / 2;
  }

  // A whole day is shown as one; all else keeps what is in the middle, or under the cursor.
  #span(width) {
    const middle = this.cursor ?? this.#middle();
    if (this.isFollowing) this.show(spanOf(this.view.to - width, width), { isFollowing: true });
    else this.show(width >= DAY ? dayOf(middle) : around(middle, width));
  }

  #toAlarm(since) {
    this.show({ from: since - EVENT_S[0] * SECOND, to: since + EVENT_S[1] * SECOND });
    this.field.canvas.scrollIntoView({ block: "nearest" });
  }

  #now() {
    const width = Math.min(this.view.to - this.view.from, 3600 * SECOND);
    this.show(spanOf(this.live.nowUs() - width, width), { isFollowing: !this.isFollowing });
  }

  #gain() {
    this.gain = GAINS[(GAINS.indexOf(this.gain) + 1) % GAINS.length];
    setText(this.root.querySelector("[data-act=gain]"), say(texts.review.gain, { gain: this.gain }));
    this.isDue = true;
  }

  #filter() {
    this.isFiltered = !this.isFiltered;
    this.data.setFiltered(this.isFiltered);
    this.show(this.view);
  }

  async #lookAtExtent() {
    this.extentAt = performance.now();
    try {
      this.extent = await answer(`/data/extent/${this.device}`);
      this.#say();
    } catch {
      // said for the data themselves
    }
  }

  #came() {
    this.#changed();
  }

  #changed() {
    this.isDue = true;
    const { field, view, data } = this;
    const happened = data.found("happened", view);
    const alarms = uniqueAlarms(happened).filter(({ since_us: since, ended_us: ended }) =>
      since < view.to && (ended ?? Infinity) >= view.from);
    fillAlarms(field.alarms, alarms, happened.some((tile) => tile.is_cut));
    fillWindow(field.window, happened, this.cursor);
    if (document.activeElement !== this.day) this.day.value = dayField(view.from);
    const width = (view.to - view.from) / SECOND;
    for (const button of this.root.querySelectorAll("[data-span]")) {
      const isOn = Math.abs(Number(button.dataset.span) - width) < 0.01 * width || (button.dataset.span === "86400" && width > 82_000);
      button.setAttribute("aria-pressed", String(isOn));
    }
    this.root.querySelector("[data-act=filter]").setAttribute("aria-pressed", String(this.isFiltered));
    const now = this.root.querySelector("[data-act=now]");
    now.setAttribute("aria-pressed", String(this.isFollowing));
    field.canvas.setAttribute("aria-label", this.#label(alarms));
    this.#say();
  }

  #label(alarms) {
    const { view, data } = this;
    const known = data.found("trend", view).flatMap((tile) => [...tile.rate_min, ...tile.rate_max]).filter((v) => v !== null);
    const rate = known.length === 0 ? texts.review.rate_unknown
      : say(texts.review.rate_band, { least: Math.round(Math.min(...known)), most: Math.round(Math.max(...known)) });
    return say(texts.review.label, {
      from: dateAndTime(view.from), to: dateAndTime(view.to), alarms: alarms.length,
      notes: this.notes.within(view).length, rate,
    });
  }

  // Which time is shown, what is under the cursor, and what is missing.
  #say() {
    const { field, view, data, cursor, extent, live } = this;
    const end = view.to - view.from >= 12 * 3600 * SECOND ? dateAndTime(view.to) : timeOfDay(view.to);
    const isDay = view.from === dayOf(view.from).from && view.to === dayOf(view.from).to;
    const shown = isDay ? dayInWords(view.from) : `${dateAndTime(view.from)} – ${end}`;
    const value = cursor === null ? null : rateAt(data.found("trend", view), cursor);
    const words = value === null ? texts.review.rate_unknown : say(texts.review.rate, { value: value.toFixed(0) });
    setText(field.when, cursor === null ? shown : say(texts.review.cursor, { time: dateAndTime(cursor), rate: words }));
    setText(field.note, this.#note(extent, live.nowUs()));
    for (const button of this.jumps) button.disabled = (extent?.first_us ?? null) === null;
  }

  #note(extent, now) {
    const { data, view } = this;
    const words = texts.review;
    if (data.error !== "") return say(words.failed, { reason: data.error });
    if (extent === null) return words.loading;
    if (extent.first_us === null) return words.never;
    if (view.from > now) return words.future;
    if (view.to < extent.first_us) return say(words.gone, { time: dateAndTime(extent.first_us) });
    const isEmpty = data.isWhole("trend", view) && data.found("trend", view).every((tile) => tile.good.every((g) => g === null))
      && data.found("picture", view).every((tile) => tile.leads.length === 0);
    if (isEmpty) return words.empty;
    if (!this.isFollowing && extent.last_us > view.to) return say(words.newer, { time: dateAndTime(extent.last_us) });
    return "";
  }
}
