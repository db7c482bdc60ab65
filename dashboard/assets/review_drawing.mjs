// The timeline of a span on one canvas: alarms, annotations, rate, findings, rhythm, quality, waveform, time.

import { pxPerMm } from "./paper.mjs";
import { PICTURE_LEVEL } from "./review_data.mjs";
import { endsOf, levelOf, SECOND } from "./review_span.mjs";
import { drawTrace, future } from "./review_trace.mjs";
import { timeMarks } from "./time_axis.mjs";
import { age, say, texts } from "./words.mjs";

const LANES = [ // name, least height, in CSS pixels
  ["alarms", 40], ["notes", 34], ["rate", 120], ["findings", 40], ["rhythm", 34], ["quality", 32],
];
const AXIS_PX = 24;
const FAR_PX = 22; // of the sentence in place of the waveform
const WORDS_PX = 16; // of a lane's name, above what it shows
const SHAPES = {
  high: (pen, x, y, r) => pen.moveTo(x, y - r) || pen.lineTo(x + r, y + r) || pen.lineTo(x - r, y + r),
  medium: (pen, x, y, r) => pen.moveTo(x, y - r) || pen.lineTo(x + r, y) || pen.lineTo(x, y + r) || pen.lineTo(x - r, y),
  low: (pen, x, y, r) => pen.rect(x - r, y - r / 2, 2 * r, r),
  advisory: (pen, x, y, r) => pen.arc(x, y, r, 0, 7),
};
const QUIET = "normal rhythm";

export class ReviewDrawing {
  constructor(canvas) {
    this.canvas = canvas;
    this.hits = []; // [{ x, y, what }] of marks that can be pressed
  }

  // `view`: { from, to }; `data`: ReviewData; `notes`; `cursor` in us or null; `isFiltered`.
  draw({ view, data, notes, cursor, isFiltered, gain, nowUs }) {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (width === 0) return;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(canvas);
    const sheet = {
      pen, width, height, view, style, nowUs, ratio,
      colour: (name) => style.getPropertyValue(name).trim(),
      x: (us) => (width * (us - view.from)) / (view.to - view.from),
    };
    pen.font = `12px ${style.fontFamily}`;
    pen.clearRect(0, 0, width, height);
    this.hits = [];
    const happened = data.found("happened", view);
    const isNear = levelOf(view) <= PICTURE_LEVEL;
    const spare = height - AXIS_PX - LANES.reduce((sum, [, least]) => sum + least, 0);
    future(sheet, 0, height - AXIS_PX); // beneath all that is written
    let top = 0;
    for (const [name, least] of LANES) {
      const lane = name === "rate" && !isNear ? least + spare - FAR_PX : least; // it is the picture then
      this.#lane(sheet, name, top, lane, { trend: data.found("trend", view), happened, notes });
      top += lane;
    }
    if (isNear) this.#wave(sheet, top, height - AXIS_PX - top, { pictures: data.found("picture", view), isFiltered, gain });
    else this.#far(sheet, top);
    this.#axis(sheet);
    this.#cursor(sheet, cursor);
  }

  // What is under a place of the canvas: an alarm or an annotation, or null.
  hitAt(x, y) {
    const near = (hit) => Math.hypot(hit.x - x, hit.y - y);
    const [best] = this.hits.toSorted((a, b) => near(a) - near(b));
    return best !== undefined && near(best) < 14 ? best.what : null;
  }

