// The paper of the patient page: gain, speed, freeze, and the two live sweeps.

import { stillOf } from "./calipers.mjs";
import { Choice } from "./choice.mjs";
import { FrozenPaper } from "./frozen_paper.mjs";
import { ScreenDialog } from "./screen_dialog.mjs";
import { Sweep } from "./sweep.mjs";
import { age, element, say, setData, setHidden, setText, texts, timeOfDay } from "./words.mjs";

export const HISTORY_S = 60;
const LIVE = { pulse: 5, paper: true, lineWidth: 1.8 };
const MINUTE = { spanS: 60, mmPerMv: 5, pulse: 0, lineWidth: 1, stepPx: 2 };
const CHOICES = {
  gain: { key: "wristlead-gain", usual: 10, less: ["-"], more: ["+", "="] },
  speed: { key: "wristlead-speed", usual: 25, less: ["<", ","], more: [">", "."] },
};
const { patient: words } = texts;

export class PatientPaper {
  constructor(root, live, device, field) {
    Object.assign(this, { root, live, device, field });
    this.isGrey = false;
    this.sweeps = [];
    this.holders = ["live", "minute"].map((name) => {
      const holder = root.querySelector(`[data-sweep=${name}]`);
      return { holder, note: holder.appendChild(element("div", "trace-note")) };
    });
    this.choices = Object.fromEntries(Object.entries(CHOICES).map(([name, options]) =>
      [name, new Choice(root, name, options, () => this.#rescale())]));
    this.freezeButton = root.querySelector("#freeze");
    this.freezeButton.addEventListener("click", () => this.#toggleFreeze());
    root.querySelector("#screen-size").addEventListener("click", () => {
      this.dialog = new ScreenDialog(() => this.#rescale());
    });
    field.paper.closest("section").addEventListener("keydown", (event) => this.#key(event));
    this.#tellScale();
  }

  remove() {
    this.dialog?.node.remove();
    this.frozen?.remove();
    for (const sweep of this.sweeps) sweep.remove();
  }

  // End the freeze, if there is one.
  letGo() {
    if (this.frozen !== undefined) this.#thaw();
  }

  // What stands over the trace (no data, lead off), and whether it is grey.
  tell(note, isGrey) {
    for (const each of this.holders) {
      setText(each.note, note);
      setHidden(each.note, note === "");
    }
    this.isGrey = isGrey;
    for (const sweep of this.sweeps) sweep.setGrey(isGrey);
  }

  update() {
    if (this.frozen === undefined) return;
    const left = this.frozen.leftS(performance.now());
    if (left <= 0) {
      this.#thaw();
      return;
    }
    const { atUs } = this.frozen.still;
    const since = say(words.frozen_since, {
      time: timeOfDay(atUs), age: age((performance.now() - this.frozen.frozenMs) / 1000),
    });
    setText(this.field.frozen, `${words.frozen} ${since} · ${say(words.frozen_ends, { age: age(left) })}`);
  }

  draw(now) {
    const stream = this.live.stream(this.device);
    if (this.stream !== stream) {
      this.stream = stream;
      this.#sweepAnew();
    }
    stream.advance(now);
    for (const sweep of this.sweeps) sweep.draw();
  }

  repaint() {
    for (const sweep of this.sweeps) sweep.fit();
    this.frozen?.draw();
  }

  #scale() {
    return { mmPerS: this.choices.speed.value, mmPerMv: this.choices.gain.value };
  }

  // New sweeps for a new stream or scale; a frozen paper has no live one.
  #sweepAnew() {
    for (const sweep of this.sweeps) sweep.remove();
    const [live, minute] = this.holders;
    const wanted = [[minute.holder, MINUTE]];
    if (this.frozen === undefined) wanted.push([live.holder, { ...LIVE, ...this.#scale() }]);
    this.sweeps = wanted.map(([holder, options]) => new Sweep(holder, this.stream, options));
    for (const sweep of this.sweeps) sweep.setGrey(this.isGrey);
  }

  #rescale() {
    this.#tellScale();
    this.frozen?.setScale(this.#scale());
    if (this.stream !== undefined) this.#sweepAnew();
  }

  #tellScale() {
    const { mmPerS, mmPerMv } = this.#scale();
    const isMeasured = Number(window.wristlead.read("wristlead-px-per-mm")) > 0;
    const told = say(words.scale, { speed: mmPerS, gain: mmPerMv });
    setText(this.field.scale, isMeasured ? told : `${told} · ${words.unmeasured}`);
  }

  #toggleFreeze() {
    if (this.frozen !== undefined) this.#thaw();
    else this.#freeze();
  }

  #freeze() {
    const still = this.stream === undefined ? null : stillOf(this.stream, HISTORY_S, this.live.nowUs());
    if (still === null) return;
    setHidden(this.field.calipers, false);
    setHidden(this.field.frozen, false);
    this.frozen = new FrozenPaper(this.holders[0].holder, still, this.#scale(), this.field);
    setData(this.field.paper, "frozen", "true");
    setText(this.freezeButton, words.live_again);
    this.freezeButton.setAttribute("aria-pressed", "true");
    this.#sweepAnew();
    this.update();
  }

  #thaw() {
    this.frozen.remove();
    this.frozen = undefined;
    setHidden(this.field.calipers, true);
    setHidden(this.field.frozen, true);
    setData(this.field.paper, "frozen", "false");
    setText(this.freezeButton, words.freeze);
    this.freezeButton.setAttribute("aria-pressed", "false");
    this.#sweepAnew();
  }

  // Keys count while the paper, or something of its card, has the focus (WCAG 2.1.4).
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "f") this.#toggleFreeze();
    else if (key === "escape" && this.frozen !== undefined) this.#thaw();
    else if (!this.#step(key)) return;
    event.preventDefault();
  }

  #step(key) {
    for (const [name, { less, more }] of Object.entries(CHOICES)) {
      const by = more.includes(key) ? 1 : less.includes(key) ? -1 : 0;
      if (by === 0) continue;
      this.choices[name].step(by);
      return true;
    }
    return false;
  }
}
