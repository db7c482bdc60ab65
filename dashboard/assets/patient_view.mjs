// What one patient's numbers mean on a screen, for the panel and the page alike: fresh, old or unknown.

import { age, facts, probability, say, texts } from "./words.mjs";

const FRESH_S = 3; // a heart rate older than this is unknown, and a trace without data this long is stale
const VERDICT_OLD_S = 2.5 * facts.hop_s;
const PRIORITIES = ["high", "medium", "low", "advisory"];
const STATES = ["on", "latched", "ack"];

// PatientState -> everything a view shows; `live` gives the clock and whether the page is connected at all.
export function viewOf(patient, live) {
  const nowUs = live.nowUs();
  const since = (us) => (us === null || us === undefined ? Infinity : (nowUs - us) / 1e6);
  const dataAge = since(patient.data_at_us);
  const isLive = live.isLive && live.state.broker;
  const isVitalsFresh = isLive && since(patient.vitals_at_us) <= FRESH_S && dataAge <= FRESH_S;
  const rate = isVitalsFresh ? patient.vitals.heart_rate_bpm : null;
  const signal = isVitalsFresh ? patient.vitals.signal : null;
  const doubts = isVitalsFresh ? patient.vitals.doubts : []; // what the device claims and cannot be
  const isStale = !isLive || dataAge > FRESH_S;
  return {
    rate: rate === null ? texts.unknown : String(Math.round(rate)),
    isRateKnown: rate !== null,
    vitals: isVitalsFresh ? patient.vitals : null,
    isStale,
    isGrey: isStale || signal === "lead off",
    note: noteOf(patient, isLive, dataAge, signal),
    doubt: doubts.map(sentence).join(" "),
    doubtChip: doubtChipOf(doubts),
    battery: say(texts.battery, { battery: isLive && patient.battery !== null ? patient.battery : texts.unknown }),
    batteryPercent: isLive ? patient.battery : null,
    lead: leadOf(patient, nowUs),
    source: texts.source[patient.source] ?? null,
    complete: completeOf(live.streams.get(patient.device), isStale),
    verdict: chipOf(patient.verdict, nowUs),
    isVerdictDoubtful: doubts.length > 0 && isDoubtful(patient.verdict, nowUs),
    rhythm: isOldVerdict(patient.verdict, nowUs) || patient.verdict.indeterminate !== null
      ? null : rhythmOf(patient.verdict), // of windows that vote
    alarms: patient.alarms,
    limits: limitsOf(patient.limits, "rate_low_bpm", "rate_high_bpm"),
    limitsTitle: say(texts.limits_title, {
      limits: limitsOf(patient.limits, "rate_low_bpm", "rate_high_bpm"),
      extreme: limitsOf(patient.limits, "rate_extreme_low_bpm", "rate_extreme_high_bpm"),
    }),
    extreme: limitsOf(patient.limits, "rate_extreme_low_bpm", "rate_extreme_high_bpm"),
    hasOwnLimits: Object.values(patient.limits?.sources ?? {}).includes("patient"),
  };
}

function noteOf(patient, isLive, dataAge, signal) {
  if (dataAge === Infinity) return texts.no_data_yet;
  if (dataAge > FRESH_S) return say(texts.no_data, { age: age(dataAge) });
  if (!isLive) return texts.not_live;
  if (signal === null || signal === "good") return "";
  const noise = texts.noise[patient.vitals.noise];
  return noise === undefined ? texts.signal[signal] : `${texts.signal[signal]}: ${noise}`;
}

const capital = (words) => `${words[0].toUpperCase()}${words.slice(1)}`;
const sentence = (words) => `${capital(words)}.`;

// `Unit in doubt`, what stands before the colon of the first doubt, and how many more there are.
function doubtChipOf(doubts) {
  if (doubts.length === 0) return "";
  const more = doubts.length > 1 ? ` ${say(texts.more, { count: doubts.length - 1 })}` : "";
  return capital(doubts[0].split(":")[0]) + more;
}

// Whether a doubt explains better than the verdict why nothing is found.
function isDoubtful(verdict, nowUs) {
  return isOldVerdict(verdict, nowUs) || texts.doubtful.includes(verdict.indeterminate);
}

// `50-120`; what is in force, as the alarm service says.
function limitsOf(limits, low, high) {
  return limits === null ? texts.unknown : `${bpm(limits[low])}-${bpm(limits[high])}`;
}

export const bpm = (value) => String(Math.round(value * 10) / 10);

function completeOf(stream, isStale) {
  const share = stream === undefined || isStale ? null : stream.complete();
  return say(texts.complete, { share: share === null ? texts.unknown : Math.floor(share * 100) });
}

