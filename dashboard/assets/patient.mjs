// The patient page: fills what dashboard/pages/patient.py laid out; its parts have scripts of their own.

import { DischargeDialog } from "./discharge_dialog.mjs";
import { fillIntervals } from "./intervals.mjs";
import { LimitsDialog } from "./limits_dialog.mjs";
import { Notes } from "./notes.mjs";
import { HISTORY_S, PatientPaper } from "./patient_paper.mjs";
import { PatientTrends } from "./patient_trends.mjs";
import { alarmRemark, alarmText, shapeOf, viewOf } from "./patient_view.mjs";
import { VerdictCard } from "./verdict_card.mjs";
import { Why } from "./why.mjs";
import { element, fieldsOf, navigate, say, setData, setHidden, setText, setTitle, texts, timeOfDay } from "./words.mjs";

export default class PatientPage {
  constructor(root, live) {
    this.root = root;
    this.live = live;
    this.device = root.dataset.device;
    this.field = fieldsOf(root);
    this.paper = new PatientPaper(root, live, this.device, this.field);
    this.verdictCard = new VerdictCard(root, this.field);
    this.why = new Why(root.querySelector("#why"), live, this.device);
    this.trends = new PatientTrends(root.querySelector("#trends"), live, this.device);
    this.notes = new Notes(root.querySelector("#notes"), live, this.device);
    root.querySelector("#edit-limits").addEventListener("click", () => {
      if (live.patients.has(this.device)) this.dialog = new LimitsDialog(live, this.device);
    });
    root.querySelector("#discharge").addEventListener("click", () => {
      this.dialog = new DischargeDialog(live, this.device, () => navigate("/"));
    });
    root.querySelector("#acknowledge").addEventListener("click", () => this.#acknowledge());
    this.whyButton = root.querySelector("#why-open");
    this.whyButton.addEventListener("click", () => {
      const verdict = live.patients.get(this.device)?.verdict;
      if (verdict) this.why.open(verdict);
    });
    live.want([this.device], HISTORY_S);
  }

  remove() {
    this.dialog?.node.remove();
    this.paper.remove();
    for (const part of [this.why, this.trends, this.notes]) part.remove();
    this.live.want([], HISTORY_S);
  }

  update() {
    if (this.dialog?.update() === false) this.dialog = undefined;
    const patient = this.live.patients.get(this.device);
    if (this.live.state !== null) this.#follow(patient?.index);
    if (patient === undefined) this.#fillUnknown();
    else this.#fill(patient, viewOf(patient, this.live));
    this.paper.update();
    for (const part of [this.why, this.trends, this.notes]) part.update();
    if (this.live.state !== null) setData(this.root, "told", "true");
  }

  draw(now) {
    this.paper.draw(now);
  }

  repaint() {
    this.paper.repaint();
    this.why.repaint();
    this.trends.repaint();
  }

  // Who comes after on this device is another: no picture of the former patient may stay.
  #follow(index) {
    if (this.index !== undefined && index !== this.index) {
      this.paper.letGo();
      this.why.close();
    }
    this.index = index;
  }

  #fill(patient, view) {
    const { field, live } = this;
    setText(field.limits, view.limits);
    setText(field.extreme, say(texts.limits_extreme, { limits: view.extreme }));
    setText(field["limits-source"], view.hasOwnLimits ? texts.limits_own : "");
    setText(field.name, patient.name);
    setHidden(field.source, view.source === null);
    setText(field.source, view.source ?? "");
    setText(field.lead, view.lead.text);
    setTitle(field.lead, view.lead.title);
    setText(field.complete, view.complete);
    setText(field.battery, view.battery);
    setText(field.rate, view.rate);
    setText(field.signal, view.note);
    fillIntervals(field, view.vitals);
    setText(field.doubt, view.doubt);
    setData(this.root, "rate", view.isRateKnown ? "known" : "unknown");
    setData(this.root, "stale", String(view.isStale));
    this.paper.tell(view.note, view.isGrey);
    this.#fillAlarms(view.alarms);
    this.verdictCard.fill(patient.verdict, view.verdict.isOld, live.nowUs());
    this.whyButton.disabled = patient.verdict === null;
    const remedy = texts.remedy[patient.verdict?.indeterminate] ?? "";
    setText(field.remedy, view.isVerdictDoubtful ? view.doubt : remedy);
  }

  // Discharged, or not heard yet: nothing of before may stay as if it were true.
  #fillUnknown() {
    const { field, live } = this;
    const note = live.state === null ? "" : texts.no_patient;
    for (const name of ["rate", "limits"]) setText(field[name], texts.unknown);
    for (const name of ["extreme", "limits-source", "battery", "complete", "doubt"]) setText(field[name], "");
    setText(field.signal, note);
    fillIntervals(field, null);
    setData(this.root, "rate", "unknown");
    setData(this.root, "stale", "true");
    this.paper.tell(note, true);
    this.#fillAlarms([]);
    this.verdictCard.fill(null, true, live.nowUs());
    this.whyButton.disabled = true;
  }

  #acknowledge() {
    for (const alarm of this.live.patients.get(this.device)?.alarms ?? []) {
      if (alarm.state !== "ack") this.live.acknowledge(alarm);
    }
  }

  #fillAlarms(alarms) {
    const [worst] = alarms;
    setData(this.root, "priority", worst?.priority ?? "");
    setData(this.root, "state", worst?.state ?? "");
    this.root.querySelector("#acknowledge").disabled =
      !this.live.isLive || !alarms.some((alarm) => alarm.state !== "ack");
    const key = JSON.stringify(alarms);
    if (key === this.alarmsKey) return;
    this.alarmsKey = key;
    const items = alarms.map((alarm) =>
      element("li", "alarm", {
        "data-priority": alarm.priority, "data-queue": alarm.queue, "data-state": alarm.state,
      }, [
        shapeOf(alarm.priority),
        element("span", "strip-text", {}, [alarmText(alarm)]),
        stripLink(alarm),
        element("span", "alarm-remark", {}, [remarkOf(alarm)]),
      ]));
    this.field.alarms.replaceChildren(
      ...(items.length ? items : [element("li", "alarm-none dim", {}, [texts.no_alarms])]),
    );
  }
}

function stripLink({ device, kind, since_us: since, text }) {
  const href = `/event/${device}/${kind}/${since}`;
  const link = element("a", "alarm-strip", { href, "aria-label": `${texts.strip_link}: ${text}` }, [texts.strip_link]);
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab of its own
    event.preventDefault();
    navigate(href);
  });
  return link;
}

function remarkOf(alarm) {
  return [
    say(texts.alarm_since, { time: timeOfDay(alarm.since_us) }),
    alarm.count > 1 ? say(texts.alarm_count, { count: alarm.count }) : "",
    alarmRemark(alarm),
  ].filter(Boolean).join(" · ");
}
