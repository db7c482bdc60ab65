"""Chunks as they arrive -> samples in the device's order, each once, with every loss named and counted."""

from collections import deque

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Chunk, ChunkFlag, Lead

MAX_WAITING = 128  # chunks held for an earlier one: 6 s of 50 ms chunks, twice the default wait
SAME_FS = 0.01  # share by which a device's claim of its rate may waver within one stream
FAR_S = 60.0  # a jump beyond this needs a second chunk: one flipped header bit must not end the stream
STALE_WAITS = 4.0  # waits after which a chunk that the stream never reached is given up as stray
REMEMBERED = 16  # ended sessions; a chunk of any of them is late, not a new restart
REMEMBERED_HOLES = 64  # closed holes; they tell a late chunk from a duplicate


class Ordered(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A chunk's part of the ordered stream: consecutive samples, and what is missing right before them."""

    device: str  # "site/device"
    session: int
    first_sample: int
    samples_mv: NDArray[np.float32]  # (n_samples, n_leads)
    leads: tuple[Lead, ...]
    fs: float  # Hz, as the device claims
    wall_time_us: int  # device clock at first_sample
    flags: ChunkFlag
    missing_before: int  # samples declared lost right before these
    break_before: bool  # a new session: nothing before belongs to it
    received_s: float  # when the chunk arrived

    @property
    def end_sample(self) -> int:
        """Index one past the last sample."""
        return self.first_sample + len(self.samples_mv)


class _Waiting(msgspec.Struct, eq=False, gc=False):
    """A chunk held back until what comes before it has come or is given up."""

    chunk: Chunk
    received_s: float


_Stream = tuple[int, float, tuple[Lead, ...]]


class Sequencer:
    """Put one device's chunks in order of sample index.

    An early chunk waits `wait_s` for what is missing before it; then the hole is a gap. The first chunk of a
    session waits likewise unless it starts at sample 0, so that the order of arrival never moves the
    session's first sample. A stream is a session with its rate and leads: any other chunk is a restart once a
    second chunk agrees with it or when it starts at sample 0; one damaged header therefore changes nothing.
    """

    def __init__(self, wait_s: float) -> None:
        self.duplicates = 0  # chunks dropped as already seen
        self.late = 0  # chunks that came after their place or their session was closed
        self.reordered = 0  # chunks that came after a later one and still found their place
        self.stray = 0  # chunks given up because the stream never came near them
        self.restarts = 0
        self.lost_samples = 0  # declared missing in this session
        self._wait_s = wait_s
        self._stream: _Stream | None = None
        self._expected: int | None = None  # next sample; None while the session's first is still sought
        self._is_fresh = True  # the next samples are the first of their session
        self._waiting: dict[int, _Waiting] = {}  # by first sample
        self._progress_s = -np.inf  # when a chunk last came that continued the stream
        self._candidate: _Waiting | None = None  # a restart that a second chunk must confirm
        self._ended: deque[int] = deque(maxlen=REMEMBERED)
        self._holes: deque[tuple[int, int]] = deque(maxlen=REMEMBERED_HOLES)
        self._passed: list[Chunk] = []

    def take_passed(self) -> list[Chunk]:
        """Chunks since the last call that hold samples which found no place: the stream passed them."""
        if not self._passed:
            return []
        passed, self._passed = self._passed, []
        return passed

    def push(self, chunk: Chunk, received_s: float) -> list[Ordered]:
        """Take one chunk; return what is now in order. `received_s` is any clock that `flush` shares."""
        if self.goes_on(chunk):
            return [self.go_on(chunk, received_s)]
        ordered = self.flush(received_s)
        if chunk.n_samples == 0:
            return ordered
        if self._belongs(chunk):
            return ordered + self._place(_Waiting(chunk, received_s))
        if self._stream is not None and chunk.session in self._ended:
            self.late += 1
            self._passed.append(chunk)
            return ordered
        return ordered + self._consider_restart(_Waiting(chunk, received_s))

    def goes_on(self, chunk: Chunk) -> bool:
        """True in the usual case, for which `go_on` is enough: it is what comes next, nothing waits."""
        if chunk.first_sample != self._expected or self._waiting or self._is_fresh:
            return False
        return len(chunk.samples_mv) > 0 and self._belongs(chunk)

    def go_on(self, chunk: Chunk, received_s: float) -> Ordered:
        """Take a chunk that `goes_on`: a short way of `push`."""
        self._progress_s = received_s
        return self._emit(chunk, received_s)

    def flush(self, now_s: float) -> list[Ordered]:
        """Give up the holes whose wait has ended by `now_s`; return what was held behind them."""
        if not self._waiting:
            return []
        self._progress_s = min(self._progress_s, now_s)  # a clock set back must not stretch the wait
        for held in self._waiting.values():
            held.received_s = min(held.received_s, now_s)
        ordered: list[Ordered] = []
        while self._waiting and self._is_due(now_s):
            ordered += self._close_hole()
        return ordered

    def finish(self) -> list[Ordered]:
        """Wait for nothing more: return what is held, each hole a gap; `take_passed` tells the rest."""
        return self._end_stream()

    def _is_due(self, now_s: float) -> bool:
        if len(self._waiting) > MAX_WAITING:
            return True
        oldest_s = min(held.received_s for held in self._waiting.values())
        return max(oldest_s, self._progress_s) + self._wait_s <= now_s and self._is_believable()

    def _is_believable(self) -> bool:
        """A far jump needs a second chunk beyond the hole; a near one, and a first sample, do not."""
        first = min(self._waiting)
        far = FAR_S * self._waiting[first].chunk.fs
        return len(self._waiting) > 1 or self._expected is None or first - self._expected <= far

    def _belongs(self, chunk: Chunk) -> bool:
        if self._stream is None:
            return False
        session, fs, leads = self._stream
        return chunk.session == session and chunk.leads == leads and abs(chunk.fs - fs) <= SAME_FS * fs

    def _place(self, held: _Waiting) -> list[Ordered]:
        chunk = held.chunk
        if self._expected is None and chunk.first_sample == 0:
            self._expected = 0
        if self._expected is not None and chunk.first_sample <= self._expected:
            if self._is_seen(chunk):
                return []
            self.reordered += bool(self._waiting)
            self._progress_s = held.received_s
            self._drop_strays(held.received_s)
            return [self._emit(chunk, held.received_s), *self._drain()]
        twin = self._waiting.get(chunk.first_sample)
        if twin is not None and chunk.end_sample <= twin.chunk.end_sample:
            self.duplicates += 1
            return []
        self.reordered += any(first > chunk.first_sample for first in self._waiting)
        held.received_s = twin.received_s if twin is not None else held.received_s
        self._waiting[chunk.first_sample] = held
        return self.flush(held.received_s) if len(self._waiting) > MAX_WAITING else []

    def _is_seen(self, chunk: Chunk) -> bool:
        """True, and counted, when the stream is already past the whole chunk."""
        if self._expected is None or chunk.end_sample > self._expected:
            return False
        in_hole = self._is_in_hole(chunk.first_sample, chunk.end_sample)
        self.late += in_hole
        self.duplicates += not in_hole
        if in_hole:
            self._passed.append(chunk)
        return True

    def _is_in_hole(self, first_sample: int, end_sample: int) -> bool:
        return any(first_sample < end and start < end_sample for start, end in self._holes)

    def _emit(self, chunk: Chunk, received_s: float, missing: int = 0) -> Ordered:
        fs = self._stream[1] if self._stream is not None else chunk.fs
        first_sample, wall_time_us, samples_mv = chunk.first_sample, chunk.wall_time_us, chunk.samples_mv
        skip = (self._expected or 0) - first_sample
        if skip > 0:
            if self._is_in_hole(first_sample, first_sample + skip):
                self._passed.append(chunk)
            samples_mv = samples_mv[skip:]
            first_sample += skip
            wall_time_us += round(skip * 1e6 / fs)
        ordered = Ordered(
            device=chunk.device,
            session=chunk.session,
            first_sample=first_sample,
            samples_mv=samples_mv,
            leads=chunk.leads,
            fs=fs,
            wall_time_us=wall_time_us,
            flags=chunk.flags,
            missing_before=missing,
            break_before=self._is_fresh,
            received_s=received_s,
        )
        self._expected = chunk.end_sample
        self._is_fresh = False
        return ordered

    def _drain(self) -> list[Ordered]:
        """Everything held that now follows without a hole."""
        ordered: list[Ordered] = []
        while self._waiting and self._expected is not None and min(self._waiting) <= self._expected:
            held = self._waiting.pop(min(self._waiting))
            if not self._is_seen(held.chunk):
                ordered.append(self._emit(held.chunk, held.received_s))
        return ordered

    def _close_hole(self) -> list[Ordered]:
        first = min(self._waiting)
        missing = 0
        if self._expected is not None:
            missing = first - self._expected
            self._holes.append((self._expected, first))
        else:  # whatever came before the session's first sample seen is late, not a duplicate
            self._holes.append((0, first))
        self.lost_samples += missing
        self._expected = first
        held = self._waiting.pop(first)
        return [self._emit(held.chunk, held.received_s, missing), *self._drain()]

    def _drop_strays(self, now_s: float) -> None:
        """Give up chunks that the moving stream has not reached for several waits: their index was damage."""
        for first, held in list(self._waiting.items()):
            is_ahead = self._expected is not None and first > self._expected
            if is_ahead and held.received_s + STALE_WAITS * self._wait_s <= now_s:
                del self._waiting[first]
                self.stray += 1
                self._passed.append(held.chunk)

    def _consider_restart(self, held: _Waiting) -> list[Ordered]:
        stream = _stream_of(held.chunk)
        known = self._candidate
        if known is not None and _stream_of(known.chunk) == stream:
            if known.chunk.first_sample == held.chunk.first_sample:
                self.duplicates += 1
                return []
        elif self._stream is not None and held.chunk.first_sample != 0:
            self.stray += known is not None
            self._candidate = held
            self._passed.append(held.chunk)  # whether or not a second one confirms it
            return []
        else:
            self.stray += known is not None
            known = None
        ordered = self._end_stream()
        self._begin(stream)
        return ordered + [o for each in (known, held) if each is not None for o in self._place(each)]

    def _begin(self, stream: _Stream) -> None:
        self.restarts += self._stream is not None
        if self._stream is not None and self._stream[0] != stream[0]:
            self._ended.append(self._stream[0])
        self._stream = stream
        self._candidate = None
        self._expected = None
        self._is_fresh = True
        self._holes.clear()
        self.lost_samples = 0

    def _end_stream(self) -> list[Ordered]:
        """Nothing more is waited for: what is held goes out with its gaps; far single chunks are stray."""
        ordered: list[Ordered] = []
        while self._waiting and self._is_believable():
            ordered += self._close_hole()
        self.stray += len(self._waiting)
        self._passed += [held.chunk for held in self._waiting.values()]
        self._waiting.clear()
        return ordered


def _stream_of(chunk: Chunk) -> _Stream:
    return chunk.session, chunk.fs, chunk.leads
