"""What a format's reader found, with unknowns, and a person's hints -> a `Recording`, guesses named."""

import math
import re
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Lead
from ingest.mappers.unit import UNITS_NV, samples_mv
from ingest.recordings.recording import About, Format, Hints, Note, Recording, RecordingError
from ingest.wire import FS_RANGE_HZ

MAX_SAMPLES = 100_000_000  # a day at 1000 Hz; 400 MB
MAX_MV = 1e6  # a kilovolt; converters without a known offset come near a few volts
STRETCH_S = 2.0  # a beat lies in each
# Of a stretch from peak to peak, the median, mV: an ECG at the wrist or chest has 0.3 to 5; units lie a
# thousand apart, so that at most one of them fits.
LIKELY_MV = (0.15, 8.0)
RATE_RANGE_BPM = (10.0, 400.0)  # of a vendor's own rate; beyond it is no rate
_UNIT = re.compile(r"\s*(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)?\s*([^\d\s]+)\s*", re.ASCII)
_UNITS = {name.lower(): nv for name, nv in UNITS_NV.items() if name not in ("mV", "V")} | {
    "mv": UNITS_NV["mV"],
    "v": UNITS_NV["V"],
    "microvolt": UNITS_NV["uV"],
    "microvolts": UNITS_NV["uV"],
    "millivolt": UNITS_NV["mV"],
    "millivolts": UNITS_NV["mV"],
    "volt": UNITS_NV["V"],
    "volts": UNITS_NV["V"],
}


@dataclass(slots=True, eq=False)
class Draft:
    """A recording as far as its file tells; None is untold."""

    format: Format
    values: NDArray[np.float64]  # (n,), in `unit`; NaN where missing
    fs: float | None = None
    unit: str | None = None
    lead: Lead | None = None
    start: datetime | None = None  # with or without a zone
    device: str | None = None
    vendor_verdict: str | None = None
    vendor_rate_bpm: float | None = None
    other_leads: tuple[str, ...] = ()
    clipped: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    notes: list[Note] = field(default_factory=list)


def finish(draft: Draft, hints: Hints, file: str) -> Recording:
    """The recording; raises RecordingError where something is not told and cannot be guessed."""
    n_known = len(draft.values) - int(np.count_nonzero(np.isnan(draft.values)))
    if not n_known:
        raise RecordingError("no samples")
    if len(draft.values) > MAX_SAMPLES:
        raise RecordingError(f"{len(draft.values)} samples, want at most {MAX_SAMPLES}: cut the file")
    notes = list(draft.notes)
    fs = _fs(draft, hints, notes)
    unit = _unit(draft, hints, fs, notes)
    start, local_start = _start(draft, hints, notes)
    lead = _lead(draft, hints, notes)
    in_mv = samples_mv(draft.values, nv_of(unit), 0.0)
    largest_mv = float(np.nanmax(np.abs(in_mv)))
    if largest_mv > MAX_MV:
        raise RecordingError(
            f"a sample of {largest_mv:.3g} mV in {unit}: is the unit another? Say it with --unit"
        )
    return Recording(
        samples_mv=in_mv,
        fs=fs,
        lead=lead,
        format=draft.format,
        file=file,
        start=start,
        local_start=local_start,
        device=_in_short(draft.device),
        vendor_verdict=_in_short(draft.vendor_verdict),
        vendor_rate_bpm=_believable_rate(draft.vendor_rate_bpm),
        other_leads=draft.other_leads,
        clipped=draft.clipped,
        notes=tuple(notes),
    )


def nv_of(unit: str) -> float:
    """Nanovolts of 1: of `mV`, `µV`, `2.5 uV`; raises RecordingError for a unit that is not known."""
    match = _UNIT.fullmatch(unit) if len(unit) <= 60 else None
    nv = _UNITS.get(match[2].lower()) if match else None
    if match is None or nv is None or not 0 < nv * float(match[1] or 1) < math.inf:
        raise RecordingError(
            f"unit {unit[:40]!r}, want mV, uV, nV or V, or such as '2.5 uV' for steps of a converter: "
            "say it with --unit"
        )
    return nv * float(match[1] or 1)


