// The patient page: fills what dashboard/pages/patient.py laid out.

import { DischargeDialog } from "./discharge_dialog.mjs";
import { fillIntervals } from "./intervals.mjs";
import { LimitsDialog } from "./limits_dialog.mjs";
import { alarmRemark, alarmText, reasonOf, rhythmOf, shapeOf, viewOf } from "./patient_view.mjs";
import { Sweep } from "./sweep.mjs";
import {
  element, navigate, probability, say, setData, setHidden, setText, setTitle, texts, timeOfDay,
} from "./words.mjs";

const HISTORY_S = 60;
const LIVE = { mmPerS: 25, mmPerMv: 10, pulse: 5, paper: true, lineWidth: 1.8 };
const MINUTE = { spanS: 60, mmPerMv: 5, pulse: 0, lineWidth: 1, stepPx: 2 };

export default class PatientPage {
  constructor(root, live) {
    this.root = root;
    this.live = live;
    this.device = root.dataset.device;
    this.field = Object.fromEntries(
      [...root.querySelectorAll("[data-field]")].map((node) => [node.dataset.field, node]),
    );
    this.sweeps = [];
    this.traces = [["live", LIVE], ["minute", MINUTE]].map(([name, options]) => {
      const holder = root.querySelector(`[data-sweep=${name}]`);
      const note = holder.appendChild(element("div", "trace-note"));
      return { holder, options, note };
    });
    root.querySelector("#edit-limits").addEventListener("click", () => {
      if (live.patients.has(this.device)) this.dialog = new LimitsDialog(live, this.device);
    });
    root.querySelector("#discharge").addEventListener("click", () => {
      this.dialog = new DischargeDialog(live, this.device, () => navigate("/"));
    });
    root.querySelector("#acknowledge").addEventListener("click", () => this.#acknowledge());
    live.want([this.device], HISTORY_S);
  }

  remove() {
    this.dialog?.node.remove();
    for (const sweep of this.sweeps) sweep.remove();
    this.live.want([], HISTORY_S);
  }

  update() {
    if (this.dialog?.update() === false) this.dialog = undefined;
    const patient = this.live.patients.get(this.device);
    if (patient === undefined) {
      this.#fillUnknown();
      return;
    }
    const view = viewOf(patient, this.live);
    const { field } = this;
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
    for (const { note } of this.traces) {
      setText(note, view.note);
      setHidden(note, view.note === "");
    }
    this.isGrey = view.isGrey;
    for (const sweep of this.sweeps) sweep.setGrey(view.isGrey);
    this.#fillAlarms(view.alarms);
    this.#fillVerdict(patient.verdict, view.verdict.isOld);
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
    for (const trace of this.traces) {
      setText(trace.note, note);
      setHidden(trace.note, note === "");
    }
    this.isGrey = true;
    for (const sweep of this.sweeps) sweep.setGrey(true);
    this.#fillAlarms([]);
    this.#fillVerdict(null, true);
  }

  draw(now) {
    const stream = this.live.stream(this.device);
    if (this.sweeps[0]?.stream !== stream) {
      for (const sweep of this.sweeps) sweep.remove();
      this.sweeps = this.traces.map(({ holder, options }) => new Sweep(holder, stream, options));
      for (const sweep of this.sweeps) sweep.setGrey(this.isGrey ?? false);
    }
    stream.advance(now);
    for (const sweep of this.sweeps) sweep.draw();
  }

  repaint() {
    for (const sweep of this.sweeps) sweep.fit();
    if (this.verdict) this.#askForPlot();
  }

  // The server draws the recurrence plot of the window whose verdict is on screen, in the page's theme.
  #askForPlot() {
    const { device, session, first_sample } = this.verdict;
    const { theme } = document.documentElement.dataset;
    window.dash_clientside.set_props("verdict-seen", { data: { device, session, first_sample, theme } });
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

  #fillVerdict(verdict, isOld) {
    setData(this.root, "verdict", verdict === null || isOld ? "old" : "new");
    const key = verdict === null ? "" : `${verdict.session}/${verdict.first_sample}/${verdict.decided_us}`;
    if (key === this.verdictKey) return;
    this.verdictKey = key;
    if (verdict === null) return;
    const { field, root } = this;
    setHidden(field.indeterminate, verdict.indeterminate === null);
    setText(field.reason, verdict.indeterminate === null ? "" : reasonOf(verdict));
    this.#fillRhythm(rhythmOf(verdict));
    const lead = say(verdict.lead_inferred ? texts.lead_inferred : texts.lead, { lead: verdict.lead });
    setText(field["verdict-of"], say(verdict.lead === null ? texts.verdict_of : texts.verdict_of_lead, {
      time: timeOfDay(verdict.wall_time_us), lead, model: verdict.model,
    }));
    for (const row of root.querySelectorAll(".finding")) {
      fillFinding(row, verdict.findings.find((finding) => finding.superclass === row.dataset.superclass));
    }
    this.verdict = verdict;
    this.#askForPlot();
  }

  #fillRhythm(rhythm) {
    const { field } = this;
    setData(field.rhythm, "found", String(rhythm?.isFound ?? false));
    setText(field["rhythm-name"], rhythm?.name ?? "");
    setText(field["rhythm-value"], rhythm?.value ?? texts.unknown);
    setText(field["rhythm-word"], rhythm?.word ?? "");
  }
}

function fillFinding(row, finding) {
  setText(row.querySelector(".finding-value"), finding ? probability(finding.probability) : texts.unknown);
  setText(row.querySelector(".finding-word"), finding?.presence ?? "");
  setData(row, "presence", finding?.presence ?? "");
  row.querySelector(".bar-fill").style.width = `${100 * (finding?.probability ?? 0)}%`;
  const mark = row.querySelector(".bar-threshold");
  mark.style.left = `${100 * (finding?.threshold ?? 0)}%`;
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
