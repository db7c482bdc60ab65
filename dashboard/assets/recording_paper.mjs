// The trace of a finished recording on ECG paper: a span of it that is moved and zoomed; times from its beginning.

import { pxPerMm } from "./paper.mjs";
import { answer } from "./review_data.mjs";
import { Moves } from "./review_moves.mjs";
import { drawTrace } from "./review_trace.mjs";
import { element, say, setText, texts } from "./words.mjs";

const SECOND = 1e6;
const GAINS = [10, 20, 40, 5]; // mm/mV
const LEAST_S = 1;
const MOST_S = 7200; // the server draws no more at once
const MOST_POINTS = 4000;
const AXIS_PX = 22;
const SETTLE_MS = 120; // a drag is drawn from what is there, then fetched
const { recordings: words } = texts;

export class RecordingPaper {
  // `field`: canvas, place, at; `onMove` is told the span in seconds.
  constructor(root, field, { onMove }) {
    Object.assign(this, { root, field, onMove });
    this.gain = 10;
    this.isFiltered = true;
    this.error = "";
    this.pictures = [];
    this.drawing = { hitAt: () => null };
    this.moves = new Moves(field.canvas, this);
    this.slider = element("input", "", { type: "range", min: 0, step: "any", "aria-label": field.place.dataset.label });
    field.place.append(this.slider);
    this.slider.addEventListener("input", () => this.show(Number(this.slider.value), this.widthS));
    this.observer = new ResizeObserver(() => { this.isDue = true; });
    this.observer.observe(field.canvas);
  }

  remove() {
    clearTimeout(this.timer);
    this.observer.disconnect();
    this.moves.remove();
  }

