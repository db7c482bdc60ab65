"""When a device's samples arrive -> its true sampling rate and how far its clock is off, slowly fitted."""

from collections import deque
from dataclasses import dataclass
from statistics import median

BIN_S = 5.0  # only the least delayed arrival of each bin counts: delays are one-sided
MIN_BINS = 7  # 30 s; below it, 50 ms of jitter is more than 0.15 % of fs
SURE_BINS = 13  # a minute; pairs of half a minute, of which 0.5 s of jitter is 1.7 %
MAX_BINS = 121  # 10 minutes: long enough for 0.01 %, short enough to follow temperature
MAX_LAG = 12  # bins; pairs a minute apart, so that a clock step spoils at most 12 of 108 pairs
OFFSET_BINS = 12  # a minute


@dataclass(frozen=True, slots=True)
class _Arrival:
    end_sample: int
    wall_s: float
    received_s: float


class ClockFit:
    """Median rate between arrivals a minute apart; a burst of old samples and a clock step are outvoted.

    The least delayed arrival in each 5 s stands for it (Moon, Skelly and Towsley, INFOCOM 1999, fit a line
    below all delays); we take the median of pairwise rates, which needs no restart after a clock step.
    """

    def __init__(self) -> None:
        self._bins: deque[_Arrival] = deque(maxlen=MAX_BINS)
        self._bin = -1
        self._fitted: tuple[float | None, float | None] | None = None  # of the bins as they are
        self._between: tuple[float, float] | None = None

    def push(self, end_sample: int, wall_us: int, received_s: float, fs: float) -> None:
        """Take one arrival: index and device clock one past its last sample, and when it came."""
        arrival = _Arrival(end_sample, wall_us / 1e6, received_s)
        this_bin = int(received_s // BIN_S)
        if this_bin != self._bin or not self._bins:
            self._bin = this_bin
            self._bins.append(arrival)
            self._fitted = None
        elif _delay_s(arrival, fs) < _delay_s(self._bins[-1], fs):
            self._bins[-1] = arrival
            self._fitted = None

    @property
    def fs_measured(self) -> float | None:
        """Samples per second of arrival, Hz; None until 30 s were seen or when arrivals make no sense."""
        return self._fit()[0]

    @property
    def fs_between(self) -> tuple[float, float] | None:
        """Hz between which four of five of the rates lie whose median is `fs_measured`; None before a minute.

        How far they lie apart is what delays and jitter leave uncertain.
        """
        self._fit()
        return self._between

    @property
    def offset_s(self) -> float | None:
        """Device clock minus arrival, seconds, median of the last minute; None before the first arrival."""
        return self._fit()[1]

    def _fit(self) -> tuple[float | None, float | None]:
        """Rate and offset, fitted again only when an arrival counted: vitals ask each second."""
        if self._fitted is None:
            self._fitted = self._rate_hz(), self._median_offset_s()
        return self._fitted

    def _rate_hz(self) -> float | None:
        if len(self._bins) < MIN_BINS:
            return None
        lag = max(1, min(MAX_LAG, len(self._bins) // 2))
        bins = list(self._bins)
        steps = (
            (b.end_sample - a.end_sample, b.received_s - a.received_s)
            for a, b in zip(bins[:-lag], bins[lag:], strict=True)
        )
        rates = sorted([samples / seconds for samples, seconds in steps if samples > 0 and seconds > 0])
        if not rates:
            return None
        few = len(rates) // 10
        self._between = (rates[few], rates[-1 - few]) if len(bins) >= SURE_BINS else None
        return median(rates)

    def _median_offset_s(self) -> float | None:
        if not self._bins:
            return None
        newest = list(self._bins)[-OFFSET_BINS:]
        return median(b.wall_s - b.received_s for b in newest)


def _delay_s(arrival: _Arrival, fs: float) -> float:
    return arrival.received_s - arrival.end_sample / fs
