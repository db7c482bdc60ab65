"""Durations, many of them -> their quantiles, in constant memory."""

import math

import numpy as np

LEAST_MS = 0.01
STEP = 1.05  # buckets 5 % apart: a quantile is right within 5 %
N_BUCKETS = 400  # up to 0.01 ms * 1.05^400 = 50 min


class DurationHistogram:
    """Counts durations in logarithmic buckets."""

    def __init__(self) -> None:
        self._counts = np.zeros(N_BUCKETS, np.int64)

    def add(self, duration_ms: float) -> None:
        """Count one duration; below 0.01 ms counts as that."""
        place = math.ceil(math.log(max(duration_ms, LEAST_MS) / LEAST_MS) / math.log(STEP))
        self._counts[min(place, N_BUCKETS - 1)] += 1

    def quantile_ms(self, share: float) -> float | None:
        """The duration that `share` of all stay within, rounded up by at most 5 %; None before the first."""
        total = int(self._counts.sum())
        if total == 0:
            return None
        place = int(np.searchsorted(np.cumsum(self._counts), max(1, math.ceil(share * total))))
        return float(LEAST_MS * STEP**place)

    def summary(self) -> dict[str, float | None]:
        """p50 and p99 in ms, to three digits; as the heartbeat carries them."""
        return {name: _rounded(self.quantile_ms(share)) for name, share in (("p50", 0.5), ("p99", 0.99))}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")
