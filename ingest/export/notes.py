"""A survey and the store -> notes: clock, holes, lead-off, clipping, verdicts, alarms."""

import csv
import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from ingest.export.part import Note, Part, Scaling
from ingest.export.reader import Happening, Reader
from ingest.export.survey import Session


def notes_of(reader: Reader, device: str, session: Session, part: Part, how: Scaling) -> list[Note]:
    """Everything about one part, by place; what reaches beyond it is cut at its ends."""
    first, end = part.first, part.end
    notes = [Note(first, first, text) for text in headline(session, part, how)]
    notes += [Note(begin, stop, "missing") for begin, stop in part.holes]
    notes += [
        Note(max(first, m.first), min(end, m.end), m.text)
        for m in session.marks
        if m.first < end and (m.end > first or m.first == m.end >= first)
    ]
    notes += [_at_place(each) for each in reader.verdicts(device, session.number, first, end)]
    notes += [
        Note(at, at, each.text)
        for each in reader.alarms(device, session.first_us, session.last_us + 1)
        if (at := session.sample_at(each.at_us)) is not None and first <= at < end
    ]
    return sorted(notes, key=lambda note: note.first)


def headline(session: Session, part: Part, how: Scaling) -> list[str]:
    """What a reader of one part must know, each in at most 40 bytes, as EDF keeps no longer notes."""
    lines = [
        f"session {session.number:08x} sample {part.first}",
        f"device clock {utc(session.wall_time_us(part.first))}",
        f"fs as sent {part.layout.fs:.10g} Hz",
        f"{how.nv_per_unit} nV per unit",
    ]
    if (fs := session.fit.fs_measured) is not None:
        lines.append(f"fs by arrival {fs:.4f} Hz")
    if (offset_s := session.fit.offset_s) is not None:
        lines.append(f"device clock - arrival {offset_s:+.3f} s")
    if how.loss_nv:
        lines.append(f"rounded by at most {how.loss_nv:.6g} nV")
    return lines


def without_zone(us: int) -> dt.datetime:
    """Unix microseconds as a UTC time that does not say so, as the headers of WFDB and EDF have it."""
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)).replace(tzinfo=None)


def utc(us: int) -> str:
    """Unix microseconds as ISO 8601."""
    return without_zone(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write_events(path: Path, session: Session, notes: Sequence[Note]) -> None:
    """Add notes to a table: session, sample, device_time_us, n_samples (0: a moment), text."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        if is_new:
            rows.writerow(["session", "sample", "device_time_us", "n_samples", "text"])
        for note in notes:
            at_us = session.wall_time_us(note.first)
            rows.writerow([f"{session.number:08x}", note.first, at_us, note.end - note.first, note.text])


def _at_place(happening: Happening) -> Note:
    first = happening.first_sample or 0
    return Note(first, first, happening.text)
