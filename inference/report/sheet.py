"""A stretch of ECG -> rows of paper at 25 mm/s and 10 mm/mV; pure, whatever draws them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MM_PER_S = 25.0
MM_PER_MV = 10.0
PULSE_MM = 8.0  # at the left of a row, for the 1 mV pulse
UP_MM, DOWN_MM = (15.0, 60.0), (10.0, 45.0)  # least and most above and below 0 mV; beyond it the trace is cut
STEP_MM = 5.0


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: arrays have no single truth value
class Trace:
    """Consecutive samples of one lead."""

    start_s: float  # of the first sample, from the sheet's beginning
    step_s: float
    samples_mv: NDArray[np.float32]  # (n,); NaN where none came: a gap


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """What is to be drawn."""

    duration_s: float
    traces: Sequence[Trace]
    head: Sequence[str]  # lines above; the first is the title
    foot: str  # stands on every page
    row_words: Sequence[str]  # at the beginning of each row


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One line of paper; lengths in mm from its left and from 0 mV, upwards."""

    words: str
    width_mm: float  # without the pulse
    up_mm: float
    down_mm: float
    lines: Sequence[NDArray[np.float64]]  # (n, 2) points, one array for each unbroken stretch


def rows_of(sheet: Sheet, row_s: float) -> list[Row]:
    """The rows, all of one height, the last one as long as the others."""
    up_mm, down_mm = _heights(sheet.traces)
    n_rows = max(1, int(np.ceil(sheet.duration_s / row_s - 1e-9)))
    return [
        Row(
            sheet.row_words[k] if k < len(sheet.row_words) else "",
            row_s * MM_PER_S, up_mm, down_mm,
            [line for trace in sheet.traces for line in _lines(trace, k * row_s, row_s, up_mm, down_mm)],
        )
        for k in range(n_rows)
    ]  # fmt: skip


def _heights(traces: Sequence[Trace]) -> tuple[float, float]:
    known = np.concatenate([np.zeros(1), *(t.samples_mv[~np.isnan(t.samples_mv)] for t in traces)])
    reach = (float(known.max()), float(-known.min()))
    limits = (UP_MM, DOWN_MM)
    up_mm, down_mm = (
        float(np.clip(np.ceil((mv * MM_PER_MV + 2) / STEP_MM) * STEP_MM, least, most))
        for mv, (least, most) in zip(reach, limits, strict=True)
    )
    return up_mm, down_mm


def _lines(
    trace: Trace, from_s: float, row_s: float, up_mm: float, down_mm: float
) -> Iterator[NDArray[np.float64]]:
    first = max(0, int(np.floor((from_s - trace.start_s) / trace.step_s)))
    end = min(len(trace.samples_mv), int(np.ceil((from_s + row_s - trace.start_s) / trace.step_s)) + 1)
    if end <= first:
        return
    mv = trace.samples_mv[first:end].astype(np.float64)
    x_mm = (trace.start_s + np.arange(first, end) * trace.step_s - from_s) * MM_PER_S
    y_mm = np.clip(mv * MM_PER_MV, -down_mm, up_mm)
    is_in = (x_mm >= -1e-6) & (x_mm <= row_s * MM_PER_S + 1e-6) & ~np.isnan(mv)
    edges = np.flatnonzero(np.diff(is_in.astype(np.int8), prepend=0, append=0))
    for low, high in edges.reshape(-1, 2).tolist():
        yield np.stack([x_mm[low:high], y_mm[low:high]], axis=1)
