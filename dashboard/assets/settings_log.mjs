// What was changed, by whom and when, newest first; the newest of each kind and scope can be undone.

import { Question } from "./dialog.mjs";
import { Polled } from "./polled.mjs";
import { dateAndTime } from "./times.mjs";
import { element, say, setHidden, setText, texts as all } from "./words.mjs";

const texts = all.settings;
const EVERY_MS = 15_000;

export class SettingsLog {
  // `state(undo)`: what it is about, as it is now; `refusal(undo)`; `ask(what, request)`; `keeping`: asks itself.
  constructor(body, field, live, { state, refusal, ask, keeping }) {
    Object.assign(this, { body, field, live, state, refusal, ask, keeping });
    this.log = new Polled(() => (live.isLive ? "/data/settings/log" : null), EVERY_MS, (data) => this.#fill(data));
  }

  hurry(inMs) {
    this.log.hurry(inMs);
  }

  update() {
    this.log.turn();
    for (const button of this.body.querySelectorAll("button")) button.disabled = !this.live.isLive;
    const answer = this.question?.answer() ?? null;
    if (answer === null) return;
    this.question = undefined;
    this.tell(answer.isDone ? texts.undone : answer.words);
    this.log.hurry(500);
  }

  #fill({ lines, unreadable }) {
    const { field } = this;
    setHidden(field.log, !lines?.length);
    setHidden(field.no_log, Boolean(lines?.length));
    setText(field.no_log, unreadable === undefined ? texts.log_none : say(texts.unreadable, { reason: unreadable }));
    const key = JSON.stringify([lines, new Date().toDateString()]); // after midnight times want their day
    if (key === this.key || lines === undefined) return;
    this.key = key;
    this.body.replaceChildren(...lines.map((line) => this.#row(line)));
  }

  #row(line) {
    const message = element("span", "small set-undone", { role: "status" });
    const cells = [
      [element("time", "num", {}, [dateAndTime(line.at_us)])], [line.who], [line.what],
      [line.scope === "*" ? texts.everything : line.scope], [line.before], [line.after],
      line.undo === null ? [] : [this.#undo(line, message), message],
    ];
    return element("tr", "", {}, cells.map((cell, place) =>
      element("td", "", { "data-label": texts.log_column[place] }, cell)));
  }

  #undo(line, message) {
    const label = say(texts.undo_label, line);
    const button = element("button", "plain-button", { type: "button", "aria-label": label }, [texts.undo]);
    button.addEventListener("click", () => {
      const [[what, request]] = Object.entries(line.undo);
      this.tell = (words) => setText(message, words);
      if (what === "keeping") {
        this.keeping.send(request, this.tell);
        this.log.hurry(1500);
        return;
      }
      if (!this.live.isLive) {
        this.tell(texts.not_live);
        return;
      }
      const before = this.state(line.undo);
      this.question = new Question(() => this.state(line.undo) !== before, () => this.refusal(line.undo), texts);
      this.tell(texts.asking);
      this.ask(what, request);
    });
    return button;
  }
}
