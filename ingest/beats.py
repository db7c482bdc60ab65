"""Samples of one lead -> R peaks, causally and within 0.4 s of the beat, and how readable the lead is.

A small network (`ingest.beat_network`) says for each 20 ms how surely a beat stood there; a beat is a top of
that answer that is high enough for its moment, and its R peak is the largest sample around. No search back:
nothing is ever told late.
"""

from collections import deque
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ingest.beat_network import (
    OUTPUTS,
    PAST_BINS,
    STRIDE,
    BeatNetwork,
    beginning,
    released,
    turned,
)
from ingest.beat_tops import AROUND, FIRST_FRAME, Stretch, Top, tops_of
from ingest.bins import MIN_FS_HZ, Binner, bin_together
from ingest.median import median_of
from ingest.pacing import reach_of, without_spikes

__all__ = ["MIN_FS_HZ", "BeatDetector", "find_together"]

FLOOR_MV = 0.1  # smallest complex believed, peak to peak; EC13 asks none below 0.15 mV to count
REFRACTORY_S = 0.17  # 340 bpm: what is faster than 300 must be known to be, or half of it would be shown
NOISY_LOGIT = -1.5  # added where beats are told wrongly anyway: a missed one there makes a false asystole
EARLY_S = 0.5  # no T wave is later
EARLY_SHARE, EARLY_LOGIT = 0.6, 0.7  # sooner than this share of the usual RR a beat must be surer ...
LATE_SHARE, LATE_LOGIT = 1.1, -0.7  # ... and later it may be less sure; between them logit 0
REMEMBERED = 8  # intervals
LONGEST_RR_S = 2.5
POLARITY_WEIGHT = 0.1
TURN_SHARE = 0.2  # of a complex by which it must lean the other way before the lowest sample is its R peak
QUALITY_FRAMES = 100  # 2 s
KEPT_S = 0.5  # of samples; a beat is told 0.31 to 0.35 s after it
FLUSH_S = 0.36  # of a constant decide all that is open
NOTHING = -99.0  # logit

Floats = NDArray[np.float32]
Scalar = TypeVar("Scalar", np.float32, np.uint8)


class BeatDetector:
    """Find R peaks in one lead of either polarity, at any rate from 100 to 1000 Hz.

    Raises ValueError for a lower rate. `network` is the released one unless another is to be judged.
    """

    def __init__(self, fs: float, network: BeatNetwork | None = None) -> None:
        self.fs = fs
        self.network = network or released()
        self.binner = Binner(fs)
        self._n = 0  # samples seen, missing ones included
        self._kept = round(KEPT_S * fs)
        self.reach = reach_of(fs)  # samples by which what is freed of spikes lies behind
        self._usual_rr_s = 0.0  # 0: not known yet
        self._rr_s: deque[float] = deque(maxlen=REMEMBERED)
        self._lean_mv = 0.0  # how much more R rises above the level than S falls below it, lately
        self._n_leans = 0
        self._is_upright = True  # the R peak is where the signal is highest, not lowest
        self._last: int | None = None  # newest R peak
        self._is_chained = False  # no gap since the newest beat
        self._open: list[int] = []  # told by a gap, not yet returned
        self._restart()

    def _restart(self) -> None:
        """Let the next sample be the first."""
        self.binner.restart()
        self.origin = self._n - self.reach  # the sample with which the first frame begins
        self.frames = 0  # since then
        self.bins = np.zeros(0, np.float32)  # PAST_BINS and what fills no frame yet; none at the beginning
        self.past = beginning(1)[:, 0]
        self.logits = np.full((QUALITY_FRAMES, OUTPUTS), NOTHING, np.float32)  # of the newest frames
        self.unreadable_sum = 0.0  # of the second of them
        self.samples_mv = np.zeros(self._kept, np.float32)  # the newest, freed of spikes
        self.ahead_mv = np.zeros(0, np.float32)  # as many again, not yet freed; none at the beginning

    @property
    def phase(self) -> tuple[int, int, int, bool]:
        """Detectors that agree in it, and get as many samples, may take them together."""
        return (self.binner.width, self.binner.to_edge, len(self.bins), bool(len(self.ahead_mv)))

    @property
    def unreadable(self) -> float | None:
        """Mean logit of the newest 2 s that beats are told wrongly there; None before there are so many."""
        if self.frames < QUALITY_FRAMES + FIRST_FRAME:
            return None
        return self.unreadable_sum / QUALITY_FRAMES

    def push(self, samples_mv: NDArray[np.floating]) -> NDArray[np.int64]:
        """Take the next samples (n_samples,); return the R peaks now sure, counted from the first sample."""
        found = find_together([self], samples_mv[None])[0] if len(samples_mv) else self.go_on(0, 0, [])
        return np.array(found, np.int64)

    def gap(self, n: int) -> None:
        """Pass over n missing samples; beats just before them are told as if a constant had come."""
        if len(self.ahead_mv):
            end, flush = self._n, round(FLUSH_S * self.fs)
            constant_mv = np.full((1, flush), self.ahead_mv[-1])
            self._open = [r_peak for r_peak in find_together([self], constant_mv)[0] if r_peak < end]
            self._n = end
        self._n += n
        self._is_chained = False
        self._restart()

    @property
    def oldest(self) -> int:
        """The sample, counted from the first, with which `samples_mv` begins."""
        return self._n - self.reach - self._kept

    def go_on(self, n: int, n_frames: int, tops: Sequence[Top]) -> list[int]:
        """Count n samples and their frames as taken; the R peaks that are sure, with what a gap left open."""
        self._n += n
        self.frames += n_frames
        found, self._open = self._open, []
        return found + [r_peak for top in tops if (r_peak := self._decide(top)) is not None]

    def _decide(self, top: Top) -> int | None:
        """The R peak of a top, in order; None where it is no beat."""
        logit, unreadable, highest, lowest, above_mv, below_mv = top
        size_mv = above_mv + below_mv
        self._n_leans += 1
        weight = POLARITY_WEIGHT if self._n_leans > 1 / POLARITY_WEIGHT else 1 / self._n_leans
        self._lean_mv += weight * (above_mv - below_mv - self._lean_mv)
        if abs(self._lean_mv) > TURN_SHARE * size_mv:
            self._is_upright = self._lean_mv > 0
        r_peak = highest if self._is_upright else lowest
        since_s = LONGEST_RR_S if self._last is None else (r_peak - self._last) / self.fs
        asked = self._asked(since_s) + (NOISY_LOGIT if unreadable > 0.0 else 0.0)
        if size_mv < FLOOR_MV or since_s < REFRACTORY_S or logit < asked:
            return None
        if self._is_chained and since_s < LONGEST_RR_S:
            self._rr_s.append(since_s)
            self._usual_rr_s = median_of(self._rr_s)
        self._last, self._is_chained = r_peak, True
        return r_peak

    def _asked(self, since_s: float) -> float:
        """Logit that a beat must reach, so long after the newest one."""
        if not self._usual_rr_s:
            return 0.0
        share = since_s / self._usual_rr_s
        if share < EARLY_SHARE and since_s < EARLY_S:
            return EARLY_LOGIT
        return LATE_LOGIT if share > LATE_SHARE else 0.0


