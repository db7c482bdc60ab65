// A stream -> a canvas swept from left to right at true scale, with an erase gap before the pen.
//
// One opaque canvas a trace, of whole device pixels at whole device pixels: a browser without a graphics card then
// copies it to the screen, while a transparent or a stretched one is blended and filtered anew in each frame, at three
// times the cost (docs/dashboard.md). Only new samples are drawn, each of them, so that no R peak is thinned away.

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
    this.canvas = holder.appendChild(document.createElement("canvas"));
    this.pen = this.canvas.getContext("2d", { alpha: false });
    this.sheet = options.paper ? document.createElement("canvas") : null; // the grid, to erase with
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(holder);
    this.fit();
  }

  remove() {
    this.observer.disconnect();
    this.canvas.remove();
  }

  fit() {
    this.ratio = window.devicePixelRatio || 1;
    this.#place();
    const mm = pxPerMm() * this.ratio;
    this.mm = mm;
    this.left = this.options.pulse ? Math.round((this.options.pulse + 3) * mm) : 0;
    this.span = Math.max(1, this.width - this.left); // the pen's way, in device pixels
    this.base = Math.round(this.height * (this.options.baseline ?? BASELINE));
    this.pxPerMv = this.options.mmPerMv * mm;
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
    this.ground = groundOf(this.holder);
    this.#drawGround(style);
    this.pen.lineWidth = (this.options.lineWidth ?? 1.6) * this.ratio;
    this.pen.lineJoin = "bevel"; // steps are shorter than the line is wide: rounding each only costs
    this.pen.lineCap = "round";
    this.drawn = 0;
    this.#lift();
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
    if (from > this.drawn) this.#lift();
    this.#erase(from * pxPerSample, count * pxPerSample + GAP_MM * this.mm);
    this.pen.strokeStyle = this.colour;
    this.pen.beginPath();
    if (this.isDown) this.pen.moveTo(this.penX, this.penY);
    for (let k = from; k < count; k += 1) this.#lineTo(k * pxPerSample, stream.shown[k % stream.size]);
    this.pen.stroke();
    this.drawn = count;
  }

  // The largest box of whole device pixels inside the holder.
  #place() {
    const box = this.holder.getBoundingClientRect();
    const { ratio, canvas } = this;
    const [x, y] = [(box.left + window.scrollX) * ratio, (box.top + window.scrollY) * ratio];
    const [left, top] = [Math.ceil(x - 0.01), Math.ceil(y - 0.01)];
    this.width = Math.max(1, Math.floor(x + box.width * ratio + 0.01) - left);
    this.height = Math.max(1, Math.floor(y + box.height * ratio + 0.01) - top);
    canvas.width = this.width;
    canvas.height = this.height;
    canvas.style.cssText = `position: absolute; inset: ${(top - y) / ratio}px auto auto ${(left - x) / ratio}px; `
      + `width: ${this.width / ratio}px; height: ${this.height / ratio}px`;
  }

  #lift() {
    this.isDown = false;
    this.lap = 0;
    this.penX = 0;
    this.penY = 0;
  }

  #lineTo(way, mv) {
    if (Number.isNaN(mv)) {
      this.isDown = false;
      return;
    }
    const lap = Math.floor(way / this.span);
    const x = this.left + way - lap * this.span;
    const y = Math.min(this.height - 1, Math.max(1, this.base - mv * this.pxPerMv));
    if (this.isDown && this.lap === lap) this.pen.lineTo(x, y);
    else this.pen.moveTo(x, y);
    this.isDown = true;
    this.lap = lap;
    this.penX = x;
    this.penY = y;
  }

  // Clear the pen's way up to `end` (device pixels since the first sample); what was cleared before stays.
  #erase(start, end) {
    let at = Math.max(this.erasedTo ?? start, start, end - this.span);
    while (at < end) {
      const x = at - Math.floor(at / this.span) * this.span;
      const length = Math.min(end - at, this.span - x);
      const cap = x < 1 ? 2 * this.ratio : 0; // the pen's round end stands out to the left of its start
      this.#eraseColumns(Math.floor(this.left + x - cap), Math.ceil(this.left + x + length + 1));
      at += Math.max(length, 0.5);
    }
    this.erasedTo = end;
  }

  #eraseColumns(from, to) {
    const x = Math.max(0, from);
    const width = Math.min(this.width, to) - x;
    if (this.sheet !== null) {
      this.pen.drawImage(this.sheet, x, 0, width, this.height, x, 0, width, this.height);
    } else {
      this.pen.fillStyle = this.ground;
      this.pen.fillRect(x, 0, width, this.height);
    }
  }

  #drawGround(style) {
    const { pen, sheet, width, height } = this;
    pen.fillStyle = this.ground;
    pen.fillRect(0, 0, width, height);
    if (this.options.paper) drawGrid(pen, this, style);
    if (sheet !== null) {
      Object.assign(sheet, { width, height });
      sheet.getContext("2d", { alpha: false }).drawImage(this.canvas, 0, 0);
    }
    if (this.options.pulse) drawPulse(pen, this, this.options.pulse, style);
  }
}

// The colour behind a node: that of the nearest ancestor which has one.
function groundOf(node) {
  for (let each = node; each !== null; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (colour !== "transparent" && colour !== "rgba(0, 0, 0, 0)") return colour;
  }
  return "white";
}
