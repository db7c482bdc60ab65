// The connection to /live: reconnects for ever, keeps the newest state and a stream for each patient looked at.

import { decodeSamples } from "./frames.mjs";
import { Stream } from "./stream.mjs";
import { texts } from "./words.mjs";

const SILENT_AFTER_MS = 2000; // the server speaks each half second; within 3 s the page must say it does not
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 3000;

export class Live {
  constructor() {
    this.patients = new Map(); // device -> the newest PatientState
    this.devices = []; // in the order of the wall
    this.streams = new Map(); // device -> Stream, of the patients looked at
    this.state = null; // the newest state frame
    this.heardAt = performance.now(); // of the newest message, or of the start
    this.isOpen = false;
    this.retryMs = RETRY_FIRST_MS;
    this.wanted = [];
    this.historyS = 10;
    this.onState = () => {};
    this.#connect();
    setInterval(() => this.#watch(), 250);
    document.addEventListener("visibilitychange", () => this.#turn());
    window.addEventListener("online", () => this.#retryNow());
  }

  get isLive() {
    return this.isOpen && this.state !== null && performance.now() - this.heardAt < SILENT_AFTER_MS;
  }

  silentS() {
    return (performance.now() - this.heardAt) / 1000;
  }

  // The server's clock now, in microseconds; every age on the page is measured against it.
  nowUs() {
    return this.state === null ? Date.now() * 1000 : this.state.at_us + (performance.now() - this.stateAt) * 1000;
  }

  // Look at exactly these devices; streams of others are dropped.
  want(devices, historyS) {
    const isSame = historyS === this.historyS && devices.length === this.wanted.length
      && devices.every((device) => this.wanted.includes(device));
    if (isSame) return;
    if (historyS !== this.historyS) this.streams.clear();
    this.wanted = devices;
    this.historyS = historyS;
    for (const device of this.streams.keys()) if (!devices.includes(device)) this.streams.delete(device);
    this.#subscribe();
  }

  stream(device) {
    if (!this.streams.has(device)) this.streams.set(device, new Stream(this.historyS));
    return this.streams.get(device);
  }

  // The alarm of that kind which is not off, of a patient or a part of Wristlead; null when there is none.
  alarmOf(device, kind) {
    const own = this.state?.own_alarms.find((alarm) => alarm.device === device && alarm.kind === kind);
    return own ?? this.patients.get(device)?.alarms.find((alarm) => alarm.kind === kind) ?? null;
  }

  // Seconds for which all sounds are still held back; 0 when they are not.
  pausedS() {
    const paused = this.state?.paused;
    return paused ? Math.max(0, (paused.until_us - this.nowUs()) / 1e6) : 0;
  }

  // What a person asks of other services (dashboard/requests.py); the answer is a changed state.
  acknowledge({ device, kind, since_us }) {
    this.#send({ acknowledge: { device, kind, since_us, who: this.who() } });
  }

  ask(what, request = {}) {
    this.#send({ [what]: { ...request, who: this.who() } });
  }

  // As this browser's person named themselves.
  who() {
    return window.wristlead.read("wristlead-who")?.trim() || texts.anonymous;
  }

  #connect() {
    const scheme = window.location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${window.location.host}/live`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.triedAt = performance.now();
    socket.onmessage = (event) => {
      if (socket === this.socket) this.#take(event.data);
    };
    socket.onclose = () => {
      if (socket === this.socket) this.#lost();
    };
  }

  #take(data) {
    this.heardAt = performance.now();
    if (typeof data !== "string") {
      this.#takeSamples(data);
      return;
    }
    const state = JSON.parse(data);
    const isFirst = !this.isOpen;
    if (isFirst) {
      this.patients.clear();
      this.indices = new Map();
    }
    for (const patient of state.patients) {
      const former = this.patients.get(patient.device);
      if (former !== undefined && former.index !== patient.index) this.#forget(former);
      this.patients.set(patient.device, patient);
      this.indices.set(patient.index, patient.device);
    }
    this.state = state;
    this.stateAt = this.heardAt;
    this.devices = state.devices;
    const known = new Set(state.devices);
    for (const patient of [...this.patients.values()]) if (!known.has(patient.device)) this.#forget(patient);
    if (isFirst) {
      this.isOpen = true;
      this.retryMs = RETRY_FIRST_MS;
      this.#subscribe();
    }
    this.onState();
  }

  // Discharged: whoever comes after on the device is another, and has no trace of this one.
  #forget({ device, index }) {
    this.patients.delete(device);
    this.indices.delete(index);
    this.streams.delete(device);
  }

  #takeSamples(buffer) {
    const now = performance.now();
    const { isHistory, segments } = decodeSamples(buffer);
    for (const segment of segments) {
      const device = this.indices?.get(segment.index);
      const patient = this.patients.get(device);
      if (patient === undefined || document.hidden || !this.wanted.includes(device)) continue;
      this.stream(device).take(segment, now, isHistory);
      patient.data_at_us = Math.max(patient.data_at_us ?? 0, segment.receivedUs);
    }
  }

  // A hidden tab forgets its traces and gets no samples; seen again it begins as if it were new, with the history.
  #turn() {
    if (document.hidden) this.streams.clear();
    this.#subscribe();
  }

  #subscribe() {
    const devices = document.hidden ? [] : this.wanted;
    this.#send({ subscribe: devices, history_s: this.historyS });
  }

  #send(request) {
    if (this.isOpen && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(request));
  }

  #lost() {
    this.isOpen = false;
    this.socket = null;
    const wait = this.retryMs * (0.75 + Math.random() / 2); // so that many pages do not return at once
    this.retryMs = Math.min(this.retryMs * 1.7, RETRY_MAX_MS);
    this.retryTimer = setTimeout(() => this.#connect(), wait);
  }

  #retryNow() {
    if (this.socket !== null) return;
    clearTimeout(this.retryTimer);
    this.#connect();
  }

  // A connection that is open and silent is as good as gone; so is one that never opens.
  #watch() {
    const now = performance.now();
    if (this.socket === null || now - Math.max(this.heardAt, this.triedAt) < SILENT_AFTER_MS + 1000) return;
    const { socket } = this;
    this.#lost();
    socket.close();
  }
}
