"""One pass over a device's messages in order of arrival -> what there is, in stretches without a hole.

Only stretches, marked intervals and a sparse table of arrivals are kept, never samples.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.clock import ClockFit
from ingest.export.sent import Sent, sent_numbers, whole_nv
from ingest.store.rows import ReceivedChunk

ARRIVAL_EVERY_US = 1_000_000  # one remembered arrival a second places alarms to about a second
CLOCK_STEP_US = 500_000  # a device clock that leaves its own count by more was set
_POWERS = tuple(10**power for power in range(6, -1, -1))  # nV: mV, 100 uV, ... uV ... nV


@dataclass(frozen=True, slots=True, order=True)
class Layout:
    """What must be equal for samples to share a file."""

    session: int
    fs: float  # Hz, as the device says
    leads: tuple[Lead, ...]
    nv_per_unit: int
    is_decimal: bool


@dataclass(slots=True)
class Levels:
    """What the numbers of one layout need of a format."""

    low: int | None = None  # integers: units; decimals: nV
    high: int | None = None
    loss_nv: float = 0.0  # of decimals as whole nV
    step_nv: int = 0  # largest power of ten that divides every decimal, nV

    def add(self, sent: Sent) -> None:
        """Count one message."""
        units, loss_nv = whole_nv(sent) if sent.is_decimal else (sent.numbers, 0.0)
        low, high = int(units.min()), int(units.max())
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        self.loss_nv = max(self.loss_nv, loss_nv)
        if sent.is_decimal:
            divisor = math.gcd(self.step_nv, int(np.gcd.reduce(units, axis=None)))
            self.step_nv = next((p for p in _POWERS if p <= sent.nv_per_unit and divisor % p == 0), 1)


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """Samples first <= i < end of a session."""

    first: int
    end: int
    layout: Layout = field(compare=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something the device said of samples first <= i < end: lead off, clipped, or that its clock was set."""

    first: int
    end: int
    text: str


@dataclass(slots=True)
class Session:
    """One session of a device: what came, and what its clock said."""

    number: int
    stretches: list[Interval] = field(default_factory=list)  # sorted, never overlapping
    marks: list[Mark] = field(default_factory=list)
    newest_marks: dict[str, int] = field(default_factory=dict)  # text -> index of its newest mark
    clocks: list[tuple[int, int, float]] = field(
        default_factory=list
    )  # (sample, device us, fs) after each set
    arrivals: list[tuple[int, int]] = field(default_factory=list)  # (received us, end sample), live, sparse
    fit: ClockFit = field(default_factory=ClockFit)
    first_us: int = 0  # arrival of the first message
    last_us: int = 0
    n_messages: int = 0

    def wall_time_us(self, sample: int) -> int:
        """The device's clock at a sample, counted on from where it was last set."""
        known = max(0, bisect_left(self.clocks, (sample + 1,)) - 1)
        at, us, fs = self.clocks[known]
        return us + round((sample - at) * 1e6 / fs)

    def wall_times_us(self, first: int, n: int) -> list[int]:
        """The device's clock at `n` samples from `first` on."""
        starts = np.array([at for at, _, _ in self.clocks])
        samples = np.arange(first, first + n)
        known = np.maximum(0, np.searchsorted(starts, samples, side="right") - 1)
        us, fs = np.array([us for _, us, _ in self.clocks]), np.array([fs for _, _, fs in self.clocks])
        times: list[int] = (
            us[known] + np.rint((samples - starts[known]) * 1e6 / fs[known]).astype(int)
        ).tolist()
        return times

    def sample_at(self, received_us: int) -> int | None:
        """The newest live sample that had come by then; None outside the session's arrivals."""
        if not self.arrivals or not self.arrivals[0][0] <= received_us <= self.last_us:
            return None
        return self.arrivals[bisect_left(self.arrivals, (received_us + 1,)) - 1][1]


