"""Stored vitals of each second -> columns of a trend: heart rate, variability, signal quality; pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.quality import SignalState
from ingest.store.vitals_rows import SIGNALS, UNKNOWN_TENTHS

SECOND_US = 1_000_000
_GOOD = SIGNALS.index(SignalState.GOOD)


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: arrays have no single truth value
class Trend:
    """Columns of equal width from `from_us` on, each (points,); NaN is unknown."""

    from_us: int
    to_us: int
    step_us: float
    rate_min: NDArray[np.float64]  # bpm
    rate_mean: NDArray[np.float64]
    rate_max: NDArray[np.float64]
    rmssd_ms: NDArray[np.float64]  # mean of the column
    sdnn_ms: NDArray[np.float64]
    good: NDArray[np.float64]  # share of the column's seconds with a usable signal


def trend_of(rows: NDArray[Any], from_us: int, to_us: int, points: int) -> Trend:
    """Rows (n,) of VITALS_ROW, oldest first, all in from_us <= at_us < to_us."""
    step_us = (to_us - from_us) / points
    column = np.minimum(((rows["at_us"] - from_us) / step_us).astype(np.int64), points - 1)
    low, mean, high = _spread(column, rows["heart_rate_bpm"], points)
    _, rmssd_ms, _ = _spread(column, _milliseconds(rows["rmssd"]), points)
    _, sdnn_ms, _ = _spread(column, _milliseconds(rows["sdnn"]), points)
    good = _share_good(rows, column, from_us + step_us * np.arange(points + 1))
    low, mean, high, rmssd_ms, sdnn_ms = np.round((low, mean, high, rmssd_ms, sdnn_ms), 1)
    return Trend(from_us, to_us, step_us, low, mean, high, rmssd_ms, sdnn_ms, np.round(good, 3))


def _spread(
    column: NDArray[np.int64], values: NDArray[np.float64], points: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Least, mean and largest of each column, (points,); NaN where no value is known."""
    is_known = ~np.isnan(values)
    column, values = column[is_known], values[is_known]
    low, mean, high = np.full((3, points), np.nan)
    if len(values):
        starts = np.flatnonzero(np.diff(column, prepend=-1))
        places = column[starts]
        low[places] = np.minimum.reduceat(values, starts)
        high[places] = np.maximum.reduceat(values, starts)
        mean[places] = np.add.reduceat(values, starts) / np.diff(starts, append=len(values))
    return low, mean, high


def _milliseconds(tenths: NDArray[np.uint16]) -> NDArray[np.float64]:
    return np.where(tenths == UNKNOWN_TENTHS, np.nan, tenths / 10)


def _share_good(rows: NDArray[Any], column: NDArray[np.int64], edges_us: NDArray[Any]) -> NDArray[np.float64]:
    """Seconds without a record count as unusable, but not those before the first and after the last one."""
    points = len(edges_us) - 1
    if not len(rows):
        return np.full(points, np.nan)
    n_rows = np.bincount(column, minlength=points)
    n_good = np.bincount(column, rows["signal"] == _GOOD, minlength=points)
    first_us, end_us = rows["at_us"][0], rows["at_us"][-1] + SECOND_US
    told_us = np.minimum(edges_us[1:], end_us) - np.maximum(edges_us[:-1], first_us)
    n_seconds = np.maximum(n_rows, np.floor(told_us / SECOND_US))
    return np.where(n_rows == 0, np.nan, n_good / np.maximum(n_seconds, 1))
