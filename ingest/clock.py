"""When a device's samples arrive -> its true sampling rate and how far its clock is off, slowly fitted."""

from array import array
from bisect import bisect_left, insort
from collections import deque

import msgspec

from ingest.median import median_of, middle_of

BIN_S = 5.0  # only the least delayed arrival of each bin counts: delays are one-sided
MIN_BINS = 7  # 30 s; below it, 50 ms of jitter is more than 0.15 % of fs
SURE_BINS = 13  # a minute; pairs of half a minute, of which 0.5 s of jitter is 1.7 %
MAX_BINS = 121  # 10 minutes: long enough for 0.01 %, short enough to follow temperature
MAX_LAG = 12  # bins; pairs a minute apart, so that a clock step spoils at most 12 of 108 pairs
OFFSET_BINS = 12  # a minute


class _Arrival(msgspec.Struct, frozen=True, gc=False):  # 121 of each device: none is the collector's
    end_sample: int
    wall_s: float
    received_s: float


_Fit = tuple[float | None, float | None, tuple[float, float] | None]


class ClockFit:
    """Median rate between arrivals a minute apart; a burst of old samples and a clock step are outvoted.

    The least delayed arrival in each 5 s stands for it (Moon, Skelly and Towsley, INFOCOM 1999, fit a line
    below all delays); we take the median of pairwise rates, which needs no restart after a clock step.
    """

    def __init__(self) -> None:
        self._bins: deque[_Arrival] = deque(maxlen=MAX_BINS)
        self._bin = -1
        self._final = array("d")  # rates of pairs a minute apart, sorted; all but that of the newest bin
        self._offsets_s = array("d")  # of the newest bins
        self._fitted: _Fit | None = None  # of the bins as they are
        self._between: tuple[float, float] | None = None

    def push(self, end_sample: int, wall_us: int, received_s: float, fs: float) -> None:
        """Take one arrival: index and device clock one past its last sample, and when it came."""
        this_bin = int(received_s // BIN_S)
        if this_bin != self._bin or not self._bins:
            self._bin = this_bin
            self._begin_bin()
        else:
            least = self._bins[-1]
            if received_s - end_sample / fs >= least.received_s - least.end_sample / fs:
                return
            self._bins.pop()
            self._offsets_s.pop()
        self._bins.append(_Arrival(end_sample, wall_us / 1e6, received_s))
        self._offsets_s.append(wall_us / 1e6 - received_s)
        if len(self._offsets_s) > OFFSET_BINS:
            del self._offsets_s[0]
        self._fitted = None

    @property
    def fs_measured(self) -> float | None:
        """Samples per second of arrival, Hz; None until 30 s were seen or when arrivals make no sense."""
        return self.fit()[0]

    @property
    def offset_s(self) -> float | None:
        """Device clock minus arrival, seconds, median of the last minute; None before the first arrival."""
        return self.fit()[1]

    @property
    def fs_between(self) -> tuple[float, float] | None:
        """Hz between which four of five of the rates lie whose median is `fs_measured`; None before a minute.

        How far they lie apart is what delays and jitter leave uncertain.
        """
        return self.fit()[2]

    def fit(self) -> _Fit:
        """`fs_measured`, `offset_s`, `fs_between`; fitted again only when an arrival counted."""
        if self._fitted is None:
            rate_hz = self._rate_hz()
            offset_s = median_of(self._offsets_s) if self._offsets_s else None
            self._fitted = rate_hz, offset_s, self._between
        return self._fitted

    def _begin_bin(self) -> None:
        """What stands for the newest bin is certain now; the oldest bin is forgotten."""
        bins = self._bins
        if len(bins) > MAX_LAG and (rate_hz := _rate_hz(bins[-1 - MAX_LAG], bins[-1])):
            insort(self._final, rate_hz)
        if len(bins) == MAX_BINS and (rate_hz := _rate_hz(bins[0], bins[MAX_LAG])):
            del self._final[bisect_left(self._final, rate_hz)]

    def _rate_hz(self) -> float | None:
        bins = self._bins
        if len(bins) < MIN_BINS:
            return None
        lag = min(MAX_LAG, len(bins) // 2)
        rates = self._final[:]
        if lag < MAX_LAG:
            several = list(bins)
            pairs = zip(several[:-lag], several[lag:], strict=True)
            rates = array("d", sorted([rate_hz for pair in pairs if (rate_hz := _rate_hz(*pair))]))
        elif rate_hz := _rate_hz(bins[-1 - lag], bins[-1]):
            insort(rates, rate_hz)
        if not rates:
            return None
        few = len(rates) // 10
        self._between = (rates[few], rates[-1 - few]) if len(bins) >= SURE_BINS else None
        return middle_of(rates)


def _rate_hz(earlier: _Arrival, later: _Arrival) -> float | None:
    """The rate between two arrivals; None where the counter or the clock did not go on."""
    n_samples, seconds = later.end_sample - earlier.end_sample, later.received_s - earlier.received_s
    return n_samples / seconds if n_samples > 0 and seconds > 0 else None
