"""One part -> its files in the format that was asked for; each format's package is loaded only for it."""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.export.csv_table import CsvWriter
from ingest.export.notes import headline
from ingest.export.part import Note, Part, Scaling, blocks
from ingest.export.reader import Reader
from ingest.export.sent import Sent
from ingest.export.survey import Levels, Session
from ingest.store.rows import ReceivedChunk


@dataclass(frozen=True, slots=True)
class Recording:
    """Where a part's samples come from."""

    reader: Reader
    device: str
    session: Session
    is_wanted: Callable[[ReceivedChunk], bool]

    def blocks(self, part: Part) -> Iterator[tuple[int, Sent]]:
        """(first sample, numbers), in order."""
        for stretch in part.stretches:
            yield from blocks(self.reader, self.device, stretch, self.is_wanted)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one part's files say beside the samples, and where they go."""

    part: Part
    how: Scaling
    levels: Levels
    notes: Sequence[Note]
    folder: Path

    @property
    def reach(self) -> tuple[int, int]:
        """The lowest and the highest integer that is written."""
        return (self.levels.low or 0) // self.how.divisor, -(-(self.levels.high or 0) // self.how.divisor)


def write_part(format_name: str, recording: Recording, sheet: Sheet) -> list[str]:
    """Write one part; the names of its files."""
    return {"csv": _csv, "wfdb": _wfdb, "edf": _edf}[format_name](recording, sheet)


def _csv(recording: Recording, sheet: Sheet) -> list[str]:
    with contextlib.closing(CsvWriter(sheet.folder, sheet.part, recording.session.wall_times_us)) as writer:
        for first, sent in recording.blocks(sheet.part):
            writer.write(first, sent)
    return writer.finish()


def _wfdb(recording: Recording, sheet: Sheet) -> list[str]:
    module: Any = importlib.import_module("ingest.export.wfdb_record")
    part, how, session = sheet.part, sheet.how, recording.session
    writer = module.WfdbWriter(sheet.folder, part, how, module.wfdb_format(*sheet.reach))
    with contextlib.closing(writer):
        for first, sent in recording.blocks(part):
            writer.write(first, how.units(sent))
    comments = [f"device {recording.device}", *headline(session, part, how)]
    names: list[str] = writer.finish(session.wall_time_us(part.first), sheet.notes, comments)
    return names


def _edf(recording: Recording, sheet: Sheet) -> list[str]:
    module: Any = importlib.import_module("ingest.export.edf_file")
    part, how = sheet.part, sheet.how
    writer = module.EdfWriter(sheet.folder, part, how, sheet.reach, 2 * len(sheet.notes))
    with contextlib.closing(writer):
        writer.begin(recording.device, recording.session.wall_time_us(part.first))
        for first, sent in recording.blocks(part):
            writer.write(first, how.units(sent))
        names: list[str] = writer.finish(sheet.notes)
    return names
