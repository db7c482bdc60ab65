// What of the view is to be taken away, and how: a file that the server makes.

import { openDialog } from "./dialog.mjs";
import { SECOND } from "./review_span.mjs";
import { age, element, say, setText, texts } from "./words.mjs";

export class ExportDialog {
  constructor(device, view, isFiltered) {
    this.device = device;
    this.view = view;
    this.isFiltered = isFiltered;
    const seconds = (view.to - view.from) / SECOND;
    const kinds = Object.entries(texts.review.export_kinds).map(([kind, [name, help, most]]) => {
      const radio = element("input", "", { type: "radio", name: "export-kind", value: kind });
      radio.disabled = seconds > most;
      const words = radio.disabled ? `${help} · ${say(texts.review.export_too_long, { most: age(most) })}` : help;
      return element("label", "review-choice", {}, [radio, element("strong", "", {}, [name]), element("span", "dim", {}, [words])]);
    });
    this.paper = element("select", "review-select", { id: "export-paper" }, Object.entries(texts.review.export_papers).map(
      ([value, words]) => element("option", "", { value }, [words])));
    this.named = element("input", "", { type: "checkbox" });
    this.message = element("p", "dialog-message", { role: "status" });
    this.node = openDialog(texts.review.export_title, [
      element("div", "review-choices", { role: "radiogroup", "aria-label": texts.review.export_title }, kinds),
      element("p", "review-choice", {}, [element("label", "", { for: "export-paper" }, [texts.review.export_paper]), this.paper]),
      element("label", "review-choice", {}, [this.named, texts.review.export_name]), this.message,
    ], [[texts.review.export_get, "solid-button", () => this.#get()]]);
    const first = this.node.querySelector("[name=export-kind]:not(:disabled)");
    if (first !== null) first.checked = true;
    this.button = this.node.querySelector(".solid-button");
    this.button.disabled = first === null;
  }

  update() {
    return this.node.isConnected;
  }

  // Errors come as words; only what worked becomes a file.
  async #get() {
    const kind = this.node.querySelector("[name=export-kind]:checked").value;
    const query = new URLSearchParams({
      from_us: this.view.from, to_us: this.view.to, filter: this.isFiltered ? "1" : "0",
      paper: this.paper.value, name: this.named.checked ? "1" : "0",
      zone_min: -new Date(this.view.from / 1000).getTimezoneOffset(),
    });
    this.button.disabled = true;
    setText(this.message, texts.review.export_busy);
    try {
      const response = await fetch(`/data/export/${kind}/${this.device}?${query}`);
      if (!response.ok) throw new Error((await response.json()).error);
      const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition"))[1];
      const link = element("a", "", { href: URL.createObjectURL(await response.blob()), download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      setText(this.message, texts.review.export_done);
    } catch (error) {
      setText(this.message, error instanceof TypeError ? texts.review.offline : error.message);
    }
    this.button.disabled = false;
  }
}
