// Segments of one patient, in any order -> an evenly moving, filtered trace.
//
// Samples are placed by their index, so a late chunk fills its own hole as long as the playhead has not
// passed it, and what never came stays a break. The playhead runs behind arrival by the largest lateness of
// the last seconds (chunk length and network together), so that it never has to wait; when the delay grows
// it waits once and stays further behind, when it shrinks it catches up an eighth faster than life.

import { MonitorFilter } from "./monitor_filter.mjs";

const LATENESS_WINDOW_MS = 6000;
const MARGIN_S = 0.06; // a server tick and a frame of the screen
const JUMP_S = 2; // further behind than this (a hidden tab, an outage), everything at hand is drawn at once
const SLEW = 0.12;
const SETTLE_S = 0.5;
const COMPLETE_S = 10;

export class Stream {
  constructor(seconds) {
    this.seconds = seconds;
    this.session = null;
    this.formerSession = null;
    this.shownCount = 0;
    this.fs = 500;
  }

  take(segment, nowMs, isHistory) {
    if (segment.session === this.formerSession) return; // a straggler from before the device's restart
    if (segment.session !== this.session || Math.abs(segment.fs - this.fs) > 0.001 * this.fs) this.#begin(segment);
    const { first, samples, scale } = segment;
    const end = first + samples.length;
    if (end <= this.end - this.size) return;
    for (let i = Math.max(this.end, first - this.size); i < first; i += 1) this.raw[i % this.size] = NaN;
    for (let i = Math.max(0, samples.length - this.size); i < samples.length; i += 1) {
      this.raw[(first + i) % this.size] = samples[i] * scale;
    }
    this.end = Math.max(this.end, end);
    this.oldest = Math.max(Math.min(this.oldest, first), this.end - this.size);
    if (isHistory) {
      if (this.delay === null) this.delay = nowMs / 1000 - end / this.fs + 0.35;
    } else {
      this.#learnDelay(nowMs, nowMs / 1000 - first / this.fs);
    }
  }

  // Move the playhead to where it belongs at nowMs; what it passes is filtered into `shown`.
  advance(nowMs) {
    if (this.session === null || this.delay === null) return;
    const elapsed = this.advancedAt === null ? 0 : (nowMs - this.advancedAt) / 1000;
    this.advancedAt = nowMs;
    if (this.playhead === null) this.#settle();
    const target = Math.min((nowMs / 1000 - this.delay) * this.fs, this.end);
    const behind = (target - this.playhead) / this.fs;
    let next = target;
    if (behind < JUMP_S) {
      next = this.playhead + elapsed * this.fs * (1 + Math.max(-SLEW, Math.min(SLEW, behind / 2)));
    }
    next = Math.min(Math.max(next, this.playhead), this.end);
    for (let i = Math.max(Math.floor(this.playhead), this.end - this.size); i < Math.floor(next); i += 1) {
      this.#show(this.raw[i % this.size]);
    }
    this.playhead = next;
  }

  // Share of the last ten seconds that came, 0..1; null before the first.
  complete() {
    const n = Math.min(this.shownCount, Math.round(COMPLETE_S * this.fs));
    return n < this.fs ? null : 1 - this.missing / n;
  }

  // How far the newest drawn sample lies behind the newest received one, in seconds.
  delayShown() {
    return this.playhead === null ? null : (this.end - this.playhead) / this.fs;
  }

  #begin(segment) {
    this.formerSession = this.session;
    this.session = segment.session;
    this.fs = segment.fs;
    this.size = Math.ceil((this.seconds + 4) * this.fs);
    this.raw = new Float32Array(this.size).fill(NaN);
    this.end = segment.first;
    this.oldest = segment.first;
    this.playhead = null;
    this.advancedAt = null;
    this.delay = null;
    this.lateness = [];
    const kept = this.shown;
    const keptFrom = kept ? Math.max(0, this.shownCount - kept.length) : 0;
    const shown = new Float32Array(this.size).fill(NaN);
    for (let i = Math.max(keptFrom, this.shownCount - this.size); i < this.shownCount; i += 1) {
      shown[i % this.size] = kept[i % kept.length];
    }
    this.shown = shown;
    this.missing = 0;
    if (this.shownCount > 0) this.#append(NaN); // a restart is a break
    this.filter = new MonitorFilter(this.fs);
  }

  #learnDelay(nowMs, late) {
    this.lateness.push([nowMs, late]);
    while (nowMs - this.lateness[0][0] > LATENESS_WINDOW_MS) this.lateness.shift();
    this.delay = MARGIN_S + this.lateness.reduce((most, entry) => Math.max(most, entry[1]), -Infinity);
  }

  // Start settled on the mean of the first half second: from zero a 0.8 mV offset rings for more than a second.
  #settle() {
    this.playhead = this.oldest;
    let sum = 0;
    let n = 0;
    const until = Math.min(this.end, this.oldest + Math.round(SETTLE_S * this.fs));
    for (let i = this.oldest; i < until; i += 1) {
      const value = this.raw[i % this.size];
      if (!Number.isNaN(value)) { sum += value; n += 1; }
    }
    this.filter.settle(n ? sum / n : 0);
  }

  #show(raw) {
    this.#append(this.filter.push(raw));
  }

  #append(value) {
    const n = Math.round(COMPLETE_S * this.fs);
    if (this.shownCount >= n && Number.isNaN(this.shown[(this.shownCount - n) % this.size])) this.missing -= 1;
    if (Number.isNaN(value)) this.missing += 1;
    this.shown[this.shownCount % this.size] = value;
    this.shownCount += 1;
  }
}
