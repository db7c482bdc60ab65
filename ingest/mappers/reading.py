"""What one payload says, before its samples have a place in a stream."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import NO_FLAGS, ChunkFlag, Lead


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: two arrays have no single truth value
class Reading:
    """Consecutive samples of one device, of which some may be missing."""

    samples_mv: NDArray[np.float32]  # (n,); NaN where the source says that it has none
    fs: float  # Hz, as claimed
    lead: Lead
    clipped: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))  # (n,), or empty: none
    flags: ChunkFlag = NO_FLAGS
    stamp: float | int | None = None  # the device's clock as it came; what it means the mapper is told
    sequence: int | None = None
    start_us: int | None = None  # of a finished recording, Unix microseconds; None if it does not say

    @property
    def n(self) -> int:
        """Samples, the missing ones with them."""
        return len(self.samples_mv)

    @property
    def span_s(self) -> float:
        """From the first sample to one past the last."""
        return self.n / self.fs


@dataclass(frozen=True, slots=True)
class Place:
    """Where the first sample of a reading lies."""

    session: int  # u32
    first_sample: int
    wall_time_us: int  # device clock there, or our clock at arrival where it has none
    device_ns: int  # the device's clock there as it came, in nanoseconds of its own epoch; 0 without one
    is_synced: bool  # False: the wall time is not the device's, or is days off
    fs: float  # Hz, of the stream