  #lane(sheet, name, top, height, { trend, happened, notes }) {
    const { pen, width, colour } = sheet;
    pen.fillStyle = colour("--line");
    if (top > 0) pen.fillRect(0, top, width, 1);
    pen.fillStyle = colour("--dim");
    pen.textAlign = "left";
    pen.fillText(texts.review.lanes[name], 0, top + 13);
    const box = { top: top + WORDS_PX, bottom: top + height - 4 };
    if (name === "alarms") this.#alarms(sheet, box, happened);
    else if (name === "notes") this.#notes(sheet, box, notes);
    else if (name === "rate") rate(sheet, { top: top + 8, bottom: box.bottom }, trend);
    else if (name === "findings") findings(sheet, box, happened);
    else if (name === "rhythm") rhythm(sheet, box, happened);
    else quality(sheet, box, trend);
  }

  #alarms(sheet, { top, bottom }, happened) {
    const { pen, x, colour, view, nowUs } = sheet;
    const y = (top + bottom) / 2;
    for (const alarm of uniqueAlarms(happened).toReversed()) {
      const end = alarm.ended_us ?? nowUs;
      if (end < view.from || alarm.since_us > view.to) continue;
      const [from, to] = [Math.max(-8, x(alarm.since_us)), x(Math.min(end, view.to))];
      pen.fillStyle = colour(`--${alarm.priority}-text`);
      pen.globalAlpha = 0.45;
      pen.fillRect(from, y - 2, Math.max(2, to - from), 4);
      pen.globalAlpha = 1;
      const at = Math.max(8, from);
      pen.beginPath();
      SHAPES[alarm.priority](pen, at, y, 6);
      pen.fill();
      this.hits.push({ x: at, y, what: { alarm } });
    }
  }

  #notes(sheet, { top, bottom }, notes) {
    const { pen, x, colour, view } = sheet;
    const y = (top + bottom) / 2;
    const seen = notes.filter((note) => (note.to_us ?? note.from_us) >= view.from && note.from_us <= view.to)
      .toSorted((a, b) => a.from_us - b.from_us);
    for (const [k, note] of seen.entries()) {
      const end = note.to_us ?? note.from_us;
      const at = Math.max(0, x(note.from_us));
      pen.fillStyle = colour("--text");
      if (note.to_us !== null) pen.fillRect(at, bottom - 2, Math.max(2, x(end) - at), 2);
      pen.fillRect(at, top - 2, 2, bottom - top + 2);
      pen.textAlign = "left";
      pen.fillText(shortened(pen, note.text, (k + 1 < seen.length ? x(seen[k + 1].from_us) : sheet.width) - at - 12), at + 6, y + 3);
      this.hits.push({ x: at + 3, y, what: { note } });
    }
  }

  #wave(sheet, top, height, shown) {
    const { pen, width, colour } = sheet;
    pen.fillStyle = colour("--line");
    pen.fillRect(0, top, width, 1);
    drawTrace(sheet, { ...shown, top: top + 1, height: height - 1, mm: pxPerMm() });
  }

  #far({ pen, width, colour }, top) {
    pen.fillStyle = colour("--line");
    pen.fillRect(0, top, width, 1);
    pen.fillStyle = colour("--dim");
    pen.textAlign = "left";
    const words = say(texts.review.lanes.wave_far, { most: age(2 ** (PICTURE_LEVEL + 1)) });
    pen.fillText(`${texts.review.lanes.wave}: ${words}`, 0, top + 13);
  }

  #axis({ pen, width, height, view, x, colour }) {
    pen.fillStyle = colour("--dim");
    pen.textAlign = "center";
    const marks = timeMarks(view.from, view.to, width, view.to - view.from < 20 * SECOND ? 100 : 84);
    for (const { us, words } of marks) {
      const half = pen.measureText(words).width / 2;
      pen.fillRect(Math.round(x(us)), height - AXIS_PX, 1, 5);
      if (x(us) >= half - 4 && x(us) <= width - half + 4) pen.fillText(words, x(us), height - 6);
    }
  }

  #cursor({ pen, height, x, colour }, cursor) {
    if (cursor === null) return;
    pen.fillStyle = colour("--text");
    pen.fillRect(Math.round(x(cursor)), 0, 1, height - AXIS_PX);
  }
}

// Tiles repeat an alarm that lasts.
export function uniqueAlarms(happened) {
  const found = new Map();
  for (const alarm of happened.flatMap((tile) => tile.alarms)) found.set(`${alarm.kind}/${alarm.since_us}`, alarm);
  return [...found.values()].toSorted((a, b) => b.since_us - a.since_us);
}

// As much of the words as fits.
function shortened(pen, words, width) {
  if (pen.measureText(words).width <= width) return words;
  for (let n = Math.min(words.length, 60); n > 0; n -= 1) {
    const cut = `${words.slice(0, n).trimEnd()}…`;
    if (pen.measureText(cut).width <= width) return cut;
  }
  return "";
}

function columnsOf(tile, n) {
  const step = (tile.to_us - tile.from_us) / n;
  return (k) => tile.from_us + k * step;
}

// The columns of all tiles that are seen, in order: { from, to, low, mean, high }.
function rateColumns(trend, view) {
  return trend.toSorted((a, b) => a.from_us - b.from_us).flatMap((tile) => {
    const at = columnsOf(tile, tile.rate_mean.length);
    return tile.rate_mean.map((mean, k) => ({ from: at(k), to: at(k + 1), mean, low: tile.rate_min[k], high: tile.rate_max[k] }))
      .filter(({ from, to, mean: known }) => known !== null && to > view.from && from < view.to);
  });
}

