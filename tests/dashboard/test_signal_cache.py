"""The cache of samples: the same as reading, asked less often, bounded."""

import numpy as np
import pytest

from dashboard import signal_cache as module
from dashboard.signal_cache import MAX_AGE_S, Samples, SignalCache

STREAM = ("a/b", 7, 10.0)  # blocks of 600 samples


class Store:
    """Samples that are their own index, and what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def read(self, first: int, end: int) -> Samples:
        self.asked.append((first, end))
        index = np.arange(first, end)
        return index.astype(np.float32), index % 7 == 0


@pytest.mark.parametrize("seed", range(10))
def test_samples_are_those_that_reading_brings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    store, cache = Store(), SignalCache(lambda: 0.0)
    for _ in range(20):
        first = int(rng.integers(0, 5000))
        end = first + int(rng.integers(1, 3000))
        samples_mv, is_late = cache.samples(STREAM, first, end, store.read, keep_until=6000)
        np.testing.assert_array_equal(samples_mv, np.arange(first, end))
        np.testing.assert_array_equal(is_late, np.arange(first, end) % 7 == 0)


def test_only_what_is_missing_is_read_and_neighbours_together() -> None:
    store, cache = Store(), SignalCache(lambda: 0.0)
    cache.samples(STREAM, 1300, 1400, store.read, keep_until=9000)
    cache.samples(STREAM, 0, 2900, store.read, keep_until=9000)
    assert store.asked == [(1200, 1800), (0, 1200), (1800, 3000)]
    cache.samples(STREAM, 100, 2800, store.read, keep_until=9000)
    assert len(store.asked) == 3


def test_what_may_still_grow_and_what_is_old_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store, now = Store(), [0.0]
    cache = SignalCache(lambda: now[0])
    for _ in range(2):
        cache.samples(STREAM, 0, 900, store.read, keep_until=900)
    assert store.asked == [(0, 1200), (600, 1200)]
    now[0] = MAX_AGE_S + 1
    cache.samples(STREAM, 0, 600, store.read, keep_until=900)
    assert store.asked[-1] == (0, 600)
    monkeypatch.setattr(module, "MAX_BLOCKS", 2)
    cache.samples(STREAM, 0, 6000, store.read, keep_until=9000)
    assert len(cache._blocks) == 2
