"""A part -> a table with a row for each sample: index, the device's clock, each lead's number as sent.

The header says what 1 counts, such as `II (1000 nV)`. What is missing has no row. Decimals are written so
that reading them gives back the same float.
"""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ingest.export.part import Part, lead_name
from ingest.export.sent import Sent


class CsvWriter:
    """Writes one table into `folder`: blocks in order, then `finish`."""

    def __init__(self, folder: Path, part: Part, wall_times_us: Callable[[int, int], Sequence[int]]) -> None:
        self._path, self._wall_times_us = folder / f"{part.name}.csv", wall_times_us
        self._file = self._path.open("w", newline="", encoding="ascii")
        self._rows = csv.writer(self._file, lineterminator="\n")
        unit = f"({part.layout.nv_per_unit} nV)"
        leads = [f"{lead_name(lead, i)} {unit}" for i, lead in enumerate(part.layout.leads)]
        self._rows.writerow(["sample", "device_time_us", *leads])

    def write(self, first: int, sent: Sent) -> None:
        """Add a block that begins at sample `first`."""
        rows = sent.numbers if sent.numbers.dtype == np.float32 else sent.numbers.tolist()
        times = self._wall_times_us(first, len(sent.numbers))
        for index, (at_us, numbers) in enumerate(zip(times, rows, strict=True), start=first):
            self._rows.writerow([index, at_us, *(_spelled(number) for number in numbers)])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def finish(self) -> list[str]:
        """Close the file; its name."""
        self.close()
        return [self._path.name]


def _spelled(number: object) -> str:
    """The shortest text that reads back as the same number."""
    return str(number).removesuffix(".0")
