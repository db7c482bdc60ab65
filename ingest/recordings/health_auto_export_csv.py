"""Health Auto Export's CSV: `key,value` lines, then the voltages behind `Voltage Measurements`.

Only the first lines of such files are documented where we looked. Voltages are read beside or below that
key, one a line or several, alone or as the number after a date; the unit and the rate are used where a line
tells them, else guessed or asked for.
"""

import re
from collections.abc import Iterator

import numpy as np

from ingest.chunk import Lead
from ingest.recordings.draft import Draft, finish, is_unit
from ingest.recordings.moment import moment
from ingest.recordings.recording import Format, Hints, Recording, RecordingError, Source
from ingest.recordings.text import lines_of, number_of

VOLTAGES = "voltage measurements"
_IN_BRACKETS = re.compile(r"\(([^)]*)\)")


def read_health_auto_export_csv(source: Source, hints: Hints) -> Iterator[Recording]:
    """The one recording of the file; raises RecordingError with the line."""
    lines = lines_of(source.content)
    told: dict[str, str] = {}
    for at, line in enumerate(lines):
        key, _, value = line.partition(",")
        name = _IN_BRACKETS.sub("", key).strip(' "').lower()
        if name.startswith(VOLTAGES):
            unit = _IN_BRACKETS.search(key)
            yield finish(_draft(lines, at, told, unit[1] if unit else None), hints, source.name)
            return
        told[name] = value.strip(' ",')
    raise RecordingError("no line Voltage Measurements", line=len(lines))


def _draft(lines: list[str], at: int, told: dict[str, str], unit: str | None) -> Draft:
    values: list[float] = []
    _, _, beside = lines[at].partition(",")
    for place, line in enumerate([beside, *lines[at + 1 :]], at + 1):
        cells = [cell.strip(' "') for cell in line.split(",") if cell.strip(' "')]
        units = [cell for cell in cells if is_unit(cell)]
        unit = unit or (units[0] if units else None)
        numbers = [number_of(cell) for cell in cells if not is_unit(cell) and moment(cell) is None]
        if None in numbers:
            if values or place > at + 2:
                raise RecordingError(f"{line.strip()[:40]!r} holds no voltage", line=place)
            continue  # names of columns
        values += [number for number in numbers if number is not None]
    rate = next((number_of(v.split()[0]) for k, v in told.items() if k.startswith("sampl") and v), None)
    heart_rate = next((number_of(v) for k, v in told.items() if "heart rate" in k), None)
    return Draft(
        format=Format.HEALTH_AUTO_EXPORT_CSV,
        values=np.array(values, np.float64),
        fs=rate,
        unit=unit,
        lead=Lead.I,
        start=moment(told.get("start", "")),
        device="Apple Watch",
        vendor_verdict=told.get("classification"),
        vendor_rate_bpm=heart_rate,
    )
