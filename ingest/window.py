"""Ordered samples become windows of fixed length on a grid of sample indices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Lead

MIN_COVERAGE = 0.95  # below this a window is stored but not classified (wire.md)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A stretch of one lead, cut by sample index; samples that never came are NaN, never interpolated."""

    device: str  # "site/device"
    session: int
    first_sample: int
    wall_time_us: int  # device clock at first_sample, Unix microseconds
    fs: float  # Hz
    lead: Lead
    samples_mv: NDArray[np.float32]  # (n_samples,)
    coverage: float  # share of samples that came, 0..1
    lead_off: float  # share of samples the device flagged as lead-off, 0..1
    clipped: float  # share of samples the device flagged as clipped, 0..1
    historic: bool  # came late: never raises a live alarm
    closed_us: int = 0  # wall clock when ingest closed it; stamped by the service

    def __post_init__(self) -> None:
        """Make the samples read-only."""
        self.samples_mv.flags.writeable = False

    @property
    def is_eligible(self) -> bool:
        """True when enough samples came for the model to look at it."""
        return self.coverage >= MIN_COVERAGE
