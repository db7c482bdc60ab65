"""Polar Sensor Logger (H10): `Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV]`.

The sensor's own stamps (ns since 2000, of a clock that may be unset) give the true rate and show what is
missing; the phone's give the start, without a time zone.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Lead
from ingest.recordings.draft import Draft, finish
from ingest.recordings.moment import moment
from ingest.recordings.recording import Format, Hints, Recording, RecordingError, Source
from ingest.recordings.spacing import spread_out
from ingest.recordings.text import lines_of, number_of

SENSOR, VOLTAGE = "sensor timestamp [ns]", "ecg [uv]"
NS_PER_S = 1e9


def is_polar(line: str) -> bool:
    """Whether that is the first line of such a file."""
    return SENSOR in line.lower() and VOLTAGE in line.lower()


def read_polar(source: Source, hints: Hints) -> Iterator[Recording]:
    """The one recording of the file; raises RecordingError with the line."""
    lines = lines_of(source.content)
    names = [name.strip().lower() for name in lines[0].split(";")]
    if SENSOR not in names or VOLTAGE not in names:
        raise RecordingError(f"want the columns {SENSOR} and {VOLTAGE}", line=1)
    stamps_ns, values = _columns(lines, names.index(SENSOR), names.index(VOLTAGE))
    spread = spread_out((stamps_ns - stamps_ns[0]) / NS_PER_S, values)
    draft = Draft(
        format=Format.POLAR,
        values=spread.values,
        fs=spread.fs,
        unit="uV",
        lead=Lead.CHEST,
        start=moment(lines[1].split(";")[0]),
        device="Polar H10",
        notes=spread.notes,
    )
    yield finish(draft, hints, source.name)


def _columns(lines: list[str], stamp_at: int, value_at: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    stamps, values = [], []
    for place, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = line.split(";")
        value = number_of(cells[value_at]) if len(cells) > max(stamp_at, value_at) else None
        stamp = cells[stamp_at].strip() if value is not None else ""
        if value is None or not (stamp.isascii() and stamp.isdigit()) or len(stamp) > 18:
            raise RecordingError(f"{line[:60]!r}, want stamps and a voltage", line=place)
        stamps.append(int(stamp))
        values.append(value)
    if len(values) < 2:
        raise RecordingError("fewer than two samples", line=len(lines))
    return np.array(stamps, np.int64), np.array(values, np.float64)
