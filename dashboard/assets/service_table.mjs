// The services of Wristlead and its broker, one row each; "not running" and "never heard" are told apart.

import { shapeOf } from "./patient_view.mjs";
import { age, element, say, setData, setText, texts as all } from "./words.mjs";

const texts = all.devices;
const COLUMNS = ["name", "state", "heard", "cpu", "memory", "version", "facts"];
const TROUBLED = ["trouble", "silent", "gone"];

export function fillServices(body, rows, data, isKnown, nowUs) {
  for (const service of data.services) {
    if (!rows.has(service.name)) rows.set(service.name, addRow(body, service));
    fill(rows.get(service.name), service, isKnown, nowUs);
  }
}

function addRow(body, service) {
  const cells = Object.fromEntries(COLUMNS.map((key) => [key, element("span", "")]));
  const row = { cells, note: element("span", "dim small") };
  const right = ["heard", "cpu", "memory"];
  row.node = element("tr", "", { "data-service": service.name }, COLUMNS.map((key, place) =>
    element("td", right.includes(key) ? "num right" : key === "version" ? "num" : "",
      { "data-label": texts.service_columns[place] }, key === "state" ? [cells.state, row.note] : [cells[key]])));
  cells.name.append(element("b", "", {}, [texts.service_name[service.name] ?? service.name]));
  body.append(row.node);
  return row;
}

function fill(row, service, isKnown, nowUs) {
  const { cells } = row;
  const since = (us) => age(Math.max(0, nowUs - us) / 1e6);
  const state = isKnown ? service.state : "unknown";
  const isOff = service.is_optional && state === "never";
  setData(row.node, "state", isOff ? "off" : state);
  if (row.state !== state) {
    row.state = state;
    const mark = TROUBLED.includes(state) || (state === "never" && !service.is_optional) ? [shapeOf("low")] : [];
    cells.state.replaceChildren(...mark, texts.service_state[state]);
  }
  setText(row.note, isKnown ? noteOf(service, since) : "");
  setText(cells.heard, isKnown && service.heard_us ? say(texts.ago, { age: since(service.heard_us) }) : all.unknown);
  const value = (each, words) => (each === null || !isKnown ? all.unknown : words(each));
  setText(cells.cpu, value(service.cpu_share, (share) => say(texts.percent, { n: (100 * share).toFixed(0) })));
  setText(cells.memory, value(service.memory_bytes, (bytes) => say(texts.mb, { n: Math.round(bytes / 1e6) })));
  setText(cells.version, value(service.version, (version) => version));
  setText(cells.facts, isKnown && service.facts.length > 0 ? service.facts.join(" \u00b7 ") : all.unknown);
}

function noteOf({ state, is_optional: isOptional, since_us: sinceUs, trouble }, since) {
  if (state === "trouble") return trouble;
  if (state === "never" && isOptional) return texts.service_note.optional;
  if (state in texts.service_note && sinceUs !== null) return say(texts.service_note[state], { age: since(sinceUs) });
  return "";
}
