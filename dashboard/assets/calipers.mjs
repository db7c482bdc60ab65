// The arithmetic of a frozen paper and of its marks; no page, no clock of its own.
//
// A still: { mv: Float32Array, fs, atUs }, the last minute as it was shown, NaN where nothing came; its last
// sample was drawn at `atUs`. A mark: { sample, mv }: a whole sample of the still, and the level it was put at.

const STAYS_S = 120; // frozen after the last touch
const LONGEST_S = 600; // and in all: nobody takes a picture of ten minutes ago for the patient
const [LEAST_BPM, MOST_BPM] = [15, 300]; // what is called a heart rate, as in the vitals
const LEAST_MARCH_PX = 6;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// What a stream has shown of its last `seconds`; null before its first sample.
export function stillOf(stream, seconds, atUs) {
  const n = Math.min(stream.shownCount, stream.shown?.length ?? 0, Math.round(seconds * stream.fs));
  if (!(n > 0)) return null;
  const mv = new Float32Array(n);
  for (let k = 0; k < n; k += 1) mv[k] = stream.shown[(stream.shownCount - n + k) % stream.shown.length];
  return { mv, fs: stream.fs, atUs };
}

// Seconds until the paper is live again by itself; 0 or less: now.
export function leftS(frozenMs, touchedMs, nowMs) {
  return Math.min(touchedMs + STAYS_S * 1000, frozenMs + LONGEST_S * 1000) / 1000 - nowMs / 1000;
}

// The first visible sample, kept where there are samples; a still shorter than the paper begins at its left.
export function scrolled(still, first, visible) {
  return clamp(first, 0, Math.max(0, still.mv.length - visible));
}

export function moved(still, mark, samples, mv = 0) {
  return { sample: clamp(Math.round(mark.sample + samples), 0, still.mv.length - 1), mv: mark.mv + mv };
}

// The level of a mark in mV: of the trace at its very sample, null where none came; or where it was put.
export function levelOf(still, mark, isOnTrace) {
  if (!isOnTrace) return mark.mv;
  const mv = still.mv[mark.sample];
  return Number.isNaN(mv) ? null : mv;
}

// From the earlier to the later mark: { ms, bpm, mv }; null is unknown.
export function between(still, a, b, isOnTrace) {
  const [from, to] = a.sample <= b.sample ? [a, b] : [b, a];
  const ms = ((to.sample - from.sample) / still.fs) * 1000;
  const bpm = 60_000 / ms;
  const [low, high] = [levelOf(still, from, isOnTrace), levelOf(still, to, isOnTrace)];
  return {
    ms,
    bpm: bpm >= LEAST_BPM && bpm <= MOST_BPM ? bpm : null,
    mv: low === null || high === null ? null : high - low,
  };
}

// Samples from `first` to `end` at the distance of the marks from each other, beside the marks themselves;
// none where they would stand closer than can be told apart.
export function marches(a, b, first, end, pxPerSample) {
  const step = Math.abs(b.sample - a.sample);
  if (step * pxPerSample < LEAST_MARCH_PX) return [];
  const found = [];
  const start = a.sample + Math.ceil((first - a.sample) / step) * step;
  for (let at = start; at < end; at += step) if (at !== a.sample && at !== b.sample) found.push(at);
  return found;
}

// A bar of `px` CSS pixels that measures `mm`: pixels for a millimetre; null where that cannot be.
export function factorOf(px, mm, [least, most]) {
  const factor = px / mm;
  return mm >= 20 && mm <= 300 && factor >= least && factor <= most ? factor : null;
}
