import numpy as np
import pytest

from ingest.gauges import DurationHistogram


def test_nothing_measured_is_unknown() -> None:
    assert DurationHistogram().quantile_ms(0.5) is None
    assert DurationHistogram().summary() == {"p50": None, "p99": None}


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 1.0])
def test_quantiles_are_right_within_five_per_cent(share: float) -> None:
    durations = np.random.default_rng(3).lognormal(2.0, 1.5, 5000)
    histogram = DurationHistogram()
    for each in durations:
        histogram.add(float(each))
    exact = float(np.quantile(durations, share, method="inverted_cdf"))
    found = histogram.quantile_ms(share)
    assert found is not None
    assert exact * 0.999 <= found <= exact * 1.051


def test_what_is_beyond_the_buckets_is_counted_at_their_ends() -> None:
    histogram = DurationHistogram()
    for each in (-3.0, 0.0, 1e12):
        histogram.add(each)
    assert histogram.quantile_ms(0.5) == pytest.approx(0.01)
    assert histogram.quantile_ms(1.0) == pytest.approx(0.01 * 1.05**399)


def test_many_at_once_are_counted_as_one_by_one() -> None:
    durations = np.append(np.random.default_rng(5).lognormal(2.0, 3.0, 4999) - 0.5, 1e9)
    one_by_one, at_once = DurationHistogram(), DurationHistogram()
    for each in durations:
        one_by_one.add(float(each))
    for several in (durations[:0], durations[:4000], durations[4000:]):
        at_once.add_all(several)
    assert at_once.summary() == one_by_one.summary()
    assert at_once.quantile_ms(1.0) == one_by_one.quantile_ms(1.0)
    assert at_once.buckets().within == one_by_one.buckets().within
    assert at_once.buckets().sum_ms == pytest.approx(one_by_one.buckets().sum_ms)


def test_buckets_count_everything_up_to_each_bound_within_five_per_cent() -> None:
    durations = np.random.default_rng(4).lognormal(2.0, 1.5, 5000)
    histogram = DurationHistogram()
    for each in durations:
        histogram.add(float(each))
    found = histogram.buckets((1.0, 10.0, 100.0, 1e6))
    for bound, n in found.within:
        assert np.sum(durations <= bound / 1.051) <= n <= np.sum(durations <= bound)
    assert found.count == found.within[-1][1] == 5000
    assert found.sum_ms == pytest.approx(durations.sum())
