// Why the model answered as it did in one window, which stays while it is looked at.
//
// The server gives the plots and what is stored of them; what is not, is asked of the explain service over the
// live socket, which says how far it is (wl/v1/explain_progress), and then fetched.

import { stored } from "./stored.mjs";
import { drawLagged, drawSquare, drawWave, fullScale } from "./why_drawing.mjs";
import { accountOf, answersOf, firstOf, mapOf, standingOf } from "./why_state.mjs";
import { element, probability, say, setHidden, setText, texts, timeOfDay } from "./words.mjs";

const BEAT_S = [-0.24, 0.4];
const WINDOW_US = 10_000_000;
const RHYTHM_FULL = 0.5; // of the rhythm plot, which has no unit
const FETCH_EVERY_MS = 3000; // what is done is stored, unless the store fails
const CAM = "grad_cam";
const SHAP = "gradient_shap";
const { patient: words } = texts;

export class Why {
  constructor(root, live, device) {
    Object.assign(this, { root, live, device });
    this.part = Object.fromEntries([...root.querySelectorAll("[data-why]")].map((node) => [node.dataset.why, node]));
    this.isBare = false;
    const { part } = this;
    part.close.addEventListener("click", () => this.close());
    part.bare.addEventListener("click", () => { this.isBare = !this.isBare; this.#draw(); });
    part["shap-ask"].addEventListener("click", () => this.#ask(SHAP));
    this.observer = new ResizeObserver(() => this.#draw());
    this.observer.observe(part.figures);
  }

  remove() {
    this.observer.disconnect();
    this.window = undefined;
  }

  open(verdict) {
    this.window = verdict;
    this.asked = new Map(); // method and answer -> when, on the server's clock
    this.fetchedAt = new Map(); // the same -> when it was fetched last, on this browser's clock
    this.drawnKey = "";
    this.#clear();
    this.answers = answersOf(verdict, texts.rhythm_af);
    this.answer = firstOf(this.answers);
    setHidden(this.root, false);
    const of = say(words.why_of, {
      from: timeOfDay(verdict.wall_time_us), to: timeOfDay(verdict.wall_time_us + WINDOW_US),
      lead: verdict.lead === null ? texts.unknown : say(texts.lead, { lead: verdict.lead }), model: verdict.model,
    });
    setText(this.part.of, of);
    this.#fillAnswers();
    this.#fetch();
    this.update();
    this.root.scrollIntoView({ block: "start" });
    this.part.close.focus({ preventScroll: true });
  }

  // Nothing of the window before may stand under the name of this one.
  #clear() {
    Object.assign(this, { picture: undefined, plots: undefined, shown: undefined, trouble: undefined });
    for (const method of [CAM, SHAP]) setText(this.part[method], "");
    for (const canvas of this.root.querySelectorAll("canvas")) canvas.width = 1;
    for (const name of ["wave", "shap", "lag", "beat", "rhythm"]) this.#tellScale(name, null);
    setHidden(this.part.figures, false);
    setHidden(this.part["shap-ask"], true);
    setHidden(this.part["shap-progress"], true);
  }

  close() {
    if (this.window === undefined) return;
    this.window = undefined;
    setHidden(this.root, true);
    document.getElementById("why-open")?.focus();
  }

  update() {
    if (this.window === undefined) return;
    this.#fillNote();
    const hasAnswer = this.answer !== undefined && this.picture?.plots;
    for (const method of [CAM, SHAP]) if (hasAnswer) this.#follow(method);
    const key = [CAM, SHAP].map((method) => this.shown?.[method]?.made_us).join();
    if (key !== this.drawnKey && hasAnswer) this.#draw();
    this.drawnKey = key;
  }

  repaint() {
    this.#draw();
  }

  #fillNote() {
    const newest = this.live.patients.get(this.device)?.verdict;
    const isNewest = newest?.session === this.window.session && newest?.first_sample === this.window.first_sample;
    const note = this.trouble ?? (this.picture === undefined ? words.why_loading : this.picture.note);
    const none = this.answers.length === 0 ? words.why_none : "";
    const newer = newest && !isNewest ? words.why_newer : "";
    setText(this.part.note, [note, none, newer].filter(Boolean).join(" "));
  }

  #fillAnswers() {
    this.part.answers.replaceChildren(...this.answers.map((answer) => {
      const name = answer.rhythm === null ? answer.name : words.rhythm_question;
      const title = texts.superclass[answer.superclass] ?? answer.name;
      const button = element("button", "why-answer", {
        type: "button", role: "radio", title, "aria-checked": String(answer === this.answer),
        "data-found": String(answer.isFound), tabindex: answer === this.answer ? "0" : "-1",
      }, [element("b", "", {}, [name]), ` ${probability(answer.probability)}`]);
      button.addEventListener("click", () => this.#choose(answer));
      button.addEventListener("keydown", (event) => this.#step(event));
      return button;
    }));
  }

  #choose(answer) {
    this.answer = answer;
    this.#fillAnswers();
    this.shown = undefined;
    this.update();
    this.#draw();
  }

  #step(event) {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const { answers } = this;
    this.#choose(answers[(answers.indexOf(this.answer) + by + answers.length) % answers.length]);
    this.part.answers.querySelector("[aria-checked=true]").focus();
  }

  async #fetch() {
    const { window: wanted } = this;
    try {
      const picture = await stored(`window/${this.device}/${wanted.session}/${wanted.first_sample}`);
      if (this.window !== wanted) return; // closed, or another one meanwhile
      this.trouble = undefined;
      if (this.picture?.plots) this.picture.explanations = picture.explanations;
      else this.#take(picture);
    } catch (error) {
      if (this.window !== wanted) return;
      if (this.picture === undefined) this.trouble = say(words.why_unreachable, { reason: error.message });
    }
    this.update();
  }

