"""Samples of one lead -> R peaks, causally and within 0.4 s of the beat, and how readable the lead is.

A small network (`ingest.beat_network`) says for each 20 ms how surely a beat stood there; a beat is a top of
that answer that is high enough for its moment, and its R peak is the largest sample around. No search back:
nothing is ever told late.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.beat_network import (
    DELAY_FRAMES,
    FRAME_HZ,
    OUTPUTS,
    PAST_BINS,
    STRIDE,
    BeatNetwork,
    beginning,
    released,
)
from ingest.bins import MIN_FS_HZ, Binner, bin_together

__all__ = ["MIN_FS_HZ", "BeatDetector", "find_together"]

AROUND = 2  # frames to each side over which a top must be the highest
FLOOR_MV = 0.1  # smallest complex believed, peak to peak; EC13 asks none below 0.15 mV to count
REFRACTORY_S = 0.2
SEARCH_S = 0.06  # the R peak lies within this of the top
EDGE_S = 0.015  # at each end of that stretch, whose mean is the level that R and S rise from
NOISY_LOGIT = -1.5  # added where beats are told wrongly anyway: a missed one there makes a false asystole
EARLY_SHARE, EARLY_LOGIT = 0.6, 0.7  # sooner than this share of the usual RR a beat must be surer ...
LATE_SHARE, LATE_LOGIT = 1.1, -0.7  # ... and later it may be less sure; between them logit 0
REMEMBERED = 8  # intervals
LONGEST_RR_S = 2.5
POLARITY_WEIGHT = 0.1
TURN_SHARE = 0.2  # of a complex by which it must lean the other way before the lowest sample is its R peak
QUALITY_FRAMES = 100  # 2 s
KEPT_S = 0.5  # of samples; a beat is told 0.31 to 0.35 s after it
FIRST_FRAME = DELAY_FRAMES + 3  # the network has seen too little before
FLUSH_S = 0.36  # of a constant decide all that is open
NOTHING = -99.0  # logit

Floats = NDArray[np.float32]


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
        self.origin = self._n  # the sample with which the first frame begins
        self.frames = 0  # since then
        self.bins = np.zeros(0, np.float32)  # PAST_BINS and what fills no frame yet; none at the beginning
        self.past = beginning(1)[:, 0]
        self.logits = np.full((QUALITY_FRAMES, OUTPUTS), NOTHING, np.float32)  # of the newest frames
        self.samples_mv = np.zeros(self._kept, np.float32)  # the newest

    @property
    def phase(self) -> tuple[int, int, int]:
        """Detectors that agree in it, and get as many samples, may take them together."""
        return (self.binner.width, self.binner.to_edge, len(self.bins))

    @property
    def unreadable(self) -> float | None:
        """Mean logit of the newest 2 s that beats are told wrongly there; None before there are so many."""
        if self.frames < QUALITY_FRAMES + FIRST_FRAME:
            return None
        return float(np.add.reduce(self.logits[:, 1])) / QUALITY_FRAMES

    def push(self, samples_mv: NDArray[np.floating]) -> NDArray[np.int64]:
        """Take the next samples (n_samples,); return the R peaks now sure, counted from the first sample."""
        if not len(samples_mv):
            return np.array(self.told([]), np.int64)
        return np.array(find_together([self], samples_mv[None])[0], np.int64)

    def gap(self, n: int) -> None:
        """Pass over n missing samples; beats just before them are told as if a constant had come."""
        if len(self.bins):
            end, flush = self._n, round(FLUSH_S * self.fs)
            constant_mv = np.full((1, flush), self.samples_mv[-1])
            self._open = [r_peak for r_peak in find_together([self], constant_mv)[0] if r_peak < end]
            self._n = end
        self._n += n
        self._is_chained = False
        self._restart()

    def told(self, found: list[int]) -> list[int]:
        """What a gap left open, then `found`."""
        opened, self._open = self._open, []
        return opened + found

    def pass_over(self, n: int) -> None:
        """Count samples that were taken."""
        self._n += n

    @property
    def oldest(self) -> int:
        """The sample, counted from the first, with which `samples_mv` begins."""
        return self._n - self._kept

    def decide(self, top: "Top") -> int | None:
        """The R peak of a top, in order; None where it is no beat."""
        size_mv = top.above_mv + top.below_mv
        self._n_leans += 1
        weight = max(POLARITY_WEIGHT, 1 / self._n_leans)
        self._lean_mv += weight * (top.above_mv - top.below_mv - self._lean_mv)
        if abs(self._lean_mv) > TURN_SHARE * size_mv:
            self._is_upright = self._lean_mv > 0
        r_peak = top.highest if self._is_upright else top.lowest
        since_s = LONGEST_RR_S if self._last is None else (r_peak - self._last) / self.fs
        asked = self._asked(since_s) + (NOISY_LOGIT if top.unreadable > 0.0 else 0.0)
        if size_mv < FLOOR_MV or since_s < REFRACTORY_S or top.logit < asked:
            return None
        if self._is_chained and since_s < LONGEST_RR_S:
            self._rr_s.append(since_s)
            self._usual_rr_s = _median(self._rr_s)
        self._last, self._is_chained = r_peak, True
        return r_peak

    def _asked(self, since_s: float) -> float:
        """Logit that a beat must reach, so long after the newest one."""
        if not self._usual_rr_s:
            return 0.0
        share = since_s / self._usual_rr_s
        if share < EARLY_SHARE:
            return EARLY_LOGIT
        return LATE_LOGIT if share > LATE_SHARE else 0.0


@dataclass(frozen=True, slots=True)
class Top:
    """A frame that is surer of a beat than those around it, and the signal there."""

    logit: float
    unreadable: float  # logit that beats are told wrongly about here
    highest: int  # sample, counted from the first
    lowest: int
    above_mv: float  # how far the highest sample rises above the level
    below_mv: float


def find_together(detectors: Sequence[BeatDetector], samples_mv: NDArray[np.floating]) -> list[list[int]]:
    """Let detectors of one network and phase take their next samples, each as if it were alone.

    `samples_mv` is (n_detectors, n_samples). Returns the R peaks of each that are now sure. An error leaves
    all of them as they were.
    """
    n = samples_mv.shape[1]
    new_mv, unfinished = bin_together([each.binner for each in detectors], samples_mv)
    held = np.array([each.bins for each in detectors])
    if not held.shape[1] and new_mv.shape[1]:
        held = np.repeat(new_mv[:, :1], PAST_BINS, axis=1)  # what was before is taken as what is
    bins = np.concatenate([held, new_mv], axis=1)
    n_frames = max(0, bins.shape[1] - PAST_BINS) // STRIDE
    past = np.array([each.past for each in detectors]).swapaxes(0, 1)
    logits = np.array([each.logits for each in detectors])
    if n_frames:
        new_logits, past = detectors[0].network.logits(bins[:, : PAST_BINS + STRIDE * n_frames], past)
        logits = np.concatenate([logits, new_logits.swapaxes(0, 1)], axis=1)
    held_mv = np.array([each.samples_mv for each in detectors])
    whole_mv = np.concatenate([held_mv, samples_mv], axis=1, dtype=np.float32)
    tops = _tops(detectors, logits[:, QUALITY_FRAMES - 2 * AROUND :], whole_mv)
    for k, (detector, state) in enumerate(zip(detectors, unfinished, strict=True)):
        detector.binner.go_on(*state)
        detector.bins = bins[k, STRIDE * n_frames :].copy()  # the whole belongs to many devices
        detector.past = past[:, k].copy()
        detector.logits = logits[k, -QUALITY_FRAMES:].copy()
        detector.samples_mv = whole_mv[k, n:].copy()
        detector.frames += n_frames
        detector.pass_over(n)
    return [
        each.told([r_peak for top in some if (r_peak := each.decide(top)) is not None])
        for each, some in zip(detectors, tops, strict=True)
    ]


def _tops(detectors: Sequence[BeatDetector], logits: Floats, whole_mv: Floats) -> list[list[Top]]:
    """Of each detector, before it goes on: its tops among the frames (n_detectors, 2 * AROUND + new)."""
    sure = logits[:, :, 0]
    middle = sure[:, AROUND:-AROUND]
    n = middle.shape[1]
    is_top = middle > LATE_LOGIT + NOISY_LOGIT
    for step in range(1, AROUND + 1):
        is_top &= (middle >= sure[:, AROUND - step :][:, :n]) & (middle > sure[:, AROUND + step :][:, :n])
    rows, columns = np.nonzero(is_top)
    tops: list[list[Top]] = [[] for _ in detectors]
    if not len(rows):
        return tops
    fs, search = detectors[0].fs, round(SEARCH_S * detectors[0].fs)
    oldest = np.array([each.oldest for each in detectors])[rows]  # sample with which whole_mv begins
    begun = np.array([each.origin for each in detectors])[rows]
    frames = np.array([each.frames for each in detectors])[rows] - AROUND + columns
    middle_sample = begun + np.rint((frames - DELAY_FRAMES + 0.5) * (fs / FRAME_HZ)).astype(np.int64)
    first = np.clip(middle_sample - search - oldest, 0, whole_mv.shape[1] - 2 * search - 1)
    around_mv = whole_mv[rows[:, None], first[:, None] + np.arange(2 * search + 1)]
    edge = max(1, round(EDGE_S * fs))
    level_mv = (np.add.reduce(around_mv[:, :edge], 1) + np.add.reduce(around_mv[:, -edge:], 1)) / (2 * edge)
    highest, lowest = around_mv.argmax(axis=1), around_mv.argmin(axis=1)
    each_row = np.arange(len(rows))
    told = zip(
        rows.tolist(),
        frames.tolist(),
        middle[rows, columns].tolist(),
        logits[rows, columns + AROUND, 1].tolist(),
        (first + oldest + highest).tolist(),
        (first + oldest + lowest).tolist(),
        (around_mv[each_row, highest] - level_mv).tolist(),
        (level_mv - around_mv[each_row, lowest]).tolist(),
        strict=True,
    )
    for row, frame, *top in told:
        if frame >= FIRST_FRAME:
            tops[row].append(Top(*top))
    return tops


def _median(values: deque[float]) -> float:
    """As statistics.median, at a third of its cost."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
