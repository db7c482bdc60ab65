// Who stands where on the wall, and who is looked for; pure.

import { urgencyOf } from "./patient_view.mjs";

export const SORTS = ["site", "bed", "alarm"];

const natural = new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare; // Bed 9 before Bed 10

export const siteOf = (patient) => patient.device.split("/")[0];
export const siteNameOf = (patient) => patient.site_name ?? siteOf(patient); // as people call it

const byBed = (a, b) => natural(a.name, b.name) || natural(a.device, b.device);
const bySite = (a, b) => natural(siteNameOf(a), siteNameOf(b)) || natural(siteOf(a), siteOf(b)) || byBed(a, b);
const byAlarm = (a, b) => worst(a) - worst(b) || byBed(a, b);
const COMPARE = { bed: byBed, site: bySite, alarm: byAlarm };

// The urgency of the worst alarm, 0 is the most urgent; who has none comes after all others.
function worst(patient) {
  return patient.alarms.reduce((least, alarm) => Math.min(least, urgencyOf(alarm)), 99);
}

// Places of panels. By alarm they are taken anew only when a person asks or a high alarm comes: nothing moves
// under a finger because an alarm ends or a lesser one begins.
export class WallOrder {
  constructor() {
    this.placed = []; // devices
    this.high = new Set(); // high alarms that were on at the last look
    this.isStale = false; // whether sorting now would move somebody
  }

  // -> devices in their places. `isAsked`: a person chose this sort just now.
  place(patients, sort, isAsked = false) {
    const high = new Set(patients.flatMap((patient) => patient.alarms
      .filter((alarm) => alarm.priority === "high" && alarm.state === "on")
      .map((alarm) => `${patient.device} ${alarm.kind} ${alarm.since_us}`)));
    const isAlarming = [...high].some((key) => !this.high.has(key));
    const sorted = patients.toSorted(COMPARE[sort]).map(({ device }) => device);
    const isAnew = sort !== "alarm" || sort !== this.sort || isAsked || isAlarming;
    this.placed = isAnew ? sorted : kept(this.placed, sorted);
    this.high = high;
    this.sort = sort;
    this.isStale = this.placed.some((device, place) => device !== sorted[place]);
    return this.placed;
  }
}

// Those of before in their order, then who came.
function kept(before, now) {
  const present = new Set(now);
  const known = new Set(before);
  return [...before.filter((device) => present.has(device)), ...now.filter((device) => !known.has(device))];
}

// [[site, devices]] in the order of the first of each; one nameless group where all are of one site.
export function groupsOf(devices, isBySite) {
  const groups = new Map();
  for (const device of devices) {
    const site = isBySite ? device.split("/")[0] : "";
    if (!groups.has(site)) groups.set(site, []);
    groups.get(site).push(device);
  }
  return groups.size > 1 ? [...groups] : [["", devices]].filter(([, members]) => members.length > 0);
}

// Whether every word stands somewhere in the name, site or device; accents and capitals do not matter.
export function matches(patient, query) {
  const text = fold(`${patient.name} ${patient.device} ${siteNameOf(patient)}`);
  return fold(query).split(/\s+/).every((word) => text.includes(word));
}

const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();
