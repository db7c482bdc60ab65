// The wall's ground: a section for what is enlarged and for each site, sized so that all rows share the screen.

import { fit, gainOf, GAP, HEADING, rowsOf } from "./wall_grid.mjs";
import { siteNameOf } from "./wall_order.mjs";
import { countsOf, summaryOf } from "./wall_tools.mjs";
import { element, say, setHidden, setText, setTitle, texts } from "./words.mjs";

export const ENLARGED = "\u0000"; // no site is called so
const ENLARGED_SHARE = 0.6; // of the height, while there are others
const BAR_PX = 44; // that names what is out of sight, at the foot of the screen
const SHRINK = 0.7; // so much of its height a row keeps when banners take room

const words = texts.wall;

export class WallSections {
  // show(site) when a person wants to see that site alone; show("") everybody again.
  constructor(root, show) {
    this.root = root;
    this.ground = root.querySelector("#wall");
    this.loading = root.querySelector("#wall-loading");
    this.show = show;
    this.sections = new Map(); // by group name
    this.laid = []; // [group, devices]
    this.gains = new Set(); // mm/mV
    const all = element("button", "plain-button", { type: "button" }, [words.show_all]);
    all.addEventListener("click", () => show(""));
    this.none = element("section", "empty wall-none", { hidden: "" }, [
      element("h2", "", {}, [words.none_title]), element("p", "", {}, [words.none_text]), element("p", "", {}, [all]),
    ]);
    this.ground.after(this.none);
  }

  // Skeletons where the panels will be: as many as there were the last time.
  showLoading(count) {
    const skeletons = [...this.loading.children];
    if (count > 0) {
      skeletons.slice(count).forEach((skeleton) => skeleton.remove());
      for (let n = skeletons.length; n < count; n += 1) this.loading.append(element("div", "skeleton"));
    }
    const { columns, rowPx } = fit([this.loading.children.length], this.#widthPx(), this.#heightPx(false));
    this.loading.style.setProperty("--columns", columns);
    this.loading.style.setProperty("--row", `${Math.floor(rowPx * SHRINK)}px`);
  }

  // [[group, devices]] and all panels -> devices in reading order; nobody who stays in place is touched.
  lay(groups, panels) {
    const focused = document.activeElement;
    const nodes = groups.map(([group]) => this.#sectionOf(group).node);
    for (const [group, section] of this.sections) {
      if (nodes.includes(section.node)) continue;
      section.node.remove();
      this.sections.delete(group);
    }
    arrange(this.ground, nodes);
    for (const [group, devices] of groups) {
      arrange(this.sections.get(group).grid, devices.map((device) => panels.get(device).node));
    }
    if (focused !== document.activeElement && this.ground.contains(focused)) focused.focus({ preventScroll: true });
    this.laid = groups;
    setHidden(this.none, groups.length > 0 || panels.size === 0);
    return groups.flatMap(([, devices]) => devices);
  }

  // Columns and heights for this window; returns the heights of what covers its top and its foot.
  fit(panels) {
    const width = this.#widthPx();
    const laid = this.laid.reduce((sum, [, devices]) => sum + devices.length, 0);
    const height = this.#heightPx(laid < panels.size);
    const enlarged = this.laid.filter(([group]) => group === ENLARGED);
    const others = this.laid.filter(([group]) => group !== ENLARGED);
    this.gains.clear();
    const share = others.length === 0 ? 1 : ENLARGED_SHARE;
    const leastPx = this.#size(enlarged, panels, width, height * share)
      + this.#size(others, panels, width, height * (enlarged.length > 0 ? 1 - share : 1));
    this.ground.style.minHeight = `${leastPx}px`;
    return { top: heightOf(".top"), foot: BAR_PX + footNavPx() };
  }

  fill(patients) {
    for (const [group, devices] of this.laid) {
      const { button, counts } = this.sections.get(group);
      const members = devices.map((device) => patients.get(device)).filter(Boolean);
      if (button === undefined || members.length === 0) continue;
      const site = siteNameOf(members[0]);
      setText(button, site);
      setTitle(button, say(words.group_title, { site }));
      setText(counts, summaryOf(countsOf(members), words.group));
    }
  }

  // Size some groups alike; returns the least height they need together.
  #size(groups, panels, width, height) {
    if (groups.length === 0) return 0;
    const counts = groups.map(([, devices]) => devices.length);
    const { columns, rowPx, doesScroll } = fit(counts, width, height);
    const mmPerMv = gainOf(rowPx);
    this.gains.add(mmPerMv);
    const heading = groups.length > 1 ? HEADING : 0;
    let leastPx = 0;
    groups.forEach(([group, devices], place) => {
      const rows = rowsOf([counts[place]], columns);
      const basis = heading + rows * (rowPx + GAP);
      const least = Math.floor(heading + rows * ((doesScroll ? rowPx : rowPx * SHRINK) + GAP));
      const { node, grid } = this.sections.get(group);
      node.style.flex = `${basis} 1 ${basis}px`;
      node.style.minHeight = `${least}px`;
      grid.style.setProperty("--columns", columns);
      leastPx += least;
      for (const device of devices) panels.get(device).mmPerMv = mmPerMv;
    });
    return leastPx;
  }

  #sectionOf(group) {
    if (this.sections.has(group)) return this.sections.get(group);
    const grid = element("ul", "wall-grid", { role: "list" });
    const section = { grid, node: element("section", "wall-section", {}, [grid]) };
    if (group === ENLARGED) section.node.setAttribute("aria-label", words.enlarged);
    else if (group !== "") this.#addHeading(section, group);
    this.sections.set(group, section);
    return section;
  }

  #addHeading(section, site) {
    section.button = element("button", "wall-site", { type: "button" }, [site]);
    section.button.addEventListener("click", () => this.show(site));
    section.counts = element("span", "dim num");
    section.node.prepend(element("h2", "wall-heading", {}, [section.button, section.counts]));
  }

  #widthPx() {
    const style = getComputedStyle(this.root);
    return this.root.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  }

  // What the window leaves for panels when nothing is wrong; banners then make rows lower, and never move columns.
  #heightPx(isSomebodyOut) {
    const main = getComputedStyle(this.root.closest("main"));
    const around = parseFloat(main.paddingTop) + parseFloat(main.paddingBottom) + 8;
    const bar = isSomebodyOut ? BAR_PX : 0;
    const rest = heightOf(".top") + heightOf(".bottom") + heightOf(".wall-tools") + footNavPx();
    return window.innerHeight - rest - around - bar;
  }
}

// The pages' links, where a phone has them at its foot.
function footNavPx() {
  const nav = document.querySelector(".top nav");
  return nav !== null && getComputedStyle(nav).position === "fixed" ? nav.offsetHeight : 0;
}

const heightOf = (selector) => document.querySelector(selector)?.offsetHeight ?? 0;

// Make the children of `parent` these nodes in this order; who is in place is not touched.
function arrange(parent, nodes) {
  const stays = new Set(nodes);
  for (const child of [...parent.children]) if (!stays.has(child)) child.remove();
  nodes.forEach((node, place) => {
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
}
