"""Ordered samples -> windows of fixed length on a grid of sample indices; and a window as bytes."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.chunk import ChunkFlag, Lead
from ingest.sequence import Ordered

WINDOW_S = 10.0  # what the model was trained on
MIN_COVERAGE = 0.95  # below this a window is stored but not classified (wire.md)
PREFERRED_LEADS = (Lead.I, Lead.II)  # the released weights saw lead I; II is its nearest neighbour


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A stretch of one lead, cut by sample index; samples that never came are NaN, never interpolated."""

    device: str  # "site/device"
    session: int
    first_sample: int
    wall_time_us: int  # device clock at first_sample, Unix microseconds
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
        self.samples_mv.flags.writeable = False

    @property
    def is_eligible(self) -> bool:
        """True when enough samples came for the model to look at it."""
        return self.coverage >= MIN_COVERAGE


def preferred_lead(leads: tuple[Lead, ...]) -> int:
    """Column of the lead that is windowed and watched: I, else II, else the first."""
    return next((leads.index(lead) for lead in PREFERRED_LEADS if lead in leads), 0)


class WindowAssembler:
    """Cut one device's ordered samples into windows of `WINDOW_S`, one each `hop_s`.

    The grid is anchored at the first sample seen of a session, so that it depends on samples alone. A restart
    of the device drops the unfinished window: it can never be completed. Windows without one sample are
    skipped by arithmetic, so that no gap costs memory.
    """

    def __init__(self, hop_s: float = WINDOW_S, *, historic: bool = False) -> None:
        if not 0 < hop_s <= WINDOW_S:
            raise ValueError(f"hop_s is {hop_s}, want more than 0 and at most {WINDOW_S:g}")
        self._hop_s = hop_s
        self._historic = historic
        self._resume: tuple[int, int] | None = None
        self._finished: frozenset[int] = frozenset()  # sessions whose windows are all stored
        self._pieces: deque[Ordered] = deque()
        self._start = 0  # first sample of the window being filled
        self._length = self._hop = 0  # samples; set by the session's fs
        self._column = 0

    def resume(self, session: int, next_first_sample: int, finished: frozenset[int] = frozenset()) -> None:
        """Continue that session's grid at `next_first_sample`; cut nothing from the `finished` sessions."""
        self._resume = (session, next_first_sample)
        self._finished = finished

    def push(self, ordered: Ordered) -> list[Window]:
        """Take the next samples; return the windows they complete."""
        if ordered.break_before or not self._length:
            self._begin(ordered)
        if ordered.end_sample > self._start and ordered.session not in self._finished:
            self._pieces.append(ordered)
        windows = []
        self._skip_empty()
        while self._pieces and self._start + self._length <= ordered.end_sample:
            windows.append(self._cut())
            self._start += self._hop
            while self._pieces and self._pieces[0].end_sample <= self._start:
                self._pieces.popleft()
            self._skip_empty()
        return windows

    def _begin(self, ordered: Ordered) -> None:
        self._pieces.clear()
        self._length = max(1, round(WINDOW_S * ordered.fs))
        self._hop = max(1, round(self._hop_s * ordered.fs))
        self._column = preferred_lead(ordered.leads)
        self._start = ordered.first_sample
        if self._resume is not None and self._resume[0] == ordered.session:
            self._start = self._resume[1]
            self._resume = None

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
        samples_mv = np.full(self._length, np.nan, np.float32)
        came = lead_off = clipped = 0
        for piece in self._pieces:
            low, high = max(start, piece.first_sample), min(end, piece.end_sample)
            if low >= high:
                break
            inside = slice(low - piece.first_sample, high - piece.first_sample)
            samples_mv[low - start : high - start] = piece.samples_mv[inside, self._column]
            came += high - low
            lead_off += (high - low) * bool(piece.flags & ChunkFlag.LEAD_OFF)
            clipped += (high - low) * bool(piece.flags & ChunkFlag.CLIPPED)
        first = self._pieces[0]
        return Window(
            device=first.device,
            session=first.session,
            first_sample=start,
            wall_time_us=first.wall_time_us + round((start - first.first_sample) * 1e6 / first.fs),
            fs=first.fs,
            lead=first.leads[self._column],
            samples_mv=samples_mv,
            coverage=came / self._length,
            lead_off=lead_off / self._length,
            clipped=clipped / self._length,
            historic=self._historic,
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
