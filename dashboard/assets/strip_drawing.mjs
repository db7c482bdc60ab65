// A strip of stored samples (dashboard/strip.py's strip_data) -> rows of ECG paper at 25 mm/s and 10 mm/mV.

import { filtered } from "./monitor_filter.mjs";
import { drawGrid, drawPulse, pxPerMm } from "./paper.mjs";
import { element, say, texts, timeOfDay } from "./words.mjs";

const MM_PER_S = 25;
const MM_PER_MV = 10;
const PULSE_MM = 5;
const LEFT_MM = PULSE_MM + 3;
const SCALE_MM = 6; // below the trace, for the seconds
const UP_MM = [20, 60]; // least and most height above and below 0 mV; what lies beyond is cut off at the edge
const DOWN_MM = [12, 45];
const BREAK_S = 0.5; // a shorter hole is seen, but has no room for words

// Seconds in a row: what divides the strip evenly and fits; a narrow screen gets one row to be moved sideways.
export function secondsPerRow(widthPx, spanS, mm) {
  const fitting = (widthPx / mm - LEFT_MM) / MM_PER_S;
  return [spanS, spanS / 2, spanS / 3, spanS / 6].find((seconds) => seconds <= fitting) ?? spanS;
}

// Stretches of the strip without samples, as [from, to] in seconds.
export function breaksOf(strip) {
  const covered = strip.pieces.flatMap(({ offset_s, fs, uv }) => {
    const runs = [];
    for (let i = 0; i < uv.length; i += 1) {
      if (uv[i] === null) continue;
      if (i === 0 || uv[i - 1] === null) runs.push([offset_s + i / fs, 0]);
      runs.at(-1)[1] = offset_s + (i + 1) / fs;
    }
    return runs;
  }).toSorted((a, b) => a[0] - b[0]);
  const breaks = [];
  let at = strip.from_s;
  for (const [from, to] of [...covered, [strip.to_s, strip.to_s]]) {
    if (from - at >= BREAK_S) breaks.push([at, from]);
    at = Math.max(at, to);
  }
  return breaks;
}

export class StripDrawing {
  // `onset` says what happened at 0 s; `former` is the drawing of the same event that this one replaces.
  constructor(holder, strip, onset, former) {
    this.hasDrawn = former?.hasDrawn ?? false;
    this.holder = holder;
    this.strip = strip;
    this.onset = onset;
    this.pieces = strip.pieces.map((piece) => ({
      ...piece, mv: filtered(Float64Array.from(piece.uv, (uv) => (uv === null ? NaN : uv / 1000)), piece.fs),
    }));
    this.breaks = breaksOf(strip);
    this.#measure();
  }

  // Rows anew: after a new width, theme or strip. Keeps where a person has moved it.
  draw() {
    const { holder, strip } = this;
    const spanS = strip.to_s - strip.from_s;
    const cssMm = pxPerMm();
    const width = holder.clientWidth;
    const perRow = secondsPerRow(width, spanS, cssMm);
    const isWide = (LEFT_MM + perRow * MM_PER_S) * cssMm > width;
    const from = holder.scrollLeft;
    const rows = [];
    for (let start = strip.from_s; start < strip.to_s; start += perRow) rows.push(this.#row(start, perRow, cssMm));
    holder.replaceChildren(...rows);
    const onset = (LEFT_MM - strip.from_s * MM_PER_S) * cssMm;
    holder.scrollLeft = this.hasDrawn || !isWide ? from : onset - width / 3;
    this.hasDrawn = true;
  }

  #measure() {
    let [low, high] = [0, 0];
    for (const { mv } of this.pieces) {
      for (const value of mv) {
        if (value > high) high = value;
        else if (value < low) low = value;
      }
    }
    const fit = (mv, [least, most]) => Math.min(most, Math.max(least, Math.ceil(mv * MM_PER_MV / 5) * 5 + 5));
    this.upMm = fit(high, UP_MM);
    this.downMm = fit(-low, DOWN_MM);
  }

