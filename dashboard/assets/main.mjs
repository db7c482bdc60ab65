// Joins the connection, the shell and the page that Dash has put on screen; one animation loop for all traces.

import { Live } from "./live.mjs";
import { Notice } from "./notice.mjs";
import { Shell } from "./shell.mjs";
import { Sound } from "./sound.mjs";
import { element, texts } from "./words.mjs";

const UPDATE_MS = 250; // ages and staleness move on even when nothing arrives
const RETRY_MS = 1000; // a page's script that could not be had is asked for again

const live = new Live();
let shell = null;
let page = null;
let root = null;
let updatedMs = -Infinity;

// Dash mounts and replaces pages; each frame looks whether another one stands there. A page is filled by the
// default export of the script of its name: constructor(root, live), update(), draw(now), repaint(), remove().
function follow() {
  const found = document.querySelector("[data-page]");
  if (found === root) return;
  const former = page;
  page = null;
  root = found;
  if (root !== null) fill(found);
  former?.remove();
}

async function fill(found) {
  let script;
  try {
    script = await import(`./${found.dataset.page}.mjs`);
  } catch {
    setTimeout(() => { if (root === found) root = null; }, RETRY_MS);
    return;
  }
  if (root !== found) return; // another page came meanwhile
  attempt(() => { page = new script.default(root, live); });
  update();
}

function update() {
  updatedMs = performance.now();
  if (shell === null && document.getElementById("connection") !== null) {
    shell = new Shell(live);
    new Notice();
    window.wristlead.sound = new Sound(live);
  }
  window.wristlead.sound?.update();
  shell?.update();
  attempt(() => page?.update());
}

// The next frame is asked for first, so that no error ends all motion.
function frame(now) {
  window.requestAnimationFrame(frame);
  follow();
  attempt(() => page?.draw(now));
}

// A page that fails would stand there with values that are no longer true: it is covered, and says so.
function attempt(action) {
  try {
    action();
  } catch (error) {
    console.error(error);
    const failed = page;
    page = null;
    try {
      failed?.remove(); // its keys and timers end with it
    } catch { /* half made */ }
    root.dataset.failed = "true";
    root.append(element("p", "page-failed", { role: "alert" }, [texts.page_failed]));
  }
}

live.onState = update;
setInterval(() => {
  if (performance.now() - updatedMs > UPDATE_MS / 2) update(); // a state frame has just done it
}, UPDATE_MS);
document.addEventListener("wristlead-theme", () => attempt(() => page?.repaint()));
window.requestAnimationFrame(frame);
window.wristlead.live = live; // for measurements and tests
