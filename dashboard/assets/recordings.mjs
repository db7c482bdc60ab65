// The page of recordings: files come in by dropping or choosing, and what is kept is listed.

import { Files, stateWords } from "./recording_files.mjs";
import { stored } from "./stored.mjs";
import { dateAndTime } from "./times.mjs";
import { element, fieldsOf, navigate, say, setHidden, setText, texts } from "./words.mjs";

const { recordings: words } = texts;
const EVERY_MS = 2000;
const MOST_REFUSED = 8; // shown of a file

export default class RecordingsPage {
  constructor(root, live) {
    Object.assign(this, { root, live });
    this.field = fieldsOf(root);
    this.rows = new Map(); // id -> the row of the list that the server told
    this.files = new Files(() => live.who(), (job) => this.#show(job), () => this.#ask());
    this.shown = new Map(); // job -> its <li>
    this.#fillHints();
    this.#fillDemo();
    this.#takeFiles();
    live.want([], 10);
    this.#ask();
    this.timer = setInterval(() => { if (!document.hidden) this.#ask(); }, EVERY_MS);
  }

  remove() {
    clearInterval(this.timer);
    this.files.remove();
  }

  update() {}

  draw() {}

  repaint() {}

  #fillHints() {
    for (const node of this.root.querySelectorAll("[data-hint]")) {
      const { hint, help } = node.dataset;
      const box = node.querySelector(".hint-box");
      const input = hint === "format"
        ? element("select", "review-select", { id: `hint-${hint}` }, box.dataset.choices.split(" ").map((value) => element("option", "", { value }, [value || help])))
        : element("input", "field", { id: `hint-${hint}`, placeholder: help, maxlength: 80, autocomplete: "off" });
      box.append(input);
    }
  }

  #hints() {
    const told = [...this.root.querySelectorAll("[data-hint] :is(input, select)")].map((input) => [input.id.slice("hint-".length), input.value.trim()]);
    return Object.fromEntries(told.filter(([, value]) => value !== ""));
  }

  #fillDemo() {
    const { field } = this;
    const kind = element("select", "review-select", { id: "demo-kind" }, Object.entries(words.demo_kinds).map(
      ([value, name]) => element("option", "", { value }, [name])));
    const seconds = element("input", "field", { id: "demo-seconds", type: "number", min: 5, max: 60, value: 30 });
    field["demo-kind"].append(kind);
    field["demo-seconds"].append(seconds);
    field["demo-add"].addEventListener("click", () => {
      if (seconds.reportValidity()) this.files.addDemo(kind.value, Math.round(Number(seconds.value)));
    });
  }

