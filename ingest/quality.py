"""The last seconds of one lead -> what they are good for: good, lead off, flat, saturated or noisy, and why.

Whether beats can be told is answered by the network that tells them (`BeatDetector.unreadable`), which was
trained to know where it is wrong; here that answer becomes a state, and noise gets a name for people.
"""

from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

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
N_HALVES = round(BEATLESS_S / SWING_S)
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


# Once: each look at a member of an enum costs 0.1 us on Python 3.11.
_GOOD, _FLAT, _SATURATED = SignalState.GOOD, SignalState.FLAT, SignalState.SATURATED
_NOISY, _LEAD_OFF = SignalState.NOISY, SignalState.LEAD_OFF
_Floats = NDArray[np.float32]


class SignalQuality:
    """Judge one lead over its last 3 s."""

    def __init__(self, fs: float) -> None:
        self.fs = fs
        self._span = round(SPAN_S * fs)
        self._stretches: deque[_Floats] = deque()
        self._held = 0
        self._second = _whole_second(fs)
        self._n_whole = 0  # stretches in a row, the newest among them, that are a second long
        self._n_pushed = 0  # since `seconds` was told
        self.seconds: _Floats | None = None  # what is kept of three whole seconds, see `_summed`
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
        while self._held - (n_oldest := len(self._stretches[0])) >= self._span:
            self._held -= n_oldest
            self._stretches.popleft()
        self._n_whole = self._n_whole + 1 if n == self._second else 0
        self._n_pushed += 1

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
        self._held = self._n_whole = 0
        self._judged = self._unreadable = None

    def state(self) -> SignalState:
        """What holds now; good while there is too little to say otherwise."""
        if self._is_off:
            return _LEAD_OFF
        if self._since_clipped < self._span:
            return _SATURATED
        if self._held < self._span:
            return _GOOD
        if self._judged is None:
            judge_together([self])
        if self._judged is not None and self._judged is not _GOOD:
            return self._judged
        is_noisy = self._unreadable is not None and self._unreadable > UNREADABLE
        is_recovering = self._is_beatless and self._swing_mv > SWING_MV
        return _NOISY if is_noisy or is_recovering else _GOOD

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

    def unjudged_mv(self) -> tuple[int, list[_Floats]]:
        """Pieces of the newest 3 s where `state` depends on them and they were not judged yet, else none.

        The number tells how many whole seconds they are that `seconds` does not know: 1, where the two before
        are in it, or 3; 0 where they are other pieces.
        """
        span, held = self._span, self._held
        if self._judged is not None or self._is_off or self._since_clipped < span or held < span:
            return 0, []
        if self._n_whole >= 3:
            if self.seconds is not None and self._n_pushed == 1:
                return 1, [self._stretches[-1]]
            return 3, list(self._stretches)
        pieces = list(self._stretches)
        if held > span:
            pieces[0] = pieces[0][held - span :]
        return 0, pieces

    def judge(
        self, state: SignalState, range_mv: float, swing_mv: float, seconds: _Floats | None = None
    ) -> None:
        """Note what `unjudged_mv` was found to be; it holds until more samples come."""
        self._judged, self._range_mv, self._swing_mv = state, range_mv, swing_mv
        self.seconds, self._n_pushed = seconds, 0
        self.judged += 1


def _whole_second(fs: float) -> int | None:
    """Samples of a second where three make up the 3 s, and its halves the half seconds; else None."""
    second = round(fs)
    is_whole = round(SPAN_S * fs) == 3 * second and round(FLAT_SPAN_S * fs) == 2 * second == 4 * _half_of(fs)
    return second if is_whole and fs >= MIN_FS_HZ else None


def judge_together(qualities: Sequence[SignalQuality]) -> None:
    """Judge all that wait for it, each as if it were alone; those of one rate share the arithmetic."""
    groups: dict[tuple[float, int], tuple[list[SignalQuality], list[_Floats]]] = {}
    for quality in qualities:
        n_unsummed, pieces_mv = quality.unjudged_mv()
        if pieces_mv:
            several, all_mv = groups.setdefault((quality.fs, n_unsummed), ([], []))
            several.append(quality)
            all_mv += pieces_mv
    for (fs, n_unsummed), (several, all_mv) in groups.items():
        stretches_mv = np.concatenate(all_mv).reshape(len(several), -1)
        if n_unsummed:
            seconds = _summed(several, stretches_mv, n_unsummed)
            states = _states_of(_extremes_of_seconds(seconds, fs), fs)
            for quality, judged, kept in zip(several, states, seconds, strict=True):
                quality.judge(*judged, kept.copy())  # the whole would be kept by a lead that falls silent
        else:
            states = _states_of(_extremes_of(stretches_mv, fs), fs)
            for quality, judged in zip(several, states, strict=True):
                quality.judge(*judged)


