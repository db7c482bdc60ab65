// The 0.5-40 Hz monitor filter: what a live trace and a stored strip have in common.

const HIGH_PASS_HZ = 0.5;
const LOW_PASS_HZ = 40;
const SETTLE_S = 0.5;

export class MonitorFilter {
  constructor(fs) {
    this.sections = [highPass(HIGH_PASS_HZ, fs)];
    if (fs > 2.5 * LOW_PASS_HZ) this.sections.push(lowPass(LOW_PASS_HZ, fs));
    this.held = 0;
  }

  // Start as after an endless constant: from zero a 0.8 mV offset rings for more than a second.
  settle(mv) {
    this.held = mv;
    this.sections[0].settle(mv);
    this.sections[1]?.settle(0);
  }

  // The next sample; over a hole (NaN) the filter sees the last value, and the hole stays one.
  push(mv) {
    const isMissing = Number.isNaN(mv);
    if (!isMissing) this.held = mv;
    let value = this.held;
    for (const section of this.sections) value = section.push(value);
    return isMissing ? NaN : value;
  }
}

// Samples in mV, NaN where none came -> the same, filtered from start to end.
export function filtered(samples, fs) {
  const filter = new MonitorFilter(fs);
  const first = [...samples.slice(0, Math.round(SETTLE_S * fs))].filter((mv) => !Number.isNaN(mv));
  filter.settle(first.length ? first.reduce((a, b) => a + b, 0) / first.length : 0);
  return samples.map((mv) => filter.push(mv));
}

// Second-order Butterworth sections (bilinear transform), direct form II transposed.
class Section {
  constructor(b0, b1, b2, a1, a2) {
    Object.assign(this, { b0, b1, b2, a1, a2, z1: 0, z2: 0 });
  }

  push(x) {
    const y = this.b0 * x + this.z1;
    this.z1 = this.b1 * x - this.a1 * y + this.z2;
    this.z2 = this.b2 * x - this.a2 * y;
    return y;
  }

  // The state after an endless constant x whose output is 0 (a high-pass).
  settle(x) {
    this.z1 = -this.b0 * x;
    this.z2 = this.b2 * x;
  }
}

function highPass(hz, fs) {
  const k = Math.tan((Math.PI * hz) / fs);
  const norm = 1 / (1 + Math.SQRT2 * k + k * k);
  return new Section(norm, -2 * norm, norm, 2 * (k * k - 1) * norm, (1 - Math.SQRT2 * k + k * k) * norm);
}

function lowPass(hz, fs) {
  const k = Math.tan((Math.PI * hz) / fs);
  const norm = 1 / (1 + Math.SQRT2 * k + k * k);
  const gain = k * k * norm;
  return new Section(gain, 2 * gain, gain, 2 * (k * k - 1) * norm, (1 - Math.SQRT2 * k + k * k) * norm);
}