  #take(picture) {
    this.picture = picture;
    const { plots } = picture;
    setHidden(this.part.figures, plots === null);
    if (plots === null) return;
    const lagged = ({ values, lags_s: lagsS }) => ({ ...mapOf(values), lagsS });
    this.plots = {
      ecg: mapOf(plots.ecg).values, beat: mapOf(plots.beat), lag: lagged(plots.lag),
      rhythmLag: lagged(plots.rhythm_lag), rhythm: lagged(plots.rhythm),
    };
    this.#draw();
  }

  // Where the explanation by one method stands: asked where it should be, and said in words.
  #follow(method) {
    const { live, window: wanted, answer, picture } = this;
    const key = `${method}/${answer.name}`;
    const standing = standingOf({
      explanations: picture.explanations,
      explaining: live.patients.get(this.device)?.explaining ?? [],
      hasService: live.state?.explain ? !live.state.explain.is_missing : false,
      askedUs: this.asked.get(key),
      nowUs: live.nowUs(),
    }, wanted, answer, method);
    if (standing.state === "done" && performance.now() - (this.fetchedAt.get(key) ?? -Infinity) > FETCH_EVERY_MS) {
      this.fetchedAt.set(key, performance.now());
      this.#fetch();
    }
    if (standing.state === "none" && method === CAM && live.isLive) this.#ask(CAM);
    this.shown = { ...this.shown, [method]: standing.explanation };
    setText(this.part[method], this.#wordsOf(standing, method));
    if (method === SHAP) this.#fillAsk(standing);
  }

  #ask(method) {
    const { live, window: wanted, answer } = this;
    if (!live.isLive) return;
    this.asked.set(`${method}/${answer.name}`, live.nowUs());
    const { session, first_sample } = wanted;
    const { superclass, rhythm } = answer;
    live.ask("explain", { device: this.device, session, first_sample, superclass, rhythm, method });
    this.update();
  }

  #fillAsk({ state, share }) {
    const { part } = this;
    const isBusy = ["asked", "queued", "running", "done"].includes(state);
    setHidden(part["shap-waiting"], state === "shown");
    setHidden(part["shap-ask"], isBusy || state === "no service" || state === "other model");
    part["shap-ask"].disabled = !this.live.isLive;
    setText(part["shap-ask"], state === "refused" || state === "silent" ? words.why_again : words.shap_ask);
    setHidden(part["shap-progress"], !isBusy);
    part["shap-progress"].value = state === "done" ? 1 : share ?? 0;
  }

  #wordsOf({ state, explanation, model, share, reason }, method) {
    switch (state) {
      case "shown": {
        const account = accountOf(explanation, sumOf(mapOf(explanation.attribution).values));
        const told = say(words.why_error, {
          sum: account.sum.toFixed(2), effect: account.effect.toFixed(2), error: account.error.toFixed(2),
          word: words.why_error_words[account.word],
        });
        const made = say(words.why_made, { model: explanation.model, time: timeOfDay(explanation.made_us) });
        return `${words.methods[method]}: ${told} ${made[0].toUpperCase()}${made.slice(1)}.`;
      }
      case "other model": return say(words.why_other_model, { model });
      case "queued": return words.why_queued;
      case "running": return say(words.why_running, { share: Math.round(100 * share) });
      case "done": return words.why_done;
      case "refused": return say(words.why_refused, { reason });
      case "asked": return words.why_asking;
      case "silent": return words.why_silent;
      case "no service": return this.live.isLive ? words.why_no_service : words.why_not_live;
      default: return method === SHAP ? words.shap_about : "";
    }
  }

  #draw() {
    if (this.window === undefined || this.plots === undefined || !this.picture?.plots) return;
    const { part, plots, answer } = this;
    const cam = this.shown?.[CAM];
    const shap = this.shown?.[SHAP];
    const isRhythm = answer !== undefined && answer.rhythm !== null;
    part.bare.setAttribute("aria-pressed", String(this.isBare));
    setHidden(part["beat-figure"], isRhythm);
    setHidden(part["rhythm-figure"], !isRhythm);
    const map = (each) => (each && !this.isBare ? mapOf(each) : null);
    const evidence = {
      wave: map(cam?.attribution), lag: map(cam?.plot), beat: map(cam?.beat_plot),
      rhythm: map(cam?.rhythm_plot), shap: map(shap?.attribution),
    };
    this.#wave("wave", evidence.wave, CAM);
    this.#wave("shap", evidence.shap, SHAP);
    const lag = isRhythm ? plots.rhythmLag : plots.lag;
    drawLagged(part.lag, lag, lag.lagsS, evidence.lag);
    if (isRhythm) drawLagged(part.rhythm, plots.rhythm, plots.rhythm.lagsS, evidence.rhythm, RHYTHM_FULL);
    else drawSquare(part.beat, plots.beat, BEAT_S, evidence.beat);
    for (const name of ["lag", "beat", "rhythm"]) {
      this.#tellScale(name, evidence[name] && fullScale(evidence[name].values));
      part[name].setAttribute("aria-label", part[name].closest("figure").querySelector("b").textContent);
    }
  }

  #wave(name, evidence, method) {
    const values = evidence?.values ?? null;
    drawWave(this.part[name], this.plots.ecg, this.picture.missing_s, values);
    this.#tellScale(name, values && Math.max(...Array.from(values, Math.abs)));
    const label = values === null ? words.wave_label : say(words.why_most, {
      method: words.methods[method], for: secondOf(values, 1), against: secondOf(values, -1),
    });
    this.part[name].setAttribute("aria-label", label);
  }

  #tellScale(name, value) {
    setText(this.part[`${name}-scale`], value ? say(words.why_scale, { value: value.toFixed(3) }) : "");
  }
}

const sumOf = (values) => values.reduce((a, b) => a + b, 0);

// Where it is greatest in one direction, in seconds of the window.
function secondOf(values, sign) {
  let best = 0;
  values.forEach((value, k) => { if (sign * value > sign * values[best]) best = k; });
  return ((10 * best) / values.length).toFixed(1);
}
