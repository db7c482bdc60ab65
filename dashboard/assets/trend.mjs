// A number over time: a line of its means in a band from least to most, gaps left open, limits as dashed lines.
//
// const trend = new Trend(holder, { title: "Heart rate", unit: "bpm" });
// trend.show({ from_us, to_us, step_us, mean, low, high });  // arrays by column, null where unknown
// trend.setLimits([50, 120]);  trend.draw();  trend.remove();
//
// Hovering, or the arrow keys while it is focused, read one column out; `onPick(us)` is called at a click or Enter.

import { timeMarks } from "./time_axis.mjs";
import { dateAndTime } from "./times.mjs";
import { element, say, setText, texts } from "./words.mjs";

const LEFT_PX = 40; // for the values
const BELOW_PX = 20; // for the times
const EMPTY = { from_us: 0, to_us: 1, step_us: 1, mean: [] };

export class Trend {
  // options: title, unit, digits (0), least and most (range that is always shown), height (px), onPick.
  constructor(holder, options) {
    this.options = { digits: 0, least: null, most: null, height: 140, onPick: () => {}, ...options };
    this.limits = [];
    this.data = EMPTY;
    this.cursor = null; // column that is read out
    this.canvas = element("canvas", "trend-canvas", { role: "img", tabindex: "0" });
    this.readout = element("span", "trend-readout num");
    this.spoken = element("span", "unseen", { "aria-live": "polite" });
    const title = element("span", "trend-title", {}, [options.title]);
    this.node = element("div", "trend", {}, [
      element("div", "trend-head", {}, [title, this.readout]), this.canvas, this.spoken,
    ]);
    this.canvas.style.height = `${this.options.height}px`;
    holder.append(this.node);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
    this.#listen();
  }

  remove() {
    this.observer.disconnect();
    this.node.remove();
  }

  show(data) {
    const isSameSpan = data.from_us === this.data.from_us && data.mean.length === this.data.mean.length;
    this.data = data;
    if (!isSameSpan) this.cursor = null;
    this.draw();
  }

  // [low, high], null where there is none.
  setLimits(limits) {
    const shown = limits.filter((limit) => limit !== null && limit !== undefined);
    if (JSON.stringify(shown) === JSON.stringify(this.limits)) return;
    this.limits = shown;
    this.draw();
  }

  draw() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (width === 0) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    pen.font = `12px ${style.fontFamily}`;
    const [low, high] = this.#range();
    const sheet = {
      right: width, bottom: height - BELOW_PX,
      x: (column) => LEFT_PX + ((width - LEFT_PX) * column) / Math.max(1, this.data.mean.length),
      y: (value) => 6 + (height - BELOW_PX - 12) * (1 - (value - low) / (high - low)),
    };
    this.sheet = sheet;
    this.#drawValues(pen, sheet, colour, low, high);
    this.#drawTimes(pen, sheet, colour);
    this.#drawLimits(pen, sheet, colour);
    this.#drawBand(pen, sheet, colour);
    this.#drawLine(pen, sheet, colour);
    this.#drawCursor(pen, sheet, colour);
    canvas.setAttribute("aria-label", this.#words());
    setText(this.readout, this.cursor === null ? this.#newest() : this.#columnWords(this.cursor));
  }

  #range() {
    const { mean, low, high } = this.data;
    const values = [mean, low ?? [], high ?? [], this.limits].flat().filter((value) => value !== null);
    const { least, most } = this.options;
    const from = Math.min(...(least === null ? values : [least, ...values]));
    const to = Math.max(...(most === null ? values : [most, ...values]));
    if (!Number.isFinite(from) || !Number.isFinite(to)) return [0, 1];
    const room = Math.max(1, (to - from) * 0.06);
    return [from - room, to + room];
  }

