// A screen that hangs on a wall: nothing but patients on it, awake, without a cursor.
//
// Kiosk mode is in the address (`?kiosk`), so that a bookmark or a machine's start script opens it, and in the
// tab's own memory, so that it is still there after a look at a patient's page.

import { texts } from "./words.mjs";

const KEY = "wristlead-kiosk";
const IDLE_MS = 3000; // without a hand on the pointer
const AGAIN_MS = 30_000; // a browser that refused, or took the lock back, is asked again

export class Kiosk {
  // onChange() when the mode, full screen, or what is known of the screen's sleep changed.
  constructor(onChange) {
    this.onChange = onChange;
    this.wake = ""; // "", "awake", "refused" or "unable"
    this.isOn = new URLSearchParams(window.location.search).has("kiosk") || remembered();
    this.listeners = [
      [document, "visibilitychange", () => this.#keepAwake()], // a hidden tab loses the lock
      [document, "fullscreenchange", () => this.#changed()],
      [document, "pointermove", () => this.#moved()],
      [document, "pointerdown", () => this.#moved()],
    ];
    for (const [target, event, listener] of this.listeners) target.addEventListener(event, listener);
    this.#show();
    this.#keepAwake();
    this.#moved();
  }

  get isFull() {
    return document.fullscreenElement !== null;
  }

  set(isOn) {
    this.isOn = isOn;
    this.#show();
    this.#changed();
  }

  // Browsers allow it only right after a key or click; without it kiosk mode fills the window.
  async setFull(isFull) {
    if (isFull === this.isFull || !document.fullscreenEnabled) return;
    try {
      await (isFull ? document.documentElement.requestFullscreen() : document.exitFullscreen());
    } catch { /* refused: the window stays as it is, which everybody sees */ }
  }

  remove() {
    for (const [target, event, listener] of this.listeners) target.removeEventListener(event, listener);
    clearTimeout(this.timer);
    clearTimeout(this.again);
    this.isRemoved = true;
    this.lock?.release();
    delete document.documentElement.dataset.kiosk;
    delete document.documentElement.dataset.idle;
  }

  #show() {
    document.documentElement.toggleAttribute("data-kiosk", this.isOn);
    const address = new URL(window.location.href);
    if (this.isOn) address.searchParams.set("kiosk", "");
    else address.searchParams.delete("kiosk");
    const search = address.search.replace(/kiosk=(&|$)/, "kiosk$1");
    window.history.replaceState(window.history.state, "", address.pathname + search + address.hash);
    try {
      sessionStorage.setItem(KEY, this.isOn ? "on" : "");
    } catch { /* private mode: the address remembers */ }
  }

  #changed() {
    this.#keepAwake();
    this.onChange();
  }

  // Take the lock where it is wanted and not held; give it back where it is not wanted any more.
  async #keepAwake() {
    if (!this.isOn && !this.isFull) {
      this.lock?.release();
      this.#say("");
      return;
    }
    if (document.hidden || this.lock || this.isAsking) return;
    if (!navigator.wakeLock) {
      this.#say("unable");
      return;
    }
    this.isAsking = true;
    try {
      this.lock = await navigator.wakeLock.request("screen");
      this.lock.addEventListener("release", () => this.#released());
      this.#say("awake");
    } catch {
      this.#refused(); // low battery, or a person's setting
    }
    this.isAsking = false;
    if (this.isRemoved || (!this.isOn && !this.isFull)) this.lock?.release(); // left meanwhile
  }

  #released() {
    this.lock = null;
    if (this.isRemoved) return;
    if (this.isOn || this.isFull) this.#refused();
  }

  #refused() {
    if (this.isRemoved) return;
    this.#say("refused");
    clearTimeout(this.again);
    this.again = setTimeout(() => this.#keepAwake(), AGAIN_MS);
  }

  #say(wake) {
    if (this.wake === wake || this.isRemoved) return;
    this.wake = wake;
    this.onChange();
  }

  #moved() {
    delete document.documentElement.dataset.idle;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { document.documentElement.dataset.idle = ""; }, IDLE_MS);
  }
}

function remembered() {
  try {
    return sessionStorage.getItem(KEY) === "on";
  } catch {
    return false;
  }
}

// What a person should know of the screen's sleep; "" when all is well or nobody asked.
export function wakeWords(wake) {
  return texts.wall.wake[wake] ?? "";
}
