// Binary message of /live -> { isHistory, segments }; the layout is dashboard/frames.py's.

const HEADER = 8;
const SEGMENT = 40;
const FLOAT32_MV = 1;
export const LEAD_OFF = 1;

export function decodeSamples(buffer) {
  const view = new DataView(buffer);
  if (view.getUint8(0) !== 0x57 || view.getUint8(1) !== 0x4c || view.getUint8(2) !== 1) {
    throw new Error("not a message of frames.py, version 1");
  }
  const isHistory = view.getUint8(3) === 1;
  const segments = [];
  let at = HEADER;
  for (let left = view.getUint32(4, true); left > 0; left -= 1) {
    const n = view.getUint32(at + 32, true);
    const encoding = view.getUint8(at + 3);
    const start = at + SEGMENT;
    const bytes = n * (encoding === FLOAT32_MV ? 4 : 2);
    segments.push({
      index: view.getUint16(at, true),
      flags: view.getUint8(at + 2),
      session: view.getUint32(at + 4, true),
      first: Number(view.getBigUint64(at + 8, true)),
      receivedUs: Number(view.getBigUint64(at + 16, true)),
      fs: view.getFloat64(at + 24, true),
      samples: encoding === FLOAT32_MV ? new Float32Array(buffer, start, n) : new Int16Array(buffer, start, n),
      scale: encoding === FLOAT32_MV ? 1 : 0.001,
    });
    at = start + bytes + ((4 - (bytes % 4)) % 4);
  }
  return { isHistory, segments };
}