  #drawValues(pen, { right, y }, colour, low, high) {
    if (this.data.mean.every((value) => value === null)) return;
    const rough = (high - low) / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
    pen.textAlign = "right";
    for (let value = Math.ceil(low / step) * step; value <= high; value += step) {
      pen.fillStyle = colour("--line");
      pen.fillRect(LEFT_PX, Math.round(y(value)), right - LEFT_PX, 1);
      pen.fillStyle = colour("--dim");
      pen.fillText(String(Number(value.toFixed(6))), LEFT_PX - 6, y(value) + 4);
    }
  }

  #drawTimes(pen, { right, bottom }, colour) {
    const { from_us: from, to_us: to } = this.data;
    pen.fillStyle = colour("--dim");
    pen.textAlign = "center";
    for (const { us, words } of timeMarks(from, to, right - LEFT_PX)) {
      const at = LEFT_PX + ((right - LEFT_PX) * (us - from)) / (to - from);
      pen.fillRect(Math.round(at), bottom, 1, 4);
      const half = pen.measureText(words).width / 2;
      pen.fillText(words, Math.min(right - half, Math.max(half, at)), bottom + 16);
    }
  }

  #drawLimits(pen, { right, y }, colour) {
    pen.strokeStyle = colour("--dim");
    pen.setLineDash([4, 4]);
    for (const limit of this.limits) {
      pen.beginPath();
      pen.moveTo(LEFT_PX, Math.round(y(limit)) + 0.5);
      pen.lineTo(right, Math.round(y(limit)) + 0.5);
      pen.stroke();
    }
    pen.setLineDash([]);
  }

  #drawBand(pen, { x, y }, colour) {
    const { low, high } = this.data;
    if (low === undefined) return;
    pen.fillStyle = colour("--trace");
    pen.globalAlpha = 0.28;
    for (let column = 0; column < low.length; column += 1) {
      if (low[column] === null) continue;
      const top = y(high[column]);
      pen.fillRect(x(column), top, Math.max(1, x(column + 1) - x(column)), Math.max(1, y(low[column]) - top));
    }
    pen.globalAlpha = 1;
  }

  // A column without a value interrupts the line; a lone one is a dot.
  #drawLine(pen, { x, y }, colour) {
    const { mean } = this.data;
    pen.strokeStyle = colour("--trace");
    pen.lineWidth = 1.5;
    pen.lineJoin = "round";
    pen.lineCap = "round";
    pen.beginPath();
    for (let column = 0; column < mean.length; column += 1) {
      if (mean[column] === null) continue;
      const [at, height] = [x(column + 0.5), y(mean[column])];
      if (column === 0 || mean[column - 1] === null) pen.moveTo(at, height);
      pen.lineTo(at, height);
    }
    pen.stroke();
  }

  #drawCursor(pen, { x, y, bottom }, colour) {
    if (this.cursor === null) return;
    const at = x(this.cursor + 0.5);
    pen.fillStyle = colour("--text");
    pen.fillRect(Math.round(at), 0, 1, bottom);
    const value = this.data.mean[this.cursor];
    if (value === null || value === undefined) return;
    pen.beginPath();
    pen.arc(at, y(value), 3.5, 0, 7);
    pen.fill();
  }

  #listen() {
    const { canvas } = this;
    canvas.addEventListener("pointermove", (event) => this.#look(this.#columnAt(event)));
    canvas.addEventListener("pointerleave", () => this.#look(null));
    canvas.addEventListener("blur", () => this.#look(null));
    canvas.addEventListener("click", (event) => this.#pick(this.#columnAt(event)));
    canvas.addEventListener("keydown", (event) => {
      const last = this.data.mean.length - 1;
      const at = this.cursor ?? last + 1;
      const far = Math.max(1, Math.round(last / 20));
      const to = {
        ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - far, PageDown: at + far, Home: 0, End: last,
      }[event.key];
      if (event.key === "Enter") this.#pick(this.cursor);
      if (event.key === "Escape") this.#look(null);
      if (to === undefined || last < 0) return;
      event.preventDefault();
      this.#look(Math.min(last, Math.max(0, to)));
      setText(this.spoken, this.#columnWords(this.cursor));
    });
  }

  #columnAt(event) {
    const n = this.data.mean.length;
    const across = (event.offsetX - LEFT_PX) / Math.max(1, this.canvas.clientWidth - LEFT_PX);
    return n === 0 || across < 0 ? null : Math.min(n - 1, Math.floor(across * n));
  }

  #look(column) {
    if (column === this.cursor) return;
    this.cursor = column;
    this.draw();
  }

  #pick(column) {
    if (column !== null) this.options.onPick(this.data.from_us + (column + 0.5) * this.data.step_us);
  }

  #number(value) {
    return value === null || value === undefined ? texts.unknown : value.toFixed(this.options.digits);
  }

  // `12:03:20: 72 bpm (68 to 91)`.
  #columnWords(column) {
    const { from_us: from, step_us: step, mean, low, high } = this.data;
    const time = dateAndTime(from + (column + 0.5) * step);
    const isBand = low !== undefined && low[column] !== null && this.#number(low[column]) !== this.#number(high[column]);
    return say(isBand ? texts.trend.column_band : texts.trend.column, {
      time, unit: this.options.unit, value: this.#number(mean[column]),
      low: isBand ? this.#number(low[column]) : "", high: isBand ? this.#number(high[column]) : "",
    });
  }

  #newest() {
    const value = this.data.mean.findLast((each) => each !== null);
    return value === undefined ? texts.trend.empty : "";
  }

  #words() {
    const { mean, low, high, from_us: from, to_us: to } = this.data;
    const { title, unit } = this.options;
    const known = mean.filter((value) => value !== null);
    const span = { title, unit, from: dateAndTime(from), to: dateAndTime(to) };
    if (known.length === 0) return say(texts.trend.label_empty, span);
    const least = Math.min(...(low ?? mean).filter((value) => value !== null));
    const most = Math.max(...(high ?? mean).filter((value) => value !== null));
    return say(texts.trend.label, {
      ...span, least: this.#number(least), most: this.#number(most), share: Math.round((100 * known.length) / mean.length),
      newest: this.#number(known.at(-1)),
    });
  }
}
