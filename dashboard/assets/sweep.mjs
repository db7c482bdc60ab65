// A stream -> a canvas swept from left to right at true scale, with an erase gap before the pen.
// Only new samples are drawn; grid and calibration pulse are a layer of their own, drawn once a size.

import { drawGrid, drawPulse, pxPerMm } from "./paper.mjs";

const GAP_MM = 4;
const BASELINE = 0.6; // of the height: QRS complexes point up more often than down

export class Sweep {
  // options: mmPerS, mmPerMv, or spanS (the whole width is that long); stepPx; paper: grid; pulse: width in mm or 0
  constructor(holder, stream, options) {
    this.holder = holder;
    this.stream = stream;
    this.options = options;
    this.isGrey = false;
    this.back = holder.appendChild(document.createElement("canvas"));
    this.front = holder.appendChild(document.createElement("canvas"));
    this.back.className = "backdrop";
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(holder);
    this.fit();
  }

  remove() {
    this.observer.disconnect();
    this.back.remove();
    this.front.remove();
  }

  fit() {
    const box = this.holder.getBoundingClientRect();
    this.ratio = window.devicePixelRatio || 1;
    this.width = Math.max(1, Math.round(box.width * this.ratio));
    this.height = Math.max(1, Math.round(box.height * this.ratio));
    for (const canvas of [this.back, this.front]) {
      canvas.width = this.width;
      canvas.height = this.height;
    }
    const mm = pxPerMm() * this.ratio;
    this.mm = mm;
    this.left = this.options.pulse ? Math.round((this.options.pulse + 3) * mm) : 0;
    this.span = Math.max(1, this.width - this.left); // the pen's way, in device pixels
    this.base = Math.round(this.height * (this.options.baseline ?? BASELINE));
    this.pxPerMv = this.options.mmPerMv * mm;
    this.#drawBack();
    this.repaint();
  }

  setGrey(isGrey) {
    if (isGrey === this.isGrey) return;
    this.isGrey = isGrey;
    this.repaint();
  }

  // Everything on screen again: after a new size, theme or colour.
  repaint() {
    const style = getComputedStyle(this.holder);
    this.colour = style.getPropertyValue(this.isGrey ? "--stale" : "--trace").trim();
    this.pen = this.front.getContext("2d");
    this.pen.clearRect(0, 0, this.width, this.height);
    this.pen.lineWidth = (this.options.lineWidth ?? 1.6) * this.ratio;
    this.pen.lineJoin = "round";
    this.pen.lineCap = "round";
    this.drawn = 0;
    this.last = null;
    this.erasedTo = null;
    this.draw();
  }

  draw() {
    const { stream } = this;
    const count = stream.shownCount;
    if (count <= this.drawn) return;
    const pxPerSample = this.options.spanS
      ? this.span / (this.options.spanS * stream.fs)
      : (this.options.mmPerS * this.mm) / stream.fs;
    if (pxPerSample !== this.pxPerSample) { // another sampling rate moves every sample
      this.pxPerSample = pxPerSample;
      this.repaint();
      return;
    }
    // Strokes shorter than a pixel lie on each other and look bold: a slow sweep waits for a whole step.
    if (this.drawn > 0 && (count - this.drawn) * pxPerSample < (this.options.stepPx ?? 0) * this.ratio) return;
    const visible = Math.floor((this.span - GAP_MM * this.mm) / pxPerSample);
    const from = Math.max(this.drawn, count - Math.min(visible, stream.size), 0);
    if (from > this.drawn) this.last = null;
    this.#erase(from * pxPerSample, count * pxPerSample + GAP_MM * this.mm);
    this.pen.strokeStyle = this.colour;
    this.pen.beginPath();
    if (this.last !== null) this.pen.moveTo(this.last.x, this.last.y);
    for (let k = from; k < count; k += 1) this.#lineTo(k * pxPerSample, stream.shown[k % stream.size]);
    this.pen.stroke();
    this.drawn = count;
  }

  #lineTo(way, mv) {
    if (Number.isNaN(mv)) {
      this.last = null;
      return;
    }
    const lap = Math.floor(way / this.span);
    const x = this.left + way - lap * this.span;
    const y = Math.min(this.height - 1, Math.max(1, this.base - mv * this.pxPerMv));
    if (this.last !== null && this.last.lap === lap) this.pen.lineTo(x, y);
    else this.pen.moveTo(x, y);
    this.last = { lap, x, y };
  }

  // Clear the pen's way up to `end` (device pixels since the first sample); what was cleared before stays.
  #erase(start, end) {
    let at = Math.max(this.erasedTo ?? start, start, end - this.span);
    while (at < end) {
      const x = at - Math.floor(at / this.span) * this.span;
      const length = Math.min(end - at, this.span - x);
      const cap = x < 1 ? 2 * this.ratio : 0; // the pen's round end stands out to the left of its start
      this.pen.clearRect(this.left + x - cap, 0, length + cap + 1, this.height);
      at += Math.max(length, 0.5);
    }
    this.erasedTo = end;
  }

  #drawBack() {
    const pen = this.back.getContext("2d");
    const style = getComputedStyle(this.holder);
    pen.clearRect(0, 0, this.width, this.height);
    if (this.options.paper) {
      drawGrid(pen, this, style);
    }
    if (this.options.pulse) drawPulse(pen, this, this.options.pulse, style);
  }
}
