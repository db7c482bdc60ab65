// Joins the connection, the shell and the page that Dash has put on screen; one animation loop for all traces.

import { Live } from "./live.mjs";
import { Notice } from "./notice.mjs";
import { Shell } from "./shell.mjs";
import { Sound } from "./sound.mjs";

const UPDATE_MS = 250; // ages and staleness move on even when nothing arrives

const live = new Live();
let shell = null;
let page = null;
let root = null;

// Dash mounts and replaces pages; each frame looks whether another one stands there. A page is filled by the
// default export of the script of its name: constructor(root, live), update(), draw(now), repaint(), remove().
async function follow() {
  const found = document.querySelector("[data-page]");
  if (found === root) return;
  page?.remove();
  page = null;
  root = found;
  if (root === null) return;
  const { default: Page } = await import(`./${root.dataset.page}.mjs`);
  if (root !== found) return; // another page came meanwhile
  page = new Page(root, live);
  update();
}

function update() {
  if (shell === null && document.getElementById("connection") !== null) {
    shell = new Shell(live);
    new Notice();
    window.wristlead.sound = new Sound(live);
  }
  shell?.update();
  window.wristlead.sound?.update();
  page?.update();
}

function frame(now) {
  follow();
  page?.draw(now);
  window.requestAnimationFrame(frame);
}

live.onState = update;
setInterval(update, UPDATE_MS);
document.addEventListener("wristlead-theme", () => page?.repaint());
window.requestAnimationFrame(frame);
window.wristlead.live = live; // for measurements and tests
