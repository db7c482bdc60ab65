// Trends of one patient from the store: heart rate with the limits in force, RMSSD and SDNN.

import { Choice } from "./choice.mjs";
import { stored } from "./stored.mjs";
import { Trend } from "./trend.mjs";
import { age, say, setData, setText, texts, timeOfDay } from "./words.mjs";

const HOUR_US = 3_600_000_000;
const COLUMNS = 360;
const ASK_EVERY_MS = 10_000; // or each column, where that is longer
const OLD_MS = 30_000;
const { patient: words } = texts;

export class PatientTrends {
  constructor(root, live, device) {
    Object.assign(this, { root, live, device });
    this.note = root.querySelector("[data-trends=note]");
    const holder = root.querySelector("[data-trends=drawings]");
    this.rate = new Trend(holder, { title: words.trend_rate, unit: texts.bpm, least: 40, most: 120, height: 150 });
    this.rmssd = new Trend(holder, { title: words.trend_rmssd, unit: "ms", least: 0, most: 50, height: 80 });
    this.sdnn = new Trend(holder, { title: words.trend_sdnn, unit: "ms", least: 0, most: 50, height: 80 });
    this.span = new Choice(root, "span", { key: "wristlead-trend-hours", usual: 1 }, () => this.#ask());
    this.askedMs = -Infinity;
  }

  remove() {
    this.isRemoved = true;
    for (const trend of [this.rate, this.rmssd, this.sdnn]) trend.remove();
  }

  update() {
    const limits = this.live.patients.get(this.device)?.limits;
    this.rate.setLimits(limits ? [limits.rate_low_bpm, limits.rate_high_bpm] : []);
    const stepMs = (this.span.value * HOUR_US) / COLUMNS / 1000;
    if (this.live.state !== null && performance.now() - this.askedMs > Math.max(stepMs, ASK_EVERY_MS)) this.#ask();
    this.#fillNote();
  }

  repaint() {
    for (const trend of [this.rate, this.rmssd, this.sdnn]) trend.draw();
  }

  // Whole columns since the epoch, so that none changes as time goes on.
  async #ask() {
    if (document.hidden) return;
    this.askedMs = performance.now();
    const { askedMs } = this;
    const stepUs = Math.round((this.span.value * HOUR_US) / COLUMNS);
    const toUs = Math.ceil(this.live.nowUs() / stepUs) * stepUs;
    const span = { from_us: toUs - COLUMNS * stepUs, to_us: toUs, points: COLUMNS };
    try {
      const told = await stored(`trend/${this.device}`, span);
      if (askedMs !== this.askedMs || this.isRemoved) return; // another span was asked for meanwhile
      this.trouble = undefined;
      this.heardMs = performance.now();
      this.#show(told);
    } catch (error) {
      if (askedMs === this.askedMs) this.trouble = error.message;
    }
    if (!this.isRemoved) this.#fillNote();
  }

  #show(told) {
    const { from_us, to_us, step_us } = told;
    const span = { from_us, to_us, step_us };
    this.rate.show({ ...span, mean: told.rate_mean, low: told.rate_min, high: told.rate_max });
    this.rmssd.show({ ...span, mean: told.rmssd_ms });
    this.sdnn.show({ ...span, mean: told.sdnn_ms });
    this.untilUs = Math.min(to_us, this.live.nowUs());
  }

  #fillNote() {
    const oldMs = performance.now() - (this.heardMs ?? -Infinity);
    const { trouble: reason } = this;
    setData(this.root, "old", String(this.heardMs !== undefined && reason !== undefined && oldMs > OLD_MS));
    if (reason !== undefined) {
      setText(this.note, this.heardMs === undefined
        ? say(words.trends_failed, { reason })
        : say(words.trends_failed_old, { age: age(oldMs / 1000), reason }));
    } else if (this.untilUs !== undefined) {
      setText(this.note, say(words.trends_of, { time: timeOfDay(this.untilUs) }));
    }
  }
}
