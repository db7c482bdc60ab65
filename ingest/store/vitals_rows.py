"""Vitals <-> rows of fixed size: what people look back at, the rest is of the moment.

Rows of before had no rhythm. They are read for ever, and gain it, unknown, where they are written again.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.quality import SignalState
from ingest.store.rows import kept_vitals
from ingest.vitals import Vitals

_FORMER_FIELDS = [
    ("device", "<u4"), ("signal", "<u4"), ("session", "<i8"), ("last_sample", "<i8"), ("at_us", "<i8"),
    ("heart_rate_bpm", "<f8"),
]  # fmt: skip
FORMER_VITALS_ROW = np.dtype(_FORMER_FIELDS)  # 40 bytes
VITALS_ROW = np.dtype(  # 46 bytes; device: number in the block's table of names
    [
        *_FORMER_FIELDS,
        ("rmssd", "<u2"), ("sdnn", "<u2"),  # 0.1 ms
        ("ectopic_per_min", "u1"), ("irregular", "u1"),
    ]
)  # fmt: skip
UNKNOWN_TENTHS, UNKNOWN_COUNT = 0xFFFF, 0xFF  # of the last four fields; as much or more is stored as one less
SIGNALS = (  # a row keeps the place in this order: new states are added at the end
    SignalState.GOOD,
    SignalState.LEAD_OFF,
    SignalState.FLAT,
    SignalState.SATURATED,
    SignalState.NOISY,
    SignalState.SLOW_SAMPLING,
    SignalState.NO_DATA,
)
_NUMBER_OF_SIGNAL = {state: number for number, state in enumerate(SIGNALS)}


def vitals_rows(vitals: Sequence[Vitals], devices: Sequence[int]) -> NDArray[Any]:
    """One row each, (n,) of VITALS_ROW; `devices` are the numbers of their names.

    Column by column: a row at a time costs twice as much.
    """
    rows = np.empty(len(vitals), VITALS_ROW)
    rows["device"] = devices
    rows["signal"] = [_NUMBER_OF_SIGNAL[each.signal] for each in vitals]
    for name in ("session", "last_sample", "at_us"):
        rows[name] = [getattr(each, name) for each in vitals]
    rows["heart_rate_bpm"] = _known_or_nan([each.heart_rate_bpm for each in vitals])
    rows["rmssd"] = _bounded([each.rmssd_ms for each in vitals], 10, UNKNOWN_TENTHS)
    rows["sdnn"] = _bounded([each.sdnn_ms for each in vitals], 10, UNKNOWN_TENTHS)
    rows["ectopic_per_min"] = _bounded([each.ectopic_per_min for each in vitals], 1, UNKNOWN_COUNT)
    rows["irregular"] = _bounded([each.irregular for each in vitals], 1, UNKNOWN_COUNT)
    return rows


def as_vitals(device: str, rows: NDArray[Any]) -> list[Vitals]:
    """Rows (n,) of VITALS_ROW -> records."""
    return [
        kept_vitals(
            device,
            (session, at_us, last_sample, None if math.isnan(rate_bpm) else rate_bpm, SIGNALS[signal]),
            (
                None if rmssd == UNKNOWN_TENTHS else rmssd / 10,
                None if sdnn == UNKNOWN_TENTHS else sdnn / 10,
                None if n_ectopic == UNKNOWN_COUNT else n_ectopic,
                None if irregular == UNKNOWN_COUNT else bool(irregular),
            ),
        )
        for _, signal, session, last_sample, at_us, rate_bpm, rmssd, sdnn, n_ectopic, irregular in (
            rows.tolist()
        )
    ]


def with_rhythm(former: NDArray[Any]) -> NDArray[Any]:
    """Rows (n,) of either kind as VITALS_ROW; unknown is what those of before did not have."""
    if former.dtype == VITALS_ROW:
        return former
    rows = np.empty(len(former), VITALS_ROW)
    for name in FORMER_VITALS_ROW.names or ():
        rows[name] = former[name]
    rows["rmssd"] = rows["sdnn"] = UNKNOWN_TENTHS
    rows["ectopic_per_min"] = rows["irregular"] = UNKNOWN_COUNT
    return rows


def _known_or_nan(values: Sequence[float | None]) -> NDArray[np.float64]:
    """NaN where a value is unknown."""
    return np.array(values, np.float64)  # numpy takes None for it


def _bounded(values: Sequence[float | None], factor: int, unknown: int) -> NDArray[np.float64]:
    """Whole multiples, less than `unknown`, which stands for None."""
    known = _known_or_nan(values)
    return np.where(np.isnan(known), unknown, np.minimum(np.rint(factor * known), unknown - 1))