class _Extremes(NamedTuple):
    """Of stretches of 3 s each."""

    range_mv: _Floats  # (n_stretches,) from peak to peak
    at_rail: _Floats  # (n_stretches,) samples that are the lowest one, or the highest if those are more
    newest_mv: _Floats  # (n_stretches,) from peak to peak of the newest 2 s
    swing_mv: _Floats  # (n_stretches,) how far means of half seconds of the newest 2 s lie apart


def _extremes_of(stretches_mv: _Floats, fs: float) -> _Extremes:
    """Of (n_stretches, n) samples, whole."""
    low_mv, high_mv = np.minimum.reduce(stretches_mv, 1), np.maximum.reduce(stretches_mv, 1)
    at_rail = np.maximum(_n_at(low_mv, stretches_mv), _n_at(high_mv, stretches_mv))
    newest_mv = np.ptp(stretches_mv[:, -round(FLAT_SPAN_S * fs) :], axis=1)
    swing_mv = np.zeros_like(low_mv)  # at rates at which no beats are told
    if fs >= MIN_FS_HZ:
        half = _half_of(fs)
        halves_mv = stretches_mv[:, -N_HALVES * half :].reshape(-1, N_HALVES, half)
        swing_mv = np.ptp(np.add.reduce(halves_mv, 2), axis=1) / half
    return _Extremes(high_mv - low_mv, at_rail, newest_mv, swing_mv)


def _summed(several: Sequence[SignalQuality], unsummed_mv: _Floats, n_unsummed: int) -> _Floats:
    """What is kept of each one's newest three seconds, (n, 3, 6), with the `n_unsummed` of `unsummed_mv`.

    The six: lowest and highest sample, how many samples are each of these, sums of the two halves.
    """
    seconds_mv = unsummed_mv.reshape(len(several) * n_unsummed, -1)
    new = np.empty((len(seconds_mv), 6), np.float32)
    np.minimum.reduce(seconds_mv, 1, out=new[:, 0])
    np.maximum.reduce(seconds_mv, 1, out=new[:, 1])
    new[:, 2], new[:, 3] = _n_at(new[:, 0], seconds_mv), _n_at(new[:, 1], seconds_mv)
    np.add.reduce(seconds_mv.reshape(len(new), 2, -1), 2, out=new[:, 4:])
    if n_unsummed == 3:
        return new.reshape(-1, 3, 6)
    kept = [each.seconds for each in several if each.seconds is not None]  # all of them
    before = np.concatenate(kept).reshape(-1, 3, 6)[:, 1:]
    return np.concatenate([before, new[:, None]], axis=1)


def _extremes_of_seconds(seconds: _Floats, fs: float) -> _Extremes:
    """The same as of the samples themselves, from what `_summed` kept of them (n_stretches, 3, 6)."""
    lows_mv, highs_mv = seconds[:, :, 0], seconds[:, :, 1]
    low_mv, high_mv = np.minimum.reduce(lows_mv, 1), np.maximum.reduce(highs_mv, 1)
    at_low = np.add.reduce(seconds[:, :, 2] * (lows_mv == low_mv[:, None]), 1)
    at_high = np.add.reduce(seconds[:, :, 3] * (highs_mv == high_mv[:, None]), 1)
    newest_mv = np.maximum.reduce(highs_mv[:, 1:], 1) - np.minimum.reduce(lows_mv[:, 1:], 1)
    swing_mv = np.ptp(seconds[:, 1:, 4:].reshape(-1, N_HALVES), axis=1) / _half_of(fs)
    return _Extremes(high_mv - low_mv, np.maximum(at_low, at_high), newest_mv, swing_mv)


def _n_at(values_mv: _Floats, stretches_mv: _Floats) -> _Floats:
    """How many samples of each stretch have its value; summed as bytes, half of what bool costs."""
    n_at: NDArray[np.uint32] = np.add.reduce(
        (stretches_mv == values_mv[:, None]).view(np.uint8), 1, np.uint32
    )
    return n_at.astype(np.float32)  # exact: fewer than 2**24


def _half_of(fs: float) -> int:
    """Samples of half a second."""
    return round(BEATLESS_S * fs) // N_HALVES


def _states_of(extremes: _Extremes, fs: float) -> list[tuple[SignalState, float, float]]:
    """Flat, saturated, absurd or good; mV from peak to peak, and of slow swing; for each stretch."""
    range_mv = extremes.range_mv
    is_flat = extremes.newest_mv * 1000.0 <= FLAT_UV
    is_absurd = ~(range_mv < ABSURD_MV)
    most = np.float64(RAIL_SHARE * round(SPAN_S * fs))
    is_saturated = (extremes.at_rail > most) & (range_mv >= RAIL_RANGE_MV)
    states = [_GOOD] * len(range_mv)
    for k in np.flatnonzero(is_flat | is_absurd | is_saturated).tolist():
        states[k] = _FLAT if is_flat[k] else _NOISY if is_absurd[k] else _SATURATED
    return list(zip(states, range_mv.tolist(), extremes.swing_mv.tolist(), strict=True))


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
