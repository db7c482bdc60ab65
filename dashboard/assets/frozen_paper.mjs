// The frozen trace on its paper, with two marks that are dragged or moved by arrow keys.

import { between, leftS, levelOf, marches, moved, scrolled } from "./calipers.mjs";
import { drawGrid, drawPulse, pxPerMm } from "./paper.mjs";
import { age, element, say, setData, setText, setTitle, texts } from "./words.mjs";

const BASELINE = 0.6; // of the height, as in the live sweep
const PULSE_MM = 5;
const LEFT_MM = PULSE_MM + 3;
const NAMES = ["A", "B"];
const MV_STEP = 0.01;
const { patient: words } = texts;

export class FrozenPaper {
  // `field`: the page's fields of the calipers; `scale`: { mmPerS, mmPerMv }.
  constructor(holder, still, scale, field) {
    this.holder = holder;
    this.still = still;
    this.scale = scale;
    this.field = field;
    this.frozenMs = performance.now();
    this.isOnTrace = true;
    this.isMarching = false;
    this.canvas = holder.appendChild(element("canvas", "frozen-trace", { "aria-hidden": "true" }));
    this.marks = NAMES.map((name) => this.#makeMark(name));
    this.slider = element("input", "", { type: "range", min: 0, step: 1, "aria-label": words.scroll_label });
    this.back = element("span", "dim num", { "aria-hidden": "true" });
    field["caliper-scroll"].replaceChildren(this.slider, this.back);
    this.listening = new AbortController();
    this.#listen();
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(holder);
    this.first = still.mv.length;
    this.#touch();
    this.draw();
    this.#bringMarks();
  }

  remove() {
    this.listening.abort();
    this.observer.disconnect();
    this.canvas.remove();
    for (const { node } of this.marks) node.remove();
    this.field["caliper-scroll"].replaceChildren();
  }

  leftS(nowMs) {
    return leftS(this.frozenMs, this.touchedMs, nowMs);
  }

  setScale(scale) {
    const middle = this.first + this.visible / 2;
    this.scale = scale;
    this.#measure();
    this.first = middle - this.visible / 2;
    this.#touch();
    this.draw();
  }

  draw() {
    this.#measure();
    this.first = scrolled(this.still, this.first, this.visible);
    this.slider.max = Math.max(0, Math.ceil(this.still.mv.length - this.visible));
    this.slider.value = Math.round(this.first);
    this.slider.disabled = this.slider.max === "0";
    const back = say(words.scroll_back, { age: this.#ageOf(this.first + this.visible) });
    this.slider.setAttribute("aria-valuetext", back);
    setText(this.back, back);
    this.#drawTrace();
    this.#placeMarks();
  }

  #measure() {
    const box = this.holder.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const mm = pxPerMm();
    Object.assign(this, { width: box.width, height: box.height, ratio, mm, left: Math.round(LEFT_MM * mm * ratio) / ratio });
    this.pxPerSample = (this.scale.mmPerS * mm) / this.still.fs;
    this.pxPerMv = this.scale.mmPerMv * mm;
    this.base = Math.round(box.height * BASELINE * ratio) / ratio;
    this.visible = Math.max(1, (this.width - this.left) / this.pxPerSample); // samples
  }

  #x(sample) {
    return this.left + (sample - this.first) * this.pxPerSample;
  }

  #y(mv) {
    return Math.min(this.height - 1, Math.max(1, this.base - mv * this.pxPerMv));
  }

