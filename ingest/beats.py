"""Samples of one lead -> R peaks, causally and within 0.4 s of the beat, and how readable the lead is.

A small network (`ingest.beat_network`) says for each 20 ms how surely a beat stood there; a beat is a top of
that answer that is high enough for its moment, and its R peak is the largest sample around. No search back:
nothing is ever told late.
"""

from collections import deque
from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from ingest.beat_memory import (
    QUALITY_FRAMES,
    Memory,
    beginning,
    gathered,
    newest_mv,
    rows_of,
)
from ingest.beat_network import PAST_BINS, QUICK_ROWS, STRIDE, BeatNetwork, released, turned
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
POLARITY_WEIGHT, SETTLED_LEANS = 0.1, 10  # before so many, all weigh the same
TURN_SHARE = 0.2  # of a complex by which it must lean the other way before the lowest sample is its R peak
KEPT_S = 0.5  # of samples; a beat is told 0.31 to 0.35 s after it
FLUSH_S = 0.36  # of a constant decide all that is open

Floats = NDArray[np.float32]
Phase = tuple[float, int, int]  # detectors that agree in it, and get as many samples, may take them together


class BeatDetector:
    """Find R peaks in one lead of either polarity, at any rate from 100 to 1000 Hz.

    Raises ValueError for a lower rate. `network` is the released one unless another is to be judged.
    """

    def __init__(self, fs: float, network: BeatNetwork | None = None) -> None:
        self.fs = fs
        self.network = network or released()
        self.binner = Binner(fs)
        self.n_seen = 0  # samples seen, missing ones included
        self.kept = round(KEPT_S * fs)  # samples
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
        self.origin = self.n_seen - self.reach  # the sample with which the first frame begins
        self.frames = 0  # since then
        self.memory = beginning(self.kept)
        self.unreadable_sum = 0.0  # of the logits of QUALITY_FRAMES
        self.phase: Phase = (self.fs, self.binner.to_edge, len(self.memory))

    @property
    def unreadable(self) -> float | None:
        """Mean logit of the newest 2 s that beats are told wrongly there; None before there are so many."""
        if self.frames < QUALITY_FRAMES + FIRST_FRAME:
            return None
        return self.unreadable_sum / QUALITY_FRAMES

    def push(self, samples_mv: NDArray[np.floating]) -> NDArray[np.int64]:
        """Take the next samples (n_samples,); return the R peaks now sure, counted from the first sample."""
        found = find_together([self], samples_mv[None])[0] if len(samples_mv) else self.go_on(0, 0)
        return np.array(found, np.int64)

    def gap(self, n: int) -> None:
        """Pass over n missing samples; beats just before them are told as if a constant had come."""
        last_mv = newest_mv(self.memory, self.kept, 2 * self.reach)
        if last_mv is not None:
            end, flush = self.n_seen, round(FLUSH_S * self.fs)
            constant_mv = np.full((1, flush), last_mv, np.float32)
            self._open = [r_peak for r_peak in find_together([self], constant_mv)[0] if r_peak < end]
            self.n_seen = end
        self.n_seen += n
        self._is_chained = False
        self._restart()

    def go_on(self, n: int, n_frames: int) -> list[int]:
        """Count n samples and their frames as taken; the R peaks that a gap left open."""
        self.n_seen += n
        self.frames += n_frames
        found, self._open = self._open, []
        return found

    def decide(self, top: Top) -> int | None:
        """The R peak of a top, in order; None where it is no beat."""
        logit, unreadable, highest, lowest, above_mv, below_mv = top
        size_mv = above_mv + below_mv
        self._n_leans += 1
        weight = POLARITY_WEIGHT if self._n_leans > SETTLED_LEANS else 1 / self._n_leans
        lean_mv = self._lean_mv
        lean_mv += weight * (above_mv - below_mv - lean_mv)
        self._lean_mv = lean_mv
        if abs(lean_mv) > TURN_SHARE * size_mv:
            self._is_upright = lean_mv > 0
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
    n, first = samples_mv.shape[1], detectors[0]
    memory = gathered([each.memory for each in detectors], first.kept, 2 * first.reach)
    raw_mv, whole_mv = _freed_of_spikes(memory, samples_mv, first.reach)
    means_mv, unfinished = bin_together([each.binner for each in detectors], whole_mv[:, -n:])
    judged = _judged(first.network, memory, means_mv)
    n_frames = judged.sure.shape[1] - memory.sure.shape[1]
    tops = tops_of(_stretch(detectors, whole_mv, judged), LATE_LOGIT + NOISY_LOGIT)
    later = Memory(
        judged.past,
        judged.unreadable[:, n_frames:],
        judged.sure[:, n_frames:],
        whole_mv[:, n:],
        raw_mv[:, n:],
        judged.bins_mv[:, STRIDE * n_frames :],
    )
    unreadable = np.add.reduce(later.unreadable, axis=1).tolist()
    to_edge, rows = unfinished[0][0], rows_of(later)
    phase = (first.fs, to_edge, len(rows[0]))
    found = []
    for detector, row, (_, begun), total in zip(detectors, rows, unfinished, unreadable, strict=True):
        detector.binner.go_on(to_edge, begun)
        detector.memory, detector.phase, detector.unreadable_sum = row, phase, total
        found.append(detector.go_on(n, n_frames))
    for k, top in zip(tops.row, zip(*tops[1:], strict=True), strict=True):
        r_peak = detectors[k].decide(top)
        if r_peak is not None:
            found[k].append(r_peak)
    return found


