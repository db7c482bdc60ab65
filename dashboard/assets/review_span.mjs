// The span of time that is shown, and how it moves; pure. All in microseconds.

export const SECOND = 1e6;
export const DAY = 86_400 * SECOND;
const WINDOW_US = 10 * SECOND; // of a verdict
const OPENINGS = [600 * SECOND, 3600 * SECOND, 8 * 3600 * SECOND, DAY];
export const LEAST = SECOND; // spans
export const MOST = 25 * 3600 * SECOND; // a day that gains an hour

// At least LEAST and at most MOST wide; from whole microseconds.
export function spanOf(from, width) {
  const wide = Math.min(MOST, Math.max(LEAST, Math.round(width)));
  return { from: Math.max(0, Math.round(from)), to: Math.max(0, Math.round(from)) + wide };
}

// Wider (factor > 1) or closer, with `at` staying where it is on the screen.
export function zoomed({ from, to }, factor, at) {
  const width = Math.min(MOST, Math.max(LEAST, (to - from) * factor));
  const share = (at - from) / (to - from);
  return spanOf(at - share * width, width);
}

export function moved({ from, to }, us) {
  return spanOf(from + us, to - from);
}

export function around(at, width) {
  return spanOf(at - width / 2, width);
}

// Midnight to midnight of the viewer's day that holds `us`; `days` later.
export function dayOf(us, days = 0) {
  const day = new Date(us / 1000);
  day.setHours(0, 0, 0, 0);
  day.setDate(day.getDate() + days);
  const next = new Date(day);
  next.setDate(next.getDate() + 1);
  return { from: day.getTime() * 1000, to: next.getTime() * 1000 };
}

// What a page opens with: the least of these that holds all that is stored, to its end; else its last day.
export function openingOf({ first_us: first, last_us: last }) {
  const width = OPENINGS.find((each) => last - first <= each);
  const day = dayOf(last);
  if (width === undefined || (width === DAY && first >= day.from)) return day;
  return spanOf(last - width, width);
}

// 2026-11-25, as a date field has it, of the viewer's day.
export function dayField(us) {
  const day = new Date(us / 1000);
  return [day.getFullYear(), day.getMonth() + 1, day.getDate()].map((n) => String(n).padStart(2, "0")).join("-");
}

export function ofDayField(text) {
  const [year, month, day] = text.split("-").map(Number);
  const date = new Date(year, month - 1, day);
  return Number.isNaN(date.getTime()) ? null : date.getTime() * 1000;
}

// Tiles: spans of 2^level seconds on a grid, so that neighbours and zooms share what was fetched.
export function levelOf({ from, to }) {
  return Math.max(0, Math.floor(Math.log2((to - from) / SECOND)));
}

export function tileOf(level, number) {
  const width = 2 ** level * SECOND;
  return { level, number, from: number * width, to: (number + 1) * width };
}

export function tilesOver({ from, to }, level) {
  const width = 2 ** level * SECOND;
  const tiles = [];
  for (let number = Math.max(0, Math.floor(from / width)); number * width < to; number += 1) {
    tiles.push(tileOf(level, number));
  }
  return tiles;
}

// Until when the verdict of column `k` counts: to the next, which its window may reach from within the column,
// else for its window. `at`: the beginning of a column.
export function endsOf(columns, at) {
  const step = at(1) - at(0);
  const isKnown = columns.map((column) => Object.keys(column).length > 0);
  return (k) => {
    let next = k + 1;
    while (next < columns.length && !isKnown[next] && at(next + 1) <= at(k) + WINDOW_US + step) next += 1;
    return isKnown[next] ? at(next) : at(k) + Math.max(step, WINDOW_US);
  };
}
