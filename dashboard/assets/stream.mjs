// Segments of one patient, in any order -> an evenly moving, filtered trace.
//
// Samples are placed by their index, so a late chunk fills its own hole as long as the playhead has not
// passed it, and what never came stays a break. The playhead runs behind arrival by the largest lateness of
// the last seconds (chunk length and network together), so that it never has to wait; when the delay grows
// it waits once and stays further behind, when it shrinks it catches up an eighth faster than life.

import { MonitorFilter } from "./monitor_filter.mjs";

const LATENESS_WINDOW_MS = 6000;
const MARGIN_S = 0.06; // a server tick and a frame of the screen
const FIRST_DELAY_S = 0.35; // behind the newest sample of the history, until live ones tell their lateness
const JUMP_S = 2; // further behind than this (a hidden tab, an outage), everything at hand is drawn at once
const SLEW = 0.12;
const SETTLE_S = 0.5;
const COMPLETE_S = 10;
const LEAP_S = 60; // an index further away than this is damaged, or the device began anew
const AGREEING = 2; // chunks in a row that are believed against what was known; one may be damaged
const AGREEING_FORMER = 8; // of the session before: stragglers come in twos and threes

export class Stream {
  constructor(seconds) {
    this.seconds = seconds;
    this.session = null;
    this.formerSession = null;
    this.shownCount = 0;
    this.fs = 500;
    this.doubted = null; // of the newest chunks in a row that fit nothing: session, end, count
  }

  take(segment, nowMs, isHistory) {
    if (this.#isStrange(segment)) {
      if (!this.#isBelieved(segment)) return;
      this.#begin(segment);
    }
    this.doubted = null;
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
      if (this.lateness.length === 0) this.delay = nowMs / 1000 - this.end / this.fs + FIRST_DELAY_S;
    } else {
      this.#learnDelay(nowMs, nowMs / 1000 - first / this.fs);
    }
  }

  // Move the playhead to where it belongs at nowMs; what it passes is filtered into `shown`.
  advance(nowMs) {
    if (this.session === null || this.delay === null) return;
    const elapsed = this.advancedAt === null ? 0 : (nowMs - this.advancedAt) / 1000;
    this.advancedAt = nowMs;
    if (this.playhead === null) {
      this.playhead = this.oldest;
      this.#settle(this.oldest);
    }
    const target = Math.min((nowMs / 1000 - this.delay) * this.fs, this.end);
    const behind = (target - this.playhead) / this.fs;
    let next = target;
    if (behind < JUMP_S) {
      next = this.playhead + elapsed * this.fs * (1 + Math.max(-SLEW, Math.min(SLEW, behind / 2)));
    }
    next = Math.min(Math.max(next, this.playhead), this.end);
    const until = Math.floor(next);
    for (let i = Math.max(Math.floor(this.playhead), this.end - this.size); i < until; i += 1) this.#show(i);
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

  #isStrange({ session, fs, first }) {
    return session !== this.session || Math.abs(fs - this.fs) > 0.001 * this.fs
      || Math.abs(first - this.end) > LEAP_S * this.fs;
  }

  // One flipped bit in a header must not end a trace: what fits nothing counts once it goes on, or begins at 0.
  #isBelieved({ session, fs, first, samples }) {
    if (this.session === null) return true;
    const { doubted } = this;
    const goesOn = doubted !== null && doubted.session === session && Math.abs(first - doubted.end) < LEAP_S * fs;
    const count = goesOn ? doubted.count + 1 : 1;
    this.doubted = { session, end: first + samples.length, count };
    const isFormer = session === this.formerSession && session !== this.session;
    return isFormer ? count >= AGREEING_FORMER : count >= AGREEING || first === 0;
  }

  #begin(segment) {
    if (segment.session !== this.session) this.formerSession = this.session;
    this.session = segment.session;
    this.fs = segment.fs;
    this.size = Math.ceil((this.seconds + 4) * this.fs);
    this.raw = new Float32Array(this.size).fill(NaN);
    this.end = segment.first;
    this.oldest = segment.first;
    this.playhead = null;
    this.advancedAt = null;
    this.delay = null;
    this.lateness = []; // of the last seconds, each later one smaller: [when, seconds]
    this.holeS = 0;
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
    const { lateness } = this;
    while (lateness.length && lateness.at(-1)[1] <= late) lateness.pop();
    lateness.push([nowMs, late]);
    while (nowMs - lateness[0][0] > LATENESS_WINDOW_MS) lateness.shift();
    this.delay = MARGIN_S + lateness[0][1];
  }

  // Start settled on the mean of the first half second: from zero a 0.8 mV offset rings for more than a second.
  #settle(from) {
    let sum = 0;
    let n = 0;
    const until = Math.min(this.end, from + Math.round(SETTLE_S * this.fs));
    for (let i = from; i < until; i += 1) {
      const value = this.raw[i % this.size];
      if (!Number.isNaN(value)) { sum += value; n += 1; }
    }
    this.filter.settle(n ? sum / n : 0);
  }

  // The sample of that index, filtered; behind a long hole the filter starts anew, as the baseline may have moved.
  #show(index) {
    const raw = this.raw[index % this.size];
    if (Number.isNaN(raw)) {
      this.holeS += 1 / this.fs;
    } else if (this.holeS > 0) {
      if (this.holeS > SETTLE_S) this.#settle(index);
      this.holeS = 0;
    }
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
