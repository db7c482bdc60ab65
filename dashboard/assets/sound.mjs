// Alarm sounds by WebAudio, in the browsers whose person switched them on (alarm rules, "Look and sound").
//
// What sounds is what the alarm service says of each alarm (`sounding`: false once acknowledged, while paused,
// and for findings of the model); the most urgent one decides the burst, and breaks through at once.

import { setData, setText, setTitle, texts } from "./words.mjs";

const KEY = "wristlead-sound";
const PRIORITIES = ["high", "medium", "low"];
const LOST_AFTER_S = 10; // so long without server, broker or alarm service: nobody could tell of an alarm

// Pulses as [start, length] in seconds; the burst comes again `every` seconds. Spacing as in IEC 60601-1-8:
// high twice five pulses in groups of three and two, medium three, low one.
export const BURSTS = {
  high: { pulses: fives(0).concat(fives(1.75)), every: 4.5, hz: 659 },
  medium: { pulses: [0, 0.4, 0.8].map((start) => [start, 0.2]), every: 7, hz: 523 },
  low: { pulses: [[0, 0.25]], every: 16, hz: 392 },
};
export const HARMONICS = [1, 0.8, 0.6, 0.45, 0.35, 0.25]; // of the fundamental: at least four more, within 15 dB

function fives(from) {
  return [0, 0.25, 0.5, 0.9, 1.15].map((start) => [from + start, 0.15]);
}

// For how many seconds nothing here can know of alarms; 0 while it can.
export function deafS(live) {
  if (!live.isLive) return live.silentS();
  const { broker, broker_since_us: brokerUs, services } = live.state;
  const alarms = services.find(({ name }) => name === "alarms");
  const sinceUs = broker ? (alarms?.is_missing ? alarms.since_us : null) : brokerUs;
  return sinceUs === null ? 0 : (live.nowUs() - sinceUs) / 1e6;
}

// The most urgent priority that asks for sound, or null. What is known to sound goes on: it may still be there.
export function loudest(live) {
  const isDeaf = deafS(live) > LOST_AFTER_S;
  if (!live.isLive) return isDeaf ? "low" : null;
  const alarms = [...live.patients.values()].flatMap((patient) => patient.alarms).concat(live.state.own_alarms);
  const sounding = new Set(alarms.filter((alarm) => alarm.sounding).map((alarm) => alarm.priority));
  return PRIORITIES.find((priority) => sounding.has(priority)) ?? (isDeaf ? "low" : null);
}

export class Sound {
  constructor(live) {
    this.live = live;
    this.context = null;
    this.playing = null; // { priority, nextAt, gain }
    this.isOn = window.wristlead.read(KEY) === "on";
    this.button = document.getElementById("sound");
    this.button.addEventListener("click", () => this.#toggle());
    // A browser lets no page sound before its person has touched it.
    for (const event of ["pointerdown", "keydown"]) document.addEventListener(event, () => this.#wake());
    this.#show();
  }

  update() {
    const priority = this.isOn ? loudest(this.live) : null;
    this.#show();
    setData(this.button, "sounding", priority ?? "");
    if (priority !== this.playing?.priority) this.#stop();
    if (priority === null || this.context?.state !== "running") return;
    const now = this.context.currentTime;
    if (this.playing !== null && now < this.playing.nextAt) return;
    this.#stop();
    this.playing = { priority, nextAt: now + BURSTS[priority].every, gain: this.#play(BURSTS[priority], now) };
  }

  // All three bursts one after another, the least urgent first; returns how long they take.
  test() {
    this.#wake(true);
    let at = this.context.currentTime + 0.1;
    for (const priority of PRIORITIES.toReversed()) {
      this.#play(BURSTS[priority], at);
      at += BURSTS[priority].pulses.at(-1)[0] + 1.2;
    }
    return at - this.context.currentTime;
  }

  #toggle() {
    this.isOn = !this.isOn;
    window.wristlead.write(KEY, this.isOn ? "on" : "off");
    if (this.isOn) this.#wake();
    this.update();
  }

  #wake(isForTest = false) {
    if (!this.isOn && !isForTest) return;
    this.context ??= new AudioContext();
    if (this.context.state === "suspended") this.context.resume();
  }

  #stop() {
    if (this.playing === null) return;
    this.playing.gain.gain.setValueAtTime(0, this.context.currentTime);
    this.playing = null;
  }

  #play({ pulses, hz }, from) {
    const { context } = this;
    const out = context.createGain();
    out.connect(context.destination);
    const wave = context.createPeriodicWave([0, ...HARMONICS], [0, ...HARMONICS.map(() => 0)]);
    for (const [start, length] of pulses) {
      const oscillator = context.createOscillator();
      const envelope = context.createGain();
      oscillator.setPeriodicWave(wave);
      oscillator.frequency.value = hz;
      const [at, rise] = [from + start, length * 0.15]; // rises and falls within 10 to 20 % of the pulse
      envelope.gain.setValueAtTime(0, at);
      envelope.gain.linearRampToValueAtTime(0.8, at + rise);
      envelope.gain.setValueAtTime(0.8, at + length - rise);
      envelope.gain.linearRampToValueAtTime(0, at + length);
      oscillator.connect(envelope).connect(out);
      oscillator.start(at);
      oscillator.stop(at + length);
    }
    return out;
  }

  #show() {
    const isWaiting = this.isOn && this.context?.state !== "running";
    const state = this.isOn ? (isWaiting ? "waiting" : "on") : "off";
    setData(this.button, "state", state);
    setText(this.button.querySelector(".sound-word"), texts.sound[state]);
    setTitle(this.button, texts.sound_title[state]);
    if (this.button.getAttribute("aria-pressed") !== String(this.isOn)) {
      this.button.setAttribute("aria-pressed", String(this.isOn));
    }
  }
}
