"""Named columns of numbers -> which is the signal, which is the time, and what these tell. Guesses are named.

A time column is never the signal: it is known by its name, or because it rises evenly, as no ECG does.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Lead
from ingest.recordings.draft import Draft, is_unit
from ingest.recordings.lead_name import named_lead, which_signal
from ingest.recordings.moment import moment, since_1970
from ingest.recordings.recording import About, Format, Hints, Note, RecordingError
from ingest.recordings.spacing import is_even, spread_out

RATES_HZ = (50.0, 2_000.0)  # of ECGs; steps of s, ms, us and ns lie a thousand apart, so that one fits
PER_S = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_TIME = re.compile(
    r"time|date|zeit|stamp|elapsed|seconds|(?:^|[^a-z])(?:t|s|ms|sec)(?:$|[^a-z])", re.IGNORECASE
)
_COUNTER = re.compile(r"sample|index|^#$|^n$|^no\.?$|^nr\.?$|number|frame|packet|seq", re.IGNORECASE)
_OTHER = re.compile(
    r"heart.?rate|(?:^|[^a-z])(?:hr|bpm|rr|acc|gyr|ppg|spo2|temp|batt|marker|label|annot|event|lead.?off|quality)"
    r"|beat|steps",
    re.IGNORECASE,
)
_TIME_UNIT = re.compile(
    r"(?:^|[^a-z])(s|sec|secs|seconds?|ms|milliseconds?|us|\u00b5s|\u03bcs|ns)(?:$|[^a-z])", re.IGNORECASE
)
_VOLTAGE = re.compile(r"(?:^|[^A-Za-z])(\d+ ?)?([nmu\u00b5\u03bc]|mc)?(V|v)(?:$|[^A-Za-z])")


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column; a column of dates has its times as seconds since the first, and that first."""

    name: str
    values: NDArray[np.float64]  # (n,); NaN where a cell is empty
    start: datetime | None = None
    is_dates: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What stands beside the columns."""

    fs: float | None = None
    unit: str | None = None
    lead: Lead | None = None
    start: datetime | None = None
    device: str | None = None
    vendor_verdict: str | None = None
    vendor_rate_bpm: float | None = None
    notes: tuple[Note, ...] = field(default=())


def draft_of(columns: Sequence[Column], told: Told, file_format: Format, hints: Hints) -> Draft:
    """The draft of a table of at least one column of equal lengths; raises RecordingError."""
    times = [column for column in columns if _is_time(column)]
    counters = [column for column in columns if column not in times and _is_counter(column)]
    signal = _signal(columns, [*times, *counters], hints)
    notes = list(told.notes)
    left = [each for each in columns if each is not signal]
    if len(columns) > 1 and hints.column is None:
        ignored = ", ".join(repr(each.name[:30]) for each in left[:6])
        notes.append(
            Note(About.COLUMN, f"column {signal.name[:30]!r} is the signal, not {ignored}", is_guess=True)
        )
    values, fs, start = signal.values, told.fs, told.start
    clock = next((each for each in times if each is not signal), None)
    if clock is not None:
        start = start or clock.start or _epoch(clock)
        if fs is None and hints.fs is None:
            times_s, note = _seconds(clock)
            spread = spread_out(times_s, values)
            values, fs = spread.values, spread.fs
            notes += [*note, *spread.notes]
            notes.append(Note(About.RATE, f"{fs:g} Hz, by the column {clock.name[:30]!r}", is_guess=True))
    return Draft(
        format=file_format,
        values=values,
        fs=fs,
        unit=unit_in(signal.name) or told.unit,
        lead=named_lead(_bare(signal.name)) or told.lead,
        start=start,
        device=told.device,
        vendor_verdict=told.vendor_verdict,
        vendor_rate_bpm=told.vendor_rate_bpm,
        other_leads=tuple(each.name for each in left if named_lead(_bare(each.name))),
        notes=notes,
    )


def unit_in(name: str) -> str | None:
    """The voltage unit that a column's name tells: `voltage_mV`, `ecg [uV]`, `I (1000 nV)`."""
    match = _VOLTAGE.search(name.replace("_", " "))
    if match is None:
        return None
    unit = f"{match[2] or ''}V"
    return f"{match[1] or ''}{unit}" if is_unit(unit) else None


