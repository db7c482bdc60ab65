"""A judged recording -> the trace to draw: a monitor's band, as many points as paper shows, and holes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from inference.preprocess import bridge
from inference.recordings.judged import Judged
from inference.verdict import Rhythm, Superclass, Verdict

BAND_HZ = (0.5, 40.0)  # a monitor's; it bends ST, and reports say so
DRAWN_HZ = 256.0  # ten points a mm at 25 mm/s
LONGEST_S = 60.0  # of a longer recording one such stretch is drawn
SETTLE_S = 3.0  # beside the stretch, for the filter
MM_PER_S, MM_PER_MV = 25.0, 10.0
HEIGHT_MV = (3.0, 6.0)  # of a row: least and most


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """What is drawn."""

    samples_mv: NDArray[np.float32]  # (n,) in BAND_HZ; NaN in holes
    fs: float  # Hz, of these points
    first_s: float  # of the recording at the first point
    r_peaks_s: NDArray[np.float64]  # of the recording
    low_mv: float  # bounds of each row, so that nothing that is no artefact is cut off
    high_mv: float

    @property
    def end_s(self) -> float:
        """Of the recording, one past the last point."""
        return self.first_s + len(self.samples_mv) / self.fs


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One line of paper."""

    first_s: float  # of the recording
    lines_mm: tuple[NDArray[np.float64], ...]  # each (n, 2): right of the row's start, below its top
    r_peaks_mm: NDArray[np.float64]  # right of the row's start
    width_mm: float
    height_mm: float


def strip_of(judged: Judged) -> Strip:
    """The whole recording, or the 60 s that hold what was found."""
    recording = judged.recording
    first, end = _stretch(judged)
    margin = round(SETTLE_S * recording.fs)
    low, high = max(0, first - margin), min(recording.n_samples, end + margin)
    filtered = _in_band(recording.samples_mv[low:high], recording.fs)[first - low : end - low]
    every = max(1, int(recording.fs / DRAWN_HZ))
    samples_mv = filtered[::every].astype(np.float32)
    inside = judged.r_peaks[(judged.r_peaks >= first) & (judged.r_peaks < end)]
    low_mv, high_mv = _bounds_mv(samples_mv)
    return Strip(
        samples_mv=samples_mv,
        fs=recording.fs / every,
        first_s=first / recording.fs,
        r_peaks_s=inside / recording.fs,
        low_mv=low_mv,
        high_mv=high_mv,
    )


def rows_of(strip: Strip, row_s: float) -> list[Row]:
    """The strip cut into rows of `row_s`, at 25 mm/s and 10 mm/mV."""
    height_mm = (strip.high_mv - strip.low_mv) * MM_PER_MV
    per_row = max(2, round(row_s * strip.fs))
    rows = []
    for first in range(0, len(strip.samples_mv), per_row):
        samples_mv = strip.samples_mv[first : first + per_row + 1]  # and where the next row begins
        begin_s = strip.first_s + first / strip.fs
        at_mm = np.arange(len(samples_mv)) / strip.fs * MM_PER_S
        down_mm = np.clip((strip.high_mv - samples_mv.astype(np.float64)) * MM_PER_MV, 0, height_mm)
        points = np.stack([at_mm, down_mm], axis=1)
        peaks_mm = (strip.r_peaks_s - begin_s) * MM_PER_S
        in_row = peaks_mm[(peaks_mm >= 0) & (peaks_mm < row_s * MM_PER_S)]
        rows.append(Row(begin_s, _without_holes(points), in_row, row_s * MM_PER_S, height_mm))
    return rows


def _stretch(judged: Judged) -> tuple[int, int]:
    """First sample and end of what is drawn."""
    recording = judged.recording
    longest = round(LONGEST_S * recording.fs)
    if recording.n_samples <= longest:
        return 0, recording.n_samples
    most = max(judged.windows, key=lambda verdict: (_interest(verdict, judged), -verdict.first_sample))
    middle = most.first_sample + round(5 * recording.fs)
    first = min(max(0, middle - longest // 2), recording.n_samples - longest)
    return first, first + longest


def _interest(verdict: Verdict, judged: Judged) -> float:
    """How much a window speaks for what the recording is said to have."""
    wanted = {each.superclass for each in judged.present} - {Superclass.NORM}
    shares = [each.probability for each in verdict.findings if each.superclass in wanted]
    if judged.main_rhythm not in (None, Rhythm.NORMAL):
        shares += [each.probability for each in verdict.rhythm if each.rhythm is judged.main_rhythm]
    return max(shares, default=0.5 if verdict.findings else 0.0)


def _in_band(samples_mv: NDArray[np.float32], fs: float) -> NDArray[np.float64]:
    """(n,) in the monitor's band, zero-phase, NaN where it was; without its mean where that cannot be had."""
    filled, missing = bridge(samples_mv.astype(np.float64))
    filled = filled - filled.mean()
    edge = min(round(SETTLE_S * fs), len(filled) - 1)
    if fs > 4 * BAND_HZ[0] and edge > 0:
        reaches = fs > 2.5 * BAND_HZ[1]
        sos = butter(
            2, BAND_HZ if reaches else BAND_HZ[0], "bandpass" if reaches else "highpass", fs=fs, output="sos"
        )
        filled = np.asarray(
            sosfiltfilt(sos, filled, padtype="even", padlen=edge)
        )  # mirrored, as for the model
    filled[missing] = np.nan
    return filled


def _bounds_mv(samples_mv: NDArray[np.float32]) -> tuple[float, float]:
    """Half millivolts that hold nearly all of it, from 3 to 6 mV apart."""
    known = samples_mv[~np.isnan(samples_mv)]
    if not len(known):
        return -1.5, 1.5
    low, high = (float(each) for each in np.percentile(known, (0.02, 99.98)))
    low, high = min(-1.0, np.floor(2 * low) / 2), max(1.0, np.ceil(2 * high) / 2)
    low, high = max(low, -HEIGHT_MV[1] / 2), min(high, HEIGHT_MV[1] / 2)
    lacking = max(0.0, HEIGHT_MV[0] - (high - low))
    return float(low - lacking / 2), float(high + lacking / 2)


def _without_holes(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """The runs of points of which none is missing."""
    is_known = ~np.isnan(points[:, 1])
    edges = np.flatnonzero(np.diff(is_known)) + 1
    return tuple(run for run in np.split(points, edges) if len(run) > 1 and not np.isnan(run[0, 1]))
