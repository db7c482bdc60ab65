// One alarm: its strip, which fills in while its 20 s are not over, and what it is now.

import { alarmRemark, alarmText, shapeOf } from "./patient_view.mjs";
import { StripDrawing } from "./strip_drawing.mjs";
import { fillTimes } from "./times.mjs";
import { element, fieldsOf, setData, setHidden, setText, texts } from "./words.mjs";

const ASK_EVERY_MS = 2000;
const ASK_AGAIN_MS = 10_000; // for an answer that never came

export default class EventPage {
  constructor(root, live) {
    this.root = root;
    this.live = live;
    this.device = root.dataset.device;
    this.kind = root.dataset.kind;
    this.sinceUs = Number(root.dataset.since);
    this.momentUs = this.sinceUs; // around which the strip is
    this.key = `${this.device}/${this.kind}/${this.sinceUs}`;
    this.field = fieldsOf(root);
    this.button = document.getElementById("event-acknowledge");
    this.button.addEventListener("click", () => this.live.acknowledge(this.#alarm()));
    root.addEventListener("click", (event) => {
      const { moment } = event.target.closest?.("[data-moment]")?.dataset ?? {};
      if (moment !== undefined) this.#look(Number(moment));
    });
    this.observer = new ResizeObserver(() => this.drawing?.draw());
    this.observer.observe(this.field.rows);
    live.want([], 10);
    this.#ask();
  }

  remove() {
    this.observer.disconnect();
  }

  update() {
    const { live, field } = this;
    fillTimes(this.root);
    setText(field.name, live.patients.get(this.device)?.name ?? this.device.split("/")[1]);
    this.#fillNow(this.#alarm());
    const strip = window.wristlead.eventStrip;
    const isNew = strip?.event === this.key && strip.moment_us === this.momentUs && strip !== this.strip;
    if (isNew) this.#show(strip);
    const waited = performance.now() - this.askedAt;
    const isDue = this.strip?.askedAt === this.askedAt ? waited > ASK_EVERY_MS : waited > ASK_AGAIN_MS;
    if (this.strip?.is_final !== true && isDue) this.#ask();
  }

  draw() {}

  repaint() {
    this.drawing?.draw();
  }

  #alarm() {
    const alarm = this.live.alarmOf(this.device, this.kind);
    return alarm?.since_us === this.sinceUs ? alarm : null;
  }

  // The server reads the store; assets/early.js puts its answer where update() finds it.
  #ask() {
    this.askedAt = performance.now();
    const { device, kind, sinceUs, momentUs, askedAt } = this;
    const data = { device, kind, since_us: sinceUs, moment_us: momentUs, asked_at: askedAt };
    window.dash_clientside.set_props("event-wanted", { data });
  }

  // The strip of a later moment, when the condition came again.
  #look(momentUs) {
    this.momentUs = momentUs;
    this.#ask();
    window.scrollTo(0, 0);
  }

  #show(strip) {
    this.strip = strip;
    this.strip.askedAt = this.askedAt;
    const isEmpty = strip.pieces.length === 0;
    setHidden(this.field.rows, isEmpty);
    if (isEmpty) return;
    const onset = strip.moment_us === this.sinceUs ? texts.strip_onset : texts.strip_again;
    this.drawing = new StripDrawing(this.field.rows, strip, onset, this.drawing);
    this.drawing.draw();
  }

  #fillNow(alarm) {
    setHidden(this.button, alarm === null);
    this.button.disabled = !this.live.isLive || alarm === null || alarm.state === "ack";
    setData(this.root, "priority", alarm?.priority ?? "");
    const isOver = alarm === null && this.strip?.is_known === true && this.live.isLive;
    const text = alarm === null ? (isOver ? texts.event_over : "") : alarmText(alarm);
    const remark = alarm === null ? "" : alarmRemark(alarm);
    const key = `${alarm?.priority}|${alarm?.state}|${text}|${remark}`;
    if (key === this.nowKey) return;
    this.nowKey = key;
    if (alarm === null) {
      this.field.now.replaceChildren(element("span", "dim", {}, [text]));
      return;
    }
    this.field.now.replaceChildren(element("div", "alarm", {
      "data-priority": alarm.priority, "data-queue": alarm.queue, "data-state": alarm.state,
    }, [
      shapeOf(alarm.priority),
      element("span", "strip-text", {}, [text]),
      element("span", "alarm-remark", {}, [remark]),
    ]));
  }
}