  #takeFiles() {
    const { drop, choose } = this.field;
    const input = element("input", "", { type: "file", multiple: "", hidden: "", "data-field": "files" });
    drop.append(input);
    choose.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      this.files.add(input.files, this.#hints());
      input.value = "";
    });
    const over = (isOver) => (event) => {
      event.preventDefault();
      drop.dataset.over = String(isOver);
    };
    for (const name of ["dragenter", "dragover"]) this.root.addEventListener(name, over(true));
    this.root.addEventListener("dragleave", over(false));
    this.root.addEventListener("drop", (event) => {
      over(false)(event);
      this.files.add(event.dataTransfer.files, this.#hints());
    });
  }

  #show(job) {
    const { field, files, shown } = this;
    for (const [known, node] of shown) {
      if (files.jobs.includes(known)) continue;
      node.remove();
      shown.delete(known);
    }
    setHidden(field["uploads-card"], files.jobs.length === 0);
    if (!files.jobs.includes(job)) return;
    if (!shown.has(job)) {
      shown.set(job, this.#line());
      field.uploads.prepend(shown.get(job));
    }
    this.#fill(shown.get(job), job);
  }

  #line() {
    const part = (name) => element(name === "bar" ? "progress" : "span", `upload-${name}`, name === "bar" ? { max: 1 } : {});
    return element("li", "upload", {}, [
      element("div", "upload-head", {}, [part("name"), part("state"), part("acts")]),
      part("bar"), element("div", "upload-found"),
    ]);
  }

  #fill(node, job) {
    const at = (name) => node.querySelector(`.upload-${name}`);
    setText(at("name"), job.name);
    setText(at("state"), stateWords(job));
    node.dataset.state = job.state;
    at("state").setAttribute("role", "status");
    const isGoing = ["sending", "reading", "waiting"].includes(job.state);
    setHidden(at("bar"), !isGoing);
    at("bar").setAttribute("aria-label", job.name);
    if (job.state === "sending") at("bar").value = job.share;
    else if (job.of > 1) at("bar").value = job.done / job.of;
    else at("bar").removeAttribute("value");
    const key = JSON.stringify([job.state, job.kept, job.refused, job.kept.map(({ id }) => this.rows.get(id)?.notes)]);
    if (node.filledWith === key) return;
    node.filledWith = key;
    const acts = isGoing ? [this.#button(words.cancel, () => this.files.cancel(job))]
      : job.files.length === 0 ? [] : [this.#button(words.again, () => this.files.again(job, this.#hints()))];
    at("acts").replaceChildren(...acts);
    at("found").replaceChildren(...this.#kept(job), ...refusals(job));
    if (job.refused.length > 0) this.#offerHints();
  }

  #kept(job) {
    if (job.kept.length > 3) return [];
    return job.kept.map(({ id }) => this.rows.get(id)).filter((row) => row !== undefined).map((row) => {
      const notes = row.notes.map(({ text, is_guess: isGuess }) => element("li", "", {}, [
        element("span", "upload-mark", { "data-guess": String(isGuess) }, [isGuess ? words.guess : words.note]), ` ${text}`]));
      const hasGuess = row.notes.some(({ is_guess: isGuess }) => isGuess);
      if (hasGuess) this.#offerHints();
      return element("div", "upload-one", {}, [
        element("p", "", {}, [link(`/recording/${row.id}`, words.open), " ", say(words.recognised, {
          format: row.format, fs: Number(row.fs.toFixed(3)), lead: row.lead ?? texts.unknown, started: row.started })]),
        element("ul", "upload-notes", {}, notes),
        ...(hasGuess && job.files.length > 0 ? [element("p", "dim small", {}, [words.again_help])] : []),
      ]);
    });
  }

  // Opened once: who closes it wants it closed.
  #offerHints() {
    if (this.isOffered) return;
    this.isOffered = true;
    this.field.hints.open = true;
  }

  #button(text, onClick) {
    const button = element("button", "plain-button", { type: "button" }, [text]);
    button.addEventListener("click", onClick);
    return button;
  }

  async #ask() {
    if (this.isAsking) {
      this.isDue = true;
      return;
    }
    this.isAsking = true;
    try {
      const { revision, recordings } = await stored("recordings", { known: this.revision ?? "" });
      if (recordings !== null) this.#list(recordings);
      this.revision = revision;
      setText(this.field.note, this.rows.size === 0 ? words.none : "");
      for (const [job] of this.shown) this.#show(job);
    } catch (error) {
      setText(this.field.note, say(words.failed, { reason: error.message }));
    }
    setHidden(this.field.note, this.field.note.textContent === "");
    this.isAsking = false;
    if (this.isDue) {
      this.isDue = false;
      this.#ask();
    }
  }

  #list(recordings) {
    this.rows = new Map(recordings.map((row) => [row.id, row]));
    setHidden(this.root.querySelector("table"), recordings.length === 0);
    this.field.rows.replaceChildren(...recordings.map((row) => {
      const started = row.start_us === null ? row.started : dateAndTime(row.start_us);
      const cells = [
        [link(`/recording/${row.id}`, row.file), element("span", "dim small", {}, [started === texts.unknown ? say(words.added, { time: dateAndTime(row.added_us) }) : started])],
        [row.length], [row.readable], [row.rate], [row.found], [row.vendor],
        [element("a", "row-link plain-button", { href: `/recording/${row.id}`, "aria-label": `${words.open} ${row.file}` }, [words.open])],
      ];
      const line = element("tr", "", { "data-id": row.id }, cells.map((children, k) =>
        element("td", k > 0 && k < 4 ? "num" : "", { "data-label": words.columns[k] }, children)));
      for (const node of line.querySelectorAll("a")) go(node);
      return line;
    }));
  }
}

function refusals(job) {
  if (job.refused.length === 0) return [];
  const lines = job.refused.slice(0, MOST_REFUSED).map(({ file, line, reason }) => {
    const of = file.includes(": ") ? `${file.split(": ").slice(1).join(": ")}: ` : "";
    return element("li", "", {}, [`${of}${line === null ? reason : say(words.line, { line, reason })}`]);
  });
  const more = job.refused.length - lines.length;
  return [element("ul", "upload-refused", {}, [...lines, ...(more > 0 ? [element("li", "", {}, [say(words.more, { count: more })])] : [])])];
}

function link(href, text) {
  return go(element("a", "", { href }, [text]));
}

function go(node) {
  node.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    navigate(node.getAttribute("href"));
  });
  return node;
}
