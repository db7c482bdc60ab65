// The waveform of a span on paper: every sample, or each column from its least to its most.

import { SECOND } from "./review_span.mjs";
import { say, texts } from "./words.mjs";

const MINOR_S = 0.04;
const MAJOR_S = 0.2;
const LEAST_APART_PX = 6; // of grid lines
const LEAST_MM_PER_S = 5; // below it paper has no speed

export function drawTrace(sheet, { top, height, mm, gain, pictures, isFiltered }) {
  const pxPerMv = gain * mm;
  const { pen, width, colour, view } = sheet;
  const bottom = top + height;
  pen.save();
  pen.beginPath();
  pen.rect(0, top, width, height);
  pen.clip();
  pen.fillStyle = colour("--paper");
  pen.fillRect(0, top, width, height);
  future(sheet, top, bottom);
  const base = top + height * 0.55;
  grid(sheet, top, bottom, base, pxPerMv);
  late(sheet, top, bottom, pictures);
  const level = isFiltered ? 0 : middle(pictures); // a dry electrode stands by many mV away from 0
  const y = (uv) => Math.min(bottom - 1, Math.max(top + 1, base - ((uv - level) / 1000) * pxPerMv));
  for (const picture of pictures) bands(sheet, picture, y);
  lines(sheet, pictures.flatMap((picture) => picture.pieces), y);
  pen.fillStyle = colour("--text");
  pen.textAlign = "left";
  const leads = [...new Set(pictures.flatMap((picture) => picture.leads))];
  const filter = isFiltered ? texts.review.filter_on : texts.review.filter_off;
  const isBand = pictures.some((picture) => picture.low_uv.length > 0);
  const speed = width / ((view.to - view.from) / SECOND) / mm;
  const words = [
    say(texts.review.wave_of, { lead: leads.join(", ") || texts.unknown, filter }),
    speed >= LEAST_MM_PER_S ? `${speed.toPrecision(3)} mm/s` : "",
    say(texts.review.gain, { gain }),
    isBand ? texts.review.lanes.wave_envelope : "",
  ].filter(Boolean).join(" · ");
  pen.fillStyle = colour("--paper");
  pen.globalAlpha = 0.85;
  pen.fillRect(0, top, pen.measureText(words).width + 8, 18);
  pen.globalAlpha = 1;
  pen.fillStyle = colour("--dim");
  pen.fillText(words, 0, top + 13);
  pen.restore();
}

// What is still to come is darker; what is drawn later lies over it.
export function future({ pen, width, x, view, nowUs, colour }, top, bottom) {
  if (view.to <= nowUs) return;
  const left = Math.max(0, x(nowUs));
  pen.fillStyle = colour("--page");
  pen.globalAlpha = 0.75;
  pen.fillRect(left, top, width - left, bottom - top);
  pen.globalAlpha = 1;
}

function grid({ pen, width, view, x, colour }, top, bottom, base, pxPerMv) {
  const pxPerS = width / ((view.to - view.from) / SECOND);
  for (const [stepS, stepMv, name] of [[MINOR_S, 0.1, "--grid-minor"], [MAJOR_S, 0.5, "--grid-major"],
    [1, 0.5, "--grid-major"]]) {
    pen.fillStyle = colour(name);
    if (stepS * pxPerS >= LEAST_APART_PX) {
      const step = stepS * SECOND;
      for (let us = Math.ceil(view.from / step) * step; us < view.to; us += step) {
        pen.fillRect(Math.round(x(us)), top, 1, bottom - top);
      }
    }
    if (stepMv * pxPerMv < LEAST_APART_PX) continue;
    for (let mv = -Math.ceil((bottom - base) / pxPerMv / stepMv); base - mv * stepMv * pxPerMv > top; mv += 1) {
      pen.fillRect(0, Math.round(base - mv * stepMv * pxPerMv), width, 1);
    }
  }
}

// A hatched strip along the lower edge, with a word where it has room.
function late({ pen, width, x, colour }, top, bottom, pictures) {
  pen.fillStyle = colour("--dim");
  pen.textAlign = "left";
  for (const [from, to] of pictures.flatMap((picture) => picture.late)) {
    const [left, right] = [Math.max(0, x(from)), Math.min(width, Math.max(x(to), x(from) + 1))];
    for (let at = left; at < right; at += 6) pen.fillRect(at, bottom - 5, Math.min(3, right - at), 5);
    if (right - left > pen.measureText(texts.review.late).width + 8) pen.fillText(texts.review.late, left + 2, bottom - 9);
  }
}

function middle(pictures) {
  const values = pictures.flatMap((picture) => [
    ...picture.low_uv.map((low, k) => (low === null ? null : (low + picture.high_uv[k]) / 2)),
    ...picture.pieces.flatMap((piece) => piece.uv),
  ]).filter((value) => value !== null).toSorted((a, b) => a - b);
  return values.length === 0 ? 0 : values[Math.floor(values.length / 2)];
}

// Neighbouring columns are joined, so that a steep slope between them is not a hole.
function bands({ pen, x, view, colour }, { from_us: from, to_us: to, low_uv: lows, high_uv: highs }, y) {
  if (lows.length === 0) return;
  const step = (to - from) / lows.length;
  pen.fillStyle = colour("--trace");
  const first = Math.max(0, Math.floor((view.from - from) / step) - 1);
  const end = Math.min(lows.length, Math.ceil((view.to - from) / step) + 1);
  const wide = Math.max(1.2, x(from + step) - x(from));
  for (let k = first; k < end; k += 1) {
    if (lows[k] === null) continue;
    let [low, high] = [lows[k], highs[k]];
    if (k > 0 && lows[k - 1] !== null) {
      low = Math.min(low, highs[k - 1]);
      high = Math.max(high, lows[k - 1]);
    }
    const top = y(high);
    pen.fillRect(x(from + k * step), top - 0.6, wide, Math.max(1.2, y(low) - top + 0.6));
  }
}

// A piece that goes on where one ended is joined to it: tiles cut where no gap is.
function lines({ pen, x, view, colour }, pieces, y) {
  pen.strokeStyle = colour("--trace");
  pen.lineWidth = 1.4;
  pen.lineJoin = "round";
  pen.beginPath();
  let goesOnAt = -Infinity;
  for (const { at_us: at, step_us: step, uv } of pieces.toSorted((a, b) => a.at_us - b.at_us)) {
    const first = Math.max(0, Math.floor((view.from - at) / step) - 1);
    const end = Math.min(uv.length, Math.ceil((view.to - at) / step) + 2);
    let isDown = first === 0 && Math.abs(at - goesOnAt) < 0.7 * step;
    goesOnAt = at + uv.length * step;
    for (let k = first; k < end; k += 1) {
      if (uv[k] === null) isDown = false;
      else if (isDown) pen.lineTo(x(at + k * step), y(uv[k]));
      else {
        pen.moveTo(x(at + k * step), y(uv[k]));
        isDown = true;
      }
    }
  }
  pen.stroke();
}
