"""Columns of a trend: nothing invented, nothing lost between least and largest."""

import numpy as np
import pytest

from dashboard.trend import trend_of
from ingest.quality import SignalState
from ingest.store.vitals_rows import SIGNALS, UNKNOWN_TENTHS, VITALS_ROW

S = 1_000_000
GOOD, NOISY = SIGNALS.index(SignalState.GOOD), SIGNALS.index(SignalState.NOISY)


def rows_at(seconds: np.ndarray) -> np.ndarray:
    rows = np.zeros(len(seconds), VITALS_ROW)
    rows["at_us"] = seconds * S
    rows["signal"] = GOOD
    rows["heart_rate_bpm"] = 60.0
    rows["rmssd"] = rows["sdnn"] = UNKNOWN_TENTHS
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_every_second_lies_within_its_column(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seconds = np.flatnonzero(rng.random(2000) < 0.8)
    rows = rows_at(seconds)
    rows["heart_rate_bpm"] = np.where(rng.random(len(rows)) < 0.2, np.nan, rng.uniform(15, 300, len(rows)))
    points = int(rng.integers(1, 300))
    trend = trend_of(rows, 0, 2000 * S, points)
    known = ~np.isnan(rows["heart_rate_bpm"])
    column = (seconds[known] * points) // 2000
    rates = np.round(rows["heart_rate_bpm"][known], 1)
    assert (trend.rate_min[column] <= rates).all()
    assert (trend.rate_max[column] >= rates).all()
    assert set(trend.rate_min[column]) | set(trend.rate_max[column]) <= set(rates)
    means = [rows["heart_rate_bpm"][known][column == each].mean() for each in np.unique(column)]
    np.testing.assert_allclose(trend.rate_mean[np.unique(column)], means, atol=0.051)
    unknown = np.setdiff1d(np.arange(points), column)
    assert np.isnan([each[unknown] for each in (trend.rate_min, trend.rate_mean, trend.rate_max)]).all()


def test_a_gap_is_unknown_and_what_is_missing_within_a_column_is_not_good() -> None:
    rows = rows_at(np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 30, 31, 32, 33, 34, 49]))
    rows["signal"][3] = NOISY
    rows["rmssd"][:2] = (300, 320)
    trend = trend_of(rows, 0, 60 * S, 6)
    np.testing.assert_array_equal(trend.good, [0.9, np.nan, np.nan, 0.5, 0.1, np.nan])
    np.testing.assert_array_equal(trend.rmssd_ms[:2], [31.0, np.nan])
    assert np.isnan(trend.sdnn_ms).all()
    assert (trend.from_us, trend.to_us, trend.step_us) == (0, 60 * S, 10 * S)


def test_the_seconds_before_the_first_and_after_the_last_record_are_nobodys_fault() -> None:
    trend = trend_of(rows_at(np.arange(7, 13)), 0, 20 * S, 2)
    np.testing.assert_array_equal(trend.good, [1.0, 1.0])


def test_columns_narrower_than_a_second_are_known_where_a_record_stands() -> None:
    trend = trend_of(rows_at(np.arange(3)), 0, 3 * S, 12)
    assert np.flatnonzero(~np.isnan(trend.rate_mean)).tolist() == [0, 4, 8]
    assert np.flatnonzero(trend.good == 1).tolist() == [0, 4, 8]


def test_without_any_record_all_is_unknown() -> None:
    trend = trend_of(rows_at(np.arange(0)), 0, S, 4)
    assert np.isnan([trend.rate_mean, trend.sdnn_ms, trend.good]).all()
