"""Samples that came too late for their live window -> the windows to cut again, and those windows; no I/O.

Late -> slots_of -> Slot (kept in the store until it is done) -> cut_again -> Window, marked historic
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import msgspec
import numpy as np

from ingest.chunk import Chunk, ChunkFlag, Lead, Place
from ingest.sequence import SAME_FS
from ingest.window import Window, grid_range, hop_samples, preferred_lead, window_samples

QUIET_US = 2_000_000  # a slot is cut once its samples stopped coming: ten chunks of a second, one window
LIVE_FIRST_US = 60_000_000  # what the live stream may still cut itself: a window and the longest wait for it
GIVEN_UP_US = 600_000_000  # a live stream silent for so long may never go on: its last window is cut


class Late(msgspec.Struct, frozen=True, gc=False):
    """Samples that no live window will hold, and from when on their windows may be cut again."""

    device: str  # "site/device"
    session: int
    first_sample: int
    n_samples: int
    fs: float  # Hz, of their stream
    lead: Lead
    hop_s: float  # of the grid
    due_us: int
    chunk: Place | None = None  # counts only if this chunk was not stored before; None counts always


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of a session's grid whose window is to be cut again from the store."""

    device: str
    session: int
    first_sample: int
    fs: float  # Hz
    lead: Lead
    due_us: int

    @property
    def place(self) -> Place:
        """Where its window belongs."""
        return self.device, self.session, self.first_sample

    @property
    def n_samples(self) -> int:
        """Length of its window."""
        return window_samples(self.fs)


@dataclass(slots=True)
class Rework:
    """What one commit notes and strikes of the windows to be cut again."""

    late: list[Late] = field(default_factory=list)
    done: list[Slot] = field(default_factory=list)  # cut, or nothing to cut

    def __bool__(self) -> bool:
        """True when there is something to write."""
        return bool(self.late or self.done)


def late_chunk(chunk: Chunk, fs: float, hop_s: float, due_us: int) -> Late:
    """All samples of a chunk of a stream of `fs` Hz."""
    lead = chunk.leads[preferred_lead(chunk.leads)]
    return Late(*chunk.place, chunk.n_samples, fs, lead, hop_s, due_us, chunk.place)


def slots_of(late: Late, fs: float) -> list[Slot]:
    """Every window of the grid of `fs` Hz that holds one of the samples."""
    hop = hop_samples(late.hop_s, fs)
    end_sample = late.first_sample + late.n_samples
    return [
        Slot(late.device, late.session, k * hop, fs, late.lead, late.due_us)
        for k in grid_range(late.first_sample, end_sample, window_samples(fs), hop)
    ]


def in_turn(queues: Sequence[Sequence[Slot]]) -> list[Slot]:
    """One of each queue, then the next of each that has one: no queue waits for all of another."""
    rounds = zip_longest(*queues)
    return [slot for each in rounds for slot in each if slot is not None]


def cut_again(slot: Slot, chunks: Iterable[Chunk], closed_us: int) -> Window | None:
    """The slot's window from all its chunks, in order of arrival; None when none of them is of its stream.

    Where chunks overlap, the first to arrive counts, as it does live.
    """
    start, length = slot.first_sample, slot.n_samples
    samples_mv = np.full(length, np.nan, np.float32)
    flags = np.zeros(length, np.uint8)
    came = np.zeros(length, np.bool_)
    used: list[Chunk] = []
    for chunk in chunks:
        low, high = max(start, chunk.first_sample), min(start + length, chunk.end_sample)
        if low >= high or slot.lead not in chunk.leads or abs(chunk.fs - slot.fs) > SAME_FS * slot.fs:
            continue
        is_new = ~came[low - start : high - start]
        column = chunk.samples_mv[low - chunk.first_sample : high - chunk.first_sample]
        samples_mv[low - start : high - start][is_new] = column[is_new, chunk.leads.index(slot.lead)]
        flags[low - start : high - start][is_new] = int(chunk.flags)
        came[low - start : high - start] = True
        used.append(chunk)
    if not used:
        return None
    first = min(used, key=lambda chunk: chunk.first_sample)
    return Window(
        device=slot.device,
        session=slot.session,
        first_sample=start,
        wall_time_us=max(0, first.wall_time_us + round((start - first.first_sample) * 1e6 / slot.fs)),
        fs=slot.fs,
        lead=slot.lead,
        samples_mv=samples_mv,
        coverage=int(came.sum()) / length,
        lead_off=int(np.count_nonzero(flags & ChunkFlag.LEAD_OFF)) / length,
        clipped=int(np.count_nonzero(flags & ChunkFlag.CLIPPED)) / length,
        historic=True,
        closed_us=closed_us,
    )


def best_windows(windows: Sequence[Window]) -> list[Window]:
    """One window a place: the one with more samples; of two as good, the live one."""
    best: dict[Place, Window] = {}
    for window in windows:
        known = best.get(window.place)
        if known is None or (window.coverage, known.historic) > (known.coverage, window.historic):
            best[window.place] = window
    return list(best.values())
