// One finished recording: what was found in it as a whole and in each window, its trace, why, and what to take away.

import { openDialog } from "./dialog.mjs";
import { RecordingPaper } from "./recording_paper.mjs";
import { stored } from "./stored.mjs";
import { dateAndTime } from "./times.mjs";
import { VerdictCard } from "./verdict_card.mjs";
import { Why } from "./why.mjs";
import { element, fieldsOf, navigate, probability, say, setHidden, setText, texts } from "./words.mjs";

const { recordings: words } = texts;
const EVERY_MS = 2000;
const OFTEN_MS = 700; // while something is to come
const WINDOW_S = 10;
const PAPERS = [["a4", "A4"], ["letter", "Letter"]];

export default class RecordingPage {
  constructor(root, live) {
    Object.assign(this, { root, live, id: root.dataset.recording });
    this.field = fieldsOf(root);
    this.paper = new RecordingPaper(root, this.field, { onMove: () => this.#markWindows() });
    this.card = new VerdictCard(root, this.field);
    this.told = undefined;
    this.chosen = null; // a window; null: the whole
    this.why = new Why(document.getElementById("why"), this.#asLive(), `recordings/${this.id}`);
    this.whyButton = document.getElementById("why-open");
    this.whyButton.addEventListener("click", () => this.#openWhy());
    this.paperSize = element("select", "review-select", { id: "report-paper" }, PAPERS.map(([value, name]) => element("option", "", { value }, [name])));
    this.field.paper.append(element("label", "dim", { for: "report-paper" }, [texts.review.export_paper]), this.paperSize);
    root.addEventListener("click", (event) => this.#press(event));
    this.field.replay.addEventListener("click", () => this.#replay());
    this.field.remove.addEventListener("click", () => this.#askRemove());
    this.field.live.addEventListener("click", (event) => {
      event.preventDefault();
      navigate(this.field.live.getAttribute("href"));
    });
    live.want([], 10);
    this.#ask();
  }

  remove() {
    clearTimeout(this.timer);
    this.isGone = true;
    this.paper.remove();
    this.why.remove();
  }

  update() { this.why.update(); }

  draw() { this.paper.draw(); }

  repaint() {
    this.paper.isDue = true;
    this.why.repaint();
  }

  // What Why asks of the live connection, of this recording instead of a patient.
  #asLive() {
    const page = this;
    const { live } = this;
    return {
      get isLive() { return live.isLive; },
      get state() { return live.state; },
      nowUs: () => live.nowUs(),
      ask: (what, request) => { live.ask(what, request); page.#hurry(); },
      patients: { get: () => ({ explaining: page.told?.explaining ?? [], verdict: null }) },
    };
  }

  #hurry() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#ask(), OFTEN_MS);
  }

  async #ask() {
    clearTimeout(this.timer);
    try {
      const before = this.told;
      this.told = await stored(`recordings/${this.id}`);
      if (this.isGone) return;
      if (before === undefined) this.#open();
      if (before?.windows.length !== this.told.windows.length) this.#fillWindows();
      if (before !== undefined && before.windows.length < this.told.windows.length) this.paper.refresh();
      this.trouble = "";
    } catch (error) {
      if (this.isGone) return;
      this.trouble = say(words.unavailable, { reason: error.message });
    }
    this.#fill();
    const isWaiting = this.told === undefined || this.#isSettling() || !document.getElementById("why").hidden || this.isStarting;
    this.timer = setTimeout(() => this.#ask(), isWaiting ? OFTEN_MS : EVERY_MS);
  }

  #isSettling() {
    const { told } = this;
    const expected = Math.max(1, Math.floor(told.length_s / WINDOW_S));
    return told.windows.length < expected && this.live.nowUs() - told.added_us < 120e6;
  }

  #open() {
    const { told, field } = this;
    setText(field.title, told.file);
    setText(field.started, told.start_us === null ? told.started : dateAndTime(told.start_us));
    setText(field.rate, told.heart_rate_bpm === null ? texts.unknown : told.heart_rate_bpm.toFixed(0));
    this.root.dataset.rate = told.heart_rate_bpm === null ? "unknown" : "known"; // dim while it is not
    const [, range] = /\((.*)\)/.exec(told.rate) ?? [null, ""];
    setText(field["rate-range"], range ? `${range} ${texts.bpm}` : "");
    setText(field.found, told.found);
    setText(field.vendor, told.vendor);
    field.words.replaceChildren(...told.narrative.flatMap(([section, text]) => [element("h3", "", {}, [section]), element("p", "", {}, [text])]));
    field.facts.replaceChildren(...told.facts.flatMap(([what, value]) => [element("dt", "dim", {}, [what]), element("dd", "", {}, [value])]));
    field.remarks.replaceChildren(...told.remarks.map((line) => element("li", "", {}, [line])));
    this.paper.open(told);
    this.#choose(null);
  }

  #fill() {
    const { field, told, live, trouble } = this;
    const isGone = told !== undefined && !told.is_stored && !this.#isSettling();
    const note = trouble || (told === undefined ? null : this.#isSettling() ? words.settling : isGone ? words.gone : this.paper.error);
    if (note !== null) {
      setText(field.note, note);
      setHidden(field.note, note === "");
    }
    if (told === undefined) return;
    const isPlaying = told.replay !== null && live.patients.has(told.replay);
    if (isPlaying) this.isStarting = false;
    setText(field.replay, isPlaying ? words.replay_stop : words.replay);
    setHidden(field.live, !isPlaying && !this.isStarting);
    setText(field.live, isPlaying ? words.replay_open : words.replay_starting);
    field.live.setAttribute("href", `/patient/replay/${this.id}`);
  }

  #fillWindows() {
    const { told, field } = this;
    const whole = this.#windowButton(null, words.whole, told.found);
    field.windows.replaceChildren(whole, ...told.windows.map((window) => {
      return this.#windowButton(window, spanWords(window.first_sample / told.fs, told.length_s), foundIn(window));
    }));
    setText(field["windows-note"], told.is_cut ? say(words.windows_cut, { count: told.windows.length }) : "");
    this.#markWindows();
  }

  #windowButton(window, title, found) {
    const button = element("button", "recording-window", { type: "button" }, [element("b", "num", {}, [title]), element("span", "", {}, [found])]);
    button.dataset.first = window === null ? "" : window.first_sample;
    button.addEventListener("click", () => this.#choose(window));
    return button;
  }

  #choose(window) {
    const { told } = this;
    this.chosen = window;
    this.card.fill(window ?? told.verdict, false, this.live.nowUs());
    setText(this.field["verdict-of"], this.#nameOf(window ?? told.verdict));
    if (window !== null) this.#showSpan(window.first_sample / told.fs);
    this.whyButton.disabled = this.#toExplain() === undefined;
    this.#markWindows();
  }

  #nameOf({ first_sample: first, lead, model }) {
    const { fs, length_s: lengthS } = this.told;
    const span = first < 0 ? words.whole : spanWords(first / fs, lengthS);
    return say(words.verdict_of, { span, lead: lead === null ? texts.unknown : say(texts.lead, { lead }), model });
  }

  #showSpan(fromS) {
    const { paper } = this;
    const isSeen = fromS >= paper.fromS && fromS + WINDOW_S <= paper.fromS + paper.widthS + 0.1;
    if (!isSeen) paper.show(paper.widthS >= WINDOW_S ? fromS - (paper.widthS - WINDOW_S) / 2 : fromS, paper.widthS);
  }

  #markWindows() {
    const first = this.chosen === null ? "" : String(this.chosen.first_sample);
    for (const button of this.field.windows.children) button.setAttribute("aria-pressed", String(button.dataset.first === first));
    if (this.told !== undefined) this.whyButton.disabled = this.#toExplain() === undefined;
  }