function isOldVerdict(verdict, nowUs) {
  return verdict === null || (nowUs - verdict.decided_us) / 1e6 > VERDICT_OLD_S;
}

// What the device says; where it says nothing, as what the model reads the newest window.
function leadOf(patient, nowUs) {
  const { verdict } = patient;
  if (!isOldVerdict(verdict, nowUs) && verdict.lead_inferred) {
    return { text: say(texts.lead_inferred, { lead: verdict.lead }), title: texts.lead_title };
  }
  return { text: patient.lead === null ? "" : say(texts.lead, { lead: patient.lead }), title: "" };
}

// The most probable rhythm; `isFound` where it is a fibrillation above its limit, which is what may alarm.
export function rhythmOf(verdict) {
  if (verdict === null || verdict.rhythm.length === 0) return null;
  const [most] = verdict.rhythm.toSorted((a, b) => b.probability - a.probability);
  const isAf = most.rhythm === texts.rhythm_af && most.threshold !== null;
  const isFound = isAf && most.probability >= most.threshold;
  const isUncertain = isAf && !isFound;
  const value = probability(most.probability);
  const text = `${texts.rhythm_short[most.rhythm]} ${value}`;
  return {
    name: most.rhythm,
    value,
    text: isUncertain ? `${texts.uncertain} ${text}` : text,
    word: isFound ? texts.rhythm_found : isUncertain ? texts.uncertain : "",
    isFound,
  };
}

// Why the model cannot tell, as words.
export function reasonOf(verdict) {
  const reason = texts.question[verdict.indeterminate] ?? verdict.indeterminate;
  return say(texts.indeterminate, { reason });
}

// The finding a person should read first: present and not normal, then normal, then what is uncertain.
function chipOf(verdict, nowUs) {
  if (verdict === null) return { text: texts.verdict_none, isOld: true };
  const isOld = isOldVerdict(verdict, nowUs);
  const ageS = (nowUs - verdict.decided_us) / 1e6;
  const suffix = isOld ? ` · ${say(texts.verdict_old, { age: age(ageS) })}` : "";
  if (verdict.indeterminate !== null) {
    return { text: reasonOf(verdict) + suffix, isOld, title: texts.remedy[verdict.indeterminate] };
  }
  const strongest = (findings) => findings.toSorted((a, b) => b.probability - a.probability);
  const present = strongest(verdict.findings.filter((finding) => finding.presence === "present"));
  const abnormal = present.filter((finding) => finding.superclass !== "NORM");
  const shown = abnormal.length ? abnormal : present;
  if (shown.length) {
    const more = shown.length > 1 ? ` ${say(texts.more, { count: shown.length - 1 })}` : "";
    return { text: `${shown[0].superclass} ${probability(shown[0].probability)}${more}${suffix}`, isOld };
  }
  const [first] = strongest(verdict.findings.filter((finding) => finding.presence === "uncertain"));
  const text = first ? `${texts.uncertain} ${first.superclass} ${probability(first.probability)}` : texts.uncertain;
  return { text: text + suffix, isOld };
}

// `*** ASYSTOLE 6 s`; engines may write the stars themselves.
export function alarmText(alarm) {
  return `${texts.stars[alarm.priority]} ${alarm.text.replace(/^[*\s]+/, "")}`;
}

// What stands behind an alarm's text: whether it was seen, or ended unseen.
export function alarmRemark(alarm) {
  if (alarm.state === "ack") {
    return alarm.who ? say(texts.alarm_ack_by, { who: alarm.who }) : texts.alarm_ack;
  }
  return alarm.state === "latched" ? texts.alarm_latched : "";
}

// What a patient, or a part of Wristlead, is called.
export function nameOf(device, live) {
  const [site, name] = device.split("/");
  if (site === texts.own_site) return texts.service_name[name] ?? say(texts.channel_name, { name });
  return live.patients.get(device)?.name ?? name;
}

// By priority, among equals what is on before what ended and what was seen; 0 is the most urgent.
export function urgencyOf(alarm) {
  return PRIORITIES.indexOf(alarm.priority) * STATES.length + STATES.indexOf(alarm.state);
}

export function isWorse(a, b) {
  return urgencyOf(a) < urgencyOf(b);
}

const SHAPES = {
  high: "M8 1 15 14H1z", // triangle
  medium: "M8 1 15 8 8 15 1 8z", // diamond
  low: "M1 6h14v4H1z", // bar
  advisory: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1z", // disc
};

export function shapeOf(priority) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "shape");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[priority]);
  svg.append(path);
  return svg;
}