def _stretch(detectors: Sequence[BeatDetector], whole_mv: Floats, judged: Memory) -> Stretch:
    first = detectors[0]
    return Stretch(
        fs=first.fs,
        samples_mv=whole_mv,
        oldest=np.array([each.n_seen for each in detectors]) - first.reach - first.kept,
        origin=np.array([each.origin for each in detectors]),
        sure=judged.sure,
        unreadable=judged.unreadable[:, -judged.sure.shape[1] :],
        first_frame=np.array([each.frames for each in detectors]) - 2 * AROUND,
    )


def _freed_of_spikes(memory: Memory, samples_mv: NDArray[np.floating], reach: int) -> tuple[Floats, Floats]:
    """What is not yet freed of spikes, with the new samples; and what was kept, with what is now freed."""
    ahead_mv, kept_mv = memory.ahead_mv, memory.samples_mv
    if not ahead_mv.shape[1]:  # what was before is taken as what is
        ahead_mv = np.repeat(samples_mv[:, :1], 2 * reach, axis=1)
        kept_mv = np.repeat(samples_mv[:, :1], kept_mv.shape[1], axis=1)
    raw_mv = np.concatenate([ahead_mv, samples_mv], axis=1, dtype=np.float32)
    return raw_mv, np.concatenate([kept_mv, without_spikes(raw_mv, reach)], axis=1, dtype=np.float32)


def _judged(network: BeatNetwork, memory: Memory, means_mv: Floats) -> Memory:
    """The memory with new bins, the logits of the frames that they fill, and the past of the next ones."""
    held_mv = memory.bins_mv
    if not held_mv.shape[1] and means_mv.shape[1]:
        held_mv = np.repeat(means_mv[:, :1], PAST_BINS, axis=1)
    bins_mv = np.concatenate([held_mv, means_mv], axis=1)
    n_frames = max(0, bins_mv.shape[1] - PAST_BINS) // STRIDE
    if not n_frames:
        return memory._replace(bins_mv=bins_mv)
    beat, unreadable, past = _logits(network, bins_mv[:, : PAST_BINS + STRIDE * n_frames], memory.past)
    return memory._replace(
        past=past,
        sure=np.concatenate([memory.sure, beat], axis=1),
        unreadable=np.concatenate([memory.unreadable, unreadable], axis=1),
        bins_mv=bins_mv,
    )


def _logits(
    network: BeatNetwork, bins_mv: Floats, past: NDArray[np.uint8]
) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    """Both logits of each detector's new frames (n_detectors, n_frames), and the new past.

    As many at a time as the network computes quickly.
    """
    n, n_frames = len(bins_mv), (bins_mv.shape[1] - PAST_BINS) // STRIDE
    share = ceil(n / ceil(n * n_frames / QUICK_ROWS))
    beat, unreadable = np.empty((2, n, n_frames), np.float32)
    new_past = np.empty(past.shape, np.uint8)
    for k in range(0, n, share):
        logits, later = network.logits(bins_mv[k : k + share], turned(past[k : k + share]))
        beat[k : k + share], unreadable[k : k + share] = logits.transpose(2, 1, 0)
        new_past[k : k + share] = turned(later)
    return beat, unreadable, new_past
