// Heart-rate limits of one patient or site: what is in force, where each comes from, and a form to change them.
// The alarm service decides; this page asks and shows its answer, or its refusal in words.

import { openDialog, Question, settle } from "./dialog.mjs";
import { bpm } from "./patient_view.mjs";
import { element, facts, say, setText, texts } from "./words.mjs";

const NAMES = ["rate_extreme_low_bpm", "rate_low_bpm", "rate_high_bpm", "rate_extreme_high_bpm"];
const [LEAST, MOST] = [15, 300]; // bpm, as vitals know rates
const APART = 2 * facts.rate_margin_bpm; // between low and high: an alarm ends that much inside both

// Four numbers or null (unknown) -> what is wrong in words, or "".
export function faultOf(values) {
  for (const name of NAMES) {
    const value = values[name];
    if (value !== null && !(value >= LEAST && value <= MOST)) {
      return say(texts.limits_range, { name: texts.limits_names[name], least: LEAST, most: MOST });
    }
  }
  const stated = NAMES.filter((name) => values[name] !== null);
  for (let i = 1; i < stated.length; i += 1) {
    const [lower, upper] = [stated[i - 1], stated[i]];
    if (values[lower] > values[upper]) {
      return say(texts.limits_cross, { lower: texts.limits_names[lower], upper: texts.limits_names[upper] });
    }
  }
  const { rate_low_bpm: low, rate_high_bpm: high } = values;
  if (low !== null && high !== null && high - low < APART) {
    return say(texts.limits_apart, { apart: APART, margin: APART / 2 });
  }
  return "";
}

// Whose limits they are: its name, what is in force, the newest refusal, and how a change is asked for. `own` is
// the source of limits of its own; `inherits` says where the others come from.
function patientAsSubject(live, device) {
  const patient = () => live.patients.get(device);
  return {
    own: "patient",
    inherits: { box: texts.limits_default, reset: texts.limits_reset, source: texts.limits_sources.site_default },
    isThere: () => patient() !== undefined,
    name: () => patient().name,
    limits: () => patient()?.limits ?? null,
    refusal: () => patient()?.refusals.limits,
    ask: (request) => live.ask("limits", { device, ...request }),
  };
}

export class LimitsDialog {
  constructor(live, device, subject = patientAsSubject(live, device)) {
    this.live = live;
    this.subject = subject;
    const limits = subject.limits();
    this.rows = NAMES.map((name) => new Row(name, limits, subject, () => this.#check()));
    this.message = element("p", "dialog-message", { role: "alert" });
    const title = say(texts.limits_edit_title, { name: subject.name() });
    const table = element("div", "limits-rows", {}, this.rows.map((row) => row.node));
    this.node = openDialog(title, [element("p", "dim", {}, [texts.limits_help]), table, this.message], [
      [subject.inherits.reset, "plain-button", () => this.#send({ reset: true })],
      [texts.limits_save, "solid-button", () => this.#save()],
    ]);
    this.save = this.node.querySelector(".solid-button");
  }

  // Called as state comes: the answer is a change of the limits, or of the newest refusal.
  update() {
    return settle(this, this.subject.isThere());
  }

  #values() {
    return Object.fromEntries(this.rows.map((row) => [row.name, row.value()]));
  }

  // What would be in force: of a limit that becomes inherited only the alarm service may know the value.
  #check() {
    const fault = faultOf(Object.fromEntries(this.rows.map((row) => [row.name, row.effective()])));
    setText(this.message, fault);
    this.save.disabled = fault !== "";
    return fault === "";
  }

  #save() {
    if (this.#check()) this.#send(this.#values());
  }

  #send(request) {
    const { subject } = this;
    if (!this.live.isLive || !subject.isThere()) {
      setText(this.message, texts.not_asked);
      return;
    }
    const before = JSON.stringify(subject.limits());
    this.asked = new Question(() => JSON.stringify(subject.limits()) !== before, subject.refusal);
    setText(this.message, texts.asking);
    subject.ask(request);
  }
}

// One limit: a number of its own, or what it inherits.
class Row {
  constructor(name, limits, subject, onChange) {
    this.name = name;
    const source = limits?.sources[name] ?? "settings";
    const id = `limit-${name}`;
    this.input = element("input", "num", {
      id, type: "number", min: LEAST, max: MOST, step: "1", inputmode: "numeric", "aria-describedby": `${id}-source`,
    });
    this.inherited = source === subject.own ? "" : bpm(limits?.[name] ?? NaN);
    this.input.value = limits === null ? "" : bpm(limits[name]);
    this.box = element("input", "", { type: "checkbox", id: `${id}-default` });
    this.box.checked = source !== subject.own;
    this.input.disabled = this.box.checked;
    this.source = element("span", "dim small", { id: `${id}-source` }, [texts.limits_sources[source]]);
    this.box.addEventListener("change", () => {
      this.input.disabled = this.box.checked;
      if (this.box.checked) this.input.value = this.inherited;
      else this.input.focus();
      setText(this.source, this.box.checked ? subject.inherits.source : texts.limits_sources[subject.own]);
      onChange();
    });
    this.input.addEventListener("input", onChange);
    const unit = element("span", "dim", {}, [texts.bpm]);
    this.node = element("div", "limits-row", {}, [
      element("label", "", { for: id }, [texts.limits_names[name]]),
      element("span", "limits-value", {}, [this.input, unit]),
      element("label", "limits-default", {}, [this.box, subject.inherits.box]),
      this.source,
    ]);
  }

  effective() {
    if (!this.box.checked) return this.value();
    return this.inherited === "" ? null : Number(this.inherited);
  }

  // null: inherited; NaN: nothing that can be read as a number.
  value() {
    if (this.box.checked) return null;
    return this.input.value.trim() === "" ? NaN : Number(this.input.value);
  }
}