def find_together(detectors: Sequence[BeatDetector], samples_mv: NDArray[np.floating]) -> list[list[int]]:
    """Let detectors of one network and phase take their next samples, each as if it were alone.

    `samples_mv` is (n_detectors, n_samples). Returns the R peaks of each that are now sure. An error leaves
    all of them as they were.
    """
    n = samples_mv.shape[1]
    raw_mv, whole_mv = _freed_of_spikes(detectors, samples_mv)
    means_mv, unfinished = bin_together([each.binner for each in detectors], whole_mv[:, -n:])
    bins, logits, past = _judged(detectors, means_mv)
    n_frames = logits.shape[1] - QUALITY_FRAMES
    tops = tops_of(_stretch(detectors, whole_mv, logits), LATE_LOGIT + NOISY_LOGIT)
    bins, logits = bins[:, STRIDE * n_frames :], logits[:, n_frames:]
    whole_mv, raw_mv = whole_mv[:, n:], raw_mv[:, n:]
    unreadable = np.add.reduce(logits[:, :, 1], axis=1).tolist()
    found = []
    for k, detector in enumerate(detectors):
        detector.binner.go_on(*unfinished[k])
        detector.bins = bins[k].copy()  # the whole belongs to many devices
        detector.past = past[k].copy()
        detector.logits, detector.unreadable_sum = logits[k].copy(), unreadable[k]
        detector.samples_mv, detector.ahead_mv = whole_mv[k].copy(), raw_mv[k].copy()
        found.append(detector.go_on(n, n_frames, tops[k]))
    return found


def _stretch(detectors: Sequence[BeatDetector], whole_mv: Floats, logits: Floats) -> Stretch:
    oldest, origin, frames = np.array([(each.oldest, each.origin, each.frames) for each in detectors]).T
    return Stretch(
        fs=detectors[0].fs,
        samples_mv=whole_mv,
        oldest=oldest,
        origin=origin,
        logits=logits[:, QUALITY_FRAMES - 2 * AROUND :],
        first_frame=frames - 2 * AROUND,
    )


def _freed_of_spikes(
    detectors: Sequence[BeatDetector], samples_mv: NDArray[np.floating]
) -> tuple[Floats, Floats]:
    """What is not yet freed of spikes, with the new samples; and what was kept, with what is now freed."""
    reach = detectors[0].reach
    ahead_mv = _rows([each.ahead_mv for each in detectors])
    kept_mv = _rows([each.samples_mv for each in detectors])
    if not ahead_mv.shape[1]:  # what was before is taken as what is
        ahead_mv = np.repeat(samples_mv[:, :1], 2 * reach, axis=1)
        kept_mv = np.repeat(samples_mv[:, :1], kept_mv.shape[1], axis=1)
    raw_mv = np.concatenate([ahead_mv, samples_mv], axis=1, dtype=np.float32)
    return raw_mv, np.concatenate([kept_mv, without_spikes(raw_mv, reach)], axis=1, dtype=np.float32)


def _judged(detectors: Sequence[BeatDetector], means_mv: Floats) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    """Bins (n_detectors, held + new), logits of the QUALITY_FRAMES and the new frames, and the new past."""
    held = _rows([each.bins for each in detectors])
    if not held.shape[1] and means_mv.shape[1]:
        held = np.repeat(means_mv[:, :1], PAST_BINS, axis=1)
    bins = np.concatenate([held, means_mv], axis=1)
    past = _rows([each.past for each in detectors])
    logits = _rows([each.logits for each in detectors])
    n_frames = max(0, bins.shape[1] - PAST_BINS) // STRIDE
    if n_frames:
        seen = bins[:, : PAST_BINS + STRIDE * n_frames]
        new_logits, later = detectors[0].network.logits(seen, turned(past))
        logits, past = np.concatenate([logits, new_logits.swapaxes(0, 1)], axis=1), turned(later)
    return bins, logits, past


def _rows(states: Sequence[NDArray[Scalar]]) -> NDArray[Scalar]:
    """Arrays of one shape as the rows of one; a third of what np.array costs."""
    return np.concatenate(states).reshape(len(states), *states[0].shape)
