"""The last seconds of one lead -> what they are good for: good, lead off, flat, saturated or noisy, and why.

Whether beats can be told is answered by the network that tells them (`BeatDetector.unreadable`), which was
trained to know where it is wrong; here that answer becomes a state, and noise gets a name for people.
"""

from collections import deque
from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft, rfftfreq

from ingest.beats import MIN_FS_HZ, BeatDetector

SPAN_S = 3.0  # judged for saturation and the name of noise; plausibility looks at as much
FLAT_SPAN_S = 2.0  # a constant for so long is flat: no heart leaves one, and it must be shown within 5 s
FLAT_UV = 5.0  # one step of most wearables' converters; asystole still wanders and hums above it
RAIL_SHARE = 0.05  # share of samples at one extreme value that only a saturated input shows ...
RAIL_RANGE_MV = 1.0  # ... when it swings this far; a quiet lead repeats its few values too
UNREADABLE = -0.5  # mean logit of 2 s above which beats are not believed (`python -m benchmarks.quality`)
BEATLESS_S = 2.0  # without a beat; if meanwhile means of ...
SWING_S, SWING_MV = 0.5, 1.0  # ... half a second differ by so much, an overdriven input recovers, blind
ABSURD_MV = 1e3  # a volt from peak to peak is no signal of a heart


class SignalState(StrEnum):
    """What the last seconds of the signal are good for; the words are shown to people."""

    GOOD = "good"
    LEAD_OFF = "lead off"
    FLAT = "flat line"  # a constant value: an electrode or device failure, not asystole
    SATURATED = "saturated"
    NOISY = "noisy"
    SLOW_SAMPLING = "slow sampling"  # too few samples a second to find beats
    NO_DATA = "no data"


class Noise(StrEnum):
    """What makes a noisy signal so, as far as its spectrum tells; the words are shown to people."""

    WANDER = "baseline wander"
    MOTION = "electrode motion"
    MUSCLE = "muscle"
    MAINS = "mains hum"


# Root mean square in mV that a readable lead stays below in each band; the largest multiple names the noise.
NOISE_BANDS_HZ = {Noise.WANDER: (0.0, 0.8), Noise.MOTION: (0.8, 15.0), Noise.MUSCLE: (20.0, 200.0)}
READABLE_MV = {Noise.WANDER: 0.5, Noise.MOTION: 0.25, Noise.MUSCLE: 0.06, Noise.MAINS: 0.06}
MAINS_HZ, MAINS_HALF_HZ = (50.0, 60.0), 1.0


class SignalQuality:
    """Judge one lead over its last 3 s."""

    def __init__(self, fs: float) -> None:
        self.fs = fs
        self._span = round(SPAN_S * fs)
        self._stretches: deque[NDArray[np.float32]] = deque()
        self._held = 0
        self._is_off = False
        self._unreadable: float | None = None
        self._is_beatless = False
        self._since_clipped = self._span  # samples since the device last flagged it
        self._judged: SignalState | None = None  # of what is held now
        self._range_mv = self._swing_mv = 0.0
        self.judged = 0  # judgements so far, each with samples that were not there before

    def push(self, samples_mv: NDArray[np.float32], *, lead_off: bool, clipped: bool) -> None:
        """Take the next samples (n_samples,) with what the device says about all of them."""
        n = len(samples_mv)
        self._is_off = lead_off
        self._since_clipped = 0 if clipped else self._since_clipped + n
        self._stretches.append(samples_mv)
        self._held += n
        self._judged = None
        while self._held - len(self._stretches[0]) >= self._span:
            self._held -= len(self._stretches.popleft())

    def read(self, unreadable: float | None, since_beat_s: float | None = None) -> None:
        """Take what the beat detector says, None where it cannot yet.

        Args:
            unreadable: logit that beats are told wrongly, of the newest 2 s.
            since_beat_s: seconds of signal since the newest beat.
        """
        self._unreadable = unreadable
        self._is_beatless = since_beat_s is not None and since_beat_s >= BEATLESS_S

    def gap(self) -> None:
        """Samples are missing: judge only what comes after."""
        self._stretches.clear()
        self._held = 0
        self._judged = self._unreadable = None

    def state(self) -> SignalState:
        """What holds now; good while there is too little to say otherwise."""
        if self._is_off:
            return SignalState.LEAD_OFF
        if self._since_clipped < self._span:
            return SignalState.SATURATED
        if self._held < self._span:
            return SignalState.GOOD
        if self._judged is None:
            judge_together([self])
        if self._judged is not None and self._judged is not SignalState.GOOD:
            return self._judged
        is_noisy = self._unreadable is not None and self._unreadable > UNREADABLE
        is_recovering = self._is_beatless and self._swing_mv > SWING_MV
        return SignalState.NOISY if is_noisy or is_recovering else SignalState.GOOD

    def noise(self) -> Noise:
        """The name of the noise in the newest 3 s, for a state that is noisy."""
        return noise_of(self.newest_mv(), self.fs)

    @property
    def range_mv(self) -> float | None:
        """From peak to peak of the newest 3 s; None where `state` does not rest on them."""
        is_told = self._is_off or self._since_clipped < self._span
        return None if is_told or self._judged is None else self._range_mv

    def newest_mv(self) -> NDArray[np.float32]:
        """The newest 3 s of samples (n_samples,); fewer while there are no more."""
        return np.concatenate(self._stretches)[-self._span :]

    def unjudged_mv(self) -> list[NDArray[np.float32]]:
        """Pieces of the newest 3 s where `state` depends on them and they were not judged yet, else none."""
        is_told = self._is_off or self._since_clipped < self._span or self._held < self._span
        if is_told or self._judged is not None:
            return []
        pieces = list(self._stretches)
        if self._held > self._span:
            pieces[0] = pieces[0][self._held - self._span :]
        return pieces

    def judge(self, state: SignalState, range_mv: float, swing_mv: float) -> None:
        """Note what `unjudged_mv` was found to be; it holds until more samples come."""
        self._judged, self._range_mv, self._swing_mv = state, range_mv, swing_mv
        self.judged += 1


