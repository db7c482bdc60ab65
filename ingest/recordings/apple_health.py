"""Apple Health: `apple_health_export/electrocardiograms/ecg_*.csv`, as exported in any language.

The header tells rate, unit and lead; names and birth dates in it are dropped. The unit is never guessed.
"""

from collections.abc import Iterator

from ingest.recordings.draft import Draft, finish
from ingest.recordings.keyed_header import Key, read_header
from ingest.recordings.recording import Format, Hints, Recording, Source
from ingest.recordings.text import lines_of, numbers_of


def read_apple(source: Source, hints: Hints) -> Iterator[Recording]:
    """The one recording of the file; raises RecordingError with the line."""
    lines = lines_of(source.content)
    header = read_header(lines)
    draft = Draft(
        format=Format.APPLE,
        values=numbers_of(lines[header.body :], header.body + 1),
        fs=header.fs,
        unit=header.unit,
        lead=header.lead,
        start=header.start,
        device=header.known.get(Key.DEVICE),
        vendor_verdict=header.known.get(Key.VERDICT),
        vendor_rate_bpm=header.heart_rate_bpm,
        notes=header.notes,
    )
    yield finish(draft, hints, source.name)
