"""EDF, EDF+C and BDF by edfio; the patient field is never looked at.

edfio is numpy alone: a damaged file cannot crash it, where the C library behind pyedflib reads through
pointers. Files with parts (EDF+D) are refused, as that library does not say where each part belongs.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np

from ingest.chunk import Lead
from ingest.recordings.draft import Draft, finish
from ingest.recordings.extra import reading_by, required
from ingest.recordings.lead_name import modified_lead, named_lead, which_signal
from ingest.recordings.recording import Format, Hints, Recording, RecordingError, Source

EDF_MAGIC, BDF_MAGIC = b"0       ", b"\xffBIOSEMI"
PADDING = "padding"  # what `wristlead export` notes of the end of the last record
_UNKNOWN_YEAR = 1985  # of 1985-01-01, which EDF+ writes where no date is known


def read_edf_file(source: Source, hints: Hints) -> Iterator[Recording]:
    """The chosen lead; raises RecordingError, also where none of several signals is known as one."""
    edfio = required("edfio")
    with reading_by("edfio"):
        open_file = edfio.read_bdf if source.content.startswith(BDF_MAGIC) else edfio.read_edf
        draft = _draft(open_file(source.content, header_encoding="latin-1"), hints)
    yield finish(draft, hints, source.name)


def _draft(edf: Any, hints: Hints) -> Draft:
    if str(edf.reserved).upper().startswith(("EDF+D", "BDF+D")):
        raise RecordingError("EDF+D (a file of several parts) is not read here: convert it to EDF+C")
    signals = list(edf.signals)
    names = [signal.label for signal in signals]
    at = which_signal(names, hints)
    signal = signals[at]
    values = np.asarray(signal.data, np.float64)
    return Draft(
        format=Format.EDF,
        values=values[: len(values) - _padding(edf, signal.sampling_frequency)],
        fs=float(signal.sampling_frequency),
        unit=signal.physical_dimension.strip() or None,
        lead=named_lead(names[at]) or Lead.UNKNOWN,
        start=_start(edf),
        device=_device(edf),
        other_leads=tuple(name for place, name in enumerate(names) if place != at),
        notes=modified_lead(names[at]),
    )


def _padding(edf: Any, fs: float) -> int:
    """Samples at the end that `wristlead export` added to fill the last record."""
    lengths = [each.duration or 0.0 for each in edf.annotations if each.text == PADDING]
    return max(0, round(lengths[-1] * fs)) if lengths else 0


def _start(edf: Any) -> datetime | None:
    try:
        start = datetime.combine(edf.startdate, edf.starttime)
    except ValueError:  # a date that is none, or anonymous
        return None
    return None if start.year <= _UNKNOWN_YEAR else start


def _device(edf: Any) -> str | None:
    """The equipment's code of EDF+; the rest of that field may name people."""
    parts = str(edf.local_recording_identification).split(" ")
    is_told = len(parts) >= 5 and parts[0] == "Startdate" and parts[4] not in ("", "X")
    return parts[4].replace("_", " ") if is_told else None
