"""Samples of one lead -> R peaks, causally and within 0.4 s of the beat.

After Pan and Tompkins (IEEE Trans. Biomed. Eng. 32, 1985): band-pass, rectify, smooth, and compare each top
of the envelope with what beats and noise have been. We differ: no search back, so nothing is ever told late;
instead the threshold sinks towards the expected beat (after Christov, BioMed. Eng. OnLine 3:28, 2004), a top
yields to a larger one within a quarter of a second (P waves), and T waves are told by curvature, not slope.
"""

from collections import deque
from statistics import median

import numpy as np
from numpy.typing import NDArray

from ingest.filters import StreamFilter, butterworth

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


class BeatDetector:
    """Find R peaks in one lead of either polarity, at any rate from 100 to 1000 Hz.

    Raises ValueError for a lower rate.
    """

    def __init__(self, fs: float) -> None:
        if fs < MIN_FS_HZ:
            raise ValueError(f"fs is {fs} Hz, beats need at least {MIN_FS_HZ} Hz")
        self._fs = fs
        self._band = StreamFilter(butterworth(2, BAND_HZ, "bandpass", fs))
        self._smooth = StreamFilter(butterworth(2, (SMOOTH_HZ,), "lowpass", fs))
        self._look, self._refractory = round(LOOK_AHEAD_S * fs), round(REFRACTORY_S * fs)
        self._complex, self._bend = round(COMPLEX_S * fs), max(1, round(CURVATURE_S * fs))
        self._kept = self._look + self._complex + self._bend + 2
        self._banded = np.zeros(self._kept)  # newest samples in the band
        self._envelope = np.zeros(2)  # its newest two samples
        self._n = 0  # samples seen, missing ones included
        self._tops: deque[tuple[int, float]] = deque()  # (sample, envelope), still looking ahead
        self._found: list[int] = []
        self._envelopes: deque[float] = deque(maxlen=REMEMBERED)  # of beats
        self._rr_s: deque[float] = deque(maxlen=REMEMBERED)
        self._usual_rr_s = USUAL_RR_S
        self._usual_envelope: float | None = None
        self._last: int | None = None  # top of the newest beat
        self._last_envelope = self._last_curvature = 0.0
        self._noise = 0.0  # envelope of tops that were no beats
        self._is_chained = False  # no gap since the newest beat

    def push(self, samples_mv: NDArray[np.floating]) -> NDArray[np.int64]:
        """Take the next samples (n_samples,); return the R peaks now sure, counted from the first sample."""
        if len(samples_mv):
            banded = self._band.push(np.asarray(samples_mv, np.float64))
            envelope = np.concatenate([self._envelope, self._smooth.push(np.abs(banded))])
            self._banded = np.concatenate([self._banded[-self._kept :], banded])
            middle = envelope[1:-1]
            is_top = (middle > envelope[:-2]) & (middle >= envelope[2:]) & (middle > FLOOR_MV / 2)
            at = np.flatnonzero(is_top)
            first = self._n - 1  # of `middle`
            self._n += len(banded)
            self._envelope = envelope[-2:]
            for sample, height in zip((at + first).tolist(), middle[at].tolist(), strict=True):
                self._settle_before(sample)
                self._tops.append((sample, height))
            self._settle_before(self._n - 1)
        found, self._found = self._found, []
        return np.array(found, np.int64)

    def gap(self, n: int) -> None:
        """Pass over n missing samples: what beats look like is remembered, what was filtered is not."""
        self._settle_before(self._n + self._look)
        self._band.settle()
        self._smooth.settle()
        self._banded = np.zeros(self._kept)
        self._envelope = np.zeros(2)
        self._n += n
        self._is_chained = False

    def _settle_before(self, sample: int) -> None:
        """Decide every top whose look-ahead ended before `sample`."""
        while self._tops and self._tops[0][0] + self._look < sample:
            top, height = self._tops.popleft()
            if not self._yields(top, height):
                self._decide(top, height)

    def _yields(self, top: int, height: float) -> bool:
        return any(
            after <= top + self._look
            and rival > (height if after < top + self._refractory else SUPPRESS * height)
            for after, rival in self._tops
        )

    def _decide(self, top: int, height: float) -> None:
        since_s = np.inf if self._last is None else (top - self._last) / self._fs
        if since_s < REFRACTORY_S:
            return
        usual = height if self._usual_envelope is None else self._usual_envelope
        asked = max(self._share(since_s) * usual, min(NOISE_TIMES * self._noise, NOISE_CAP * usual))
        threshold = max(FLOOR_MV, asked * self._overdue(since_s))
        is_beat = height >= threshold
        curvature = self._curvature(top) if is_beat else 0.0
        if since_s < T_WAVE_S:
            is_beat &= curvature >= T_WAVE_SHARE * self._last_curvature
            is_beat &= height >= EARLY_SHARE * self._last_envelope
        if not is_beat:
            self._noise += NOISE_WEIGHT * (height - self._noise)
            return
        if self._is_chained and since_s < LONGEST_RR_S:
            self._rr_s.append(since_s)
            self._usual_rr_s = median(self._rr_s)
        self._envelopes.append(min(height, 3 * usual))  # an artefact must not deafen
        self._usual_envelope = median(self._envelopes)
        self._last, self._last_envelope, self._last_curvature = top, height, curvature
        self._is_chained = True
        self._found.append(self._r_peak(top))

    def _share(self, since_s: float) -> float:
        """Share of the usual envelope that a top must reach, so long after the newest beat."""
        waited = min(1.0, max(0.0, (since_s - REFRACTORY_S) / (DUE_RR * self._usual_rr_s)))
        return EARLY_SHARE + (LATE_SHARE - EARLY_SHARE) * waited

    def _overdue(self, since_s: float) -> float:
        """Share of the threshold that is left when no beat came long after it was due."""
        return max(OVERDUE_TO, 1.0 - 0.5 * max(0.0, since_s - OVERDUE_RR * self._usual_rr_s))

    def _complex_before(self, top: int, after: int) -> tuple[NDArray[np.float64], int]:
        """The band-passed complex whose envelope tops at `top`, with its first sample."""
        oldest = self._n - len(self._banded)
        low = max(0, top - self._complex - oldest)
        return self._banded[low : top + after + 1 - oldest], low + oldest

    def _curvature(self, top: int) -> float:
        banded, _ = self._complex_before(top, after=self._bend)
        h = self._bend
        bends = banded[2 * h :] - 2 * banded[h:-h] + banded[: -2 * h]
        return float(np.abs(bends).max()) if len(bends) else 0.0

    def _r_peak(self, top: int) -> int:
        banded, first = self._complex_before(top, after=0)
        return max(0, first + int(np.abs(banded).argmax()) - round(BAND_DELAY_S * self._fs))
