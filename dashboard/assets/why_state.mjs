// What is to be shown of one explanation: decided from what is stored, asked and told; no page, no clock.

const ANSWERED_WITHIN_US = 15e6; // a request is queued at once; the service may be at one part of another

// The answers of a verdict that can be explained, the one a person wants first at the head.
// Each: { superclass, rhythm, name, probability }, one of the first two is null.
export function answersOf(verdict, afName) {
  const findings = verdict.findings.map(({ superclass, probability, presence }) => ({
    superclass, rhythm: null, name: superclass, probability, isFound: presence === "present",
  }));
  const rhythms = verdict.rhythm.filter(({ rhythm }) => rhythm === afName).map(({ rhythm, probability, threshold }) => ({
    superclass: null, rhythm, name: rhythm, probability, isFound: threshold !== null && probability >= threshold,
  }));
  return [...findings, ...rhythms];
}

// What is found and not normal; else the most probable.
export function firstOf(answers) {
  const strongest = (some) => some.toSorted((a, b) => b.probability - a.probability)[0];
  return strongest(answers.filter(({ isFound, superclass }) => isFound && superclass !== "NORM"))
    ?? strongest(answers.filter(({ rhythm }) => rhythm === null)) ?? answers[0];
}

// Whether something that was stored or told is about this answer of this window, by this method.
export function isOf(told, window, answer, method) {
  return told.session === window.session && told.first_sample === window.first_sample && told.method === method
    && (told.superclass ?? null) === answer.superclass && (told.rhythm ?? null) === answer.rhythm;
}

// Where one explanation stands: { state, explanation | model | share | reason }.
//   shown        it is there, of this window, answer, method and model
//   other model  what is stored is of other weights
//   queued, running, done (to be fetched), refused, asked
//   no service, silent (asked, and no answer), none (not asked)
export function standingOf({ explanations, explaining, hasService, askedUs, nowUs }, window, answer, method) {
  const stored = explanations.find((each) => isOf(each, window, answer, method));
  if (stored !== undefined) {
    // A rhythm's model is that of the rhythm network beside the verdict's: the service refuses other pairs.
    const isSame = answer.rhythm !== null || stored.model === window.model;
    return isSame ? { state: "shown", explanation: stored } : { state: "other model", model: stored.model };
  }
  const told = explaining.find(({ progress }) => isOf(progress, window, answer, method));
  const isAnswer = told !== undefined && (askedUs === undefined || told.at_us >= askedUs);
  if (isAnswer && told.progress.state === "done") return { state: "done" };
  if (isAnswer && told.progress.state === "refused" && askedUs !== undefined) {
    return { state: "refused", reason: told.progress.reason };
  }
  if (!hasService) return { state: "no service" };
  if (isAnswer && (told.progress.state === "queued" || told.progress.state === "running")) {
    return { state: told.progress.state, share: told.progress.share };
  }
  if (askedUs === undefined) return { state: "none" };
  return { state: nowUs - askedUs > ANSWERED_WITHIN_US ? "silent" : "asked" };
}

// How well attributions account for the effect they should add up to; shares of the effect.
const GOOD = 0.1;
const FAIR = 0.35;

export function accountOf({ effect, completeness_error: error }, sum) {
  const share = error / Math.max(Math.abs(effect), 1e-9);
  return { sum, effect, error, word: share <= GOOD ? "good" : share <= FAIR ? "fair" : "poor" };
}

// A QuantisedMap of wire v1 -> { rows, columns, values: Float32Array, row by row }.
export function mapOf({ rows, columns, scale, steps }) {
  const bytes = Uint8Array.from(atob(steps), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const values = Float32Array.from({ length: rows * columns }, (_, k) => view.getInt16(2 * k, true) * scale);
  return { rows, columns, values };
}

// Along time, of what lies in each of `count` columns the value farthest from 0: no narrow wave is lost.
export function pooled(values, count) {
  const out = new Float32Array(count);
  for (let k = 0; k < count; k += 1) {
    const from = Math.floor((k * values.length) / count);
    const end = Math.max(from + 1, Math.floor(((k + 1) * values.length) / count));
    for (let i = from; i < end; i += 1) if (Math.abs(values[i]) > Math.abs(out[k])) out[k] = values[i];
  }
  return out;
}
