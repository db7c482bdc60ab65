// What nobody can see on the wall because it is scrolled away, left out by a choice, or beneath what is enlarged.

import { alarmText, shapeOf, urgencyOf } from "./patient_view.mjs";
import { element, say, setData, setHidden, setText, texts } from "./words.mjs";

const words = texts.wall;

// Patients out of sight -> how many, how many of them have alarms (findings of the model aside), and the most
// urgent alarm that nobody has acknowledged.
export function elsewhereOf(patients) {
  const alarming = (patient) => patient.alarms.filter((alarm) => alarm.priority !== "advisory");
  const open = patients.flatMap((patient) => alarming(patient)
    .filter((alarm) => alarm.state !== "ack")
    .map((alarm) => ({ patient, alarm })))
    .sort((a, b) => urgencyOf(a.alarm) - urgencyOf(b.alarm));
  return {
    count: patients.length,
    alarms: patients.filter((patient) => alarming(patient).length > 0).length,
    worst: open[0] ?? null,
    more: open.length - 1,
  };
}

// A bar at the foot of the screen. It is there as long as anybody is out of sight, so that an alarm moves nothing.
export class Elsewhere {
  constructor(holder, lead) {
    this.holder = holder;
    this.calm = element("span", "dim");
    this.button = element("button", "worst wall-lead", { type: "button", hidden: "" });
    this.button.addEventListener("click", () => lead(this.worst.patient.device));
    holder.replaceChildren(this.calm, this.button);
  }

  update(patients, isLive) {
    const { count, alarms, worst, more } = elsewhereOf(patients);
    const calm = isLive ? words.elsewhere : words.elsewhere_unknown; // what is old says nothing of alarms
    this.worst = worst;
    setHidden(this.holder, count === 0);
    setHidden(this.calm, worst !== null);
    setText(this.calm, say(alarms > 0 ? words.elsewhere_seen : calm, { count, alarms }));
    setHidden(this.button, worst === null);
    if (worst === null) return;
    const { patient, alarm } = worst;
    for (const name of ["priority", "queue", "state"]) setData(this.button, name, alarm[name]);
    const rest = more > 0 ? ` ${say(texts.more, { count: more })}` : "";
    const text = say(words.elsewhere_alarm, { name: patient.name, alarm: alarmText(alarm) }) + rest;
    const key = `${alarm.priority} ${text}`;
    if (this.key === key) return;
    this.key = key;
    this.button.replaceChildren(
      shapeOf(alarm.priority),
      element("span", "strip-text", {}, [text]),
      element("span", "strip-remark", {}, [words.elsewhere_show]),
    );
  }
}
