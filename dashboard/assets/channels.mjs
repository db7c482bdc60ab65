// Notification channels: whether each works, what it delivered, and a test whose outcome is shown.

import { shapeOf } from "./patient_view.mjs";
import { dateAndTime } from "./times.mjs";
import { element, fieldsOf, say, setData, setHidden, setText, texts } from "./words.mjs";

const ANSWER_WITHIN_MS = 30_000; // the notifier gives an attempt up after 20 s

// A part of the page of settings.
export class Channels {
  constructor(root, live) {
    this.live = live;
    this.rows = new Map(); // by name
    this.field = fieldsOf(root);
    this.body = document.getElementById("channel-rows");
  }

  update() {
    const { live, field } = this;
    if (live.state === null) return;
    const { channels } = live.state;
    const names = channels.map((channel) => channel.name);
    for (const [name, row] of this.rows) {
      if (names.includes(name)) continue;
      row.node.remove();
      this.rows.delete(name);
    }
    for (const channel of channels) {
      if (!this.rows.has(channel.name)) this.#add(channel.name);
      this.#fill(this.rows.get(channel.name), channel);
    }
    setHidden(field.channels_loading, true);
    setHidden(field.channels_table, channels.length === 0);
    setHidden(field.channels_none, channels.length > 0);
  }

  #add(name) {
    const label = say(texts.channel_test_label, { name });
    const row = {
      state: element("span", "channel-state"),
      reason: element("span", "small"),
      told: element("span"),
      last: element("span", "num"),
      counts: element("span", "num"),
      button: element("button", "plain-button", { type: "button", "aria-label": label }, [texts.channel_test]),
      outcome: element("span", "small channel-outcome", { role: "status" }),
    };
    row.button.addEventListener("click", () => this.#test(name, row));
    const cells = [
      element("b", "", {}, [name]), [row.state, row.reason], row.told, row.last, row.counts, [row.button, row.outcome],
    ];
    row.node = element("tr", "", { "data-channel": name }, cells.map((cell, place) =>
      element("td", "", { "data-label": texts.channel_columns[place] }, [cell].flat())));
    const after = [...this.rows.keys(), name].toSorted();
    this.rows.set(name, row);
    this.body.insertBefore(row.node, this.body.children[after.indexOf(name)] ?? null);
  }

  #fill(row, channel) {
    setData(row.node, "ok", String(channel.ok));
    if (row.isOk !== channel.ok) {
      row.isOk = channel.ok;
      row.state.replaceChildren(...(channel.ok ? [] : [shapeOf("medium")]), texts.channel_state[channel.ok]);
    }
    setText(row.reason, channel.ok ? "" : channel.reason ?? "");
    const least = (texts.priority[channel.min_priority] ?? texts.unknown).toLowerCase();
    const told = channel.level === null ? texts.unknown
      : say(channel.level === 0 ? texts.channel_at_once : texts.channel_level, { level: channel.level, least });
    setText(row.told, told);
    setText(row.last, channel.last_sent_us === null ? texts.channel_never : dateAndTime(channel.last_sent_us));
    setText(row.counts, say(texts.channel_counts, channel));
    this.#judge(row, channel);
    row.button.disabled = !this.live.isLive || row.asked !== undefined;
  }

  #test(name, row) {
    const { sent, failed } = this.live.state.channels.find((channel) => channel.name === name);
    row.asked = { at: performance.now(), sent, failed };
    row.button.disabled = true;
    setData(row.outcome, "ok", "");
    setText(row.outcome, texts.channel_asking);
    this.live.ask("channel_test", { name });
  }

  // The outcome of a test is the channel's next delivery, or its next failure.
  #judge(row, channel) {
    if (row.asked === undefined) return;
    const { at, sent, failed } = row.asked;
    if (channel.sent > sent) {
      this.#tell(row, true, say(texts.channel_delivered, { time: dateAndTime(channel.last_sent_us) }));
    } else if (channel.failed > failed) this.#tell(row, false, say(texts.channel_failed, { reason: channel.reason }));
    else if (performance.now() - at > ANSWER_WITHIN_MS) this.#tell(row, false, texts.channel_silent);
  }

  #tell(row, isOk, words) {
    row.asked = undefined;
    setData(row.outcome, "ok", String(isOk));
    setText(row.outcome, words);
  }
}
