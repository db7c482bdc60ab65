"""A file, an archive or a folder -> the recordings in it, and of each that is refused, where and why."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from ingest.encoding import WireError
from ingest.recordings.apple_health import read_apple
from ingest.recordings.archive import Archive
from ingest.recordings.detect import detect
from ingest.recordings.edf_file import read_edf_file
from ingest.recordings.fhir_observation import read_fhir
from ingest.recordings.health_auto_export import read_health_auto_export
from ingest.recordings.health_auto_export_csv import read_health_auto_export_csv
from ingest.recordings.json_document import read_json
from ingest.recordings.polar_sensor_logger import read_polar
from ingest.recordings.recording import Format, Hints, Recording, RecordingError, Source
from ingest.recordings.samsung_export import read_samsung_export
from ingest.recordings.samsung_monitor import read_samsung
from ingest.recordings.table import read_table
from ingest.recordings.wfdb_record import read_wfdb

Reader = Callable[[Source, Hints], Iterable[Recording | RecordingError]]
Progress = Callable[[int, int], None]  # files done, of how many
NO_HINTS = Hints()
READERS: dict[Format, Reader] = {
    Format.APPLE: read_apple,
    Format.SAMSUNG: read_samsung,
    Format.SAMSUNG_EXPORT: read_samsung_export,
    Format.HEALTH_AUTO_EXPORT: read_health_auto_export,
    Format.HEALTH_AUTO_EXPORT_CSV: read_health_auto_export_csv,
    Format.POLAR: read_polar,
    Format.WFDB: read_wfdb,
    Format.EDF: read_edf_file,
    Format.FHIR: read_fhir,
    Format.CSV: read_table,
    Format.JSON: read_json,
}
# What damaged input makes of code that expects well-formed input; a fault of the file, told as such.
_OURS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError, MemoryError)


def read(path: Path, hints: Hints = NO_HINTS, progress: Progress | None = None) -> list[Recording]:
    """All recordings of a file, an archive or a folder, in its order.

    Raises RecordingError at the first that is refused: where one bad file must not hide the others, use
    `read_each`.
    """
    recordings = []
    for found in read_each(path, hints, progress):
        if isinstance(found, RecordingError):
            raise found
        recordings.append(found)
    return recordings


def read_each(
    path: Path, hints: Hints = NO_HINTS, progress: Progress | None = None
) -> Iterator[Recording | RecordingError]:
    """Each recording, or why it is refused; raises nothing."""
    try:
        archive = Archive(path)
    except RecordingError as error:
        yield error.within(path.name)
        return
    with closing(archive):
        for done, name in enumerate(archive.names, 1):
            yield from read_member(archive, name, hints)
            if progress is not None:
                progress(done, len(archive.names))


def read_member(archive: Archive, name: str, hints: Hints = NO_HINTS) -> Iterator[Recording | RecordingError]:
    """The same for one of an archive's files."""
    try:
        source = archive.source(name)
    except RecordingError as error:
        yield error
        return
    yield from read_source(source, hints)


def read_source(source: Source, hints: Hints = NO_HINTS) -> Iterator[Recording | RecordingError]:
    """The same for the bytes of a file."""
    try:
        file_format = hints.format or detect(source)
        for found in READERS[file_format](source, hints):
            yield found.within(source.name) if isinstance(found, RecordingError) else found
    except RecordingError as error:
        yield error.within(source.name)
    except _OURS as error:
        reason = (
            str(error) if isinstance(error, WireError) else f"damaged, or of another kind: {error!r}"[:200]
        )
        yield RecordingError(reason, file=source.name)
