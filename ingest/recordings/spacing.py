"""Times of samples -> their rate, and the samples on its grid with holes where the times jump."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.recordings.recording import About, Note, RecordingError

JUMP = 1.5  # steps; more is a hole
MAX_HOLES_SHARE = 20.0  # of missing to known samples: more is no recording but wrong times


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Samples with NaN in the holes."""

    values: NDArray[np.float64]
    fs: float  # Hz
    notes: list[Note]


def is_even(times: NDArray[np.float64]) -> bool:
    """Whether (n,) numbers rise by nearly the same each time: a clock or a counter, never an ECG."""
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else 0.0
    return len(steps) >= 2 and usual > 0 and bool(np.mean(np.abs(steps - usual) <= 0.5 * usual) > 0.9)


def spread_out(times_s: NDArray[np.float64], values: NDArray[np.float64]) -> Spread:
    """The rate of (n,) rising times, from the stretches without a hole, and (m,) values with the holes.

    Raises RecordingError where the times do not rise, or the holes are most of it.
    """
    steps = np.diff(times_s)
    if not len(steps):
        raise RecordingError("fewer than two samples")
    usual = float(np.median(steps))
    if not usual > 0 or not np.isfinite(usual):
        raise RecordingError("the times of the samples do not rise")
    back = np.flatnonzero(steps < -JUMP * usual)
    if len(back):
        raise RecordingError(f"the times of the samples go back after sample {int(back[0]) + 1}")
    whole = steps <= JUMP * usual
    n_whole = int(np.count_nonzero(whole))
    fs = round(n_whole / float(steps[whole].sum()), 3) if n_whole and steps[whole].sum() > 0 else 1 / usual
    missing = np.where(whole, 0.0, np.rint(steps * fs) - 1)
    n_missing = float(missing.sum())
    if not n_missing:
        return Spread(values, fs, [])
    if n_missing > MAX_HOLES_SHARE * len(values) + fs:
        raise RecordingError(f"the times say that {n_missing:.0f} samples are missing beside {len(values)}")
    places = np.concatenate([[0], np.cumsum(1 + missing.astype(np.int64))])
    spread = np.full(int(places[-1]) + 1, np.nan)
    spread[places] = values
    n_holes = int(np.count_nonzero(missing))
    text = (
        f"samples are missing in {n_holes} places, {n_missing / fs:.1f} s in all, by the times of the others"
    )
    return Spread(spread, fs, [Note(About.FILE, text)])
