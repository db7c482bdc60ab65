"""Samples of one lead -> R peaks, causally and within 0.4 s of the beat.

After Pan and Tompkins (IEEE Trans. Biomed. Eng. 32, 1985): band-pass, rectify, smooth, and compare each top
of the envelope with what beats and noise have been. We differ: no search back, so nothing is ever told late;
instead the threshold sinks towards the expected beat (after Christov, BioMed. Eng. OnLine 3:28, 2004), a top
yields to a larger one within a quarter of a second (P waves), and T waves are told by curvature, not slope.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.filters import StreamFilter, butterworth, filter_together

MIN_FS_HZ = 100.0  # below it the band's upper edge has no room
BAND_HZ = (6.0, 25.0)  # QRS energy, wide ventricular beats included; below 6 Hz T waves, above 25 Hz muscle
SMOOTH_HZ = 8.0  # one top for each complex of up to 160 ms
ENVELOPE_SHARE = 0.39  # envelope of a triangular QRS of 1 mV and 60-80 ms, measured, any fs from 100 Hz
FLOOR_MV = 0.1 * ENVELOPE_SHARE  # smallest QRS believed: 0.1 mV; EC13 asks none below 0.15 mV to count
REFRACTORY_S = 0.2
LOOK_AHEAD_S = 0.25  # a top waits this long for a larger one; with 60 ms of filter delay 0.31 s in all
SUPPRESS = 1.2  # a top beyond the refractory time must be this much larger to take over (P wave before QRS)
EARLY_SHARE = 0.5  # of the usual envelope, asked right after a beat ...
LATE_SHARE = 0.2  # ... and where the next beat is due
DUE_RR = 0.9  # share of the usual RR interval at which it is due
OVERDUE_RR = 1.5  # beyond this the share sinks further, so that a fallen amplitude is found again ...
OVERDUE_TO = 0.4  # ... to 0.4 of LATE_SHARE, never below FLOOR_MV: asystole must not become noise beats
NOISE_TIMES = 1.7  # envelope over that of the tops which were no beats ...
NOISE_CAP = 0.4  # ... but no more than this of a beat's: beats grown small must not pass for noise for ever
T_WAVE_S = 0.36  # sooner than this after a beat, a rounder or much smaller top is its T wave
T_WAVE_SHARE = 0.5  # of the beat's curvature: a 1.2 mV T of 180 ms has 0.5, a wide ventricular beat more
CURVATURE_S = 0.02  # second difference over 20 ms
COMPLEX_S = 0.14  # the R peak lies within this before the envelope's top
BAND_DELAY_S = 0.035  # of a QRS through BAND_HZ; median against the annotated R peaks of MIT-BIH
REMEMBERED = 8  # beats and intervals
USUAL_RR_S = 0.8  # until intervals are known
LONGEST_RR_S = 2.5
NOISE_WEIGHT = 0.1
LONG_AGO_S = 1e9  # before the first beat


@dataclass(frozen=True, slots=True, eq=False)
class Filtered:
    """What the filters of one detector made of its next samples."""

    banded: NDArray[np.float64]  # in the band; before the new samples those the detector kept
    n: int  # new samples
    envelope: NDArray[np.float64]  # its newest two samples
    tops: list[tuple[int, float]]  # (place, envelope); place 0 is the sample before the new ones
    states: tuple[NDArray[np.float64], NDArray[np.float64]]  # of the band and the smoothing filter


class BeatDetector:
    """Find R peaks in one lead of either polarity, at any rate from 100 to 1000 Hz.

    Raises ValueError for a lower rate.
    """

    def __init__(self, fs: float) -> None:
        if fs < MIN_FS_HZ:
            raise ValueError(f"fs is {fs} Hz, beats need at least {MIN_FS_HZ} Hz")
        self._fs = fs
        self.band = StreamFilter(butterworth(2, BAND_HZ, "bandpass", fs))
        self.smooth = StreamFilter(butterworth(2, (SMOOTH_HZ,), "lowpass", fs))
        self._look, self._refractory = round(LOOK_AHEAD_S * fs), round(REFRACTORY_S * fs)
        self._complex, self._bend = round(COMPLEX_S * fs), max(1, round(CURVATURE_S * fs))
        # From the beat before the oldest undecided top on: its curvature may still be asked for.
        self._kept = self._look + round(T_WAVE_S * fs) + self._complex + self._bend + 3
        self.banded = np.zeros(self._kept)  # newest samples in the band
        self.envelope = np.zeros(2)  # its newest two samples
        self._n = 0  # samples seen, missing ones included
        self._tops: deque[tuple[int, float]] = deque()  # (sample, envelope), still looking ahead
        self._found: list[int] = []
        self._envelopes: deque[float] = deque(maxlen=REMEMBERED)  # of beats
        self._rr_s: deque[float] = deque(maxlen=REMEMBERED)
        self._usual_rr_s = USUAL_RR_S
        self._usual_envelope: float | None = None
        self._last: int | None = None  # top of the newest beat
        self._last_envelope = 0.0
        self._last_curvature: float | None = None  # None: not asked for yet
        self._noise = 0.0  # envelope of tops that were no beats
        self._is_chained = False  # no gap since the newest beat

    def push(self, samples_mv: NDArray[np.floating]) -> NDArray[np.int64]:
        """Take the next samples (n_samples,); return the R peaks now sure, counted from the first sample."""
        if not len(samples_mv):
            return np.array(self._told(), np.int64)
        return np.array(self.take(filter_beats([self], samples_mv[None])[0]), np.int64)

    def take(self, filtered: Filtered) -> list[int]:
        """Take the next samples, filtered by `filter_beats`; return the R peaks now sure."""
        first = self._n - 1
        self.band.state, self.smooth.state = filtered.states
        self.banded, self.envelope = filtered.banded, filtered.envelope
        self._n += filtered.n
        for place, height in filtered.tops:
            self._settle_before(first + place)
            self._tops.append((first + place, height))
        self._settle_before(self._n - 1)
        self.banded = filtered.banded[-self._kept :].copy()  # the whole belongs to many devices
        return self._told()

    def gap(self, n: int) -> None:
        """Pass over n missing samples: what beats look like is remembered, what was filtered is not."""
        self._settle_before(self._n + self._look)
        self._curvature_of_last()
        self.band.settle()
        self.smooth.settle()
        self.banded = np.zeros(self._kept)
        self.envelope = np.zeros(2)
        self._n += n
        self._is_chained = False

    def _told(self) -> list[int]:
        found, self._found = self._found, []
        return found

    def _settle_before(self, sample: int) -> None:
        """Decide every top whose look-ahead ended before `sample`."""
        while self._tops and self._tops[0][0] + self._look < sample:
            top, height = self._tops.popleft()
            if not self._yields(top, height):
                self._decide(top, height)

    def _yields(self, top: int, height: float) -> bool:
        for after, rival in self._tops:
            if after > top + self._look:
                break
            if rival > (height if after < top + self._refractory else SUPPRESS * height):
                return True
        return False

    def _decide(self, top: int, height: float) -> None:
        since_s = LONG_AGO_S if self._last is None else (top - self._last) / self._fs
        if since_s < REFRACTORY_S:
            return
        usual = height if self._usual_envelope is None else self._usual_envelope
        asked = max(self._share(since_s) * usual, min(NOISE_TIMES * self._noise, NOISE_CAP * usual))
        threshold = max(FLOOR_MV, asked * self._overdue(since_s))
        if height < threshold or (since_s < T_WAVE_S and self._is_t_wave(top, height)):
            self._noise += NOISE_WEIGHT * (height - self._noise)
            return
        if self._is_chained and since_s < LONGEST_RR_S:
            self._rr_s.append(since_s)
            self._usual_rr_s = _median(self._rr_s)
        self._envelopes.append(min(height, 3 * usual))  # an artefact must not deafen
        self._usual_envelope = _median(self._envelopes)
        self._last, self._last_envelope, self._last_curvature = top, height, None
        self._is_chained = True
        self._found.append(self._r_peak(top))

    def _is_t_wave(self, top: int, height: float) -> bool:
        """True for a top soon after a beat that is much smaller or rounder than the beat was."""
        if height < EARLY_SHARE * self._last_envelope:
            return True
        return self._curvature(top) < T_WAVE_SHARE * self._curvature_of_last()

    def _share(self, since_s: float) -> float:
        """Share of the usual envelope that a top must reach, so long after the newest beat."""
        waited = min(1.0, max(0.0, (since_s - REFRACTORY_S) / (DUE_RR * self._usual_rr_s)))
        return EARLY_SHARE + (LATE_SHARE - EARLY_SHARE) * waited

    def _overdue(self, since_s: float) -> float:
        """Share of the threshold that is left when no beat came long after it was due."""
        return max(OVERDUE_TO, 1.0 - 0.5 * max(0.0, since_s - OVERDUE_RR * self._usual_rr_s))

    def _complex_before(self, top: int, after: int) -> tuple[NDArray[np.float64], int]:
        """The band-passed complex whose envelope tops at `top`, with its first sample."""
        oldest = self._n - len(self.banded)
        low = max(0, top - self._complex - oldest)
        return self.banded[low : top + after + 1 - oldest], low + oldest

    def _curvature(self, top: int) -> float:
        banded, _ = self._complex_before(top, after=self._bend)
        h = self._bend
        bends = banded[2 * h :] - 2 * banded[h:-h] + banded[: -2 * h]
        return float(np.abs(bends).max()) if len(bends) else 0.0

    def _curvature_of_last(self) -> float:
        if self._last_curvature is None:
            self._last_curvature = 0.0 if self._last is None else self._curvature(self._last)
        return self._last_curvature

    def _r_peak(self, top: int) -> int:
        banded, first = self._complex_before(top, after=0)
        return max(0, first + int(np.abs(banded).argmax()) - round(BAND_DELAY_S * self._fs))


def _median(values: deque[float]) -> float:
    """As statistics.median, at a third of its cost."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def filter_beats(detectors: Sequence[BeatDetector], samples_mv: NDArray[np.floating]) -> list[Filtered]:
    """Filter the next samples (n_detectors, n_samples) of detectors of one rate, each as if it were alone.

    The detectors are left as they are; give each its own with `take`.
    """
    n = samples_mv.shape[1]
    banded, band_states = filter_together([each.band for each in detectors], samples_mv)
    smoothed, smooth_states = filter_together([each.smooth for each in detectors], np.abs(banded))
    envelope = np.concatenate([np.array([each.envelope for each in detectors]), smoothed], axis=1)
    middle = envelope[:, 1:-1]
    is_top = (middle > envelope[:, :-2]) & (middle >= envelope[:, 2:]) & (middle > FLOOR_MV / 2)
    rows, places = np.nonzero(is_top)
    tops: list[list[tuple[int, float]]] = [[] for _ in detectors]
    for row, place, height in zip(rows.tolist(), places.tolist(), middle[rows, places].tolist(), strict=True):
        tops[row].append((place, height))
    banded = np.concatenate([np.array([each.banded for each in detectors]), banded], axis=1)
    newest = envelope[:, -2:].copy()
    return [
        Filtered(banded[k], n, newest[k], tops[k], (band_states[k], smooth_states[k]))
        for k in range(len(detectors))
    ]
