"""Durations, many of them -> their quantiles, in constant memory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_MS = 0.01
STEP = 1.05  # buckets 5 % apart: a quantile is right within 5 %
N_BUCKETS = 400  # up to 0.01 ms * 1.05^400 = 50 min
# For Prometheus; 250 ms and 1 s are what 99 of 100 verdicts should take at most (docs/operations.md).
BOUNDS_MS = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 3e4)


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram at one moment, as Prometheus counts: everything up to each bound."""

    within: tuple[tuple[float, int], ...]  # (bound in ms, durations up to it)
    count: int
    sum_ms: float


class DurationHistogram:
    """Counts durations in logarithmic buckets."""

    def __init__(self) -> None:
        self._counts = np.zeros(N_BUCKETS, np.int64)
        self._sum_ms = 0.0

    def add(self, duration_ms: float) -> None:
        """Count one duration; below 0.01 ms counts as that."""
        place = math.ceil(math.log(max(duration_ms, LEAST_MS) / LEAST_MS) / math.log(STEP))
        self._counts[min(place, N_BUCKETS - 1)] += 1
        self._sum_ms += max(duration_ms, 0.0)

    def add_all(self, durations_ms: NDArray[np.float64]) -> None:
        """Count many, (n,): in one step, as `add` would."""
        logs = np.log(np.maximum(durations_ms, LEAST_MS) / LEAST_MS)
        places = np.minimum(np.ceil(logs / math.log(STEP)).astype(np.int64), N_BUCKETS - 1)
        self._counts += np.bincount(places, minlength=N_BUCKETS)
        self._sum_ms += float(np.maximum(durations_ms, 0.0).sum())

    def quantile_ms(self, share: float) -> float | None:
        """The duration that `share` of all stay within, rounded up by at most 5 %; None before the first."""
        total = int(self._counts.sum())
        if total == 0:
            return None
        place = int(np.searchsorted(np.cumsum(self._counts), max(1, math.ceil(share * total))))
        return float(LEAST_MS * STEP**place)

    def buckets(self, bounds_ms: Sequence[float] = BOUNDS_MS) -> Buckets:
        """How many durations were up to each bound; a duration up to 5 % below one may count above it."""
        upto = np.cumsum(self._counts)
        places = [math.floor(math.log(bound / LEAST_MS) / math.log(STEP) + 1e-9) for bound in bounds_ms]
        within = tuple((bound, int(upto[place])) for bound, place in zip(bounds_ms, places, strict=True))
        return Buckets(within, int(upto[-1]), self._sum_ms)

    def summary(self) -> dict[str, float | None]:
        """p50 and p99 in ms, to three digits; as the heartbeat carries them."""
        return {name: _rounded(self.quantile_ms(share)) for name, share in (("p50", 0.5), ("p99", 0.99))}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")