  #row(start, seconds, cssMm) {
    const canvas = element("canvas", "event-row", { role: "img", "aria-label": this.#label(start, seconds) });
    const ratio = window.devicePixelRatio || 1;
    const mm = cssMm * ratio;
    const width = Math.round((LEFT_MM + seconds * MM_PER_S) * mm);
    const height = Math.round((this.upMm + this.downMm) * mm);
    canvas.width = width;
    canvas.height = height + Math.round(SCALE_MM * mm);
    canvas.style.width = `${width / ratio}px`;
    canvas.style.height = `${canvas.height / ratio}px`;
    const sheet = {
      width, height, left: Math.round(LEFT_MM * mm), base: Math.round(this.upMm * mm), mm, ratio,
      pxPerMv: MM_PER_MV * mm, x: (s) => LEFT_MM * mm + (s - start) * MM_PER_S * mm, start, end: start + seconds,
    };
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(this.holder);
    const colour = (name) => style.getPropertyValue(name).trim();
    pen.fillStyle = colour("--paper");
    pen.fillRect(0, 0, width, height);
    drawGrid(pen, sheet, style);
    drawPulse(pen, sheet, PULSE_MM, style);
    pen.font = `${12 * ratio}px ${style.fontFamily}`;
    this.#drawBreaks(pen, sheet, colour);
    this.#drawOnset(pen, sheet, colour);
    this.#drawTrace(pen, sheet, colour);
    this.#drawPeaks(pen, sheet, colour);
    this.#drawSeconds(pen, sheet, colour);
    return canvas;
  }

  #label(start, seconds) {
    const beats = this.pieces.flatMap((piece) => piece.r_s).filter((s) => s >= start && s < start + seconds).length;
    return say(texts.strip_label, { from: start, to: start + seconds, beats });
  }

  #drawTrace(pen, { x, base, pxPerMv, start, end, left, width, height, ratio }, colour) {
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, width - left, height);
    pen.clip();
    pen.strokeStyle = colour("--trace");
    pen.lineWidth = 1.5 * ratio;
    pen.lineJoin = "round";
    pen.beginPath();
    for (const { offset_s: offset, fs, mv } of this.pieces) {
      let isDown = false;
      const first = Math.max(0, Math.floor((start - offset) * fs) - 1);
      const last = Math.min(mv.length, Math.ceil((end - offset) * fs) + 2);
      for (let i = first; i < last; i += 1) {
        if (Number.isNaN(mv[i])) {
          isDown = false;
          continue;
        }
        const y = Math.min(height - 1, Math.max(1, base - mv[i] * pxPerMv));
        if (isDown) pen.lineTo(x(offset + i / fs), y);
        else pen.moveTo(x(offset + i / fs), y);
        isDown = true;
      }
    }
    pen.stroke();
    pen.restore();
  }

  // A small wedge at the upper edge over every R peak.
  #drawPeaks(pen, { x, start, end, mm }, colour) {
    pen.fillStyle = colour("--dim");
    for (const second of this.pieces.flatMap((piece) => piece.r_s)) {
      if (second < start || second >= end) continue;
      pen.beginPath();
      pen.moveTo(x(second) - 1.2 * mm, 0.6 * mm);
      pen.lineTo(x(second) + 1.2 * mm, 0.6 * mm);
      pen.lineTo(x(second), 2.6 * mm);
      pen.fill();
    }
  }

  #drawBreaks(pen, { x, start, end, height, ratio, mm }, colour) {
    for (const [from, to] of this.breaks) {
      const [low, high] = [Math.max(from, start), Math.min(to, end)];
      if (high - low <= 0) continue;
      pen.fillStyle = colour("--panel");
      pen.fillRect(x(low), 0, x(high) - x(low), height);
      pen.fillStyle = colour("--dim");
      const words = to >= this.strip.to_s && !this.strip.is_final ? texts.strip_to_come : texts.strip_break;
      if (pen.measureText(words).width + 2 * mm > x(high) - x(low)) continue;
      pen.textAlign = "center";
      pen.fillText(words, (x(low) + x(high)) / 2, height / 2 + 4 * ratio);
    }
  }

  #drawOnset(pen, { x, start, end, height, ratio, mm }, colour) {
    if (start > 0 || end <= 0) return;
    pen.fillStyle = colour("--at") || colour("--text");
    pen.fillRect(Math.round(x(0)), 0, Math.max(1, 2 * ratio), height);
    pen.textAlign = "left";
    pen.fillText(this.onset, x(0) + 1.5 * mm, height - 1.5 * mm);
  }

  // The time of day where a row begins, then the seconds from the alarm's beginning.
  #drawSeconds(pen, { x, start, end, left, height, ratio, mm }, colour) {
    const y = height + 4.2 * mm;
    const clock = this.#clock(start);
    pen.fillStyle = colour("--dim");
    pen.textAlign = "left";
    pen.fillText(clock, left, y);
    const free = left + pen.measureText(clock).width + 2 * mm;
    pen.textAlign = "center";
    for (let second = start; second < end; second += 1) {
      pen.fillRect(Math.round(x(second)), height, Math.max(1, ratio), 1.2 * mm);
      const words = `${second} s`;
      if (x(second) - pen.measureText(words).width / 2 > free) pen.fillText(words, x(second), y);
    }
  }

  #clock(second) {
    return timeOfDay(this.strip.moment_us + second * 1e6);
  }
}