def _bare(name: str) -> str:
    """Without a unit in brackets."""
    return re.sub(r"\s*[\[(].*", "", name).strip()


def _is_time(column: Column) -> bool:
    """Named so, or rising evenly by other steps than a counter's."""
    if column.is_dates:
        return True
    known = column.values[~np.isnan(column.values)]
    if _TIME.search(column.name.replace("_", " ")) and unit_in(column.name) is None:
        return bool(np.all(np.diff(known) >= 0))
    return is_even(known) and not _COUNTER.search(column.name) and float(np.median(np.diff(known))) != 1.0


def _is_counter(column: Column) -> bool:
    known = column.values[~np.isnan(column.values)]
    return is_even(known) or (_COUNTER.search(column.name) is not None and bool(np.all(np.diff(known) >= 0)))


def _signal(columns: Sequence[Column], clocks: Sequence[Column], hints: Hints) -> Column:
    if hints.column is not None:
        return _asked_for(columns, hints.column)
    left = [column for column in columns if all(column is not clock for clock in clocks)]
    likely = [column for column in left if not _OTHER.search(column.name)] or left
    if not likely:
        raise RecordingError(
            f"only times and counters ({', '.join(each.name for each in clocks)[:100]}), no signal"
        )
    by_name = [_bare(each.name) if named_lead(_bare(each.name)) else each.name for each in likely]
    return likely[which_signal(by_name, hints)]


def _asked_for(columns: Sequence[Column], wanted: str) -> Column:
    for column in columns:
        if column.name == wanted:
            return column
    if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted[:6]) <= len(columns):
        return columns[int(wanted) - 1]
    names = ", ".join(repr(each.name[:30]) for each in columns[:20])
    raise RecordingError(f"no column {wanted[:40]!r}, there are {names}")


def _epoch(clock: Column) -> datetime | None:
    return None if clock.is_dates or not len(clock.values) else since_1970(float(clock.values[0]))


def _seconds(clock: Column) -> tuple[NDArray[np.float64], list[Note]]:
    """Its times in seconds, and what was guessed."""
    values = clock.values
    if clock.is_dates:
        return values, []
    if np.isnan(values).any():
        raise RecordingError(f"the time column {clock.name[:30]!r} has empty cells")
    named = _TIME_UNIT.search(clock.name.replace("_", " "))
    if named is not None:
        word = named[1].lower()
        per_s = PER_S["s"] if word.startswith("s") else PER_S[{"m": "ms", "n": "ns"}.get(word[0], "us")]
        return (values - values[0]) / per_s, []
    step = float(np.median(np.diff(values))) if len(values) > 1 else 0.0
    if step == 1.0:
        raise RecordingError(f"{clock.name[:30]!r} may count samples or milliseconds: say the rate with --fs")
    for unit, per_s in PER_S.items():
        if step > 0 and RATES_HZ[0] <= per_s / step <= RATES_HZ[1]:
            text = f"the times of {clock.name[:30]!r} are {unit}, by their steps of {step:g}"
            return (values - values[0]) / per_s, [Note(About.RATE, text, is_guess=True)]
    raise RecordingError(
        f"steps of {step:g} in the time column {clock.name[:30]!r} fit no rate: say it with --fs"
    )


def dates_column(name: str, cells: Sequence[str]) -> Column | None:
    """A column of dates with times; None where the cells are none."""
    first = moment(cells[0]) if cells else None
    if first is None:
        return None
    seconds = []
    for cell in cells:
        at = moment(cell)
        if at is None or (at.tzinfo is None) != (first.tzinfo is None):
            return None
        seconds.append((at - first).total_seconds())
    return Column(name, np.array(seconds), start=first, is_dates=True)