  // The recording as the server told it.
  open({ id, from_us: fromUs, length_s: lengthS, lead }) {
    Object.assign(this, { device: `recordings/${id}`, fromUs, lengthS, lead: lead ?? texts.unknown });
    this.show(0, this.#trueWidthS());
  }

  show(fromS, widthS) {
    if (this.lengthS === undefined) return;
    this.widthS = Math.min(Math.max(LEAST_S, widthS), MOST_S, Math.max(this.lengthS, this.#trueWidthS()));
    this.fromS = Math.max(0, Math.min(fromS, this.lengthS - this.widthS));
    this.slider.max = Math.max(0, this.lengthS - this.widthS);
    this.slider.value = this.fromS;
    this.slider.disabled = this.widthS >= this.lengthS;
    const toS = Math.min(this.lengthS, this.fromS + this.widthS);
    const values = { from: round(this.fromS), to: round(toS), length: round(this.lengthS), lead: this.lead };
    setText(this.field.at, say(words.at, values));
    this.field.canvas.setAttribute("aria-label", say(words.trace_label, values));
    this.slider.setAttribute("aria-valuetext", say(words.window, values));
    this.isDue = true;
    this.onMove(this.fromS, toS);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#fetch(), this.pictures.length === 0 ? 0 : SETTLE_MS);
  }

  // What Moves asks.
  move(share) { this.show(this.fromS + share * this.widthS, this.widthS); }

  zoom(factor, atS = this.fromS + this.widthS / 2) {
    const width = Math.min(Math.max(LEAST_S, this.widthS * factor), MOST_S, Math.max(this.lengthS, this.#trueWidthS()));
    this.show(atS - ((atS - this.fromS) * width) / this.widthS, width);
  }

  look() {}

  pick() {}

  timeAt(x) { return this.fromS + (x / Math.max(1, this.field.canvas.clientWidth)) * this.widthS; }

  toEdge(isBegin) { this.show(isBegin ? 0 : this.lengthS, this.widthS); }

  command(name) {
    const commands = {
      earlier: () => this.move(-0.5), later: () => this.move(0.5), closer: () => this.zoom(0.5), wider: () => this.zoom(2),
      "true-scale": () => this.show(this.fromS, this.#trueWidthS()),
      gain: () => {
        this.gain = GAINS[(GAINS.indexOf(this.gain) + 1) % GAINS.length];
        setText(this.root.querySelector("[data-act=gain]"), say(texts.review.gain, { gain: this.gain }));
        this.isDue = true;
      },
      filter: () => {
        this.isFiltered = !this.isFiltered;
        this.#fetch();
      },
    };
    commands[name]?.();
    this.root.querySelector("[data-act=filter]").setAttribute("aria-pressed", String(this.isFiltered));
  }

  refresh() { this.#fetch(); }

  draw() {
    if (!this.isDue || this.lengthS === undefined) return;
    const { canvas } = this.field;
    const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, window.devicePixelRatio || 1];
    if (width === 0) return;
    this.isDue = false;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(canvas);
    const view = { from: this.fromUs + this.fromS * SECOND, to: this.fromUs + (this.fromS + this.widthS) * SECOND };
    const sheet = {
      pen, width, height, view, ratio,
      colour: (name) => style.getPropertyValue(name).trim(),
      x: (us) => (width * (us - view.from)) / (view.to - view.from),
    };
    pen.font = `12px ${style.fontFamily}`;
    pen.clearRect(0, 0, width, height);
    const { pictures, isFiltered, gain } = this;
    drawTrace(sheet, { top: 0, height: height - AXIS_PX, mm: pxPerMm(), gain, pictures, isFiltered });
    this.#axis(sheet);
    const drawn = pictures.flatMap(({ pieces, low_uv: low }) => [...pieces.map(({ uv }) => uv.length), low.length]);
    this.root.dataset.drawn = String(drawn.reduce((a, b) => a + b, 0)); // for tests
  }

  #axis({ pen, width, height, colour }) {
    const steps = [0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1800];
    const step = steps.find((each) => (each / this.widthS) * width >= 64) ?? 3600;
    pen.fillStyle = colour("--dim");
    for (let s = Math.ceil(this.fromS / step) * step; s <= this.fromS + this.widthS; s += step) {
      const x = ((s - this.fromS) / this.widthS) * width;
      pen.fillRect(Math.round(x), height - AXIS_PX, 1, 5);
      pen.textAlign = x < 20 ? "left" : x > width - 20 ? "right" : "center";
      pen.fillText(clock(s, step), x, height - 5);
    }
  }

  #trueWidthS() { return this.field.canvas.clientWidth / (25 * pxPerMm()) || 10; }

  async #fetch() {
    if (this.device === undefined) return;
    const asked = Symbol("asked");
    this.asked = asked;
    const beside = this.widthS / 2; // so that a short move finds it drawn
    const from = Math.max(0, this.fromUs + Math.floor((this.fromS - beside) * SECOND));
    const to = Math.min(from + MOST_S * SECOND, this.fromUs + Math.ceil((this.fromS + this.widthS + beside) * SECOND));
    const points = Math.min(MOST_POINTS, Math.max(100, 2 * this.field.canvas.clientWidth));
    const query = new URLSearchParams({ from_us: from, to_us: to, points, filter: this.isFiltered ? "1" : "0" });
    try {
      const picture = await answer(`/data/picture/${this.device}?${query}`);
      if (this.asked !== asked) return;
      this.pictures = [{ ...picture, late: [], leads: [this.lead] }]; // all of it came late
      this.error = "";
    } catch (error) {
      if (this.asked === asked) this.error = error.message;
    }
    this.isDue = true;
  }
}

const round = (seconds) => Number(seconds.toFixed(1));

function clock(s, step) {
  if (s < 120 || step < 1) return `${Number(s.toFixed(1))} s`;
  const pad = (n) => String(Math.floor(n)).padStart(2, "0");
  return s < 3600 ? `${Math.floor(s / 60)}:${pad(s % 60)}` : `${Math.floor(s / 3600)}:${pad((s % 3600) / 60)}:${pad(s % 60)}`;
}
