// The page of the model: the card comes from the server; which weights are in force now, inference says.

import { Polled } from "./polled.mjs";
import { age, say, setData, setText, texts as all } from "./words.mjs";

const texts = all.model;
const EVERY_MS = 2000;
const STALE_MS = 8000;

export default class ModelPage {
  constructor(root, live) {
    this.root = root;
    this.house = new Polled(() => (live.isLive ? "/data/devices" : null), EVERY_MS, () => this.update());
    live.want([], 10);
  }

  remove() {}

  draw() {}

  repaint() {}

  update() {
    this.house.turn();
    const node = this.root.querySelector("[data-field=in_force]");
    if (node === null || this.house.data === null) return;
    const card = this.root.querySelector("[data-field=card_version]").textContent;
    const inference = this.house.data.services.find((service) => service.name === "inference");
    const isHeard = this.house.ageMs < STALE_MS && inference?.state === "well" && inference.model !== null;
    if (!isHeard) {
      setData(node, "ok", "");
      setText(node, texts.silent);
      return;
    }
    const heardS = (this.house.data.at_us - inference.heard_us + this.house.ageMs * 1000) / 1e6;
    const isSame = inference.model === card;
    setData(node, "ok", String(isSame));
    setText(node, say(isSame ? texts.said : texts.other, { model: inference.model, age: age(heardS) }));
  }
}
