"""Samsung Health's personal-data export: `com.samsung.health.ecg[.2].<time>.csv`, a row for each recording.

A line names the data, the next the columns; each row ends with a comma. How `chart_data` holds the samples
was not verified with a real export: a JSON list of `sample_count` numbers is read, in a unit that a person
must tell; anything else is refused. Whether `start_time` is UTC or local was not verified either.
"""

import csv
from collections.abc import Iterator

import msgspec

from ingest.encoding import WireError
from ingest.mappers.field import numbers
from ingest.recordings.draft import Draft, finish
from ingest.recordings.moment import moment
from ingest.recordings.recording import About, Format, Hints, Note, Recording, RecordingError, Source
from ingest.recordings.text import lines_of, number_of

FIRST_WORD = "com.samsung.health.ecg"
INSTEAD = "export the recording as CSV in the Samsung Health Monitor app"


def read_samsung_export(source: Source, hints: Hints) -> Iterator[Recording | RecordingError]:
    """Each row's recording, or why it is refused."""
    lines = lines_of(source.content)
    if len(lines) < 2 or not lines[0].startswith(FIRST_WORD):
        raise RecordingError(f"want {FIRST_WORD} first, and the columns in the second line", line=1)
    csv.field_size_limit(1 << 30)
    columns = [name.strip().removeprefix(f"{FIRST_WORD}.") for name in next(csv.reader([lines[1]]), [])]
    if "start_time" not in columns or "chart_data" not in columns:
        raise RecordingError("no columns start_time and chart_data", line=2)
    rows = csv.reader(lines[2:], strict=False)
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        line = rows.line_num + 2
        try:
            yield finish(
                _draft(dict(zip(columns, row, strict=False)), hints), hints, f"{source.name}, row {line - 2}"
            )
        except RecordingError as error:
            yield RecordingError(error.reason, line=line)


def _draft(row: dict[str, str], hints: Hints) -> Draft:
    if hints.unit is None:
        raise RecordingError(f"this export tells no unit of its samples: say it with --unit, or {INSTEAD}")
    try:
        values = numbers(msgspec.json.decode(row.get("chart_data", "")), "chart_data")
    except (msgspec.DecodeError, WireError, RecursionError):
        raise RecordingError(
            f"chart_data is {row.get('chart_data', '')[:30]!r}, want a list of numbers: {INSTEAD}"
        ) from None
    count = number_of(row.get("sample_count", ""))
    if count is not None and count != len(values):
        raise RecordingError(f"chart_data holds {len(values)} samples, sample_count is {count:g}: {INSTEAD}")
    start, offset = row.get("start_time", ""), row.get("time_offset", "")
    notes = [Note(About.ZONE, f"time_offset {offset[:12]!r} is told; whether start_time is local is not")]
    return Draft(
        format=Format.SAMSUNG_EXPORT,
        values=values,
        fs=number_of(row.get("sample_frequency", "")),
        start=moment(start),
        vendor_verdict=row.get("classification"),
        vendor_rate_bpm=number_of(row.get("mean_heart_rate", "")),
        notes=notes if moment(start) else [],
    )
