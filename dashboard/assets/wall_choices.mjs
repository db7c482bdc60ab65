// What a person chose to see on the wall, kept in this browser; a search is not kept, as it hides patients.

import { SORTS } from "./wall_order.mjs";

const KEY = "wristlead-wall";

export class Choices {
  constructor() {
    const kept = parse(window.wristlead.read(KEY));
    this.sort = SORTS.includes(kept.sort) ? kept.sort : SORTS[0];
    this.site = typeof kept.site === "string" ? kept.site : ""; // "" is all
    this.enlarged = Array.isArray(kept.enlarged) ? kept.enlarged.map(String) : []; // devices
    this.isAlone = kept.isAlone === true; // the enlarged without the others
    this.count = Number.isInteger(kept.count) ? kept.count : 0; // patients of the last time, for the skeletons
    this.query = "";
  }

  change(values) {
    Object.assign(this, values);
    if (this.enlarged.length === 0) this.isAlone = false;
    const { sort, site, enlarged, isAlone, count } = this;
    window.wristlead.write(KEY, JSON.stringify({ sort, site, enlarged, isAlone, count }));
  }

  toggleEnlarged(device) {
    const { enlarged } = this;
    const isThere = enlarged.includes(device);
    this.change({ enlarged: isThere ? enlarged.filter((one) => one !== device) : [...enlarged, device] });
  }
}

function parse(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
