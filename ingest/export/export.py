"""One device and span -> a folder SITE.DEVICE_FORMAT of files, with `events.csv` and `export.json`.

Everything is written into a hidden folder beside it, which takes its name in one step when it is complete.
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.chunk import Lead
from ingest.export.notes import notes_of, utc, without_zone, write_events
from ingest.export.part import (
    INT16_MAX,
    INT32_MAX,
    ExportError,
    Part,
    Scaling,
    parts_of,
    scaling,
)
from ingest.export.reader import SLICE_US, Reader
from ingest.export.survey import Session, Survey, survey
from ingest.export.write import Recording, Sheet, write_part
from ingest.store.rows import ReceivedChunk

END_OF_TIME_US = 1 << 62
S_PER_H = 3600.0
HOLE_IN_RECORD_S = 60.0  # a longer hole ends a WFDB record: it would take more room than a new one
FOLDER_MARK = ".wristlead-export-"

Wanted = Callable[[ReceivedChunk], bool]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Span:
    """Which messages to take, whole: by their arrival, or by the device's clock at their first sample."""

    from_us: int = 0
    to_us: int = END_OF_TIME_US
    by_device_clock: bool = False

    def holds(self, message: ReceivedChunk) -> bool:
        """True when the message belongs to it."""
        at_us = message.chunk.wall_time_us if self.by_device_clock else message.received_us
        return self.from_us <= at_us < self.to_us

    def arrivals(self) -> tuple[int, int]:
        """Between which arrivals to look; a device's clock says nothing about that."""
        return (0, END_OF_TIME_US) if self.by_device_clock else (self.from_us, self.to_us)


@dataclass(frozen=True, slots=True)
class Job:
    """One export."""

    reader: Reader
    device: str
    span: Span
    format_name: str  # wfdb, edf or csv
    rescale: bool
    say: Say


def export(job: Job, out: Path, *, force: bool) -> Path:
    """Write the folder; its path.

    Raises ExportError when nothing is there, when the folder exists (without `force`), or when the samples
    do not fit the format; StoreError when the store cannot be read. Then nothing is left behind.
    """
    target = out / f"{job.device.replace('/', '.')}_{job.format_name}"
    if target.exists() and not force:
        raise ExportError(f"{target} exists: choose another --out, or --force to replace it")
    found = survey(_watched(job))
    if not found.sessions:
        raise ExportError(f"nothing of {job.device} is stored in that span: see wristlead export --list")
    out.mkdir(parents=True, exist_ok=True)
    with _until_complete(target) as folder:
        manifest = _write_all(job, found, folder)
        (folder / "export.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return target


def describe(reader: Reader, device: str, span: Span, say: Say) -> Iterator[str]:
    """What is stored of a device: one line for each session."""
    for session in survey(
        _watched(Job(reader, device, span, "csv", rescale=False, say=say))
    ).sessions.values():
        layouts = {each.layout for each in session.stretches}
        first, last = session.stretches[0], session.stretches[-1]
        n = sum(each.end - each.first for each in session.stretches)
        length_s = sum((each.end - each.first) / each.layout.fs for each in session.stretches)
        missing = last.end - first.first - n
        n_gaps = len(session.stretches) - 1
        what = ", ".join(f"{'+'.join(map(_listed, x.leads))} {x.fs:g} Hz" for x in sorted(layouts))
        yield (
            f"{device}  session {session.number:08x}  {what}  {_length(length_s)}  {n} samples, "
            f"{missing} missing in {n_gaps} gap{'s' * (n_gaps != 1)}  "
            f"arrived {_second(session.first_us)} to {_second(session.last_us)}  "
            f"device clock {_second(session.wall_time_us(first.first))} "
            f"to {_second(session.wall_time_us(last.end))}"
        )


def _listed(lead: Lead) -> str:
    """A lead as the pages name it: what is no lead of the field is a plain word."""
    return lead.name.lower() if lead in {Lead.UNKNOWN, Lead.CHEST} else lead.name


def _length(length_s: float) -> str:
    return f"{length_s / S_PER_H:.3f} h" if length_s >= S_PER_H else f"{length_s:.1f} s"


def _second(us: int) -> str:
    """Unix microseconds as ISO 8601, the second that had begun."""
    return without_zone(us).strftime("%Y-%m-%dT%H:%M:%SZ")


def _watched(job: Job) -> Iterator[ReceivedChunk]:
    """The messages of the span, with a word for each hour of arrivals that is read."""
    hour = None
    for message in job.reader.by_arrival(job.device, *job.span.arrivals()):
        if hour != message.received_us // SLICE_US:
            hour = message.received_us // SLICE_US
            job.say(f"looking at what arrived from {utc(message.received_us)} on")
        if job.span.holds(message):
            yield message


@contextlib.contextmanager
def _until_complete(target: Path) -> Iterator[Path]:
    """A hidden folder that becomes `target` at the end, or vanishes with what failed."""
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_MARK, dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=FOLDER_MARK, dir=target.parent)) / "old"
            target.rename(old)
            folder.rename(target)
            shutil.rmtree(old.parent)
        else:
            folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_all(job: Job, found: Survey, folder: Path) -> dict[str, Any]:
    parts = []
    for session in found.sessions.values():
        for part in parts_of(session, _longest_hole_s(job, found, session)):
            how = _scaling(job, found, part)
            notes = notes_of(job.reader, job.device, session, part, how)
            recording = Recording(job.reader, job.device, session, job.span.holds)
            sheet = Sheet(part, how, found.levels[part.layout], notes, folder)
            files = write_part(job.format_name, recording, sheet)
            write_events(folder / "events.csv", session, notes)
            parts.append(_entry(session, part, how, files))
            job.say(f"wrote {part.name}, {part.end - part.first} samples")
    return {"device": job.device, "format": job.format_name, "parts": parts}


def _longest_hole_s(job: Job, found: Survey, session: Session) -> float:
    """The longest hole that a file may hold, seconds."""
    if job.format_name == "csv":
        return float("inf")
    lowest = min(found.levels[each.layout].low or 0 for each in session.stretches)
    is_ambiguous = lowest < -INT32_MAX  # the device itself sent WFDB's "no sample"
    return 0.0 if job.format_name == "edf" or is_ambiguous else HOLE_IN_RECORD_S


def _scaling(job: Job, found: Survey, part: Part) -> Scaling:
    layout = part.layout
    if job.format_name == "csv":
        return Scaling(layout.nv_per_unit, 1, 0.0)
    largest = INT16_MAX if job.format_name == "edf" else INT32_MAX
    return scaling(layout, found.levels[layout], largest, rescale=job.rescale)


def _entry(session: Session, part: Part, how: Scaling, files: list[str]) -> dict[str, Any]:
    return {
        "files": files,
        "session": f"{session.number:08x}",
        "fs": part.layout.fs,
        "leads": [lead.name for lead in part.layout.leads],
        "first_sample": part.first,
        "n_samples": part.end - part.first,
        "missing": [[first, end - first] for first, end in part.holes],
        "nv_per_unit": how.nv_per_unit,
        "nv_per_unit_sent": part.layout.nv_per_unit,
        "largest_error_nv": how.loss_nv,
        "device_time_us": session.wall_time_us(part.first),
        "fs_by_arrival": session.fit.fs_measured,
        "device_clock_minus_arrival_s": session.fit.offset_s,
    }
