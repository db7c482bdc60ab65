// Measures this screen against a bank card or a ruler, so that a millimetre on the paper is one.

import { factorOf } from "./calipers.mjs";
import { openDialog } from "./dialog.mjs";
import { pxPerMm } from "./paper.mjs";
import { element, say, setText, texts } from "./words.mjs";

const KEY = "wristlead-px-per-mm"; // paper.mjs reads it
const CARD_MM = { long: 85.6, short: 53.98 }; // ISO/IEC 7810 ID-1
const PX_PER_MM = [2, 12]; // from a television to a phone
const { patient: words } = texts;

export class ScreenDialog {
  // `onChange`: what to do once the screen was measured, or is to count as not measured.
  constructor(onChange) {
    this.onChange = onChange;
    const room = Math.min(440, window.innerWidth - 88);
    const side = CARD_MM.long * pxPerMm() < room ? "long" : "short";
    this.mm = CARD_MM[side];
    this.bar = element("div", "screen-bar", { "aria-hidden": "true" });
    this.slider = element("input", "screen-slider", {
      type: "range", min: 80, max: Math.round(room), step: 0.5, "aria-label": words.screen_slider,
    });
    this.slider.value = Math.min(room, this.mm * pxPerMm());
    this.length = element("input", "num", { id: "screen-length", type: "number", min: 20, max: 300, step: 0.1, inputmode: "decimal" });
    this.length.value = this.mm;
    this.message = element("p", "dialog-message", { role: "status" });
    const help = say(words.screen_help, { side: words.screen_side[side] });
    const row = element("p", "screen-length", {}, [
      element("label", "", { for: "screen-length" }, [words.screen_length]), " ", this.length, " mm",
    ]);
    this.node = openDialog(words.screen_title, [
      element("p", "dim", {}, [help]), this.bar, this.slider, row, this.message,
    ], [
      [words.screen_reset, "plain-button", () => this.#keep("")],
      [words.screen_save, "solid-button", () => this.#save()],
    ]);
    this.save = this.node.querySelector(".solid-button");
    for (const input of [this.slider, this.length]) input.addEventListener("input", () => this.#show());
    this.#show();
  }

  #factor() {
    return factorOf(Number(this.slider.value), Number(this.length.value), PX_PER_MM);
  }

  #show() {
    this.bar.style.width = `${this.slider.value}px`;
    const factor = this.#factor();
    this.save.disabled = factor === null;
    const [least, most] = PX_PER_MM;
    setText(this.message, factor === null
      ? say(words.screen_fault, { least, most })
      : say(words.screen_factor, { factor: factor.toFixed(2) }));
  }

  #save() {
    const factor = this.#factor();
    if (factor !== null) this.#keep(factor.toFixed(4));
  }

  #keep(value) {
    window.wristlead.write(KEY, value);
    this.node.close();
    this.onChange();
  }
}