  // The chosen window; of the whole, the one that speaks most for what was found.
  #toExplain() {
    const { told, chosen } = this;
    if (chosen !== null) return chosen.findings.length > 0 || chosen.rhythm.length > 0 ? chosen : undefined;
    const readable = told.windows.filter(({ findings }) => findings.length > 0);
    const wanted = told.verdict.findings.filter(({ presence, superclass }) => presence === "present" && superclass !== "NORM")
      .toSorted((a, b) => b.probability - a.probability)[0]?.superclass ?? "NORM";
    const share = ({ findings }) => findings.find(({ superclass }) => superclass === wanted).probability;
    return readable.toSorted((a, b) => share(b) - share(a))[0] ?? told.windows.find(({ rhythm }) => rhythm.length > 0);
  }

  #openWhy() {
    const window = this.#toExplain();
    if (window === undefined) return;
    if (this.chosen !== window) this.#choose(window);
    this.why.open(window);
    setText(this.why.part.of, this.#nameOf(window)); // no time of day: nobody may know it
    this.#hurry();
  }

  #press(event) {
    const button = event.target.closest?.("button");
    if (button?.dataset.act !== undefined) this.paper.command(button.dataset.act);
    if (button?.dataset.file !== undefined) this.#takeAway(button);
  }

  // Errors come as words; only what worked becomes a file.
  async #takeAway(button) {
    const { made } = this.field;
    button.disabled = true;
    setText(made, words.making);
    try {
      const response = await fetch(`/data/recordings/${this.id}/${button.dataset.file}?paper=${this.paperSize.value}`);
      if (!response.ok) throw new Error((await response.json()).error);
      const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition"))[1];
      const link = element("a", "", { href: URL.createObjectURL(await response.blob()), download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      setText(made, words.made);
    } catch (error) {
      setText(made, say(words.not_made, { reason: error instanceof TypeError ? texts.review.offline : error.message }));
    }
    button.disabled = false;
  }

  async #post(what) {
    const response = await fetch(`/data/recordings/${this.id}/${what}`, { method: "POST" });
    if (!response.ok) throw new Error((await response.json()).error);
  }

  async #replay() {
    const isPlaying = this.told?.replay !== null && this.live.patients.has(this.told?.replay);
    try {
      this.isStarting = !isPlaying;
      await this.#post(`replay?on=${isPlaying ? 0 : 1}&who=${encodeURIComponent(this.live.who())}`);
    } catch (error) {
      this.isStarting = false;
      this.trouble = say(words.replay_failed, { reason: error.message });
    }
    this.#fill();
    this.#hurry();
  }

  #askRemove() {
    const node = openDialog(words.remove_title, [element("p", "", {}, [words.remove_help]), element("p", "dialog-message", { role: "status" })], [
      [words.remove, "solid-button", async () => {
        try {
          await this.#post("remove");
          node.close();
          navigate("/recordings");
        } catch (error) {
          setText(node.querySelector(".dialog-message"), error.message);
        }
      }],
    ]);
  }
}

function spanWords(fromS, lengthS) {
  return say(words.window, { from: +fromS.toFixed(1), to: +Math.min(fromS + WINDOW_S, lengthS).toFixed(1) });
}

// What is found in a window, in short.
function foundIn({ findings, indeterminate, rhythm }) {
  if (indeterminate !== null && indeterminate !== undefined) return say(words.unread, { reason: indeterminate });
  const present = findings.filter(({ presence }) => presence === "present").toSorted((a, b) => b.probability - a.probability);
  const af = rhythm.filter(({ rhythm: name, probability: share, threshold }) => name === texts.rhythm_af && threshold !== null && share >= threshold);
  const found = [...af.map(({ probability: share }) => `AF ${probability(share)}`), ...present.map(({ superclass, probability: share }) => `${superclass} ${probability(share)}`)];
  return found.join(", ") || words.nothing;
}
