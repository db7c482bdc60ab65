// Wheel, drag, pinch and keys on the timeline -> the page's moves.

const CLICK_PX = 5; // a drag that is shorter is a press
const WHEEL = 1.0015; // factor of a wheel's pixel
const KEYS = {
  "+": "closer", "=": "closer", "-": "wider", a: "annotate", A: "annotate",
};
const SHARES = { ArrowLeft: -0.1, ArrowRight: 0.1, PageUp: -1, PageDown: 1 };

export class Moves {
  constructor(canvas, page) {
    this.canvas = canvas;
    this.page = page;
    this.pointers = new Map(); // id -> { x, y }
    this.travelled = 0;
    const on = (name, listener, options) => canvas.addEventListener(name, listener.bind(this), options);
    on("wheel", this.#wheel, { passive: false });
    on("pointerdown", this.#down);
    on("pointermove", this.#move);
    on("pointerup", this.#up);
    on("pointercancel", this.#up);
    on("pointerleave", () => { if (this.pointers.size === 0) this.page.look(null); });
    on("keydown", this.#key);
  }

  remove() {
    this.pointers.clear();
  }

  #wheel(event) {
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      this.page.move(event.deltaX / this.canvas.clientWidth);
      return;
    }
    const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * 40;
    this.page.zoom(WHEEL ** Math.max(-600, Math.min(600, pixels)), this.page.timeAt(event.offsetX));
  }

  #down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    if (this.pointers.size === 1) this.travelled = 0;
  }

  #move(event) {
    const before = this.pointers.get(event.pointerId);
    const now = { x: event.offsetX, y: event.offsetY };
    if (before === undefined) {
      this.page.look(this.page.timeAt(now.x));
      const isOver = this.page.drawing.hitAt(now.x, now.y) !== null;
      this.canvas.style.cursor = isOver ? "pointer" : "";
      return;
    }
    this.travelled += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    if (this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const apart = (place) => Math.max(20, Math.abs(place.x - other.x));
      this.page.zoom(apart(before) / apart(now), this.page.timeAt((now.x + other.x) / 2));
    } else if (this.travelled > CLICK_PX) {
      this.page.move((before.x - now.x) / this.canvas.clientWidth);
    }
    this.pointers.set(event.pointerId, now);
  }

  #up(event) {
    if (!this.pointers.delete(event.pointerId) || this.travelled > CLICK_PX || event.type === "pointercancel") return;
    const what = this.page.drawing.hitAt(event.offsetX, event.offsetY);
    if (what !== null) this.page.pick(what);
    else this.page.look(this.page.timeAt(event.offsetX));
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    if (SHARES[key] !== undefined) this.page.move(SHARES[key]);
    else if (KEYS[key] !== undefined) this.page.command(KEYS[key]);
    else if (key === "Home" || key === "End") this.page.toEdge(key === "Home");
    else return;
    event.preventDefault();
  }
}
