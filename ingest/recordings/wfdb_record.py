"""WFDB by the wfdb package: NAME.hea and what it names. Comments (age, sex, diagnoses) are dropped."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ingest.chunk import Lead
from ingest.recordings.draft import MAX_SAMPLES, Draft, finish
from ingest.recordings.extra import reading_by, required
from ingest.recordings.lead_name import modified_lead, named_lead, which_signal
from ingest.recordings.recording import Format, Hints, Recording, RecordingError, Source

HEADER = ".hea"
MAX_SIGNALS = 64
MAX_SEGMENTS = 10_000
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,79}", re.ASCII)
_FIRST_LINE = re.compile(rb"(?:#[^\n]*\n|\s)*[A-Za-z0-9_-]+(?:/\d+)?[ \t]+\d+(?:[ \t]+[\d./() ]+)?", re.ASCII)


def is_header(content: bytes) -> bool:
    """Whether that is a WFDB header: a record's name, then how many signals it has."""
    return _FIRST_LINE.match(content[:4096]) is not None


def read_wfdb(source: Source, hints: Hints) -> Iterator[Recording]:
    """The chosen lead of a record given by its header; raises RecordingError."""
    path = source.path
    if path is None:
        raise RecordingError("a WFDB record is several files: unpack the archive first")
    if path.suffix != HEADER:
        path = path.with_suffix(HEADER)
    if not path.is_file():
        raise RecordingError(f"no {path.name} beside it: a WFDB record is read by its header")
    wfdb = required("wfdb")
    with reading_by("wfdb"):
        draft = _draft(wfdb, path, hints)
    yield finish(draft, hints, source.name)


def _draft(wfdb: Any, path: Path, hints: Hints) -> Draft:
    name = str(path.with_suffix("").resolve())
    _check(wfdb, name, path.parent)
    names = _signal_names(wfdb.rdheader(name, rd_segments=True))
    at = which_signal(names, hints)
    record = wfdb.rdrecord(name, channel_names=[names[at]], smooth_frames=False, m2s=True)
    per_frame = 1
    if record.e_p_signal is not None:
        values, per_frame = record.e_p_signal[0], record.samps_per_frame[0]
    else:
        values = record.p_signal[:, 0]
    return Draft(
        format=Format.WFDB,
        values=np.asarray(values, np.float64),
        fs=float(record.fs) * per_frame,
        unit=record.units[0],
        lead=named_lead(names[at]) or Lead.UNKNOWN,
        start=_start(record),
        other_leads=tuple(each for place, each in enumerate(names) if place != at),
        notes=modified_lead(names[at]),
    )


def _check(wfdb: Any, name: str, folder: Path) -> None:
    """Raise RecordingError where a header names files elsewhere or promises more than its files can hold."""
    header = wfdb.rdheader(name, rd_segments=False)
    segments = [each for each in getattr(header, "seg_name", None) or [] if each != "~"]
    if not segments:
        _check_files(header, folder)
        return
    if len(segments) > MAX_SEGMENTS or not all(map(_PLAIN_NAME.fullmatch, segments)):
        raise RecordingError(f"segments {segments[:3]}, want plain names of files beside the header")
    if sum(header.seg_len) > MAX_SAMPLES or min(header.seg_len) < 0:
        raise RecordingError(f"{sum(header.seg_len)} samples, want at most {MAX_SAMPLES}")
    for each in dict.fromkeys(segments):
        segment = wfdb.rdheader(str(folder / each), rd_segments=False)
        if hasattr(segment, "seg_name"):
            raise RecordingError("a segment that has segments itself is no WFDB")
        _check_files(segment, folder)


def _check_files(header: Any, folder: Path) -> None:
    files = set(header.file_name or [])
    if not files or not 1 <= header.n_sig <= MAX_SIGNALS:
        raise RecordingError(f"{header.n_sig} signals, want 1 to {MAX_SIGNALS}")
    if files == {"~"}:
        return  # the layout of segments
    if not all(each and _PLAIN_NAME.fullmatch(each) for each in files):
        raise RecordingError(
            f"signal files {sorted(map(str, files))[:3]}, want plain names beside the header"
        )
    absent = [each for each in files if not (folder / each).is_file()]
    if absent:
        raise RecordingError(f"no {absent[0]} beside the header")
    n_bytes = sum((folder / each).stat().st_size for each in files)
    per_frame = sum(header.samps_per_frame or [1])
    if (header.sig_len or 0) * per_frame > 64 * n_bytes + 64 or per_frame > 10_000:  # FLAC packs a few times
        raise RecordingError(f"{header.sig_len} frames are promised, the files have {n_bytes} bytes")


def _signal_names(header: Any) -> list[str]:
    names = header.sig_name
    if not names:
        names = header.get_sig_name() if hasattr(header, "get_sig_name") else []
    if not names:
        raise RecordingError("the header names no signals")
    return [str(each) for each in names]


def _start(record: Any) -> datetime | None:
    if record.base_date is None or record.base_time is None:
        return None
    return datetime.combine(record.base_date, record.base_time)
