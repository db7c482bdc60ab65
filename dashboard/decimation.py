"""Samples with their place in time -> what a screen can show: every sample, or each column's least and most.

No sample is left out of the columns, so that no R peak disappears at any zoom. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.placing import Placement

RAW_PER_COLUMN = 2  # as many numbers as least and most are


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: arrays have no single truth value
class Run:
    """Consecutive samples of one session."""

    placement: Placement
    first_sample: int
    samples_mv: NDArray[np.float32]  # (n,); NaN where none came
    is_late: NDArray[np.bool_]  # (n,); came after its time


@dataclass(frozen=True, slots=True)
class Piece:
    """A run as it is drawn, sample by sample."""

    at_us: float  # of the first sample
    step_us: float
    lead: str
    fs: float
    uv: list[int | None]


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn of a span: `pieces`, or `low_uv` and `high_uv` by column."""

    from_us: int
    to_us: int
    pieces: list[Piece]
    low_uv: list[int | None]
    high_uv: list[int | None]
    late: list[tuple[float, float]]  # spans that came after their time, or hold what did, Unix microseconds
    leads: list[str]


def picture_of(runs: Sequence[Run], from_us: int, to_us: int, columns: int) -> Picture:
    """What is within from_us <= t < to_us; runs may reach beyond."""
    cut = [part for run in runs if (part := _within(run, from_us, to_us))]
    late = [span for run in cut for span in _late_spans(run)]
    leads = list(dict.fromkeys(run.placement.lead for run in cut))
    if sum(len(run.samples_mv) for run in cut) <= RAW_PER_COLUMN * columns:
        return Picture(from_us, to_us, [_piece(run) for run in cut], [], [], late, leads)
    low, high = np.full((2, columns), np.nan, np.float32)
    edges_us = np.linspace(from_us, to_us, columns + 1)
    for run in cut:
        run_low, run_high = _columns(run, edges_us)
        low, high = np.fmin(low, run_low), np.fmax(high, run_high)
    return Picture(from_us, to_us, [], microvolts(low), microvolts(high), late, leads)


def microvolts(mv: NDArray[np.float32]) -> list[int | None]:
    """Whole microvolts, None where there is no sample."""
    return [None if np.isnan(value) else round(value) for value in (mv.astype(np.float64) * 1000).tolist()]


def _within(run: Run, from_us: int, to_us: int) -> Run | None:
    """The part of a run in the span, from its first sample that came to its last; None when none did."""
    low, high = run.placement.samples_at(np.array([from_us, to_us])) - run.first_sample
    low, high = max(0, int(low)), min(len(run.samples_mv), int(high))
    came = np.flatnonzero(~np.isnan(run.samples_mv[low:high]))
    if not len(came):
        return None
    low, high = low + int(came[0]), low + int(came[-1]) + 1
    return Run(run.placement, run.first_sample + low, run.samples_mv[low:high], run.is_late[low:high])


def _piece(run: Run) -> Piece:
    n = len(run.samples_mv)
    first_us, last_us = run.placement.times_us(run.first_sample + np.array([0, n - 1])).tolist()
    step_us = (last_us - first_us) / (n - 1) if n > 1 else 1e6 / run.placement.fs
    return Piece(first_us, step_us, run.placement.lead, run.placement.fs, microvolts(run.samples_mv))


def _columns(run: Run, edges_us: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Least and most of each column, (columns,); NaN where no sample is."""
    starts = np.clip(run.placement.samples_at(edges_us) - run.first_sample, 0, len(run.samples_mv))
    low, high = np.full((2, len(edges_us) - 1), np.nan, np.float32)
    is_filled = starts[1:] > starts[:-1]
    if is_filled.any():
        begins = starts[:-1][is_filled]
        until = run.samples_mv[: starts[-1]]
        low[is_filled] = np.fmin.reduceat(until, begins)
        high[is_filled] = np.fmax.reduceat(until, begins)
    return low, high


def _late_spans(run: Run) -> list[tuple[float, float]]:
    is_late = run.is_late | run.placement.is_late
    edges = np.flatnonzero(np.diff(is_late.astype(np.int8), prepend=0, append=0))
    times = run.placement.times_us(run.first_sample + edges).tolist()
    return list(zip(times[::2], times[1::2], strict=True))
