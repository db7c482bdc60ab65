"""Files of finished ECG recordings -> `Recording`s; one module reads one format (docs/recordings.md)."""

from ingest.recordings.reader import read, read_each
from ingest.recordings.recording import About, Format, Hints, Note, Recording, RecordingError

__all__ = ["About", "Format", "Hints", "Note", "Recording", "RecordingError", "read", "read_each"]
