"""A stretch without a hole -> one EDF+C file of 16-bit integers as they were sent.

EDF+D would keep all stretches in one file, but common readers refuse it or join its parts, so that every
stretch is a file. Files are written by edflib (through pyedflib) and streamed. A record's duration is told in
steps of 10 us, so that the number of samples in it is chosen for the rate that comes nearest. What the last
record lacks repeats the last sample and is annotated as padding.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyedflib
from numpy.typing import NDArray

from ingest.export.notes import without_zone
from ingest.export.part import INT16_MAX, Note, Part, Scaling, lead_name

EDF_YEARS = range(1985, 2085)  # a year has two digits in EDF
TICKS_PER_S = 100_000  # edflib keeps the duration of a record in steps of 10 us
RECORD_S = (0.2, 10.0)  # looked through for a number of samples that divides the length or fits the rate
MAX_RECORD_BYTES = 61_440  # the specification's limit
RATE_TOLERANCE = 1e-6  # half of 1 mHz at 512 Hz, the resolution of the wire
MAX_NOTE_BYTES = 40  # edflib writes no longer ones
MAX_NOTE_SIGNALS = 64
_EDF_UNKNOWN_US = 473_385_600_000_000  # 1985-01-01, what EDF+ writes for an unknown date
_FIELD = 8  # characters of a number in the header
_RANGES = (INT16_MAX, 32_750, 32_500, 32_000, 30_000, 25_000, 20_000, 10_000)


@dataclass(frozen=True, slots=True)
class RecordShape:
    """How a stretch is cut into EDF data records."""

    n_samples: int  # of one lead
    duration_ticks: int  # 10 us

    @property
    def fs(self) -> float:
        """The rate that a reader computes, Hz."""
        return self.n_samples * TICKS_PER_S / self.duration_ticks


def record_shape(fs: float, n_samples: int, n_leads: int) -> RecordShape:
    """The data record for a stretch: one that tells the rate and divides it, else the nearest rate."""
    largest = max(1, min(MAX_RECORD_BYTES // (2 * n_leads) - 64, round(RECORD_S[1] * fs)))
    smallest = min(largest, max(1, round(RECORD_S[0] * fs)))
    shapes = [RecordShape(n, max(100, round(n * TICKS_PER_S / fs))) for n in range(smallest, largest + 1)]
    exact = [each for each in shapes if abs(each.fs / fs - 1) <= RATE_TOLERANCE]
    whole = [each for each in exact if n_samples % each.n_samples == 0]
    if whole or exact:
        return (whole or exact)[0]
    return min(shapes, key=lambda each: (abs(each.fs / fs - 1), each.n_samples))


def physical_range(nv_per_unit: int, low: int, high: int) -> tuple[int, int, str, str, str]:
    """(lowest digital, highest digital, lowest physical, highest physical, unit) that tell the gain exactly.

    A header field has 8 characters; where no range fits, the full one with its physical ends rounded.
    """
    for unit, nv in (("uV", 1000), ("mV", 1_000_000)):
        for digital in (*_RANGES, max(1, -low, high)):
            if digital < max(-low, high):
                continue
            text = _decimal(digital * nv_per_unit, nv)
            if len(text) < _FIELD:  # and a minus sign
                return -digital, digital, f"-{text}", text, unit
    lowest, highest = -INT16_MAX - 1, INT16_MAX
    ends = [lowest * nv_per_unit / 1e6, highest * nv_per_unit / 1e6]
    return lowest, highest, f"{ends[0]:.8f}"[:_FIELD], f"{ends[1]:.8f}"[:_FIELD], "mV"


def _number(text: str) -> float:
    """A whole number stays one: pyedflib spells what it is given, and ".0" takes room."""
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _decimal(nv: int, nv_per_unit: int) -> str:
    return format((Decimal(nv) / nv_per_unit).normalize(), "f")


class EdfWriter:
    """Writes one file into `folder`: blocks in order, then `finish`."""

    def __init__(self, folder: Path, part: Part, how: Scaling, levels: tuple[int, int], n_notes: int) -> None:
        self._part, self._n = part, part.end - part.first
        self._path = folder / f"{part.name}.edf"
        self.shape = record_shape(part.layout.fs, self._n, len(part.layout.leads))
        self._left: NDArray[np.int16] = np.zeros((0, len(part.layout.leads)), np.int16)
        n_records = -(-self._n // self.shape.n_samples)
        leads = [lead_name(lead, i) for i, lead in enumerate(part.layout.leads)]
        self._writer = pyedflib.EdfWriter(str(self._path), len(leads), pyedflib.FILETYPE_EDFPLUS)
        low, high, physical_low, physical_high, unit = physical_range(how.nv_per_unit, *levels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of every duration that is asked for
            self._writer.setSignalHeaders(
                [
                    {
                        "label": f"ECG {lead}",
                        "dimension": unit,
                        "sample_frequency": self.shape.fs,
                        "physical_min": _number(physical_low),
                        "physical_max": _number(physical_high),
                        "digital_min": low,
                        "digital_max": high,
                        "prefilter": "",
                        "transducer": "",
                    }
                    for lead in leads
                ]
            )
            # It truncates to whole ticks, and 2.3 s would become 2.29999.
            self._writer.setDatarecordDuration((self.shape.duration_ticks + 0.1) / TICKS_PER_S)
            self._writer.set_number_of_annotation_signals(min(MAX_NOTE_SIGNALS, 1 + -(-n_notes // n_records)))

    def begin(self, device: str, wall_time_us: int) -> None:
        """State device and start, before the first block; a year that EDF cannot tell is left out."""
        began = without_zone(wall_time_us)
        if began.year not in EDF_YEARS:
            began = without_zone(_EDF_UNKNOWN_US)
        self._writer.setStartdatetime(began)
        self._writer.setEquipment(device)

    def write(self, _first: int, units: NDArray[np.int64]) -> None:
        """Add the next block."""
        waiting = np.concatenate([self._left, units.astype(np.int16)])
        n = self.shape.n_samples
        whole = len(waiting) // n * n
        for start in range(0, whole, n):
            self._put(waiting[start : start + n])
        self._left = waiting[whole:]

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def finish(self, notes: Sequence[Note]) -> list[str]:
        """Pad the last record, write the notes; the name of the file."""
        if len(self._left):
            lacking = self.shape.n_samples - len(self._left)
            notes = [*notes, Note(self._part.end, self._part.end + lacking, "padding")]
            self._put(np.concatenate([self._left, np.repeat(self._left[-1:], lacking, axis=0)]))
        for note in notes:
            onset_s = (note.first - self._part.first) / self.shape.fs
            length_s = (note.end - note.first) / self.shape.fs if note.end > note.first else -1
            for text in _pieces(note.text):
                self._writer.writeAnnotation(onset_s, length_s, text)
        self.close()
        return [self._path.name]

    def _put(self, record: NDArray[np.int16]) -> None:
        for lead in range(record.shape[1]):
            self._writer.writeDigitalShortSamples(np.ascontiguousarray(record[:, lead]))


def _pieces(text: str) -> list[str]:
    """ASCII pieces of at most 40 bytes, cut at blanks."""
    pieces = [""]
    for word in text.encode("ascii", "replace").decode().split(" "):
        joined = f"{pieces[-1]} {word}".strip()
        if len(joined) <= MAX_NOTE_BYTES:
            pieces[-1] = joined
        else:
            pieces.append(word[:MAX_NOTE_BYTES])
    return [piece for piece in pieces if piece]
