// What stands below the timeline: the alarms of the time shown, and the verdict of the window under the cursor.

import { alarmText, reasonOf, rhythmOf, shapeOf } from "./patient_view.mjs";
import { SECOND } from "./review_span.mjs";
import { dateAndTime } from "./times.mjs";
import { age, element, facts, navigate, probability, say, setText, texts, timeOfDay } from "./words.mjs";

const MOST = 100;

export function fillAlarms(node, alarms, isCut) {
  const key = JSON.stringify([alarms, isCut]);
  if (node.filledWith === key) return;
  node.filledWith = key;
  const rows = alarms.slice(0, MOST).map(rowOf);
  const rest = isCut || alarms.length > MOST ? [element("p", "dim small", {}, [say(texts.review.alarms_cut, { most: rows.length })])] : [];
  if (rows.length === 0) node.replaceChildren(element("p", "dim", {}, [texts.review.alarms_none]));
  else node.replaceChildren(element("ul", "review-rows", {}, rows), ...rest);
}

function rowOf(alarm) {
  const { device, kind, since_us: since, ended_us: ended } = alarm;
  const name = nameOf(alarm);
  const mark = element("span", "review-mark", { "data-priority": alarm.priority }, [
    shapeOf(alarm.priority), alarmText({ ...alarm, text: name }),
  ]);
  const lasted = ended === null ? texts.review.alarm_lasts : say(texts.review.alarm_lasted, { age: age((ended - since) / SECOND) });
  const show = element("button", "text-button", { type: "button", "data-since": since, "aria-label": `${texts.review.show}: ${name}` }, [texts.review.show]);
  const href = `/event/${device}/${kind}/${since}`;
  const strip = element("a", "text-button", { href, "aria-label": `${texts.review.strip}: ${name}` }, [texts.review.strip]);
  strip.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    navigate(href);
  });
  return element("li", "", {}, [
    mark, element("span", "dim small num", {}, [`${dateAndTime(since)} · ${lasted}`]),
    element("span", "review-links", {}, [show, strip]),
  ]);
}

// A technical alarm that has ended says last that it has ("Data again"); what it was is its kind.
function nameOf(alarm) {
  const isOver = alarm.priority === "low" && alarm.ended_us !== null;
  return (isOver ? texts.review.kinds[alarm.kind] : undefined) ?? alarm.text;
}

// The newest rate at or before a moment, of the column that holds it; null where it is unknown.
export function rateAt(trend, us) {
  for (const tile of trend.toReversed()) {
    if (us < tile.from_us || us >= tile.to_us) continue;
    return tile.rate_mean[Math.floor((us - tile.from_us) / tile.step_us)] ?? null;
  }
  return null;
}

export function fillWindow(node, happened, us) {
  const tile = us === null ? undefined : happened.findLast(({ from_us: from, to_us: to }) => us >= from && us < to);
  const { verdicts = [] } = tile ?? {};
  const placed = verdicts.findLast(({ at_us: at }) => at <= us && us - at < facts.hop_s * SECOND);
  const isFar = tile !== undefined && verdicts.length === 0 && tile.columns.findings.some((each) => Object.keys(each).length > 0);
  const key = placed === undefined ? String(isFar) : JSON.stringify(placed);
  if (node.filledWith === key) return;
  node.filledWith = key;
  if (placed === undefined) {
    node.replaceChildren(element("p", "dim", {}, [isFar ? texts.review.window_far : texts.review.window_none]));
    return;
  }
  const { verdict, at_us: at } = placed;
  const rhythm = rhythmOf(verdict);
  const rows = verdict.findings.map((finding) => element("div", "review-finding", { "data-presence": finding.presence }, [
    element("dt", "", {}, [finding.superclass]), element("dd", "num", {}, [probability(finding.probability)]),
    element("dd", "dim", {}, [finding.presence]),
  ]));
  if (rhythm !== null) {
    rows.push(element("div", "review-finding", { "data-presence": rhythm.isFound ? "present" : "" }, [
      element("dt", "", {}, [rhythm.name]), element("dd", "num", {}, [rhythm.value]), element("dd", "dim", {}, [rhythm.word]),
    ]));
  }
  const reason = element("p", "");
  setText(reason, verdict.indeterminate === null ? "" : reasonOf(verdict));
  node.replaceChildren(...(verdict.indeterminate === null ? [] : [reason]), element("dl", "review-findings", {}, rows),
    element("p", "dim small", {}, [say(texts.review.window_of, {
      from: timeOfDay(at), to: timeOfDay(at + facts.hop_s * SECOND), model: verdict.model,
    })]));
}
