// How long things are kept: ingest owns it. A shorter time is confirmed only after ingest said what is deleted.

import { openDialog, Question } from "./dialog.mjs";
import { dateAndTime } from "./times.mjs";
import { element, say, setText, texts as all } from "./words.mjs";

const texts = all.settings;
const [LEAST, MOST] = [0.1, 36_500]; // days, as ingest takes them
const number = new Intl.NumberFormat();

export const keepWords = (days) => (days === null ? texts.keep_all : say(texts.keep_days, { days: number.format(days) }));

// What was typed -> days, or null for everything; NaN where it is no time that can be kept.
export function daysOf(typed, isAll) {
  if (isAll) return null;
  const days = typed.trim() === "" ? NaN : Number(typed);
  return days >= LEAST && days <= MOST ? days : NaN;
}

// Of what ingest counted: the words that a person confirms.
export function lossWords(loses) {
  if (loses.oldest_us === null) return texts.keep_loses_nothing;
  return say(texts.keep_loses, {
    before: dateAndTime(loses.before_us), oldest: dateAndTime(loses.oldest_us),
    windows: number.format(loses.windows), devices: number.format(loses.devices),
  });
}

export class Keeping {
  // `now()`: what is in force, null while unknown; `ask(request)`; `refusal()`: the newest.
  constructor(field, live, { now, ask, refusal }) {
    Object.assign(this, { field, live, now, ask, refusal });
    this.days = element("input", "num", {
      id: "keep-days", type: "number", min: String(LEAST), max: String(MOST), step: "any", inputmode: "decimal",
    });
    this.keepsAll = element("input", "", { id: "keep-all", type: "checkbox" });
    this.keepsAll.addEventListener("change", () => { this.days.disabled = this.keepsAll.checked; });
    const form = element("form", "keep-fields", { novalidate: "" }, [
      element("label", "", { for: "keep-days" }, [all.settings.keep_label]),
      element("span", "keep-value", {}, [this.days, element("span", "dim", {}, [texts.keep_unit])]),
      element("label", "limits-default", {}, [this.keepsAll, texts.keep_everything]),
      element("button", "solid-button", { type: "submit" }, [texts.keep_save]),
      this.reset = element("button", "plain-button", { type: "button" }, [texts.keep_reset]),
    ]);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#change();
    });
    this.reset.addEventListener("click", () => this.send({ reset: true }));
    this.buttons = [...form.querySelectorAll("button")];
    field.keep_form.append(form);
  }

  update() {
    const keeping = this.now();
    const { field } = this;
    for (const button of this.buttons) button.disabled = !this.live.isLive || keeping === null;
    if (keeping === null) {
      setText(field.keep_now, texts.keep_unknown);
      for (const name of ["keep_default", "keep_set", "keep_deletes"]) setText(field[name], texts.none);
    } else this.#fill(keeping);
    this.#conclude();
  }

  // A request of the form or of an undo; `tell` shows what becomes of it.
  send(request, tell = (words) => setText(this.field.keep_message, words)) {
    if (!this.live.isLive || this.now() === null) {
      tell(texts.not_live);
      return;
    }
    const before = JSON.stringify([this.now().keep_days, this.now().is_default, this.now().at_us]);
    const askedUs = this.now().asked?.at_us;
    this.request = request;
    this.tell = tell;
    this.question = new Question(() => {
      const { keep_days: days, is_default: isDefault, at_us: at, asked } = this.now() ?? {};
      return JSON.stringify([days, isDefault, at]) !== before || (asked && asked.at_us !== askedUs);
    }, this.refusal, texts);
    tell(texts.asking);
    this.ask(request);
  }

  #fill(keeping) {
    const { field } = this;
    setText(field.keep_now, keepWords(keeping.keep_days));
    setText(field.keep_default, say(texts.keep_default, { days: keepWords(keeping.default_days) }));
    setText(field.keep_set, keeping.is_default ? texts.keep_by_default
      : say(texts.keep_set, { who: keeping.who, time: dateAndTime(keeping.at_us) }));
    const from = keeping.deletes_from_us;
    setText(field.keep_deletes, keeping.keep_days === null ? texts.keep_deletes_never
      : from === null ? texts.keep_deletes_now : say(texts.keep_deletes, { time: dateAndTime(from) }));
    if (this.isFilled) return; // what a person types is theirs
    this.isFilled = true;
    this.days.value = keeping.keep_days ?? keeping.default_days ?? "";
    this.keepsAll.checked = keeping.keep_days === null;
    this.days.disabled = this.keepsAll.checked;
  }

  #change() {
    const days = daysOf(this.days.value, this.keepsAll.checked);
    if (Number.isNaN(days)) {
      setText(this.field.keep_message, texts.keep_range);
      this.days.focus();
      return;
    }
    this.send({ keep_days: days });
  }

  #conclude() {
    const answer = this.question?.answer() ?? null;
    if (answer === null) return;
    this.question = undefined;
    const { asked } = this.now() ?? {};
    if (!answer.isDone) this.tell(answer.words);
    else if (asked && this.request.confirm === undefined) this.#confirm(asked);
    else {
      this.isFilled = false;
      this.tell(texts.saved);
    }
  }

  #confirm(asked) {
    this.tell("");
    const wanted = keepWords(asked.keep_days);
    const isNothing = asked.loses.oldest_us === null;
    const body = [lossWords(asked.loses), texts.keep_grace].map((words) => element("p", "", {}, [words]));
    const action = isNothing ? say(texts.keep_confirm_nothing, { wanted }) : texts.keep_confirm;
    this.dialog = openDialog(say(texts.keep_title, { wanted }), body, [
      [action, "solid-button", () => {
        this.dialog.close();
        this.send({ ...this.request, confirm: asked.at_us }, this.tell);
      }],
    ]);
  }
}
