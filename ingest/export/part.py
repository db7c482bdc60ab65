"""A survey -> the parts that become one record, file or table each, and their numbers, block by block."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Lead
from ingest.encoding import NV_PER_MV
from ingest.export.reader import Reader
from ingest.export.sent import Sent, sent_numbers, whole_nv
from ingest.export.survey import Interval, Layout, Levels, Session, layout_of
from ingest.store.rows import ReceivedChunk

BLOCK_S = 600.0  # of samples held at once
INT16_MAX = 0x7FFF
INT32_MAX = 0x7FFFFFFF


class ExportError(RuntimeError):
    """The recording cannot be written as asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is told about samples first <= i < end of the session (first == end: about a moment)."""

    first: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Scaling:
    """How the numbers of one layout become integers: (number in base units) / divisor, rounded."""

    nv_per_unit: int  # of the integers that are written
    divisor: int  # 1: the integers as they were sent; decimals are counted in nV
    loss_nv: float  # largest possible error; 0 is exact

    def units(self, sent: Sent) -> NDArray[np.int64]:
        """The integers to write, (n_samples, n_leads)."""
        base = whole_nv(sent)[0] if sent.is_decimal else np.asarray(sent.numbers, np.int64)
        if self.divisor == 1:
            return base
        half = self.divisor // 2
        rounded: NDArray[np.int64] = (base + half) // self.divisor
        return rounded


@dataclass(frozen=True, slots=True)
class Part:
    """Stretches of one layout, in order; what lies between them is missing."""

    layout: Layout
    stretches: tuple[Interval, ...]

    @property
    def first(self) -> int:
        """Index of the first sample in the session."""
        return self.stretches[0].first

    @property
    def end(self) -> int:
        """Index one past the last sample."""
        return self.stretches[-1].end

    @property
    def name(self) -> str:
        """A file name without ending, in the letters that WFDB allows."""
        return f"s{self.layout.session:08x}_{self.first}"

    @property
    def holes(self) -> list[tuple[int, int]]:
        """(first missing sample, end) between the stretches."""
        return [(a.end, b.first) for a, b in zip(self.stretches, self.stretches[1:], strict=False)]


def parts_of(session: Session, longest_hole_s: float) -> list[Part]:
    """Stretches gathered while their layout stays and no hole is longer."""
    groups: list[list[Interval]] = []
    for each in session.stretches:
        last = groups[-1][-1] if groups else None
        if (
            last is not None
            and last.layout == each.layout
            and each.first - last.end <= longest_hole_s * each.layout.fs
        ):
            groups[-1].append(each)
        else:
            groups.append([each])
    return [Part(group[0].layout, tuple(group)) for group in groups]


def scaling(layout: Layout, levels: Levels, largest: int, *, rescale: bool) -> Scaling:
    """How to write a layout in integers from -`largest` - 1 to `largest`.

    Raises ExportError when it does not fit and must not be rescaled.
    """
    low, high = levels.low or 0, levels.high or 0
    step = max(1, levels.step_nv) if layout.is_decimal else 1
    nv_per_unit = step if layout.is_decimal else layout.nv_per_unit
    if -largest - 1 <= low // step and high // step <= largest:
        return Scaling(nv_per_unit, step, levels.loss_nv)
    reach = max(abs(low), abs(high))
    if not rescale:
        nv = 1 if layout.is_decimal else layout.nv_per_unit
        raise ExportError(
            f"session {layout.session:08x} has samples of {low * nv / NV_PER_MV:g} to "
            f"{high * nv / NV_PER_MV:g} mV in steps of {nv_per_unit} nV, "
            f"which do not fit integers up to {largest}: choose --format wfdb or csv, "
            "or --rescale to write coarser steps"
        )
    divisor = -(-reach // largest)
    base_nv = 1 if layout.is_decimal else layout.nv_per_unit
    return Scaling(base_nv * divisor, divisor, levels.loss_nv + divisor * base_nv / 2)


def blocks(
    reader: Reader, device: str, stretch: Interval, is_wanted: Callable[[ReceivedChunk], bool]
) -> Iterator[tuple[int, Sent]]:
    """(first sample, numbers) of a stretch, in order and without a hole, at most 10 minutes at once.

    Raises ExportError when samples that the survey saw are gone, as when they were dropped by age meanwhile.
    """
    length = max(1, round(BLOCK_S * stretch.layout.fs))
    for first in range(stretch.first, stretch.end, length):
        end = min(stretch.end, first + length)
        messages = reader.at_place(device, stretch.layout.session, first, end)
        yield first, _assemble([m for m in messages if is_wanted(m)], stretch.layout, first, end)


def lead_name(lead: Lead, number: int) -> str:
    """The lead as signal names have it; unknown leads are numbered."""
    return f"ECG{number + 1}" if lead is Lead.UNKNOWN else lead.name


def _assemble(messages: Sequence[ReceivedChunk], layout: Layout, first: int, end: int) -> Sent:
    """Where messages overlap, the first to arrive counts."""
    missing = np.ones(end - first, bool)
    numbers: NDArray[np.generic] | None = None
    for message in messages:
        chunk = message.chunk
        start, stop = max(first, chunk.first_sample), min(end, chunk.end_sample)
        place = slice(start - first, stop - first)
        fresh = missing[place].copy()
        missing[place] = False
        sent = sent_numbers(chunk, message.payload)
        if layout_of(chunk, sent) != layout or not fresh.any():
            continue
        if numbers is None:
            numbers = np.zeros((end - first, len(layout.leads)), sent.numbers.dtype)
        if sent.numbers.dtype != numbers.dtype:  # float32 beside JSON: both fit float64
            numbers = numbers.astype(np.float64)
        came = sent.numbers[start - chunk.first_sample : stop - chunk.first_sample]
        numbers[place][fresh] = came[fresh]
    if numbers is None or missing.any():
        raise ExportError(
            f"samples {first} to {end} of session {layout.session:08x} are no longer stored: "
            "start the export again"
        )
    return Sent(numbers, layout.nv_per_unit)
