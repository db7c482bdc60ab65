// Files of this visit on their way: sent, read and judged one after the other; what became of each is kept here.

import { say, texts } from "./words.mjs";

const { recordings: words } = texts;
const AT_ONCE = 2; // one is sent while another is read
const SIGNAL = /\.hea$/i;

// What is dropped together and belongs together: a WFDB header with the files of its name, else each alone.
export function groupsOf(files) {
  const headers = files.filter(({ name }) => SIGNAL.test(name));
  const stem = (name) => name.replace(/\.[^.]*$/, "");
  const isOf = (file) => headers.find((header) => header !== file && stem(header.name) === stem(file.name));
  const alone = files.filter((file) => !headers.includes(file) && isOf(file) === undefined);
  return [...headers.map((header) => [header, ...files.filter((file) => isOf(file) === header)]), ...alone.map((file) => [file])];
}

// One line of what the server says -> the job, changed.
export function take(job, told) {
  if (told.of !== undefined) Object.assign(job, { done: told.done, of: told.of });
  else if (told.kept !== undefined) job.kept.push(told.kept);
  else if (told.refused !== undefined) job.refused.push(told.refused);
  else if (told.error !== undefined) Object.assign(job, { state: "failed", reason: told.error });
  else if (told.end) job.state = "done";
  return job;
}

export function stateWords(job) {
  switch (job.state) {
    case "waiting": return words.waiting;
    case "sending": return say(words.sending, { share: Math.floor(100 * job.share) });
    case "reading": return job.of > 1 ? say(words.reading_of, job) : words.reading;
    case "failed": return say(words.broken, { reason: job.reason });
    default: {
      const count = job.kept.length === 1 ? words.done_one : say(words.done_many, { count: job.kept.length });
      if (job.refused.length === 0) return count;
      return job.kept.length === 0 ? words.refused_only : say(words.done_refused, { count, refused: job.refused.length });
    }
  }
}

export class Files {
  // `who()`; `onChange(job)` whenever one has changed, `onKept()` when recordings were added.
  constructor(who, onChange, onKept) {
    Object.assign(this, { who, onChange, onKept });
    this.jobs = [];
    this.nRunning = 0;
  }

  add(files, hints) {
    for (const group of groupsOf([...files])) this.#queue({ name: group.map(({ name }) => name).join(", "), files: group, hints });
  }

  addDemo(kind, seconds) {
    const name = say(words.demo, { kind: words.demo_kinds[kind], seconds });
    this.#queue({ name, files: [], hints: {}, demo: { kind, seconds } });
  }

  // The same file, with what is said of it now; what it became before is taken away once it was read.
  again(job, hints) {
    const before = job.kept.map(({ id }) => id);
    Object.assign(job, { hints, before, ...FRESH() });
    this.#run();
  }

  cancel(job) {
    job.request?.abort();
    if (job.state === "waiting") this.jobs.splice(this.jobs.indexOf(job), 1);
    this.onChange(job);
  }

  remove() {
    for (const job of this.jobs) job.request?.abort();
  }

  #queue(job) {
    this.jobs.unshift(Object.assign(job, { before: [], ...FRESH() }));
    this.onChange(job);
    this.#run();
  }

  #run() {
    while (this.nRunning < AT_ONCE) {
      const job = this.jobs.findLast(({ state }) => state === "waiting");
      if (job === undefined) return;
      this.nRunning += 1;
      this.#send(job).finally(() => {
        this.nRunning -= 1;
        job.request = undefined;
        this.onChange(job);
        this.onKept();
        this.#run();
      });
    }
  }

  #send(job) {
    const request = new XMLHttpRequest();
    Object.assign(job, { state: job.demo ? "reading" : "sending", request });
    this.onChange(job);
    const query = new URLSearchParams({ ...job.hints, ...job.demo, who: this.who() });
    if (!job.demo) query.set("parts", JSON.stringify(job.files.map(({ name, size }) => [name, size])));
    let taken = 0;
    const read = () => {
      const lines = request.responseText.slice(taken).split("\n");
      taken += lines.slice(0, -1).reduce((sum, line) => sum + line.length + 1, 0);
      for (const line of lines.slice(0, -1)) take(job, JSON.parse(line));
      this.onChange(job);
    };
    return new Promise((resolve) => {
      request.upload.addEventListener("progress", ({ loaded, total }) => {
        Object.assign(job, loaded < total ? { share: loaded / total } : { state: "reading" });
        this.onChange(job);
      });
      request.addEventListener("progress", () => { if (request.status === 200) read(); });
      request.addEventListener("loadend", () => {
        if (request.status === 200) read();
        else if (request.status !== 0) take(job, { error: errorOf(request.responseText) });
        if (job.state !== "done" && job.state !== "failed") take(job, { error: words.lost });
        if (job.state === "done") this.#takeAway(job);
        resolve();
      });
      request.open("POST", job.demo ? `/data/recordings/demo?${query}` : `/data/recordings/upload?${query}`);
      request.send(new Blob(job.files));
    });
  }

  async #takeAway(job) {
    const ids = new Set(job.kept.map(({ id }) => id));
    for (const id of job.before) if (!ids.has(id) && ids.size > 0) await fetch(`/data/recordings/${id}/remove`, { method: "POST" });
    job.before = [];
    this.onKept();
  }
}

const FRESH = () => ({ state: "waiting", share: 0, done: 0, of: 0, kept: [], refused: [], reason: "" });

function errorOf(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return text.slice(0, 200);
  }
}
