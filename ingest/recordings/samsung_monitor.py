"""Samsung Health Monitor's CSV: a header as Apple's, mV, no time zone, and a lone comma as its last line."""

from collections.abc import Iterator
from dataclasses import replace

from ingest.recordings.apple_health import read_apple
from ingest.recordings.keyed_header import Key, read_header
from ingest.recordings.recording import Format, Hints, Recording, RecordingError, Source


def is_samsung(lines: list[str]) -> bool:
    """Whether the header is Samsung's: `Created time`, or millivolts."""
    try:
        header = read_header(lines)
    except RecordingError:
        return False
    return Key.CREATED in header.known or (header.unit or "").lower() == "mv"


def read_samsung(source: Source, hints: Hints) -> Iterator[Recording]:
    """The one recording of the file; raises RecordingError with the line."""
    for recording in read_apple(source, hints):
        yield replace(recording, format=Format.SAMSUNG)
