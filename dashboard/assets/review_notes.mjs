// Annotations of a patient: read around the time shown, listed, written, changed and removed.

import { newId, openDialog, Question } from "./dialog.mjs";
import { answer } from "./review_data.mjs";
import { DAY } from "./review_span.mjs";
import { dateAndTime } from "./times.mjs";
import { element, say, setText, texts } from "./words.mjs";

const AROUND = 2 * DAY; // read beyond the time shown
const MOST = 500;
const MOST_CHARACTERS = 500;
const ASK_EVERY_MS = 500; // while an answer is waited for
const READ_EVERY_MS = 30_000;

export class Notes {
  constructor(device, live, node, { onChange, onShow }) {
    this.device = device;
    this.live = live;
    this.node = node;
    this.onChange = onChange;
    this.onShow = onShow;
    this.all = [];
    this.readAt = -Infinity;
    this.known = undefined;
  }

  remove() {
    this.dialog?.remove();
  }

  want(span) {
    this.span = span;
    const isThere = this.read !== undefined && span.from >= this.read.from && span.to <= this.read.to;
    if (!isThere) this.#read();
    this.#fill();
  }

  within({ from, to }) {
    return this.all.filter((note) => note.from_us < to && (note.to_us ?? note.from_us) >= from);
  }

  // Called as state comes.
  update() {
    const said = this.live.patients.get(this.device)?.annotations;
    const isDue = performance.now() - this.readAt > (this.question === undefined ? READ_EVERY_MS : ASK_EVERY_MS);
    if (said !== this.known || isDue) {
      this.known = said;
      this.#read();
    }
    const answered = this.question?.answer() ?? null;
    if (answered === null) return;
    this.question = undefined;
    if (answered.isDone) this.dialog?.close();
    else setText(this.message, answered.words);
  }

  // A new one, of a moment or of the time shown.
  write(moment, span) {
    const whole = [Math.round(span.from), Math.round(span.to)];
    this.#edit(texts.review.note_new, { id: newId(), text: "" }, [
      [[Math.round(moment), null], say(texts.review.note_moment, { time: dateAndTime(moment) })],
      [whole, say(texts.review.note_span, { from: dateAndTime(span.from), to: dateAndTime(span.to) })],
    ]);
  }

  open(note) {
    const [from, to] = [dateAndTime(note.from_us), note.to_us === null ? "" : dateAndTime(note.to_us)];
    const kept = say(note.to_us === null ? texts.review.note_kept : texts.review.note_kept_span, { from, to });
    const span = this.span;
    this.#edit(texts.review.note_edit, note, [
      [[note.from_us, note.to_us], kept],
      [[Math.round(span.from), Math.round(span.to)], say(texts.review.note_span, { from: dateAndTime(span.from), to: dateAndTime(span.to) })],
    ]);
  }

  #edit(title, note, choices) {
    const area = element("textarea", "review-text", { id: "note-text", maxlength: MOST_CHARACTERS, rows: 4 });
    area.value = note.text;
    const options = choices.map(([, words], k) => {
      const radio = element("input", "", { type: "radio", name: "note-when", value: k });
      radio.checked = k === 0;
      return element("label", "review-choice", {}, [radio, words]);
    });
    this.message = element("p", "dialog-message", { role: "alert" });
    const body = [
      element("label", "dim", { for: "note-text" }, [texts.review.note_text]), area,
      element("fieldset", "review-choices", {}, [element("legend", "dim", {}, [texts.review.note_when]), ...options]), this.message,
    ];
    this.dialog = openDialog(title, body, [[texts.review.note_save, "solid-button", () => {
      const text = area.value.trim().split(/\s+/).join(" ");
      if (text === "") {
        setText(this.message, texts.review.note_empty);
        return;
      }
      const [from_us, to_us] = choices[Number(this.dialog.querySelector("[name=note-when]:checked").value)][0];
      const isStored = (each) => each.id === note.id && each.text === text && each.from_us === from_us && each.to_us === to_us;
      this.#ask({ id: note.id, from_us, to_us, text }, () => this.all.some(isStored));
    }]]);
    area.focus();
  }

  #confirm(note) {
    this.message = element("p", "dialog-message", { role: "alert" });
    this.dialog = openDialog(texts.review.note_remove_title, [element("p", "", {}, [note.text]), this.message], [
      [texts.review.note_remove, "solid-button", () =>
        this.#ask({ id: note.id, remove: true }, () => !this.all.some(({ id }) => id === note.id))],
    ]);
  }

  // The alarm service decides; that it did is seen in the store.
  #ask(request, isDone) {
    if (!this.live.isLive) {
      setText(this.message, texts.not_asked);
      return;
    }
    this.question = new Question(isDone, () => this.live.patients.get(this.device)?.refusals.annotate);
    setText(this.message, texts.asking);
    this.live.ask("annotate", { device: this.device, ...request });
    this.readAt = performance.now();
  }

  async #read() {
    this.readAt = performance.now();
    if (this.span === undefined) return;
    const read = { from: Math.max(0, Math.round(this.span.from - AROUND)), to: Math.round(this.span.to + AROUND) };
    const query = new URLSearchParams({ from_us: read.from, to_us: read.to, limit: MOST });
    try {
      const { annotations, is_cut: isCut } = await answer(`/data/annotations/${this.device}?${query}`);
      Object.assign(this, { read, all: annotations, isCut });
      this.#fill();
      this.onChange();
    } catch {
      // the data themselves say why nothing can be read
    }
  }

  #fill() {
    const notes = this.span === undefined ? [] : this.within(this.span);
    const key = JSON.stringify([notes, this.isCut]);
    if (key === this.filledWith) return;
    this.filledWith = key;
    const rows = notes.map((note) => {
      const when = note.to_us === null ? dateAndTime(note.from_us) : `${dateAndTime(note.from_us)} – ${dateAndTime(note.to_us)}`;
      const button = (words, act) => {
        const made = element("button", "text-button", { type: "button", "aria-label": `${words}: ${note.text}` }, [words]);
        made.addEventListener("click", act);
        return made;
      };
      return element("li", "", {}, [
        element("span", "review-words", {}, [note.text]),
        element("span", "dim small num", {}, [when]),
        element("span", "dim small", {}, [say(texts.review.note_by, { who: note.who, time: dateAndTime(note.written_us) })]),
        element("span", "review-links", {}, [
          button(texts.review.show, () => this.onShow(note)),
          button(texts.review.note_change, () => this.open(note)),
          button(texts.review.note_remove, () => this.#confirm(note)),
        ]),
      ]);
    });
    const rest = this.isCut ? [element("p", "dim small", {}, [say(texts.review.notes_cut, { most: MOST })])] : [];
    if (rows.length === 0) this.node.replaceChildren(element("p", "dim", {}, [texts.review.notes_none]));
    else this.node.replaceChildren(element("ul", "review-rows", {}, rows), ...rest);
  }
}
