"""Ordered samples -> windows of fixed length on a grid of sample indices; and a window as bytes."""

from collections import deque
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.chunk import ChunkFlag, Lead, Place
from ingest.sequence import SAME_FS, Ordered
from ingest.topics import ID_PATTERN

WINDOW_S = 10.0  # what the model was trained on
MIN_COVERAGE = 0.95  # below this a window is stored but not classified (wire.md)
_ID = ID_PATTERN.pattern
# Anybody may publish a window: what no topic names and no store holds must not come in.
_Device = Annotated[str, msgspec.Meta(pattern=rf"\A{_ID}/{_ID}\Z")]
_Stored = Annotated[int, msgspec.Meta(le=2**63 - 1)]
PREFERRED_LEADS = (Lead.I, Lead.II)  # the released weights saw lead I; II is its nearest neighbour


class NextWindow(NamedTuple):
    """The first window of a session that is not stored yet."""

    session: int
    first_sample: int
    fs: float | None = None  # Hz, of the stored windows before it; None when there are none


class Window(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A stretch of one lead, cut by sample index; samples that never came are NaN, never interpolated."""

    device: _Device  # "site/device"
    session: _Stored
    first_sample: _Stored
    wall_time_us: _Stored  # device clock at first_sample, Unix microseconds
    fs: float  # Hz
    lead: Lead
    samples_mv: NDArray[np.float32]  # (n_samples,)
    coverage: float  # share of samples that came, 0..1
    lead_off: float  # share of samples the device flagged as lead-off, 0..1
    clipped: float  # share of samples the device flagged as clipped, 0..1
    historic: bool  # came late: never raises a live alarm
    closed_us: int = 0  # wall clock when ingest closed it; stamped by the service

    def __post_init__(self) -> None:
        """Make the samples read-only."""
        self.samples_mv.setflags(write=False)

    @property
    def place(self) -> Place:
        """Where it belongs; the store keeps one window a place."""
        return self.device, self.session, self.first_sample

    @property
    def is_eligible(self) -> bool:
        """True when enough samples came, and are here, for the model to look at it.

        Of a window from a damaged store samples may be missing that once came.
        """
        n_here = len(self.samples_mv) - int(np.count_nonzero(np.isnan(self.samples_mv)))
        return self.coverage >= MIN_COVERAGE and n_here >= MIN_COVERAGE * len(self.samples_mv)


def preferred_lead(leads: tuple[Lead, ...]) -> int:
    """Column of the lead that is windowed and watched: I, else II, else the first."""
    return next((leads.index(lead) for lead in PREFERRED_LEADS if lead in leads), 0)


def window_samples(fs: float) -> int:
    """Length of a window at `fs` Hz."""
    return max(1, round(WINDOW_S * fs))


def hop_samples(hop_s: float, fs: float) -> int:
    """Distance between the starts of windows at `fs` Hz."""
    return max(1, round(hop_s * fs))


def grid_range(first_sample: int, end_sample: int, length: int, hop: int) -> range:
    """Numbers of the windows that hold one of the samples; window k begins at sample k * hop."""
    return range(max(0, (first_sample - length) // hop + 1), (end_sample - 1) // hop + 1)


class WindowAssembler:
    """Cut one device's ordered samples into windows of `WINDOW_S`, one each `hop_s`.

    The grid is anchored at sample 0 of a session, whichever sample came first: neither order nor loss nor a
    restart of ours moves it, and what comes late falls into the same windows. A restart of the device drops
    the unfinished window. Windows without one sample are skipped by arithmetic, so that no gap costs memory.
    """

    def __init__(self, hop_s: float = WINDOW_S) -> None:
        if not 0 < hop_s <= WINDOW_S:
            raise ValueError(f"hop_s is {hop_s}, want more than 0 and at most {WINDOW_S:g}")
        self._hop_s = hop_s
        self._resume: NextWindow | None = None
        self._finished: frozenset[int] = frozenset()  # sessions whose windows are all stored
        self._pieces: deque[Ordered] = deque()
        self._start = 0  # first sample of the window being filled
        self._length = self._hop = 0  # samples; set by the session's fs
        self._fs = 0.0
        self._column = 0
        self._session: int | None = None
        self._stream_start = 0  # first sample seen of the stream: what came before it is unknown here

    def resume(self, next_window: NextWindow, finished: frozenset[int] = frozenset()) -> None:
        """Continue that session's grid at `next_window`; cut nothing from the `finished` sessions."""
        self._resume = next_window
        self._finished = finished

    def will_reach(self, session: int, end_sample: int) -> bool:
        """True while the windows of that session up to `end_sample` are not all closed."""
        return session == self._session and end_sample > self._start

    def fs_of(self, session: int, fs: float) -> float:
        """The rate whose grid that session has here, Hz, when `fs` is near it; else `fs`."""
        is_same = session == self._session and abs(fs - self._fs) <= SAME_FS * self._fs
        return self._fs if is_same else fs

    def began_within(self, window: Window) -> bool:
        """True when the stream's first sample lies within the window: earlier ones may be stored."""
        return window.first_sample < self._stream_start

    @property
    def unfinished(self) -> Ordered | None:
        """The newest samples of the window being filled; None when it holds none."""
        return self._pieces[-1] if self._pieces else None

    def push(self, ordered: Ordered) -> list[Window]:
        """Take the next samples; return the windows they complete."""
        end_sample = ordered.first_sample + len(ordered.samples_mv)
        if self._only_fills(ordered, end_sample):
            self._pieces.append(ordered)
            return []
        if ordered.break_before or not self._length:
            self._begin(ordered)
        if end_sample > self._start and ordered.session not in self._finished:
            self._pieces.append(ordered)
        windows = []
        self._skip_empty()
        while self._pieces and self._start + self._length <= end_sample:
            windows.append(self._cut())
            self._start += self._hop
            while self._pieces and self._pieces[0].end_sample <= self._start:
                self._pieces.popleft()
            self._skip_empty()
        return windows

    def _only_fills(self, ordered: Ordered, end_sample: int) -> bool:
        """True in the usual case, for which a short way is enough: the window goes on and stays open."""
        return bool(self._pieces) and end_sample < self._start + self._length and not ordered.break_before

    def _begin(self, ordered: Ordered) -> None:
        self._pieces.clear()
        self._session, self._fs = ordered.session, ordered.fs
        next_window, first = self._resume, ordered.first_sample
        self._stream_start = first
        if next_window is not None and next_window.session == ordered.session:
            self._resume = None
            if next_window.fs is not None and abs(next_window.fs - ordered.fs) <= SAME_FS * ordered.fs:
                self._fs = next_window.fs
        else:
            next_window = None
        self._length, self._hop = window_samples(self._fs), hop_samples(self._hop_s, self._fs)
        self._column = preferred_lead(ordered.leads)
        self._start = grid_range(first, first + 1, self._length, self._hop).start * self._hop
        if next_window is not None:
            self._start = -(-next_window.first_sample // self._hop) * self._hop

    def _skip_empty(self) -> None:
        """Move on to the first window of the grid that holds a sample."""
        while self._pieces and self._pieces[0].end_sample <= self._start:
            self._pieces.popleft()
        if self._pieces:
            beyond = self._pieces[0].first_sample - (self._start + self._length)
            if beyond >= 0:
                self._start += (beyond // self._hop + 1) * self._hop

    def _cut(self) -> Window:
        start, end = self._start, self._start + self._length
        samples_mv = np.empty(self._length, np.float32)
        came = lead_off = clipped = 0
        known = start  # all before it is written
        for piece in self._pieces:
            begin, column = piece.first_sample, piece.samples_mv[:, self._column]
            low, high = max(start, begin), min(end, begin + len(column))
            if low >= high:
                break
            samples_mv[low - start : high - start] = column[low - begin : high - begin]
            if low > known:
                samples_mv[known - start : low - start] = np.nan
            known = high
            came += high - low
            if piece.flags:  # a look at a flag costs 1 us on Python 3.11, and most have none
                lead_off += (high - low) * bool(piece.flags & ChunkFlag.LEAD_OFF)
                clipped += (high - low) * bool(piece.flags & ChunkFlag.CLIPPED)
        samples_mv[known - start :] = np.nan
        first = self._pieces[0]
        return Window(
            device=first.device,
            session=first.session,
            first_sample=start,
            wall_time_us=max(0, first.wall_time_us + round((start - first.first_sample) * 1e6 / self._fs)),
            fs=self._fs,
            lead=first.leads[self._column],
            samples_mv=samples_mv,
            coverage=came / self._length,
            lead_off=lead_off / self._length,
            clipped=clipped / self._length,
            historic=False,
        )


def _samples_to_bytes(samples: Any) -> bytes:
    return np.asarray(samples, "<f4").tobytes()


def _bytes_to_samples(_type: type, raw: Any) -> NDArray[np.float32]:
    if not isinstance(raw, bytes) or len(raw) % 4:
        raise ValueError("samples_mv is not a run of 4-byte floats")
    return np.frombuffer(raw, "<f4").astype(np.float32)


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_samples_to_bytes)
_DECODER = msgspec.msgpack.Decoder(Window, dec_hook=_bytes_to_samples)


def encode_window(window: Window) -> bytes:
    """The window as msgpack; samples are little-endian float32."""
    return _ENCODER.encode(window)


def decode_window(payload: bytes) -> Window:
    """The window of `encode_window`; raises msgspec.DecodeError on anything else."""
    return _DECODER.decode(payload)
