// A dialogue over the page, made when it opens and gone when it closes; Escape closes it, focus returns.

import { element, texts } from "./words.mjs";

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
