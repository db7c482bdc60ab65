// ECG paper at true scale on a canvas: 1 mm and 5 mm lines, and the calibration pulse.
//
// A sheet: { width, height, left, base, mm, ratio, pxPerMv }, all in device pixels; `left` is where time begins,
// `base` the height of 0 mV, `ratio` device pixels for a CSS pixel.

const CSS_PX_PER_MM = 96 / 25.4; // by CSS definition; a calibrated screen stores its own figure
const PULSE_MV = 1;

export function pxPerMm() {
  const stored = Number(window.wristlead.read("wristlead-px-per-mm"));
  return stored > 0 ? stored : CSS_PX_PER_MM;
}

export function drawGrid(pen, sheet, style) {
  drawLines(pen, sheet, 1, style.getPropertyValue("--grid-minor"));
  drawLines(pen, sheet, 5, style.getPropertyValue("--grid-major"));
}

// Lines on whole device pixels, counted from the baseline and the start of time, so that squares are crisp.
function drawLines(pen, { width, height, left, base, mm, ratio }, stepMm, colour) {
  pen.fillStyle = colour.trim();
  const line = Math.max(1, Math.round(ratio * 0.75));
  const step = stepMm * mm;
  for (let i = -Math.ceil(left / step); left + i * step < width; i += 1) {
    pen.fillRect(Math.round(left + i * step), 0, line, height);
  }
  for (let i = -Math.ceil(base / step); base + i * step < height; i += 1) {
    pen.fillRect(0, Math.round(base + i * step), width, line);
  }
}

export function drawPulse(pen, { base, mm, ratio, pxPerMv }, widthMm, style) {
  const top = base - PULSE_MV * pxPerMv;
  pen.strokeStyle = style.getPropertyValue("--dim").trim();
  pen.lineWidth = 1.4 * ratio;
  pen.lineJoin = "miter";
  pen.beginPath();
  pen.moveTo(0.5 * mm, base);
  pen.lineTo(1 * mm, base);
  pen.lineTo(1 * mm, top);
  pen.lineTo((1 + widthMm) * mm, top);
  pen.lineTo((1 + widthMm) * mm, base);
  pen.lineTo((1.5 + widthMm) * mm, base);
  pen.stroke();
}
