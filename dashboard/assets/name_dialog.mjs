// What a patient or a site is called: asked of the alarm service, which checks and keeps it.

import { openDialog, Question, settle } from "./dialog.mjs";
import { element, say, setText, texts as all } from "./words.mjs";

const texts = all.settings;
const MAX_NAME = 64; // characters, as the alarm service takes them

// What is wrong with a name in words, or "". Nothing is cut off: half a name may be another patient's.
export function faultOfName(name) {
  const count = [...name.trim()].length;
  return count > MAX_NAME ? say(texts.name_long, { count }) : "";
}

export class NameDialog {
  // `named()`: its entry of the settings now; `ask(name)`: null takes it away; `refusal()`: the newest.
  constructor(live, named, ask, refusal) {
    Object.assign(this, { live, named, ask, refusal });
    const entry = named();
    this.input = element("input", "name-input", { id: "given-name", type: "text", autocomplete: "off" });
    this.input.value = entry.given_name ?? "";
    this.message = element("p", "dialog-message", { role: "alert" });
    const field = element("label", "name-field", { for: "given-name" }, [texts.name_field, this.input]);
    const help = element("p", "dim", {}, [say(texts.name_help, { own: entry.own_name })]);
    this.node = openDialog(say(texts.name_title, { scope: entry.scope }), [help, field, this.message], [
      [texts.name_reset, "plain-button", () => this.#send(null)],
      [texts.name_save, "solid-button", () => this.#save()],
    ]);
    this.save = this.node.querySelector(".solid-button");
    this.input.addEventListener("input", () => this.#check());
    this.input.focus();
    this.#check();
  }

  // Called as answers come; false when the dialogue is over.
  update() {
    return settle(this);
  }

  #check() {
    const fault = faultOfName(this.input.value);
    setText(this.message, fault);
    this.save.disabled = fault !== "" || this.input.value.trim() === "";
    return !this.save.disabled;
  }

  #save() {
    if (this.#check()) this.#send(this.input.value.trim());
  }

  #send(name) {
    if (!this.live.isLive) {
      setText(this.message, texts.not_live);
      return;
    }
    if ((this.named()?.given_name ?? null) === name) {
      this.node.close(); // it is called so already
      return;
    }
    this.asked = new Question(() => (this.named()?.given_name ?? null) === name, this.refusal, texts);
    setText(this.message, texts.asking);
    this.ask(name);
  }
}
