// Everybody of whom something is stored: who is heard now by name, then who was heard last first.

import { answer } from "./review_data.mjs";
import { dateAndTime } from "./times.mjs";
import { element, navigate, say, setHidden, setText, texts } from "./words.mjs";

const HERE_US = 60e6; // behind the newest

// `devices`: [{ device, last_us }]; `nameOf`: device -> name.
export function inOrder(devices, nameOf) {
  const newest = Math.max(...devices.map(({ last_us: last }) => last));
  const rank = ({ last_us: last }) => (newest - last < HERE_US ? newest : last);
  return devices.toSorted((a, b) => rank(b) - rank(a)
    || nameOf(a.device).localeCompare(nameOf(b.device), undefined, { numeric: true }));
}

export class Chooser {
  constructor(root, live) {
    this.live = live;
    this.note = root.querySelector("[data-field=note]");
    this.list = root.querySelector("[data-field=devices]");
    this.devices = [];
    live.want([], 10);
    this.#ask();
  }

  remove() {}

  draw() {}

  repaint() {}

  update() {
    const nameOf = (device) => this.live.patients.get(device)?.name ?? device.split("/")[1];
    const devices = inOrder(this.devices, nameOf);
    const names = devices.map(({ device }) => nameOf(device));
    const key = JSON.stringify([names, devices]);
    if (key === this.filledWith) return;
    this.filledWith = key;
    this.list.replaceChildren(...devices.map(({ device, last_us: last }, k) => {
      const href = `/review/${device}`;
      const link = element("a", "card review-device", { href }, [
        element("span", "review-device-name", {}, [names[k]]),
        element("span", "dim", {}, [device]),
        element("span", "dim small num", {}, [say(texts.review.choose_last, { time: dateAndTime(last) })]),
      ]);
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        navigate(href);
      });
      return element("li", "", {}, [link]);
    }));
  }

  async #ask() {
    try {
      ({ devices: this.devices } = await answer("/data/stored"));
      setText(this.note, this.devices.length === 0 ? texts.review.choose_empty : "");
    } catch (error) {
      setText(this.note, say(texts.review.choose_failed, { reason: error.message }));
    }
    setHidden(this.note, this.note.textContent === "");
    this.update();
  }
}
