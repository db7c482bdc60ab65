"""Found R peaks against annotated ones, as ANSI/AAMI EC57 counts them, and the error of the heart rate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MATCH_S = 0.15  # EC57
INTERVAL_S = 10.0
ALLOWED_BPM, ALLOWED_SHARE = 5.0, 0.1  # EC13: within 5 bpm or 10 %, whichever is more
BEATS = list("NLRBAaJSVrFejnE/fQ?")


@dataclass(frozen=True, slots=True)
class Score:
    """One record, or the sum of several."""

    matched: int
    missed: int
    extra: int
    rate_errors_bpm: tuple[float, ...] = ()  # of each 10 s with two annotated beats; NaN where none was found
    rates_bpm: tuple[float, ...] = ()  # the annotated ones
    intervals: tuple[tuple[int, int, int], ...] = ()  # matched, missed and extra in each 10 s with beats

    @property
    def se(self) -> float:
        """Sensitivity."""
        return self.matched / max(1, self.matched + self.missed)

    @property
    def ppv(self) -> float:
        """Positive predictivity."""
        return self.matched / max(1, self.matched + self.extra)


def score(
    found: NDArray[np.int64], at: NDArray[np.int64], symbols: NDArray[np.str_], fs: float, n_samples: int
) -> Score:
    """R peaks `found` against annotations `symbols` at samples `at`; ventricular flutter is left out."""
    beats = _outside_flutter(at[np.isin(symbols, BEATS)], at, symbols, fs)
    kept = _outside_flutter(found, at, symbols, fs)
    is_matched, is_right = matches(beats, kept, round(MATCH_S * fs))
    matched = int(is_matched.sum())
    n = n_samples // round(INTERVAL_S * fs) + 1
    counts = [
        np.bincount(some // round(INTERVAL_S * fs), minlength=n).tolist()
        for some in (beats[is_matched], beats[~is_matched], kept[~is_right])
    ]
    true_bpm, found_bpm = (_rates_bpm(each, fs, n_samples) for each in (beats, kept))
    known = ~np.isnan(true_bpm)
    return Score(
        matched,
        len(beats) - matched,
        len(kept) - matched,
        tuple((found_bpm - true_bpm)[known].tolist()),
        tuple(true_bpm[known].tolist()),
        tuple(each for each in zip(*counts, strict=True) if each[0] + each[1]),
    )


def figures(scores: Sequence[Score]) -> dict[str, float]:
    """Gross and worst figures over records; of rate errors those with a rate, and the share within EC13."""
    total = Score(sum(s.matched for s in scores), sum(s.missed for s in scores), sum(s.extra for s in scores))
    errors = np.array([e for s in scores for e in s.rate_errors_bpm])
    rates = np.array([r for s in scores for r in s.rates_bpm])
    with np.errstate(invalid="ignore"):
        within = np.abs(errors) <= np.maximum(ALLOWED_BPM, ALLOWED_SHARE * rates)
    known = errors[~np.isnan(errors)]
    parts = [part for s in scores for part in s.intervals]
    return {
        "se": round(total.se, 5),
        "ppv": round(total.ppv, 5),
        "worst_se": round(min(s.se for s in scores), 5),
        "worst_ppv": round(min(s.ppv for s in scores), 5),
        "se_per_10s": round(float(np.mean([m / (m + n) for m, n, _ in parts])) if parts else np.nan, 5),
        "ppv_per_10s": round(
            float(np.mean([m / max(1, m + e) for m, _, e in parts])) if parts else np.nan, 5
        ),
        "flawless_10s": round(float(np.mean([n + e == 0 for _, n, e in parts])) if parts else np.nan, 5),
        "rate_error_rms_bpm": round(float(np.sqrt(np.mean(np.square(known)))) if len(known) else np.nan, 3),
        "rate_within_ec13": round(float(within.mean()) if len(within) else np.nan, 5),
    }


def _outside_flutter(
    beats: NDArray[np.int64], at: NDArray[np.int64], symbols: NDArray[np.str_], fs: float
) -> NDArray[np.int64]:
    """Beats that do not lie in ventricular flutter, which annotations put between `[` and `]`."""
    margin = round(MATCH_S * fs)
    is_kept = np.ones(len(beats), bool)
    for start, end in zip(at[symbols == "["], at[symbols == "]"], strict=True):
        is_kept &= (beats < start - margin) | (beats > end + margin)
    return beats[is_kept]


def matches(
    beats: NDArray[np.int64], found: NDArray[np.int64], tolerance: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which beats are matched, and which of the found match one; a beat matches at most one, the nearest."""
    is_matched, is_right = np.zeros(len(beats), bool), np.zeros(len(found), bool)
    i = j = 0
    while i < len(beats) and j < len(found):
        apart = found[j] - beats[i]
        is_nearer_next = j + 1 < len(found) and abs(found[j + 1] - beats[i]) < abs(apart)
        if abs(apart) <= tolerance and not is_nearer_next:
            is_matched[i] = is_right[j] = True
            i, j = i + 1, j + 1
        elif apart < 0 or abs(apart) <= tolerance:
            j += 1
        else:
            i += 1
    return is_matched, is_right


def _rates_bpm(beats: NDArray[np.int64], fs: float, n_samples: int) -> NDArray[np.float64]:
    """Heart rate of each 10 s from its first to its last beat; NaN with fewer than two."""
    edges = np.arange(0, n_samples + 1, round(INTERVAL_S * fs))
    first, end = np.searchsorted(beats, edges[:-1]), np.searchsorted(beats, edges[1:])
    rates = np.full(len(first), np.nan)
    for k, (low, high) in enumerate(zip(first, end, strict=True)):
        if high - low >= 2:
            rates[k] = 60.0 * fs * (high - low - 1) / (beats[high - 1] - beats[low])
    return rates