  #ageOf(sample) {
    return age(Math.max(0, (this.still.mv.length - sample) / this.still.fs));
  }

  #drawTrace() {
    const { canvas, ratio, still } = this;
    canvas.width = Math.max(1, Math.round(this.width * ratio));
    canvas.height = Math.max(1, Math.round(this.height * ratio));
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(this.holder);
    const sheet = {
      width: canvas.width, height: canvas.height, left: this.left * ratio, base: this.base * ratio,
      mm: this.mm * ratio, ratio, pxPerMv: this.pxPerMv * ratio,
    };
    drawGrid(pen, sheet, style);
    drawPulse(pen, sheet, PULSE_MM, style);
    pen.scale(ratio, ratio);
    pen.beginPath();
    pen.rect(this.left, 0, this.width - this.left, this.height);
    pen.clip();
    if (this.isMarching) this.#drawMarches(pen, style);
    pen.strokeStyle = style.getPropertyValue("--trace").trim();
    pen.lineWidth = 1.8;
    pen.lineJoin = "round";
    pen.beginPath();
    const from = Math.max(0, Math.floor(this.first) - 1);
    const end = Math.min(still.mv.length, Math.ceil(this.first + this.visible) + 1);
    let isDown = false;
    for (let k = from; k < end; k += 1) {
      const mv = still.mv[k];
      if (Number.isNaN(mv)) isDown = false; // never bridged
      else if (isDown) pen.lineTo(this.#x(k), this.#y(mv));
      else { pen.moveTo(this.#x(k), this.#y(mv)); isDown = true; }
    }
    pen.stroke();
  }

  #drawMarches(pen, style) {
    const [a, b] = this.marks.map(({ mark }) => mark);
    pen.strokeStyle = style.getPropertyValue("--dim").trim();
    pen.setLineDash([4, 4]);
    pen.beginPath();
    for (const at of marches(a, b, this.first, this.first + this.visible, this.pxPerSample)) {
      pen.moveTo(this.#x(at), 0);
      pen.lineTo(this.#x(at), this.height);
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  #makeMark(name) {
    const level = element("span", "caliper-level");
    const node = element("div", "caliper", {
      role: "slider", tabindex: "0", "aria-label": say(words.mark, { name }), title: words.mark_hint,
    }, [element("span", "caliper-line"), element("span", "caliper-name", {}, [name]), level]);
    this.holder.append(node);
    return { node, level, mark: { sample: 0, mv: 0 } };
  }

  // Both marks onto the part that is seen, a third and two thirds across.
  #bringMarks() {
    this.marks.forEach((each, k) => {
      each.mark = moved(this.still, { sample: this.first + (this.visible * (k + 1)) / 3, mv: each.mark.mv }, 0);
    });
    this.draw();
  }

  #placeMarks() {
    const { still, field, isOnTrace } = this;
    for (const { node, level, mark } of this.marks) {
      const x = this.#x(mark.sample);
      const mv = levelOf(still, mark, isOnTrace);
      node.style.left = `${x}px`;
      node.hidden = x < this.left - 1 || x > this.width + 1;
      level.hidden = mv === null;
      level.style.top = `${this.#y(mv ?? 0)}px`;
      const told = mv === null ? texts.unknown : say(words.mv, { mv: mv.toFixed(2) });
      node.setAttribute("aria-valuemin", 0);
      node.setAttribute("aria-valuemax", still.mv.length - 1);
      node.setAttribute("aria-valuenow", mark.sample);
      node.setAttribute("aria-valuetext", say(words.mark_value, { age: this.#secondsBack(mark), mv: told }));
    }
    const [a, b] = this.marks.map(({ mark }) => mark);
    const { ms, bpm, mv } = between(still, a, b, isOnTrace);
    setText(field["caliper-ms"], say(words.ms, { ms: Math.round(ms) }));
    setText(field["caliper-bpm"], bpm === null ? texts.unknown : bpm.toFixed(0));
    setText(field["caliper-mv"], say(words.mv, { mv: mv === null ? texts.unknown : mv.toFixed(2) }));
    const step = 1000 / still.fs;
    setTitle(field["caliper-values"], say(words.resolution, { ms: step.toFixed(1), fs: Math.round(still.fs) }));
    for (const [name, isOn] of [["caliper-on-trace", isOnTrace], ["caliper-march", this.isMarching]]) {
      field[name].setAttribute("aria-pressed", String(isOn));
    }
    setData(this.holder, "free", String(!isOnTrace));
  }

  #secondsBack(mark) {
    return `${((this.still.mv.length - 1 - mark.sample) / this.still.fs).toFixed(2)} s`;
  }

  #touch() {
    this.touchedMs = performance.now();
  }

  #listen() {
    const { signal } = this.listening;
    const on = (node, name, act) => node.addEventListener(name, (event) => { this.#touch(); act(event); }, { signal });
    on(this.slider, "input", () => { this.first = Number(this.slider.value); this.draw(); });
    on(this.holder, "pointerdown", (event) => this.#drag(event));
    on(this.holder, "wheel", (event) => {
      if (Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return; // up and down scrolls the page
      event.preventDefault();
      this.first += event.deltaX / this.pxPerSample;
      this.draw();
    });
    on(this.field["caliper-on-trace"], "click", () => this.#toggleOnTrace());
    on(this.field["caliper-march"], "click", () => { this.isMarching = !this.isMarching; this.draw(); });
    on(this.field["caliper-here"], "click", () => this.#bringMarks());
    on(this.slider, "keydown", (event) => this.#slide(event));
    for (const each of this.marks) on(each.node, "keydown", (event) => this.#key(event, each));
  }

  // Marks that leave the trace begin where it was.
  #toggleOnTrace() {
    for (const each of this.marks) {
      each.mark = { ...each.mark, mv: levelOf(this.still, each.mark, this.isOnTrace) ?? 0 };
    }
    this.isOnTrace = !this.isOnTrace;
    this.draw();
  }

  // A mark follows the pointer; elsewhere the picture does.
  #drag(down) {
    if (down.button !== 0) return;
    const each = this.marks.find(({ node }) => node.contains(down.target));
    const start = { first: this.first, mark: each?.mark };
    const target = each?.node ?? this.holder;
    target.setPointerCapture(down.pointerId);
    const move = (event) => {
      this.#touch();
      const samples = (event.clientX - down.clientX) / this.pxPerSample;
      if (each === undefined) this.first = start.first - samples;
      else each.mark = moved(this.still, start.mark, samples, (down.clientY - event.clientY) / this.pxPerMv);
      this.draw();
    };
    const end = new AbortController();
    target.addEventListener("pointermove", move, { signal: end.signal });
    for (const name of ["pointerup", "pointercancel"]) {
      target.addEventListener(name, () => end.abort(), { signal: end.signal });
    }
  }

  // A key's own step would be one sample, which nobody sees.
  #slide(event) {
    const step = { ArrowLeft: -0.1, ArrowDown: -0.1, ArrowRight: 0.1, ArrowUp: 0.1, PageDown: -1, PageUp: 1 }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.first += step * this.visible;
    this.draw();
  }

  #key(event, each) {
    const far = event.shiftKey ? 10 : 1;
    const step = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, far * MV_STEP], ArrowDown: [0, -far * MV_STEP] }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    each.mark = moved(this.still, each.mark, ...step);
    const at = each.mark.sample;
    if (at < this.first) this.first = at;
    else if (at > this.first + this.visible) this.first = at - this.visible;
    this.draw();
  }
}