def judge_together(qualities: Sequence[SignalQuality]) -> None:
    """Judge all that wait for it, each as if it were alone; those of one rate share the arithmetic."""
    by_fs: dict[float, tuple[list[SignalQuality], list[NDArray[np.float32]]]] = {}
    for quality in qualities:
        pieces_mv = quality.unjudged_mv()
        if pieces_mv:
            several, all_mv = by_fs.setdefault(quality.fs, ([], []))
            several.append(quality)
            all_mv += pieces_mv
    for fs, (several, all_mv) in by_fs.items():
        states = _states_of(np.concatenate(all_mv).reshape(len(several), -1), fs)
        for quality, judged in zip(several, states, strict=True):
            quality.judge(*judged)


def _states_of(stretches_mv: NDArray[np.float32], fs: float) -> list[tuple[SignalState, float, float]]:
    """Flat, saturated, absurd or good; mV from peak to peak, and of slow swing; for each (n_stretches, n)."""
    low_mv, high_mv = np.minimum.reduce(stretches_mv, 1), np.maximum.reduce(stretches_mv, 1)
    range_mv = high_mv - low_mv
    # Summed as bytes: half of what bool costs.
    at_low = np.add.reduce((stretches_mv == low_mv[:, None]).view(np.uint8), 1, np.uint32)
    at_high = np.add.reduce((stretches_mv == high_mv[:, None]).view(np.uint8), 1, np.uint32)
    is_at_rail = np.maximum(at_low, at_high) > RAIL_SHARE * stretches_mv.shape[1]
    is_saturated = is_at_rail & (range_mv >= RAIL_RANGE_MV)
    newest_mv = stretches_mv[:, -round(FLAT_SPAN_S * fs) :]
    is_flat = np.ptp(newest_mv, axis=1) * 1000.0 <= FLAT_UV
    of_each = zip(is_flat, is_saturated, ~(range_mv < ABSURD_MV), strict=True)
    states = [_state_of(*flags) for flags in of_each]
    return list(zip(states, range_mv.tolist(), _swings_mv(stretches_mv, fs), strict=True))


def _swings_mv(stretches_mv: NDArray[np.float32], fs: float) -> list[float]:
    """How far means of half seconds of the newest 2 s lie apart; 0 at rates at which no beats are told."""
    if fs < MIN_FS_HZ:
        return [0.0] * len(stretches_mv)
    n_parts = round(BEATLESS_S / SWING_S)
    part = round(BEATLESS_S * fs) // n_parts
    parts_mv = stretches_mv[:, -n_parts * part :].reshape(-1, n_parts, part)
    swings_mv: list[float] = (np.ptp(np.add.reduce(parts_mv, 2), axis=1) / part).tolist()
    return swings_mv


def _state_of(is_flat: np.bool_, is_saturated: np.bool_, is_absurd: np.bool_) -> SignalState:
    if is_flat:
        return SignalState.FLAT
    if is_absurd:
        return SignalState.NOISY
    return SignalState.SATURATED if is_saturated else SignalState.GOOD


def is_noisy(samples_mv: NDArray[np.floating], fs: float) -> bool:
    """True when beats cannot be trusted at the end of this stretch (n_samples,) of 3 s or more."""
    if not np.ptp(samples_mv) < ABSURD_MV:
        return True
    if fs < MIN_FS_HZ:
        return False  # nobody looks for beats there
    detector = BeatDetector(fs)
    detector.push(samples_mv)
    return detector.unreadable is not None and detector.unreadable > UNREADABLE


def noise_of(samples_mv: NDArray[np.floating], fs: float) -> Noise:
    """Which noise exceeds by most what a readable lead has, in a stretch (n_samples,) that is noisy.

    A name for people, decided by four band powers; several at once get the largest one's name.
    """
    n = len(samples_mv)
    power = np.square(np.abs(rfft(samples_mv - samples_mv.mean()))) * (2.0 / n**2)
    hertz = rfftfreq(n, 1 / fs)
    is_mains = np.logical_or.reduce([np.abs(hertz - mains) <= MAINS_HALF_HZ for mains in MAINS_HZ])
    sizes_mv = {Noise.MAINS: float(np.sqrt(power[is_mains].sum()))}
    for noise, (low, high) in NOISE_BANDS_HZ.items():
        sizes_mv[noise] = float(np.sqrt(power[(hertz >= low) & (hertz < high) & ~is_mains].sum()))
    return max(Noise, key=lambda noise: sizes_mv[noise] / READABLE_MV[noise])
