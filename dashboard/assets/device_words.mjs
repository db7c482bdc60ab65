// Differences and durations of a device as people read them.

import { say, texts as all } from "./words.mjs";

const texts = all.devices;
const PPM_UNTIL = 0.001; // a tenth of a per cent: from there on per cent is easier

// A share -> "-120 ppm", "+1.25 %".
export function offBy(share) {
  const isSmall = Math.abs(share) < PPM_UNTIL;
  const n = isSmall ? signed(share * 1e6, 0) : signed(share * 100, 2);
  return say(isSmall ? texts.ppm : texts.percent, { n });
}

// Seconds by which a clock is ahead (+) or behind.
export function clockOf(seconds) {
  const far = Math.abs(seconds);
  if (far < 1) return say(texts.ms, { n: signed(seconds * 1000, 0) });
  if (far < 7200) return say(texts.s, { n: signed(seconds, far < 100 ? 1 : 0) });
  return say(texts.h, { n: signed(seconds / 3600, 0) });
}

// 420 ms, 1.2 s.
export function shortTime(seconds) {
  if (seconds < 1) return say(texts.ms, { n: Math.round(seconds * 1000) });
  return say(texts.s, { n: seconds.toFixed(1) });
}

function signed(value, digits) {
  const n = value.toFixed(digits);
  return Number(n) > 0 ? `+${n}` : Number(n) === 0 ? (0).toFixed(digits) : n.replace("-", "\u2212");
}
