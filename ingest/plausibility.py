"""Whether what a device claims can be true: the unit by the size of its beats, the rate by arrival.

Nothing is corrected: a doubt is said in words, and a person looks. Pure; fed by the pipeline each second.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from ingest.clock import ClockFit
from ingest.quality import SignalQuality, SignalState, is_noisy

FACTOR = 1000.0  # uV taken for mV, mV for V, nV for uV: the mistakes that are made
LARGE_MV = 50.0  # over 3 s: 50 uV of an ECG, the smallest that is judged, taken 1000-fold
SMALL_MV = 0.02  # 20 mV taken a thousandth; no electrode on skin is so still
ECG_RANGE_MV = (0.1, 20.0)  # over 3 s, once the mistake is undone; wander included
QRS_HZ = (6.0, 25.0)
QRS_PEAK_MV = 0.05  # quantile 0.967 of the absolute QRS band, as in quality.py
QRS_KURTOSIS = 5.0  # 3 is noise; beats stand out
QRS_HALF_S = 0.08  # of a complex, about its largest deflection
QRS_APART_S = 0.25  # 240 bpm
ALIKE = 0.8  # correlation with the largest complex, which motion does not repeat
MIN_LEVELS = 24  # an idle converter shows a few values, whatever unit they are read in
LOOK_EVERY = 3  # judgements of quality, a second apart each: stretches of 3 s that do not overlap
VOTES, ENOUGH = 6, 5  # 18 s of them
MANY_SESSIONS, WITHIN_S = 6, 30.0  # a loose battery or a restarted app makes one or two
BROKEN = (
    f"stream in doubt: it began anew {MANY_SESSIONS} times within {WITHIN_S:.0f} s, too often for heart rate "
    "and verdicts; check the rate (fs), clock and counter of the device or its mapper"
)
RATE_LIMIT = 0.02  # share; crystals, and rates such as 511.4 for 512 Hz, stay below 1 %


class Plausibility:
    """Watch one session of one device; `doubts` may be asked each second."""

    def __init__(self, fs: float) -> None:
        self._fs = fs
        self._votes: deque[float] = deque(maxlen=VOTES)
        self._looked = 0
        self._unit: str | None = None
        self._rate: str | None = None
        self._compared: tuple[float, float] | None = None

    def doubts(self, quality: SignalQuality, clock: ClockFit) -> tuple[str, ...]:
        """Sentences for people, none when all is well. A sentence stays as it began until its doubt ends."""
        if quality.judged - self._looked >= LOOK_EVERY:
            self._looked = quality.judged
            self._vote(quality)
        between_hz = clock.fs_between
        if between_hz is not self._compared:  # it stays the same until an arrival counts
            self._compared = between_hz
            self._compare(between_hz)
        if self._unit is None and self._rate is None:
            return ()
        return tuple([each for each in (self._unit, self._rate) if each is not None])

    def _vote(self, quality: SignalQuality) -> None:
        range_mv = quality.range_mv
        if range_mv is None:  # lead off, clipped, or too short: no evidence
            return
        if SMALL_MV < range_mv < LARGE_MV:
            if quality.state() is SignalState.GOOD:
                self._votes.append(1.0)
        else:
            factor = 1 / FACTOR if range_mv >= LARGE_MV else FACTOR
            is_seen = is_ecg(quality.newest_mv() * np.float32(factor), self._fs)
            self._votes.append(factor if is_seen else 0.0)  # one of motion in eight looks like beats
        if self._votes.count(1.0) >= ENOUGH:
            self._unit = None
        elif self._unit is None:
            if self._votes.count(1 / FACTOR) >= ENOUGH:
                size = f"{range_mv:.0f} mV from peak to peak, about 1000 times too large"
                self._unit = f"unit in doubt: {size} for an ECG"
            elif self._votes.count(FACTOR) >= ENOUGH:
                size = f"{1000 * range_mv:.2g} uV from peak to peak, about 1000 times too small"
                self._unit = f"unit in doubt: {size} for an ECG"

    def _compare(self, between_hz: tuple[float, float] | None) -> None:
        if between_hz is None:
            return
        low_hz, high_hz = between_hz
        if low_hz > self._fs * (1 + RATE_LIMIT):
            certain, way, seen_hz = low_hz / self._fs - 1, "more", (low_hz + high_hz) / 2
        elif high_hz < self._fs * (1 - RATE_LIMIT):
            certain, way, seen_hz = 1 - high_hz / self._fs, "fewer", (low_hz + high_hz) / 2
        else:
            self._rate = None
            return
        if self._rate is None:
            told = f"claims {self._fs:g} Hz, its samples arrive at {seen_hz:.4g} Hz"
            self._rate = f"rate in doubt: {told} (at least {100 * certain:.0f} % {way})"


class Beginnings:
    """When the sessions of one device began, by arrival in seconds; outlives each of them.

    A clock that contradicts the claimed rate makes every message a session, too short to judge unit or rate.
    """

    def __init__(self) -> None:
        self._began_s: deque[float] = deque(maxlen=MANY_SESSIONS)

    def begin(self, received_s: float) -> None:
        """A session begins."""
        self._began_s.append(received_s)

    def doubts(self, now_s: float) -> tuple[str, ...]:
        """One sentence while sessions follow each other too fast."""
        is_broken = len(self._began_s) == MANY_SESSIONS and now_s - self._began_s[0] <= WITHIN_S
        return (BROKEN,) if is_broken else ()


def is_ecg(stretch_mv: NDArray[np.float32], fs: float) -> bool:
    """True when these 3 s (n_samples,) hold beats of a size that skin electrodes see, over little noise."""
    range_mv = float(np.ptp(stretch_mv))
    if not ECG_RANGE_MV[0] <= range_mv <= ECG_RANGE_MV[1] or len(np.unique(stretch_mv)) < MIN_LEVELS:
        return False
    n = len(stretch_mv)
    drift_mv = np.linspace(stretch_mv[0], stretch_mv[-1], n)  # else its end would be a jump to the spectrum
    hertz = np.fft.rfftfreq(n, 1 / fs)
    qrs_mv = irfft(rfft(stretch_mv - drift_mv) * ((hertz >= QRS_HZ[0]) & (hertz < QRS_HZ[1])), n)
    power = np.square(qrs_mv)
    kurtosis = np.square(power).mean() / (np.square(power.mean()) + 1e-12)
    peak_mv = np.quantile(np.abs(qrs_mv), 0.967)
    if peak_mv < QRS_PEAK_MV or kurtosis < QRS_KURTOSIS or not _repeats(qrs_mv, fs):
        return False
    quality = SignalQuality(fs)
    quality.push(stretch_mv, lead_off=False, clipped=False)
    return quality.state() is SignalState.GOOD and not is_noisy(stretch_mv, fs)


def _repeats(qrs_mv: NDArray[np.floating], fs: float) -> bool:
    """True when there are two or more large deflections and most are alike."""
    half, apart, stray = (max(1, round(s * fs)) for s in (QRS_HALF_S, QRS_APART_S, QRS_HALF_S / 2))
    size, edge = np.abs(qrs_mv), half + stray
    size[:edge] = size[-edge:] = 0.0
    smallest, places = 0.5 * size.max(), list[int]()
    while (place := int(size.argmax())) and size[place] > smallest:
        places.append(place)
        size[max(0, place - apart) : place + apart] = 0.0
    if len(places) < 2:
        return False
    largest = qrs_mv[places[0] - half : places[0] + half]
    shifted = np.lib.stride_tricks.sliding_window_view(qrs_mv, len(largest))
    near = [shifted[place - half - stray : place - half + stray + 1] for place in places[1:]]
    alike = [(each @ largest / np.linalg.norm(each, axis=1)).max() / np.linalg.norm(largest) for each in near]
    return bool(np.median(alike) >= ALIKE)