@dataclass(slots=True)
class Survey:
    """Everything of one device within a span."""

    sessions: dict[int, Session] = field(default_factory=dict)
    levels: dict[Layout, Levels] = field(default_factory=dict)

    def add(self, message: ReceivedChunk) -> None:
        """Count one message; of samples that come twice the first to arrive count."""
        chunk = message.chunk
        sent = sent_numbers(chunk, message.payload)
        layout = layout_of(chunk, sent)
        session = self.sessions.get(chunk.session)
        if session is None:
            session = self.sessions[chunk.session] = Session(chunk.session, first_us=message.received_us)
        session.n_messages += 1
        session.last_us = message.received_us
        for first, end in _claim(session.stretches, chunk, layout):
            _note_marks(session, chunk, first, end)
        self.levels.setdefault(layout, Levels()).add(sent)
        _note_clock(session, chunk, message.received_us)


def survey(messages: Iterable[ReceivedChunk]) -> Survey:
    """Messages in order of arrival -> their survey."""
    found = Survey()
    for message in messages:
        found.add(message)
    return found


def layout_of(chunk: Chunk, sent: Sent) -> Layout:
    """Where a message belongs."""
    return Layout(chunk.session, chunk.fs, chunk.leads, sent.nv_per_unit, sent.is_decimal)


def _claim(stretches: list[Interval], chunk: Chunk, layout: Layout) -> list[tuple[int, int]]:
    """Add what is not there yet of a chunk's samples to the stretches; return it."""
    first, end, taken = chunk.first_sample, chunk.end_sample, []
    near = max(0, bisect_left(stretches, Interval(first, first, layout)) - 1)
    for known in stretches[near:]:
        if known.first >= end:
            break
        if first < known.first:
            taken.append((first, known.first))
        first = max(first, known.end)
    if first < end:
        taken.append((first, end))
    for piece in taken:
        _insert(stretches, Interval(*piece, layout))
    return taken


def _insert(stretches: list[Interval], new: Interval) -> None:
    """Put a free interval in its place, joined with neighbours of its layout."""
    at = bisect_left(stretches, new)
    if at < len(stretches) and stretches[at].first == new.end and stretches[at].layout == new.layout:
        new = Interval(new.first, stretches.pop(at).end, new.layout)
    if at > 0 and stretches[at - 1].end == new.first and stretches[at - 1].layout == new.layout:
        stretches[at - 1] = Interval(stretches[at - 1].first, new.end, new.layout)
    else:
        stretches.insert(at, new)


def _note_marks(session: Session, chunk: Chunk, first: int, end: int) -> None:
    for flag, text in ((ChunkFlag.LEAD_OFF, "lead off"), (ChunkFlag.CLIPPED, "clipped")):
        if flag not in chunk.flags:
            continue
        at = session.newest_marks.get(text)
        if at is not None and session.marks[at].end == first:
            session.marks[at] = Mark(session.marks[at].first, end, text)
        else:
            session.newest_marks[text] = len(session.marks)
            session.marks.append(Mark(first, end, text))


def _note_clock(session: Session, chunk: Chunk, received_us: int) -> None:
    if not session.clocks:
        session.clocks.append((chunk.first_sample, chunk.wall_time_us, chunk.fs))
    step_us = chunk.wall_time_us - session.wall_time_us(chunk.first_sample)
    if abs(step_us) > CLOCK_STEP_US:
        insort(session.clocks, (chunk.first_sample, chunk.wall_time_us, chunk.fs))
        text = f"device clock {step_us / 1e6:+.3f} s"
        session.marks.append(Mark(chunk.first_sample, chunk.first_sample, text))
    if ChunkFlag.HISTORIC in chunk.flags:
        return
    end_us = chunk.wall_time_us + round(chunk.n_samples * 1e6 / chunk.fs)
    session.fit.push(chunk.end_sample, end_us, received_us / 1e6, chunk.fs)
    if not session.arrivals or received_us - session.arrivals[-1][0] >= ARRIVAL_EVERY_US:
        session.arrivals.append((received_us, chunk.end_sample))
