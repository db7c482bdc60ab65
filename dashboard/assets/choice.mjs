// A few buttons of which one is pressed (pages/patient_past.py's choice); which one is kept in this browser.

export class Choice {
  constructor(root, name, { key, usual }, onChange) {
    this.key = key;
    this.onChange = onChange;
    this.buttons = [...root.querySelectorAll(`[data-choice=${name}] button`)];
    this.values = this.buttons.map((button) => Number(button.dataset.value));
    const stored = Number(window.wristlead.read(key));
    this.value = this.values.includes(stored) ? stored : usual;
    for (const button of this.buttons) {
      button.addEventListener("click", () => this.choose(Number(button.dataset.value)));
    }
    this.#show();
  }

  choose(value) {
    this.value = value;
    window.wristlead.write(this.key, String(value));
    this.#show();
    this.onChange();
  }

  // The next one up (1) or down (-1), if there is one.
  step(by) {
    const next = this.values[this.values.indexOf(this.value) + by];
    if (next !== undefined) this.choose(next);
  }

  #show() {
    for (const button of this.buttons) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.value) === this.value));
    }
  }
}
