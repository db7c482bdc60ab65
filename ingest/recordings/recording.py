"""What a file of a finished recording becomes, what a person may say about it, and why it is refused."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Lead


class RecordingError(ValueError):
    """A file, or a recording in it, cannot be understood: `file`, `line` (from 1) and `reason` say where."""

    def __init__(self, reason: str, *, line: int | None = None, file: str = "") -> None:
        self.reason, self.line, self.file = reason, line, file
        place = ", ".join(part for part in (file, "" if line is None else f"line {line}") if part)
        super().__init__(f"{place}: {reason}" if place else reason)

    def within(self, file: str) -> "RecordingError":
        """The same, of that file."""
        return RecordingError(self.reason, line=self.line, file=self.file or file)

    def __reduce__(self) -> tuple[object, ...]:
        """Processes hand it on with all it says."""
        return _remade, (self.reason, self.line, self.file)


def _remade(reason: str, line: int | None, file: str) -> RecordingError:
    return RecordingError(reason, line=line, file=file)


class Format(StrEnum):
    """What can be read; the words are those of --format and of reports."""

    APPLE = "apple"
    SAMSUNG = "samsung"
    SAMSUNG_EXPORT = "samsung-export"
    HEALTH_AUTO_EXPORT = "health-auto-export"
    HEALTH_AUTO_EXPORT_CSV = "health-auto-export-csv"
    POLAR = "polar"
    WFDB = "wfdb"
    EDF = "edf"
    FHIR = "fhir"
    CSV = "csv"
    JSON = "json"


class About(StrEnum):
    """What a note is about; the first five can be said better by a hint of that name."""

    RATE = "rate"
    UNIT = "unit"
    LEAD = "lead"
    COLUMN = "column"
    ZONE = "zone"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Note:
    """Something about a recording that its reader should tell."""

    about: About
    text: str
    is_guess: bool = False  # a hint can correct it


@dataclass(frozen=True, slots=True)
class Hints:
    """What a person says of a file. It goes before what the file says, and before every guess."""

    format: Format | None = None
    lead: Lead | None = None  # of several leads the one to take; of one, what it is
    fs: float | None = None  # Hz
    unit: str | None = None  # of 1 in the file: "mV", or with a number for converters, "2.5 uV"
    column: str | None = None  # of tables: a name, or a number from 1; of JSON: such as data.ecg
    zone: tzinfo | None = None  # of times that tell none


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: two arrays have no single truth value
class Recording:
    """One lead of one finished recording. Who was recorded is not kept."""

    samples_mv: NDArray[np.float32]  # (n_samples,); NaN where the file has none
    fs: float  # Hz
    lead: Lead
    format: Format
    file: str  # name in the archive behind that of the archive, if it came in one
    start: datetime | None = None  # with its time zone; None where the moment is not known
    local_start: datetime | None = None  # as written, where the file tells no time zone
    device: str | None = None
    vendor_verdict: str | None = None  # in the vendor's words and language
    vendor_rate_bpm: float | None = None
    other_leads: tuple[str, ...] = ()  # what else the file holds, by its own names
    clipped: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))  # (n,), or empty: none
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        """Make the samples read-only."""
        self.samples_mv.flags.writeable = False

    @property
    def n_samples(self) -> int:
        """Missing ones included."""
        return len(self.samples_mv)

    @property
    def length_s(self) -> float:
        """From the first sample to one past the last."""
        return self.n_samples / self.fs

    @property
    def identity(self) -> str:
        """The same for the same start, rate and samples, whichever file they came in."""
        digest = hashlib.sha256(self.samples_mv.tobytes())
        digest.update(f"{self.start or self.local_start} {self.fs!r}".encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Source:
    """One file as a reader gets it."""

    name: str  # for people
    content: bytes
    path: Path | None = None  # where others that belong to it may lie; None in an archive
