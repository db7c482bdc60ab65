// Runs in the measured page, beside the wall: counts frames and follows chunks to the screen. Keeps no memory that
// grows. `facts`: start_us, chunk_s, panels (benchmarks/wall_ward.py's schedule).
async (facts) => {
  const { Stream } = await import("/assets/stream.mjs");
  const { live } = window.wristlead;
  const BINS = 5000; // of a millisecond; slower counts as the last
  const probe = {
    overdue: new Uint32Array(BINS), beyond: new Uint32Array(BINS), whole: new Uint32Array(BINS), intervals: new Uint32Array(BINS),
    frames: 0, moved: 0, late: 0, steps: new Map(),
  };
  const waiting = new Map(); // stream -> chunks that have come and are not on screen
  let drawn = []; // chunks drawn in the frame before: on screen when the next frame begins
  let isOn = false;
  let last = 0;
  const count = (bins, ms) => { bins[Math.max(0, Math.min(BINS - 1, Math.round(ms)))] += 1; };
  const bedOf = (stream) => {
    for (const [device, each] of live.streams) if (each === stream) return Number(device.slice(-3));
    return null;
  };

  const { take } = Stream.prototype;
  Stream.prototype.take = function taken(segment, nowMs, isHistory) {
    take.call(this, segment, nowMs, isHistory);
    if (isHistory) return;
    if (!waiting.has(this)) waiting.set(this, { bed: bedOf(this), chunks: [] });
    const { chunks } = waiting.get(this);
    chunks.push({ end: segment.first + segment.samples.length, fs: segment.fs, arrivedMs: performance.now() });
    if (chunks.length > 100) chunks.shift();
  };

  const frame = (now) => {
    if (isOn) {
      probe.frames += 1;
      count(probe.intervals, now - last);
      for (const { bed, end, fs, arrivedMs, dueMs } of drawn) {
        const at = facts.start_us / 1000 - performance.timeOrigin;
        const publishedMs = at + 1000 * ((facts.chunk_s * bed) / facts.panels + end / fs);
        count(probe.whole, now - publishedMs);
        const overdueMs = Math.max(0, now - Math.max(arrivedMs, dueMs));
        count(probe.overdue, overdueMs);
        count(probe.beyond, arrivedMs - publishedMs + overdueMs);
      }
    }
    last = now;
    drawn = [];
    let hasMoved = false;
    for (const [stream, { bed, chunks }] of waiting) {
      if (stream.shownCount !== stream.probedCount) {
        stream.probedCount = stream.shownCount;
        hasMoved = true;
        if (isOn) probe.steps.set(bed, (probe.steps.get(bed) ?? 0) + 1);
      }
      while (chunks.length && chunks[0].end <= Math.floor(stream.playhead)) {
        const chunk = chunks.shift();
        drawn.push({ ...chunk, bed, dueMs: 1000 * (stream.delay + chunk.end / chunk.fs) });
      }
    }
    if (isOn && hasMoved) probe.moved += 1;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);

  const quantile = (bins, share) => {
    const total = bins.reduce((sum, n) => sum + n, 0);
    if (total === 0) return null;
    let sum = 0;
    return bins.findIndex((n) => (sum += n) >= share * total);
  };
  window.wallProbe = {
    begin() {
      for (const bins of [probe.overdue, probe.beyond, probe.whole, probe.intervals]) bins.fill(0);
      Object.assign(probe, { frames: 0, moved: 0, steps: new Map(), startedMs: performance.now() });
      probe.dropped = live.state.dropped;
      isOn = true;
    },
    end() {
      isOn = false;
      const seconds = (performance.now() - probe.startedMs) / 1000;
      const steps = [...probe.steps.values()].sort((a, b) => a - b);
      return {
        seconds, frames: probe.frames, fps: probe.moved / seconds,
        trace_fps_lowest: steps.length === facts.panels ? steps[0] / seconds : 0,
        trace_fps_median: (steps[steps.length >> 1] ?? 0) / seconds,
        frame_p95_ms: quantile(probe.intervals, 0.95), frame_max_ms: quantile(probe.intervals, 1),
        overdue_p50_ms: quantile(probe.overdue, 0.5), overdue_p95_ms: quantile(probe.overdue, 0.95),
        beyond_p50_ms: quantile(probe.beyond, 0.5), beyond_p95_ms: quantile(probe.beyond, 0.95),
        whole_p50_ms: quantile(probe.whole, 0.5), whole_p95_ms: quantile(probe.whole, 0.95),
        dropped_segments: live.state.dropped - probe.dropped,
      };
    },
  };
}
