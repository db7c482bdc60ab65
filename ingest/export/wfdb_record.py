"""A part -> a WFDB record: NAME.hea, NAME.dat (format 16 or 32) and NAME.atr.

The samples are the integers that were sent. Missing ones hold the format's own value for "no sample" (the
lowest integer), which the WFDB library and the wfdb package read as unknown; where the device itself sent
that value in 16 bits, the record has 32. The .dat is written in blocks, header and notes by the wfdb package.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray

from ingest.encoding import NV_PER_MV
from ingest.export.notes import without_zone
from ingest.export.part import INT16_MAX, INT32_MAX, Note, Part, Scaling, lead_name

FILL_SAMPLES = 1 << 20  # of a hole written at once
_NOTE = "="  # a measurement; the wfdb package loses comments (") at sample 0


@dataclass(frozen=True, slots=True)
class WfdbFormat:
    """One of WFDB's signal formats."""

    code: str
    dtype: str
    missing: int


FORMAT_16 = WfdbFormat("16", "<i2", -INT16_MAX - 1)
FORMAT_32 = WfdbFormat("32", "<i4", -INT32_MAX - 1)


def wfdb_format(low: int, high: int) -> WfdbFormat:
    """The smaller format that holds the integers beside its value for "no sample"."""
    return FORMAT_16 if low >= -INT16_MAX and high <= INT16_MAX else FORMAT_32


class WfdbWriter:
    """Writes one record into `folder`: blocks in order, then `finish`."""

    def __init__(self, folder: Path, part: Part, how: Scaling, file_format: WfdbFormat) -> None:
        self._folder, self._part, self._how, self._format = folder, part, how, file_format
        self._file = (folder / f"{part.name}.dat").open("wb")
        self._at = part.first
        n_leads = len(part.layout.leads)
        self._first_values: NDArray[np.int64] | None = None
        self._checksums = np.zeros(n_leads, np.int64)

    def write(self, first: int, units: NDArray[np.int64]) -> None:
        """Add a block that begins at sample `first`; what was left out before it is missing."""
        while self._at < first:
            length = min(FILL_SAMPLES, first - self._at)
            self._put(np.full((length, units.shape[1]), self._format.missing, np.int64))
        self._put(units)

    def _put(self, units: NDArray[np.int64]) -> None:
        if self._first_values is None:
            self._first_values = units[0]
        self._checksums = (self._checksums + units.sum(axis=0)) % 65536
        self._file.write(units.astype(self._format.dtype).tobytes())
        self._at += len(units)

    def close(self) -> None:
        """Close the signal file."""
        self._file.close()

    def finish(self, wall_time_us: int, notes: Sequence[Note], comments: Iterable[str]) -> list[str]:
        """Write header and notes; the names of all files."""
        self.close()
        self._write_header(wall_time_us, comments)
        name = self._part.name
        if not notes:
            return [f"{name}.hea", f"{name}.dat"]
        wfdb.wrann(
            name,
            "atr",
            np.array([note.first - self._part.first for note in notes], np.int64),
            symbol=[_NOTE] * len(notes),
            aux_note=[_text(note) for note in notes],
            write_dir=str(self._folder),
        )
        return [f"{name}.hea", f"{name}.dat", f"{name}.atr"]

    def _write_header(self, wall_time_us: int, comments: Iterable[str]) -> None:
        layout, name = self._part.layout, self._part.name
        n = len(layout.leads)
        began = without_zone(wall_time_us)
        values = self._first_values if self._first_values is not None else np.zeros(n, np.int64)
        record = wfdb.Record(
            record_name=name,
            n_sig=n,
            fs=layout.fs,
            sig_len=self._at - self._part.first,
            base_date=began.date(),
            base_time=began.time(),
            file_name=[f"{name}.dat"] * n,
            fmt=[self._format.code] * n,
            samps_per_frame=[1] * n,
            skew=[None] * n,
            byte_offset=[None] * n,
            adc_gain=[NV_PER_MV / self._how.nv_per_unit] * n,
            baseline=[0] * n,
            units=["mV"] * n,
            adc_res=[int(self._format.code)] * n,
            adc_zero=[0] * n,
            init_value=[int(value) for value in values],
            checksum=[int(value) for value in self._checksums],
            block_size=[0] * n,
            sig_name=[lead_name(lead, i) for i, lead in enumerate(layout.leads)],
            comments=list(comments),
        )
        record.wrheader(write_dir=str(self._folder))


def _text(note: Note) -> str:
    """WFDB notes have no length, so that it is said."""
    return note.text if note.end <= note.first else f"{note.text} ({note.end - note.first} samples)"