def is_unit(text: str) -> bool:
    """Whether that names a voltage unit."""
    return text.strip().lower() in _UNITS


def guessed_unit(values: NDArray[np.float64], fs: float) -> str | None:
    """The unit in which (n,) values at fs Hz swing as an ECG does; None where none does."""
    length = max(2, round(STRETCH_S * fs))
    known = values[~np.isnan(values)]
    length = min(length, len(known))
    stretches = known[: len(known) // length * length].reshape(-1, length)
    swing = float(np.median(np.ptp(stretches, axis=1)))
    for unit in ("mV", "uV", "V", "nV"):
        if LIKELY_MV[0] <= swing * nv_of(unit) / UNITS_NV["mV"] <= LIKELY_MV[1]:
            return unit
    return None


def _fs(draft: Draft, hints: Hints, notes: list[Note]) -> float:
    fs = draft.fs if hints.fs is None else hints.fs
    if fs is None:
        raise RecordingError("the sampling rate is not told and no time column gives it: say it with --fs")
    if not FS_RANGE_HZ[0] <= fs <= FS_RANGE_HZ[1]:
        raise RecordingError(f"sampling rate {fs:g} Hz, want {FS_RANGE_HZ[0]:g} to {FS_RANGE_HZ[1]:g}")
    if hints.fs is not None:
        notes[:] = [note for note in notes if note.about is not About.RATE]
        if draft.fs is not None and abs(draft.fs - hints.fs) > 1e-3 * hints.fs:
            notes.append(Note(About.RATE, f"read at {fs:g} Hz as you said; the file tells {draft.fs:g} Hz"))
    return float(fs)


def _unit(draft: Draft, hints: Hints, fs: float, notes: list[Note]) -> str:
    if hints.unit is not None:
        if draft.unit is not None and nv_of(draft.unit) != nv_of(hints.unit):
            notes.append(Note(About.UNIT, f"read in {hints.unit} as you said; the file tells {draft.unit}"))
        return hints.unit
    if draft.unit is not None:
        return draft.unit
    if _looks_like_steps(draft.values):
        raise RecordingError(
            "the unit is not told and the values look like steps of a converter (whole, none below 0): say "
            "what one is with --unit, such as '2.5 uV'"
        )
    guess = guessed_unit(draft.values, fs)
    if guess is None:
        raise RecordingError("the unit is not told and no unit makes these values an ECG: say it with --unit")
    notes.append(Note(About.UNIT, f"unit {guess}, by the size of the waves", is_guess=True))
    return guess


def _looks_like_steps(values: NDArray[np.float64]) -> bool:
    known = values[~np.isnan(values)]
    return bool(known.min() >= 0 and known.max() >= 16 and np.all(known == np.rint(known)))


def _start(draft: Draft, hints: Hints, notes: list[Note]) -> tuple[datetime | None, datetime | None]:
    """With its zone, or as written."""
    start = draft.start
    if start is None or start.tzinfo is not None:
        return start, None
    if hints.zone is None:
        text = f"started {start:%Y-%m-%d %H:%M:%S} by a clock whose time zone the file does not tell"
        notes.append(Note(About.ZONE, text))
        return None, start
    return start.replace(tzinfo=hints.zone), None


def _lead(draft: Draft, hints: Hints, notes: list[Note]) -> Lead:
    if hints.lead is not None:
        if draft.lead not in (None, Lead.UNKNOWN, hints.lead):
            told = draft.lead.name if draft.lead else ""
            notes.append(
                Note(About.LEAD, f"read as lead {hints.lead.name} as you said; the file tells {told}")
            )
        return hints.lead
    if draft.lead is None or draft.lead is Lead.UNKNOWN:
        notes.append(Note(About.LEAD, "the file does not tell the lead"))
        return Lead.UNKNOWN
    return draft.lead


def _in_short(text: str | None) -> str | None:
    """One printable line of at most 80 characters; None for nothing."""
    if text is None:
        return None
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:400]).split())
    return line[:80] or None


def _believable_rate(rate_bpm: float | None) -> float | None:
    is_rate = rate_bpm is not None and RATE_RANGE_BPM[0] <= rate_bpm <= RATE_RANGE_BPM[1]
    return rate_bpm if is_rate else None
