// Notes on one patient: annotations of the present moment, kept by the alarm service.

import { newId, openDialog, Question } from "./dialog.mjs";
import { stored } from "./stored.mjs";
import { dateAndTime } from "./times.mjs";
import { age, element, say, setHidden, setText, texts } from "./words.mjs";

const MOST = 20;
const DAYS_BACK = 366;
const HOUR_US = 3_600_000_000;
const RETRY_MS = 5000;
const { patient: words } = texts;

export class Notes {
  constructor(root, live, device) {
    Object.assign(this, { root, live, device });
    this.part = Object.fromEntries([...root.querySelectorAll("[data-notes]")].map((node) => [node.dataset.notes, node]));
    this.text = element("textarea", "field note-text", {
      rows: 2, maxlength: words.note_most, "aria-label": words.note_label, placeholder: words.note_label,
    });
    this.part.field.replaceChildren(this.text);
    this.part.add.addEventListener("click", () => this.#add());
    this.notes = undefined; // not read yet
    this.id = newId();
  }

  remove() {
    this.isRemoved = true;
    this.dialog?.close();
  }

  update() {
    const patient = this.live.patients.get(this.device);
    const changes = `${patient?.index}/${patient?.annotations}`;
    const isRetry = this.trouble !== undefined && performance.now() - this.triedMs > RETRY_MS;
    if (this.live.state !== null && (changes !== this.changes || isRetry)) {
      this.changes = changes;
      this.#read();
    }
    this.part.add.disabled = !this.live.isLive || this.adding !== undefined;
    this.#hearOfNew();
    this.#hearOfRemoval();
    this.#fillState();
  }

  async #read() {
    this.triedMs = performance.now();
    const nowUs = Math.round(this.live.nowUs());
    const span = { from_us: nowUs - DAYS_BACK * 24 * HOUR_US, to_us: nowUs + HOUR_US, limit: MOST }; // clocks differ
    try {
      const told = await stored(`annotations/${this.device}`, span);
      Object.assign(this, { notes: told.annotations, isCut: told.is_cut, trouble: undefined, heardMs: performance.now() });
    } catch (error) {
      this.trouble = error.message;
    }
    if (this.isRemoved) return;
    this.#fillList();
    this.update();
  }

  // The words stay in the field until they are stored; asked again they are the same note.
  #add() {
    const text = this.text.value.trim();
    if (text === "") {
      setText(this.part.message, words.note_empty);
      return;
    }
    const { id } = this;
    this.adding = this.#question(() => this.notes?.some((note) => note.id === id));
    setText(this.part.message, texts.asking);
    this.live.ask("annotate", { device: this.device, id, from_us: Math.round(this.live.nowUs()), text });
    this.update();
  }

  #hearOfNew() {
    const answer = this.adding?.answer() ?? null;
    if (answer === null) return;
    this.adding = undefined;
    setText(this.part.message, answer.isDone ? words.note_stored : answer.words);
    if (!answer.isDone) return;
    this.text.value = "";
    this.id = newId();
  }

  #question(isDone) {
    return new Question(isDone, () => this.live.patients.get(this.device)?.refusals.annotate);
  }

  #askRemoval(note) {
    this.message = element("p", "dialog-message", { role: "alert" });
    const body = [element("p", "note-words", {}, [note.text]), element("p", "dim", {}, [words.note_remove_help]), this.message];
    this.dialog = openDialog(words.note_remove_title, body, [[words.note_remove, "solid-button", () => {
      if (!this.live.isLive) {
        setText(this.message, texts.not_asked);
        return;
      }
      this.removing = this.#question(() => this.notes?.every(({ id }) => id !== note.id));
      setText(this.message, texts.asking);
      this.live.ask("annotate", { device: this.device, id: note.id, remove: true });
    }]]);
  }

  #hearOfRemoval() {
    const answer = this.removing?.answer() ?? null;
    if (answer === null) return;
    this.removing = undefined;
    setText(this.message, answer.words);
    if (answer.isDone) this.dialog.close();
  }

  #fillList() {
    this.part.list.replaceChildren(...(this.notes ?? []).map((note) => {
      const time = dateAndTime(note.from_us);
      const button = element("button", "quiet-button", {
        type: "button", "aria-label": say(words.note_remove_of, { who: note.who, time }),
      }, [words.note_remove]);
      button.addEventListener("click", () => this.#askRemoval(note));
      return element("li", "note", {}, [
        element("p", "note-words", {}, [note.text]),
        element("p", "dim small num note-by", {}, [element("span", "", {}, [say(words.note_by, { time, who: note.who })]), button]),
      ]);
    }));
  }

  #fillState() {
    const { notes, trouble: reason } = this;
    let told = "";
    if (reason !== undefined) {
      told = notes === undefined ? say(words.notes_failed, { reason })
        : say(words.notes_failed_old, { age: age((performance.now() - this.heardMs) / 1000), reason });
    } else if (notes?.length === 0) told = words.notes_none;
    else if (this.isCut) told = say(words.notes_cut, { most: MOST });
    if (notes === undefined && reason === undefined) return; // the server's own words: being looked for
    setText(this.part.state, told);
    setHidden(this.part.state, told === "");
  }
}
