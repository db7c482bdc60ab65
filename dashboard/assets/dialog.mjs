// A dialogue over the page, made when it opens and gone when it closes; Escape closes it, focus returns.

import { element, say, setText, texts } from "./words.mjs";

const ANSWER_WITHIN_MS = 5000;

// `actions`: [words, className, onClick], the last one is what the dialogue is for. Returns the <dialog>.
export function openDialog(title, body, actions) {
  const heading = element("h2", "", { id: "dialog-title" }, [title]);
  const buttons = [[texts.cancel, "plain-button", () => node.close()], ...actions].map(([words, className, act]) => {
    const button = element("button", className, { type: "button" }, [words]);
    button.addEventListener("click", act);
    return button;
  });
  const foot = element("div", "dialog-buttons", {}, buttons);
  const form = element("form", "", { method: "dialog" }, [heading, ...body, foot]);
  const node = element("dialog", "dialog", { "aria-labelledby": "dialog-title" }, [form]);
  form.addEventListener("submit", (event) => {
    event.preventDefault(); // Enter in a field does what the dialogue is for
    buttons.at(-1).click();
  });
  node.addEventListener("close", () => node.remove());
  document.body.append(node);
  node.showModal();
  return node;
}

// Something asked of the service that owns it, which alone decides: done, refused, or not answered in time.
export class Question {
  // `isDone`: whether the state shows it; `refusal`: the newest refusal of such a request, if there is one.
  constructor(isDone, refusal, words = texts) {
    this.words = words;
    this.isDone = isDone;
    this.refusal = refusal;
    this.refusedUs = refusal()?.at_us;
    this.askedAt = performance.now();
  }

  // { isDone, words }: `words` tell why it was not done; null while there is no answer.
  answer() {
    if (this.isDone()) return { isDone: true, words: "" };
    const refusal = this.refusal();
    if (refusal && refusal.at_us !== this.refusedUs) return { isDone: false, words: say(this.words.refused, refusal) };
    if (performance.now() - this.askedAt > ANSWER_WITHIN_MS) return { isDone: false, words: this.words.no_answer };
    return null;
  }
}

// Called as answers come, of a dialogue with `node`, `message` and, once it has `asked`, a Question: closed when it is
// done, else it says why not; false when the dialogue is over.
export function settle(dialog, mayBeAnswered = true) {
  if (!dialog.node.isConnected) return false;
  const answer = mayBeAnswered ? dialog.asked?.answer() ?? null : null;
  if (answer === null) return true;
  dialog.asked = undefined;
  setText(dialog.message, answer.words);
  if (answer.isDone) dialog.node.close();
  return !answer.isDone;
}

// An id for something new, which nobody else has made.
export function newId() {
  return [...crypto.getRandomValues(new Uint8Array(9))].map((byte) => byte.toString(36).padStart(2, "0")).join("");
}
