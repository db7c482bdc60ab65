// What is stored, as the server tells it at /data/... ; what cannot be had is an Error in words for people.

import { texts } from "./words.mjs";

export async function stored(path, query = {}) {
  let answer;
  try {
    answer = await fetch(`/data/${path}?${new URLSearchParams(query)}`);
  } catch {
    throw new Error(texts.patient.no_server);
  }
  const told = await answer.json().catch(() => ({ error: `${answer.status} ${answer.statusText}` }));
  if (!answer.ok) throw new Error(told.error ?? `${answer.status} ${answer.statusText}`);
  return told;
}