function rate({ pen, x, width, colour, view }, { top, bottom }, trend) {
  const columns = rateColumns(trend, view);
  if (columns.length === 0) return;
  const low = Math.min(60, ...columns.map((column) => column.low)) - 5;
  const high = Math.max(90, ...columns.map((column) => column.high)) + 5;
  const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
  const step = high - low > 120 ? 50 : high - low > 50 ? 20 : 10;
  const marks = [];
  for (let value = Math.ceil(low / step) * step; value < high; value += step) marks.push(value);
  pen.fillStyle = colour("--line");
  for (const value of marks) pen.fillRect(0, Math.round(y(value)), width, 1);
  pen.fillStyle = colour("--trace");
  pen.globalAlpha = 0.3;
  for (const { from, to, low: least, high: most } of columns) {
    if (most > least) pen.fillRect(x(from), y(most), Math.max(1, x(to) - x(from)), y(least) - y(most));
  }
  pen.globalAlpha = 1;
  pen.strokeStyle = colour("--trace");
  pen.lineWidth = 1.5;
  pen.beginPath();
  columns.forEach(({ from, to, mean }, k) => {
    if (k === 0 || from - columns[k - 1].to > 0.5 * (to - from)) pen.moveTo(x(from), y(mean));
    pen.lineTo(x((from + to) / 2), y(mean));
    if (k + 1 === columns.length || columns[k + 1].from - to > 0.5 * (to - from)) pen.lineTo(x(to), y(mean));
  });
  pen.stroke();
  pen.textAlign = "right";
  pen.fillStyle = colour("--dim");
  pen.strokeStyle = colour("--panel"); // around the numbers, so that the curve does not strike them through
  pen.lineWidth = 4;
  for (const value of marks) {
    pen.strokeText(String(value), width - 2, y(value) - 3);
    pen.fillText(String(value), width - 2, y(value) - 3);
  }
}

// The share of seconds with a usable signal, full height for all; nothing where no data came.
function quality({ pen, x, colour }, { top, bottom }, trend) {
  for (const tile of trend) {
    const at = columnsOf(tile, tile.good.length);
    tile.good.forEach((good, k) => {
      if (good === null) return;
      const [from, to] = [Math.floor(x(at(k))), Math.ceil(x(at(k + 1)))]; // half pixels would shimmer
      pen.fillStyle = colour("--line");
      pen.fillRect(from, top, Math.max(1, to - from), bottom - top);
      pen.fillStyle = colour("--dim");
      pen.fillRect(from, bottom - (bottom - top) * good, Math.max(1, to - from), (bottom - top) * good);
    });
  }
}

function findings({ pen, x, colour }, { top, bottom }, happened) {
  let free = -Infinity;
  for (const { from_us: from, to_us: to, columns } of happened) {
    const at = columnsOf({ from_us: from, to_us: to }, columns.findings.length);
    const endOf = endsOf(columns.findings, at);
    columns.findings.forEach((found, k) => {
      const names = Object.entries(found).filter(([name]) => name !== "NORM").toSorted((a, b) => b[1] - a[1]);
      const [left, wide] = [x(at(k)), Math.max(2, x(endOf(k)) - x(at(k)))];
      if (names.length === 0) {
        if (found.NORM === undefined) return;
        pen.fillStyle = colour("--line");
        pen.fillRect(left, bottom - 3, wide, 3);
        return;
      }
      pen.fillStyle = colour("--advisory-text");
      pen.fillRect(left, bottom - (bottom - top) * names[0][1], wide, (bottom - top) * names[0][1]);
      const words = names.map(([name]) => name).join(" ");
      if (left <= free || left < 0) return;
      pen.textAlign = "left";
      pen.fillStyle = colour("--text");
      pen.fillText(words, left, top - 3);
      free = left + pen.measureText(words).width + 24;
    });
  }
}

function rhythm({ pen, x, colour }, { top, bottom }, happened) {
  let free = -Infinity;
  let before = "";
  for (const { from_us: from, to_us: to, columns } of happened) {
    const at = columnsOf({ from_us: from, to_us: to }, columns.rhythm.length);
    const endOf = endsOf(columns.rhythm, at);
    columns.rhythm.forEach((counts, k) => {
      const [most] = Object.entries(counts).toSorted((a, b) => b[1] - a[1]);
      if (most === undefined) return;
      const [name] = most;
      const isAf = counts[texts.rhythm_af] !== undefined;
      const shown = isAf ? texts.rhythm_af : name;
      const left = x(at(k));
      pen.fillStyle = colour(isAf ? "--advisory-text" : shown === QUIET ? "--line" : "--dim");
      pen.fillRect(left, top, Math.max(1, x(endOf(k)) - left), bottom - top);
      if (shown !== before && shown !== QUIET && left > free) {
        pen.textAlign = "left";
        pen.fillStyle = colour("--text");
        pen.fillText(texts.rhythm_short[shown], left, top - 4);
        free = left + pen.measureText(texts.rhythm_short[shown]).width + 16;
      }
      before = shown;
    });
  }
}
