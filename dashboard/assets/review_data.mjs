// What the server knows of a span, in tiles: fetched once, kept, neighbours brought before they are asked for.

import { levelOf, SECOND, tileOf, tilesOver } from "./review_span.mjs";
import { texts } from "./words.mjs";

export const PICTURE_LEVEL = 11; // 34 min; wider pictures are those of the rate alone
const LEAST_OF_TREND = 6; // 64 s: vitals come each second
const MOST_TILES = 240;
const AT_ONCE = 4;
const COLUMNS = { trend: 1024, happened: 256, picture: 2048 };
const FRESH_MS = 60_000; // after which a tile is asked for again when it is looked at
const AHEAD = 1; // tiles on either side

export class ReviewData {
  // `onCome` is called whenever something came; `nowUs` tells the server's clock.
  constructor(device, nowUs, onCome) {
    this.device = device;
    this.nowUs = nowUs;
    this.onCome = onCome;
    this.isFiltered = true;
    this.tiles = new Map(); // key -> { data, error, at, isAsked }
    this.waiting = [];
    this.nRunning = 0;
    this.error = "";
  }

  // Ask for all of a span, and for what lies beside it.
  want(span) {
    this.waiting = [];
    const levels = { trend: trendLevel(span), happened: trendLevel(span), picture: levelOf(span) };
    for (const [kind, level] of Object.entries(levels)) {
      if (kind === "picture" && level > PICTURE_LEVEL) continue;
      const tiles = tilesOver(span, level);
      for (const tile of tiles) this.#ask(kind, tile, this.waiting.length);
      const [first, last] = [tiles[0].number, tiles.at(-1).number];
      for (let k = 1; k <= AHEAD; k += 1) {
        this.#ask(kind, tileOf(level, last + k), Infinity);
        if (first >= k) this.#ask(kind, tileOf(level, first - k), Infinity);
      }
    }
    this.#run();
  }

  // The best that is there of a kind for a span: its own tiles, else coarser or finer ones, back to front.
  found(kind, span) {
    const level = kind === "picture" ? levelOf(span) : trendLevel(span);
    const exact = this.#at(kind, span, level);
    if (exact.isWhole) return exact.data;
    for (const step of [1, 2, -1, 3, 4, -2, 5, 6]) {
      if (level + step < 0) continue;
      const other = this.#at(kind, span, level + step);
      if (other.isWhole) return [...other.data, ...exact.data];
    }
    return exact.data;
  }

  isWhole(kind, span) {
    return this.#at(kind, span, kind === "picture" ? levelOf(span) : trendLevel(span)).isWhole;
  }

  setFiltered(isFiltered) {
    this.isFiltered = isFiltered;
  }

  // Samples up to now may have come since: such tiles are asked for again.
  refresh() {
    const now = this.nowUs();
    for (const [key, tile] of this.tiles) {
      if (tile.to > now - 20 * SECOND && !tile.isAsked) this.tiles.get(key).at = -Infinity;
    }
  }

  #at(kind, span, level) {
    const tiles = tilesOver(span, level).map((tile) => this.tiles.get(this.#key(kind, tile))?.data);
    const now = this.nowUs();
    const isWhole = tilesOver(span, level).every((tile, k) => tiles[k] !== undefined || tile.from > now);
    return { isWhole, data: tiles.filter((data) => data !== undefined) };
  }

  #key(kind, { level, number }) {
    return `${kind}${kind === "picture" && this.isFiltered ? "f" : ""}/${level}/${number}`;
  }

  #ask(kind, tile, place) {
    if (tile.from > this.nowUs()) return;
    const key = this.#key(kind, tile);
    const known = this.tiles.get(key);
    if (known?.isAsked || (known !== undefined && performance.now() - known.at < FRESH_MS)) {
      this.tiles.delete(key); // to the end: looked at last
      this.tiles.set(key, known);
      return;
    }
    this.waiting.splice(Math.min(place, this.waiting.length), 0, { kind, tile, key });
  }

  #run() {
    while (this.nRunning < AT_ONCE && this.waiting.length > 0) {
      const { kind, tile, key } = this.waiting.shift();
      this.nRunning += 1;
      this.tiles.set(key, { ...this.tiles.get(key), to: tile.to, isAsked: true });
      this.#fetch(kind, tile, key).finally(() => {
        this.nRunning -= 1;
        this.onCome();
        this.#run();
      });
    }
    for (const key of this.tiles.keys()) {
      if (this.tiles.size <= MOST_TILES) break;
      if (!this.tiles.get(key).isAsked) this.tiles.delete(key);
    }
  }

  async #fetch(kind, tile, key) {
    const points = kind === "trend" ? Math.min(COLUMNS.trend, 2 ** tile.level) : COLUMNS[kind];
    const query = new URLSearchParams({ from_us: tile.from, to_us: tile.to, points });
    if (kind === "picture") query.set("filter", this.isFiltered ? "1" : "0");
    const known = this.tiles.get(key);
    try {
      const data = await answer(`/data/${kind}/${this.device}?${query}`);
      this.tiles.set(key, { data, at: performance.now(), to: tile.to, isAsked: false });
      this.error = "";
    } catch (error) {
      this.tiles.set(key, { data: known?.data, at: performance.now() - FRESH_MS + 3000, to: tile.to, isAsked: false });
      this.error = error.message;
    }
  }
}

function trendLevel(span) {
  return Math.max(LEAST_OF_TREND, levelOf(span));
}

// The JSON of a path; throws an Error in the server's words.
export async function answer(path) {
  let response;
  try {
    response = await fetch(path);
  } catch {
    throw new Error(texts.review.offline);
  }
  const said = await response.json().catch(() => ({ error: texts.review.offline }));
  if (!response.ok) throw new Error(said.error);
  return said;
}
