"""A path -> the files in it that may hold ECGs: the file itself, those of a zip, those of a folder.

Of an Apple export (zip or folder) only `electrocardiograms/` is opened, of a Samsung export only its ECG
table: `export.xml` may have gigabytes. Sizes are what is really read, never what an archive says.
"""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ingest.recordings.recording import RecordingError, Source
from ingest.recordings.samsung_export import FIRST_WORD

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
APPLE_FOLDER = "electrocardiograms"
SUFFIXES = (".csv", ".json", ".txt", ".tsv", ".edf", ".bdf", ".hea")
NO_ECGS = ("events.csv", "export.json")  # what `wristlead export` writes beside
MAX_FILE_BYTES = 256 << 20
MAX_MEMBERS = 200_000
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


class Archive:
    """One path of a person's; `names` are its files that may hold ECGs, `""` the path itself."""

    def __init__(self, path: Path) -> None:
        """Raise RecordingError where the path cannot be read or holds nothing."""
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        if path.is_dir():
            found = [each.relative_to(path).as_posix() for each in sorted(path.rglob("*")) if each.is_file()]
            self.names: Sequence[str] = _with_ecgs(found, path.name)
        elif _first_bytes(path).startswith(ZIP_MAGIC):
            try:
                self._zip = zipfile.ZipFile(path)
                found = [each.filename for each in self._zip.infolist() if not each.is_dir()]
            except _DAMAGED as error:
                raise RecordingError(f"a damaged archive: {error}", file=path.name) from None
            self.names = _with_ecgs([each for each in found if not _is_ghost(each)], path.name)
        else:
            self.names = [""]

    def source(self, name: str) -> Source:
        """One of `names`; raises RecordingError where it cannot be read."""
        shown = f"{self.path.name}: {name}" if name else self.path.name
        try:
            if self._zip is not None:
                with self._zip.open(name) as member:
                    content = member.read(MAX_FILE_BYTES + 1)
                path = None
            else:
                path = self.path / name if name else self.path
                with path.open("rb") as file:
                    content = file.read(MAX_FILE_BYTES + 1)
        except _DAMAGED as error:
            why = getattr(error, "strerror", None) or error
            raise RecordingError(f"cannot be read: {why}", file=shown) from None
        if len(content) > MAX_FILE_BYTES:
            raise RecordingError(f"more than {MAX_FILE_BYTES >> 20} MiB", file=shown)
        return Source(shown, content, path)

    def close(self) -> None:
        """Close the archive."""
        if self._zip is not None:
            self._zip.close()


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError as error:
        raise RecordingError(f"cannot be read: {error.strerror or error}", file=path.name) from None


def _is_ghost(name: str) -> bool:
    """What macOS adds beside each file of an archive."""
    return name.startswith("__MACOSX/") or PurePosixPath(name).name.startswith("._")


def _with_ecgs(names: Sequence[str], archive: str) -> list[str]:
    """Those that may hold ECGs; raises RecordingError where none may."""
    if len(names) > MAX_MEMBERS:
        raise RecordingError(f"{len(names)} files, want at most {MAX_MEMBERS}", file=archive)
    csvs = [name for name in names if name.lower().endswith(".csv")]
    apple = [name for name in csvs if APPLE_FOLDER in PurePosixPath(name).parts[:-1]]
    samsung = [name for name in csvs if PurePosixPath(name).name.startswith(FIRST_WORD)]
    others = [name for name in names if PurePosixPath(name).name not in NO_ECGS]
    chosen = apple or samsung or [name for name in others if name.lower().endswith(SUFFIXES)]
    if not chosen:
        raise RecordingError(
            f"no ECGs among its {len(names)} files: want {APPLE_FOLDER}/*.csv, {FIRST_WORD}*.csv, "
            f"or files of {' '.join(SUFFIXES)}",
            file=archive,
        )
    return sorted(chosen)
