// What the RR intervals tell beside the rate -> the row that dashboard/pages/intervals.py laid out.

import { age, setText, texts } from "./words.mjs";

// `vitals` are null where they are old or missing: then every number is unknown.
export function fillIntervals(field, vitals) {
  const { units } = texts.intervals;
  fill(field, "rmssd", rounded(vitals?.rmssd_ms), units.ms);
  fill(field, "sdnn", rounded(vitals?.sdnn_ms), units.ms);
  fill(field, "ectopic", rounded(vitals?.ectopic_per_min), units.per_min);
  const irregular = vitals?.irregular ?? null;
  const word = irregular === null ? null : irregular ? texts.intervals.irregular : texts.intervals.regular;
  fill(field, "regularity", word, irregular && vitals.irregular_for_s !== null ? age(vitals.irregular_for_s) : "");
}

const rounded = (value) => (value === null || value === undefined ? null : String(Math.round(value)));

function fill(field, name, text, unit) {
  setText(field[`interval-${name}`], text ?? texts.unknown);
  setText(field[`interval-${name}-unit`], text === null ? "" : unit);
}
