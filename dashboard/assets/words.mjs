// The page's words and numbers as people read them; the words themselves come from dashboard/texts/.

export const facts = JSON.parse(document.getElementById("facts").textContent);
export const texts = facts.texts;

export function say(template, values) {
  return template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// Seconds as a person counts them: 12 s, 3 min, 2 h.
export function age(seconds) {
  if (seconds < 120) return say(texts.seconds, { n: Math.max(0, Math.floor(seconds)) });
  if (seconds < 7200) return say(texts.minutes, { n: Math.floor(seconds / 60) });
  return say(texts.hours, { n: Math.floor(seconds / 3600) });
}

// 1:43, of a countdown.
export function minutesAndSeconds(seconds) {
  const whole = Math.ceil(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// Time of day in the viewer's zone.
export function timeOfDay(us) {
  return new Date(us / 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

// .93 rather than 0.93: narrow, and never taken for a rate.
export function probability(value) {
  return value >= 0.995 ? "1.0" : value.toFixed(2).slice(1);
}

// Write only what changed: an unchanged node costs no layout.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setTitle(node, title) {
  if (node.title !== title) node.title = title;
}

export function setHidden(node, isHidden) {
  if (node.hidden !== isHidden) node.hidden = isHidden;
}

export function setData(node, name, value) {
  if (node.dataset[name] !== value) node.dataset[name] = value;
}

// What the server laid out under `root` to be filled: its nodes by `data-field`.
export function fieldsOf(root) {
  return Object.fromEntries([...root.querySelectorAll("[data-field]")].map((node) => [node.dataset.field, node]));
}

export function element(tag, className, attributes = {}, children = []) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// A page of this site without loading everything again: what dcc.Link does.
export function navigate(href) {
  window.history.pushState({}, "", href);
  window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  window.scrollTo(0, 0);
}
