"""The last seconds of one lead -> what they are good for: good, lead off, flat, saturated or noisy."""

from collections import deque
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

SPAN_S = 3.0  # long enough for a beat at 20 bpm, short enough to show a loose lead within 5 s
FLAT_UV = 5.0  # one step of most wearables' converters; asystole still wanders and hums above it
RAIL_SHARE = 0.1  # share of samples at one extreme value that only a saturated input shows


class SignalState(StrEnum):
    """What the last seconds of the signal are good for; the words are shown to people."""

    GOOD = "good"
    LEAD_OFF = "lead off"
    FLAT = "flat line"  # a constant value: an electrode or device failure, not asystole
    SATURATED = "saturated"
    NOISY = "noisy"
    NO_DATA = "no data"


class SignalQuality:
    """Judge one lead over its last 3 s."""

    def __init__(self, fs: float) -> None:
        self._fs = fs
        self._span = round(SPAN_S * fs)
        self._stretches: deque[NDArray[np.float32]] = deque()
        self._held = 0
        self._since_off = self._since_clipped = self._span  # samples since the device last flagged it

    def push(self, samples_mv: NDArray[np.float32], *, lead_off: bool, clipped: bool) -> None:
        """Take the next samples (n_samples,) with what the device says about them."""
        n = len(samples_mv)
        self._since_off = 0 if lead_off else self._since_off + n
        self._since_clipped = 0 if clipped else self._since_clipped + n
        self._stretches.append(samples_mv)
        self._held += n
        while self._held - len(self._stretches[0]) >= self._span:
            self._held -= len(self._stretches.popleft())

    def gap(self) -> None:
        """Samples are missing: judge only what comes after."""
        self._stretches.clear()
        self._held = 0

    def state(self) -> SignalState:
        """The worst that holds now."""
        if self._since_off == 0:
            return SignalState.LEAD_OFF
        if self._held < self._span // 3:
            return SignalState.GOOD
        x = np.concatenate(self._stretches)[-self._span :]
        low, high = float(x.min()), float(x.max())
        if len(x) >= self._span and (high - low) * 1000.0 <= FLAT_UV:
            return SignalState.FLAT
        at_rail = max(np.count_nonzero(x == low), np.count_nonzero(x == high))
        if self._since_clipped < self._span or at_rail > RAIL_SHARE * len(x):
            return SignalState.SATURATED
        return SignalState.GOOD
