"""What the tests of readers share."""

import numpy as np

from ingest.recordings import Hints, Recording, RecordingError
from ingest.recordings.reader import read_source
from ingest.recordings.recording import Source


def read_all(
    content: bytes, hints: Hints | None = None, name: str = "file"
) -> list[Recording | RecordingError]:
    return list(read_source(Source(name, content), hints or Hints()))


def read_one(content: bytes, hints: Hints | None = None, name: str = "file") -> Recording:
    """The only recording; what refused it is raised."""
    (found,) = read_all(content, hints, name)
    if isinstance(found, RecordingError):
        raise found
    return found


def in_uv(recording: Recording) -> list[int]:
    whole: list[int] = np.rint(recording.samples_mv * 1000.0).astype(np.int64).tolist()
    return whole
