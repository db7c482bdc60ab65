// A patient has left, or a part of Wristlead was taken away for good: asked once more, then of the alarm service.
// The dialogue stays until the alarm service has done it, and shows why where it has not.

import { openDialog, Question, settle } from "./dialog.mjs";
import { nameOf } from "./patient_view.mjs";
import { element, say, setText, texts } from "./words.mjs";

export class DischargeDialog {
  constructor(live, device, onDone = () => {}) {
    this.live = live;
    this.device = device;
    this.onDone = onDone;
    this.isOwn = device.startsWith(`${texts.own_site}/`);
    const [title, help, words] = this.isOwn
      ? [texts.dismiss_title, texts.dismiss_help, texts.dismiss]
      : [texts.discharge_title, texts.discharge_help, texts.discharge];
    this.message = element("p", "dialog-message", { role: "alert" });
    this.node = openDialog(say(title, { name: nameOf(device, live) }), [element("p", "", {}, [help]), this.message], [
      [words, "solid-button", () => this.#send()],
    ]);
  }

  // Called as state comes; false when the dialogue is over.
  update() {
    const wasOpen = this.node.isConnected;
    if (settle(this)) return true;
    if (wasOpen) this.onDone();
    return false;
  }

  #send() {
    const { live, device } = this;
    if (!live.isLive) {
      setText(this.message, texts.not_asked);
      return;
    }
    const index = live.patients.get(device)?.index; // who comes after on this device is another
    this.asked = this.isOwn
      ? new Question(() => !live.state.own_alarms.some((alarm) => alarm.device === device),
        () => live.state.own_refusals[device])
      : new Question(() => live.patients.get(device)?.index !== index,
        () => live.patients.get(device)?.refusals.discharge);
    setText(this.message, texts.asking);
    live.ask("discharge", { device });
  }
}
