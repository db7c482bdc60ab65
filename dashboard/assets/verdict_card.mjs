// What the model finds -> the card that dashboard/pages/patient.py laid out.

import { reasonOf, rhythmOf } from "./patient_view.mjs";
import { age, probability, say, setData, setText, setHidden, texts, timeOfDay } from "./words.mjs";

const { patient: words } = texts;

export class VerdictCard {
  constructor(root, field) {
    this.root = root;
    this.field = field;
    this.rows = [...root.querySelectorAll(".finding")];
  }

  // `isOld`: newer windows should have been judged since; then it is dim and says its age.
  fill(verdict, isOld, nowUs) {
    const { field, root } = this;
    setData(root, "verdict", verdict === null || isOld ? "old" : "new");
    setText(field["verdict-age"], verdict === null || !isOld
      ? "" : say(words.verdict_age, { age: age((nowUs - verdict.decided_us) / 1e6) }));
    const key = verdict === null ? "" : `${verdict.session}/${verdict.first_sample}/${verdict.decided_us}`;
    if (key === this.key) return;
    this.key = key;
    const isTold = verdict !== null && verdict.indeterminate === null;
    setHidden(field.indeterminate, verdict === null || isTold);
    setText(field.reason, verdict === null || isTold ? "" : reasonOf(verdict));
    this.#fillRhythm(rhythmOf(verdict));
    setText(field["verdict-of"], verdict === null ? "" : verdictOf(verdict));
    for (const row of this.rows) {
      fillFinding(row, verdict?.findings.find((finding) => finding.superclass === row.dataset.superclass));
    }
  }

  #fillRhythm(rhythm) {
    const { field } = this;
    setData(field.rhythm, "found", String(rhythm?.isFound ?? false));
    setText(field["rhythm-name"], rhythm?.name ?? "");
    setText(field["rhythm-value"], rhythm?.value ?? texts.unknown);
    setText(field["rhythm-word"], rhythm?.word ?? "");
  }
}

function verdictOf(verdict) {
  const lead = say(verdict.lead_inferred ? texts.lead_inferred : texts.lead, { lead: verdict.lead });
  const time = timeOfDay(verdict.wall_time_us);
  return say(verdict.lead === null ? texts.verdict_of : texts.verdict_of_lead, { time, lead, model: verdict.model });
}

function fillFinding(row, finding) {
  setText(row.querySelector(".finding-value"), finding ? probability(finding.probability) : texts.unknown);
  setText(row.querySelector(".finding-word"), finding?.presence ?? "");
  setData(row, "presence", finding?.presence ?? "");
  row.querySelector(".bar-fill").style.width = `${100 * (finding?.probability ?? 0)}%`;
  row.querySelector(".bar-threshold").style.left = `${100 * (finding?.threshold ?? 0)}%`;
}
