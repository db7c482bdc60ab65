// How many panels stand beside each other, how high they are, and where an arrow key leads; pure. All in CSS px.

export const GAP = 6;
export const HEADING = 26;
const IDEAL = { width: 360, height: 110 }; // a panel that has room for everything
const LEAST = { width: 160, height: 46 }; // name, alarm, rate and a second and a half of trace
const SCROLLED = { width: 240, height: 84 }; // what people get when there are more than a screen can hold
const PHONE = 600; // narrower screens have one column, of panels for fingers
const PHONE_LEAST = 64;
const LOW = 90; // below it 10 mm/mV would cut R waves off
const HUGE = 400;

// Groups of so many panels on a surface -> the columns that bring the smaller of width and height nearest to
// the ideal, where empty places count against them. `rowPx` is the height of a panel; `doesScroll` where not
// all find room.
export function fit(counts, width, height) {
  const isPhone = width < PHONE;
  const most = isPhone ? 1 : Math.max(1, ...counts);
  const leastHeight = isPhone ? PHONE_LEAST : LEAST.height;
  const headings = counts.length > 1 ? counts.length * HEADING : 0;
  let best = null;
  for (let columns = 1; columns <= most; columns += 1) {
    const rows = rowsOf(counts, columns);
    const widthPx = (width + GAP) / columns - GAP;
    const rowPx = (height - headings + GAP) / rows - GAP;
    if (rowPx < leastHeight || (columns > 1 && widthPx < LEAST.width)) continue;
    const fullness = counts.reduce((sum, count) => sum + count, 0) / (rows * columns);
    const score = Math.min(widthPx / IDEAL.width, rowPx / IDEAL.height) * fullness ** 2;
    if (best === null || score > best.score) best = { columns, rowPx, doesScroll: false, score };
  }
  if (best !== null) return best;
  const columns = isPhone ? 1 : Math.max(1, Math.floor((width + GAP) / (SCROLLED.width + GAP)));
  return { columns: Math.min(columns, most), rowPx: SCROLLED.height, doesScroll: true };
}

export function rowsOf(counts, columns) {
  return counts.reduce((sum, count) => sum + Math.ceil(count / columns), 0);
}

// mm/mV for panels of that height: the three that every cardiograph has.
export function gainOf(rowPx) {
  if (rowPx < LOW) return 5;
  return rowPx < HUGE ? 10 : 20;
}

// Boxes {left, right, top, bottom} in reading order, the place of one, an arrow's key -> the place of its
// neighbour, or the same place at an edge.
export function neighbour(boxes, at, key) {
  if (key === "ArrowLeft") return Math.max(0, at - 1);
  if (key === "ArrowRight") return Math.min(boxes.length - 1, at + 1);
  const from = boxes[at];
  const isAhead = key === "ArrowDown" ? (box) => box.top >= from.bottom - 1 : (box) => box.bottom <= from.top + 1;
  let best = at;
  let least = Infinity;
  boxes.forEach((box, place) => {
    if (!isAhead(box)) return;
    const rows = Math.abs(box.top - from.top); // the nearest row first, in it the nearest column
    const distance = rows * 1e4 + Math.abs(box.left + box.right - from.left - from.right);
    if (distance < least) [best, least] = [place, distance];
  });
  return best;
}
