"""Where stored samples belong in time: their index in a session -> our clock, and back; pure.

Samples know their index, chunks when they came. Lateness only adds (strip.py), so of each minute of arrivals
the quickest chunk tells where its session's samples were then; between two such knots time goes evenly, which
follows a rate that is not quite as claimed. A clock that is wrong by more than MAX_DRIFT is taken for
lateness. What came late as a whole session has no such knot, and is placed by the device's own clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MINUTE_US = 60_000_000
SECOND_US = 1_000_000
MAX_DRIFT = 0.02  # of a device's rate against its claim
ALMOST = 0.01  # of a sample: microseconds since 1970 as float64 are exact to a quarter
_FAR = 1 << 40  # samples; beyond the first and last knot time goes at the claimed rate


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: arrays have no single truth value
class Placement:
    """Where the samples of one session are."""

    session: int
    fs: float  # Hz, as claimed
    lead: str
    is_late: bool  # placed by the device's clock
    knots: NDArray[np.float64]  # (k,) sample indices, ascending
    knots_us: NDArray[np.float64]  # (k,) their times, ascending

    def times_us(self, samples: NDArray[Any]) -> NDArray[np.float64]:
        """When these samples were taken, Unix microseconds."""
        times: NDArray[np.float64] = np.interp(samples, self.knots, self.knots_us)
        return times

    def samples_at(self, times_us: NDArray[Any]) -> NDArray[np.int64]:
        """The first sample that was taken at or after each time."""
        at = np.interp(times_us, self.knots_us, self.knots)
        samples: NDArray[np.int64] = np.ceil(at - ALMOST).astype(np.int64)
        return samples


def sessions_of(places: NDArray[Any], most: int) -> Iterator[NDArray[Any]]:
    """Live places (n,) of PLACE, session by session; the `most` with the most chunks."""
    live = places[~places["historic"]]
    numbers, counts = np.unique(live["session"], return_counts=True)
    for number in numbers[np.argsort(-counts, kind="stable")[:most]]:
        yield live[live["session"] == number]


def placed_by_arrival(live: NDArray[Any], fs: float, lead: str) -> Placement:
    """Places (n,) of PLACE of one session, at least one, in order of arrival."""
    ends = live["first_sample"] + live["n_samples"]
    zero_us = live["received_us"] - ends / fs * SECOND_US
    minutes = live["received_us"] // MINUTE_US
    order = np.lexsort((zero_us, minutes))
    is_quickest = np.diff(minutes[order], prepend=-1) != 0
    quickest = order[is_quickest]
    return _placement(live["session"][0], fs, lead, ends[quickest], zero_us[quickest], is_late=False)


def placed_by_clock(
    session: int, fs: float, lead: str, first_samples: NDArray[Any], wall_times_us: NDArray[Any]
) -> Placement:
    """Late windows (n,) of one session, at least one."""
    order = np.argsort(first_samples)
    first, us = first_samples[order], wall_times_us[order]
    return _placement(session, fs, lead, first, us - first / fs * SECOND_US, is_late=True)


def _placement(  # noqa: PLR0913 - a placement's own parts
    session: int, fs: float, lead: str, samples: NDArray[Any], zero_us: NDArray[Any], *, is_late: bool
) -> Placement:
    order = np.argsort(samples, kind="stable")
    at, zero = samples[order].astype(np.float64), zero_us[order].astype(np.float64)
    room_us = MAX_DRIFT * at / fs * SECOND_US
    zero = np.minimum.accumulate(zero - room_us) + room_us  # no later than those before allow
    zero = np.minimum.accumulate((zero + room_us)[::-1])[::-1] - room_us  # nor those after
    at = np.concatenate([[at[0] - _FAR], at, [at[-1] + _FAR]])
    zero = np.concatenate([zero[:1], zero, zero[-1:]])
    return Placement(int(session), fs, lead, is_late, at, at / fs * SECOND_US + zero)
