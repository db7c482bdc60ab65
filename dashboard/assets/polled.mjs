// One address of this server, asked now and then while its page is looked at; what came is `data`.

export class Polled {
  // `url()`: what to ask next; null: nothing now.
  constructor(url, everyMs, onData) {
    this.url = url;
    this.everyMs = everyMs;
    this.onData = onData;
    this.data = null;
    this.at = -Infinity; // when `data` came
    this.dueAt = 0;
    this.isAsking = false;
  }

  get ageMs() {
    return performance.now() - this.at;
  }

  // At the next turn, whenever that was due.
  hurry(inMs = 0) {
    this.dueAt = Math.min(this.dueAt, performance.now() + inMs);
  }

  turn() {
    const now = performance.now();
    if (this.isAsking || document.hidden || now < this.dueAt) return;
    const url = this.url();
    if (url === null) return;
    this.isAsking = true;
    this.dueAt = now + this.everyMs;
    this.#ask(url);
  }

  async #ask(url) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
      if (!response.ok) return;
      this.data = await response.json();
    } catch {
      return; // as silent as a server that is gone: what is old is shown as unknown
    } finally {
      this.isAsking = false;
    }
    this.at = performance.now();
    this.onData(this.data);
  }
}
