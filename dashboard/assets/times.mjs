// Times as a person at this screen reads them: in this browser's zone and manner.

import { timeOfDay } from "./words.mjs";

const DAY_MS = 86_400_000;

// 12:03:11, and before it the day where that is not today.
export function dateAndTime(us) {
  const date = new Date(us / 1000);
  if (new Date().toDateString() === date.toDateString()) return timeOfDay(us);
  const isNear = Math.abs(Date.now() - date) < 300 * DAY_MS;
  const day = date.toLocaleDateString([], { day: "numeric", month: "short", year: isNear ? undefined : "numeric" });
  return `${day} ${timeOfDay(us)}`;
}

// Wed, Nov 25, 2026
export function dayInWords(us) {
  return new Date(us / 1000).toLocaleDateString([], { weekday: "short", day: "numeric", month: "short", year: "numeric" });
}

// Fill every <time data-us> under `root` that the server laid out or changed.
export function fillTimes(root) {
  const today = new Date().toDateString(); // after midnight its times are those of yesterday
  for (const node of root.querySelectorAll("time[data-us]")) {
    const { us, style } = node.dataset;
    const key = `${us}${style}${today}`;
    if (node.filledWith === key) continue;
    node.filledWith = key;
    node.textContent = style === "time" ? timeOfDay(Number(us)) : dateAndTime(Number(us));
    node.title = new Date(us / 1000).toLocaleString();
  }
}
