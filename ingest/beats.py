"""Samples of one lead -> R peaks, causally and within 0.4 s of the beat."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.filters import StreamFilter, butterworth

BAND_HZ = (8.0, 20.0)
SMOOTH_HZ = 6.0
BAND_ORDER = 2
SMOOTH_ORDER = 2
FLOOR_MV = 0.03
REFRACTORY_S = 0.2
LOOK_AHEAD_S = 0.16
T_WAVE_S = 0.36
T_WAVE_SHARE = 0.5
HIGH, LOW = 0.6, 0.25
NOISE_TIMES = 2.0


class BeatDetector:
    def __init__(self, fs: float) -> None:
        self._fs = fs
        self._band = StreamFilter(butterworth(BAND_ORDER, BAND_HZ, "bandpass", fs))
        self._smooth = StreamFilter(butterworth(SMOOTH_ORDER, (SMOOTH_HZ,), "lowpass", fs))
        self._n = 0  # samples seen
        self._look = round(LOOK_AHEAD_S * fs)
        self._refr = round(REFRACTORY_S * fs)
        self._hist = round(1.0 * fs)
        self._e = np.zeros(self._hist)
        self._x = np.zeros(self._hist)
        self._pending: list[tuple[int, float]] = []
        self._amps: deque[float] = deque(maxlen=8)
        self._rr = deque(maxlen=8)
        self._last = -(10**9)
        self._last_amp = 0.0
        self._noise = 0.0

    def push(self, samples_mv):
        x = self._band.push(np.asarray(samples_mv, np.float64))
        e = self._smooth.push(np.abs(x))
        E = np.concatenate([self._e, e])
        X = np.concatenate([self._x, x])
        n0 = self._n - self._hist
        i = np.arange(self._hist - 1, len(E) - 1)
        mid = E[i]
        top = i[(mid > E[i - 1]) & (mid >= E[i + 1]) & (mid > FLOOR_MV * 0.5)]
        self._n += len(x)
        out = []
        for k in top:
            out += self._resolve(n0 + int(k), E, X, n0)
            v = float(E[k])
            if self._pending and n0 + int(k) - self._pending[-1][0] < self._refr:
                if v > self._pending[-1][1]:
                    self._pending[-1] = (n0 + int(k), v)
            else:
                self._pending.append((n0 + int(k), v))
        out += self._resolve(self._n - 1, E, X, n0)
        self._e = E[-self._hist :]
        self._x = X[-self._hist :]
        return np.array(out, np.int64)

    def gap(self, n):
        self._band.settle()
        self._smooth.settle()
        self._n += n
        self._pending.clear()
        self._e[:] = 0
        self._x[:] = 0

    def _resolve(self, now, E, X, n0):
        out = []
        while self._pending and self._pending[0][0] + self._look <= now:
            p, v = self._pending.pop(0)
            r = self._decide(p, v, E, X, n0)
            if r is not None:
                out.append(r)
        return out

    def _decide(self, p, v, E, X, n0):
        fs = self._fs
        dt = (p - self._last) / fs
        amp = float(np.median(self._amps)) if self._amps else v
        rr = float(np.median(self._rr)) if self._rr else 0.8
        if dt < REFRACTORY_S:
            return None
        frac = LOW + (HIGH - LOW) * min(1, max(0.0, 1 - (dt - 0.2) / (0.9 * rr)))
        thr = max(FLOOR_MV, frac * amp, NOISE_TIMES * self._noise)
        if dt < T_WAVE_S and v < T_WAVE_SHARE * self._last_amp:
            thr = 1e9
        if dt > 1.5 * rr:
            thr = max(FLOOR_MV, thr * max(0.4, 1 - 0.5 * (dt - 1.5 * rr)))
        if v < thr:
            self._noise += 0.1 * (v - self._noise)
            return None
        if dt < 2.5:
            self._rr.append(dt)
        self._amps.append(min(v, 3 * amp))
        self._last, self._last_amp = p, v
        a = max(0, p - n0 - round(0.16 * fs))
        b = p - n0
        r = a + int(np.argmax(np.abs(X[a : b + 1]))) + n0
        return r - round(0.02 * fs)
