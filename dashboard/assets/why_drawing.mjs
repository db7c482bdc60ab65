// Plots, and what speaks for and against on them: canvases in the page's colours.
//
// A plot is grey (lower, same, higher); evidence lies over it in two hues that are no alarm's, and over the
// waveform as bars up (for) and down (against), so that no colour has to be told apart.

import { pooled } from "./why_state.mjs";

const PLOT_FULL_MV = 1.0; // an R wave against the baseline of lead I
const WAVE_SHARE = 0.66; // of the height; below it the bars
const FONT_PX = 12;
const LEFT_PX = 52; // for what stands beside the rows

function sheetOf(canvas) {
  const box = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(box.width * ratio));
  canvas.height = Math.max(1, Math.round(box.height * ratio));
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name).trim();
  pen.scale(ratio, ratio);
  pen.font = `${FONT_PX}px ${style.fontFamily}`;
  return { pen, ratio, width: box.width, height: box.height, colour };
}

const rgb = (hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
const mixed = (a, b, share) => a.map((value, k) => value + (b[k] - value) * share);

// The size at which colours are full: what one place in a hundred exceeds.
export function fullScale(values) {
  const sizes = Float32Array.from(values, Math.abs).sort();
  return sizes[Math.floor(0.99 * (sizes.length - 1))] || sizes.at(-1) || 1;
}

function painterOf(colour, full) {
  const [low, same, high, speaksFor, against] = ["--plot-low", "--plot-same", "--plot-high", "--for", "--against"]
    .map((name) => rgb(colour(name)));
  return (value, evidence) => {
    const level = Math.max(-1, Math.min(1, value));
    const grey = mixed(same, level < 0 ? low : high, Math.abs(level));
    if (evidence === null) return grey;
    const share = Math.min(1, Math.abs(evidence) / full);
    return mixed(grey, evidence < 0 ? against : speaksFor, 0.9 * share);
  };
}

function put(pixels, at, [red, green, blue]) {
  pixels[at] = red;
  pixels[at + 1] = green;
  pixels[at + 2] = blue;
  pixels[at + 3] = 255;
}

// `plot` and `evidence` are maps of why_state; rows of the plot stand for `lagsS`, the shortest at the bottom.
export function drawLagged(canvas, plot, lagsS, evidence, unit = PLOT_FULL_MV) {
  const { pen, ratio, width, height, colour } = sheetOf(canvas);
  const left = LEFT_PX;
  const columns = Math.max(1, Math.round((width - left) * ratio));
  const paint = painterOf(colour, evidence ? fullScale(evidence.values) : 1);
  const image = new ImageData(columns, plot.rows);
  for (let row = 0; row < plot.rows; row += 1) {
    const values = pooled(plot.values.subarray(row * plot.columns, (row + 1) * plot.columns), columns);
    for (let k = 0; k < columns; k += 1) {
      const at = evidence && row * evidence.columns + Math.floor((k * evidence.columns) / columns);
      put(image.data, 4 * ((plot.rows - 1 - row) * columns + k), paint(values[k] / unit, evidence ? evidence.values[at] : null));
    }
  }
  blit(pen, image, left, 0, width - left, height - 16);
  pen.fillStyle = colour("--dim");
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  const rowHeight = (height - 16) / plot.rows;
  let last = Infinity;
  for (let row = 0; row < plot.rows; row += 1) {
    const y = (plot.rows - row - 0.5) * rowHeight;
    if (last - y < FONT_PX + 2) continue;
    last = y;
    pen.fillText(lagsS[row] < 1 ? `${Math.round(lagsS[row] * 1000)} ms` : `${lagsS[row].toFixed(1)} s`, left - 6, Math.max(y, 6));
  }
  drawSeconds(pen, { left, width, height, colour });
}

export function drawSquare(canvas, plot, [fromS, toS], evidence) {
  const { pen, width, height, colour } = sheetOf(canvas);
  const left = LEFT_PX;
  const side = Math.min(width - left, height - 16);
  const paint = painterOf(colour, evidence ? fullScale(evidence.values) : 1);
  const image = new ImageData(plot.columns, plot.rows);
  plot.values.forEach((value, k) => {
    const row = Math.floor(k / plot.columns);
    const at = 4 * ((plot.rows - 1 - row) * plot.columns + (k % plot.columns));
    put(image.data, at, paint(value / PLOT_FULL_MV, evidence ? evidence.values[k] : null));
  });
  blit(pen, image, left, 0, side, side);
  pen.fillStyle = colour("--dim");
  for (const second of [-0.2, 0, 0.2, 0.4].filter((each) => each <= toS)) {
    const share = (second - fromS) / (toS - fromS);
    const words = second === 0 ? "R" : `${second.toFixed(1)} s`;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    pen.fillText(words, Math.min(left + share * side, left + side - 15), side + 4);
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    pen.fillText(words, left - 6, Math.max(6, (1 - share) * side));
  }
}

// The waveform, and beneath it bars: up for, down against. `missingS`: stretches without samples.
export function drawWave(canvas, ecg, missingS, evidence) {
  const { pen, ratio, width, height, colour } = sheetOf(canvas);
  const left = LEFT_PX;
  const bottom = height - 16;
  const seconds = 10;
  const x = (k) => left + (k / ecg.length) * (width - left);
  const [low, high] = [Math.min(...ecg, -0.3), Math.max(...ecg, 0.5)];
  const tall = bottom * WAVE_SHARE - 4;
  const y = (mv) => 4 + ((high - mv) / (high - low)) * tall;
  const laneTop = bottom * WAVE_SHARE + 4;
  const zero = (laneTop + bottom) / 2;
  pen.fillStyle = colour("--dim");
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  pen.fillText("mV", left - 6, 10);
  if (evidence) drawBars(pen, evidence, { x, colour, zero, half: (bottom - laneTop) / 2, ratio, columns: Math.round((width - left) * ratio), left, laneTop, bottom, waveBottom: laneTop - 4 });
  pen.strokeStyle = colour("--text");
  pen.lineWidth = 1.3;
  pen.lineJoin = "round";
  pen.beginPath();
  let isDown = false;
  ecg.forEach((mv, k) => {
    const at = (k / ecg.length) * seconds;
    if (missingS.some(([from, to]) => at >= from && at < to)) isDown = false;
    else if (isDown) pen.lineTo(x(k), y(mv));
    else { pen.moveTo(x(k), y(mv)); isDown = true; }
  });
  pen.stroke();
  drawSeconds(pen, { left, width, height, colour });
}

function drawBars(pen, evidence, { colour, zero, half, ratio, columns, left, bottom, laneTop, waveBottom }) {
  const full = Math.max(...Array.from(evidence, Math.abs)) || 1;
  const bars = pooled(evidence, columns);
  const [speaksFor, against] = [colour("--for"), colour("--against")];
  bars.forEach((value, k) => {
    const size = Math.abs(value) / full;
    if (size < 0.01) return;
    pen.fillStyle = value < 0 ? against : speaksFor;
    const x = left + k / ratio;
    pen.globalAlpha = 0.45 * Math.min(1, size * 1.5);
    pen.fillRect(x, 0, 1 / ratio, waveBottom);
    pen.globalAlpha = 1;
    pen.fillRect(x, value < 0 ? zero : zero - half * size, 1 / ratio, half * size);
  });
  pen.fillStyle = colour("--dim");
  pen.fillRect(left, zero, columns / ratio, 1);
  pen.fillText("+", left - 6, laneTop + 5);
  pen.fillText("−", left - 6, bottom - 5);
}

function blit(pen, image, x, y, width, height) {
  const source = new OffscreenCanvas(image.width, image.height);
  source.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(source, x, y, width, height);
}

function drawSeconds(pen, { left, width, height, colour }) {
  pen.fillStyle = colour("--dim");
  pen.textBaseline = "alphabetic";
  const step = width < 500 ? 2 : 1;
  for (let second = 0; second <= 10; second += step) {
    pen.textAlign = second === 0 ? "left" : second === 10 ? "right" : "center";
    pen.fillText(second === 0 ? "0 s" : String(second), left + ((width - left) * second) / 10, height - 3);
  }
}
