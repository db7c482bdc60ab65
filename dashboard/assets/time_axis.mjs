// Marks of a time axis on round times of the viewer's day, as many as fit.

import { timeOfDay } from "./words.mjs";

const SECOND_US = 1e6;
const MINUTE = 60;
const HOUR = 3600;
const STEPS_S = [
  0.2, 0.5, 1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR,
];
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" };

// [{ us, words }] between two moments, at least `apartPx` from each other on an axis of `widthPx`.
export function timeMarks(fromUs, toUs, widthPx, apartPx = 84) {
  const least = ((toUs - fromUs) / SECOND_US) * (apartPx / Math.max(1, widthPx));
  const stepS = STEPS_S.find((step) => step >= least) ?? STEPS_S.at(-1) * Math.ceil(least / STEPS_S.at(-1));
  const stepUs = stepS * SECOND_US;
  const offsetUs = new Date(fromUs / 1000).getTimezoneOffset() * MINUTE * SECOND_US;
  const marks = [];
  for (let us = Math.ceil((fromUs - offsetUs) / stepUs) * stepUs + offsetUs; us < toUs; us += stepUs) {
    marks.push({ us, words: wordsOf(us, stepS) });
  }
  return marks;
}

function wordsOf(us, stepS) {
  if (stepS >= 24 * HOUR) return new Date(us / 1000).toLocaleDateString([], { day: "numeric", month: "short" });
  if (stepS >= MINUTE) return new Date(us / 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (stepS >= 1) return timeOfDay(us);
  return new Date(us / 1000).toLocaleTimeString([], { ...CLOCK, fractionalSecondDigits: 1 });
}
