"""A strap's frames, in order of arrival -> their places: session and index of the first sample.

The strap has no counter. Its clock stamps the last sample of each frame, and its rate is its own: 128 to 131
Hz where it says 130. So the rate is fitted first; then a step of the clock that is longer than a frame is a
gap of so many samples, where the fit is certain of the number, and otherwise begins a new session.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ingest.gateways.polar.decoder import Frame

NOMINAL_HZ = 130.0
BELIEVABLE_HZ = (125.0, 135.0)  # of one frame; a lost one halves it
SETTLE_S = 3.0  # a stamp strays by about 1 ms, 0.03 % of this: 3 ms in a window of 10 s
STRAYS_S = 1e-3  # of a stamp
DRIFT = 2e-5  # share by which a crystal's rate moves with its temperature
SAME = 2.0  # samples by which a clock may stray where nothing is missing
ARRIVAL_STRAYS_S = 5.0  # by which the radio can deliver late; a clock that ran further was set
REMEMBERED = 16  # frames known again, 9 s, and arrivals that tell how far the strap's clock is off


class Arrived(msgspec.Struct, frozen=True):
    """A frame that waits for its session's rate."""

    last_ns: int
    samples: bytes  # int32
    n: int
    received_us: int


class StrapState(msgspec.Struct):
    """All that the clock knows; written with every chunk, so that a killed gateway goes on where it was."""

    strap: str = ""  # whose; another strap has another rate
    session: int = 0
    is_begun: bool = False
    fs: float = NOMINAL_HZ  # what the session claims
    next_sample: int = 0
    seq: int = 0
    newest_ns: int = 0
    newest_n: int = 0
    newest_us: int = 0  # arrival, Unix
    origin_ns: int = 0  # of the fit: a stamp, and the index one past the sample it stamps
    origin_sample: int = 0
    rate_hz: float | None = None  # the strap's, fitted; outlives sessions
    rate_doubt: float = 1.0  # share
    held: list[Arrived] = msgspec.field(default_factory=list)
    known: list[tuple[int, int]] = msgspec.field(default_factory=list)  # (stamp, checksum)
    offsets_ns: list[int] = msgspec.field(default_factory=list)  # arrival minus stamp
    duplicates: int = 0
    gaps: int = 0
    lost_samples: int = 0
    sessions: int = 0


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame at its place."""

    session: int
    seq: int
    first_sample: int
    fs: float  # Hz; the same throughout a session
    first_ns: int  # the strap's clock at its first sample
    wall_time_us: (
        int  # ours there: the least delayed arrival of the last 9 s tells how far the strap's is off
    )
    samples: bytes  # int32 microvolts
    is_after_gap: bool


class StrapClock:
    """Places the frames of one strap. `new_session()` names sessions (a u32 each)."""

    def __init__(self, new_session: Callable[[], int], state: StrapState | None = None) -> None:
        self.state = StrapState() if state is None else state
        self._new_session = new_session

    def wear(self, strap: str) -> list[Placed]:
        """From here on frames come from the strap of this address; returns what still waited of another."""
        if strap == self.state.strap:
            return []
        placed = self.flush()
        self.state = StrapState(strap=strap)
        return placed

    def push(self, frame: Frame, received_us: int) -> list[Placed]:
        """Take a frame; return what has its place now. The first 3 s of a strap wait for its rate."""
        state = self.state
        mark = (frame.last_ns, zlib.crc32(frame.samples_uv.tobytes()))
        if mark in state.known:
            state.duplicates += 1
            return []
        state.known = [*state.known, mark][-REMEMBERED:]
        now = Arrived(frame.last_ns, frame.samples_uv.tobytes(), len(frame.samples_uv), received_us)
        placed = self._take(now)
        state.offsets_ns = [*state.offsets_ns, received_us * 1000 - frame.last_ns][-REMEMBERED:]
        state.newest_ns, state.newest_n, state.newest_us = now.last_ns, now.n, received_us
        return placed + self._release(now)

    def flush(self) -> list[Placed]:
        """What still waits, at the rate that is known: the stream ends."""
        placed, self.state.held = [self._place(each, 0) for each in self.state.held], []
        return placed

    def _take(self, now: Arrived) -> list[Placed]:
        """Settle where `now` belongs; it is held until `_release`. Returns what had to go before it."""
        state = self.state
        lost = self._lost(now) if state.is_begun else None
        if lost == 0:
            state.held.append(now)
            return []
        placed = self.flush()
        if lost is None:
            self._begin(now)
            state.held.append(now)
            return placed
        state.gaps += 1
        state.lost_samples += lost
        return [*placed, self._place(now, lost)]

    def _release(self, now: Arrived) -> list[Placed]:
        """What is held, once the rate is known."""
        state = self.state
        if not state.held:
            return []
        self._fit(now)
        if state.rate_hz is None:
            return []
        if state.next_sample == 0:
            state.fs = round(state.rate_hz, 3)
        return self.flush()

    def _begin(self, now: Arrived) -> None:
        state = self.state
        state.is_begun = True
        state.session = self._new_session()
        state.sessions += 1
        state.seq = state.next_sample = 0
        state.fs = NOMINAL_HZ if state.rate_hz is None else round(state.rate_hz, 3)
        state.origin_ns, state.origin_sample = now.last_ns, now.n
        state.offsets_ns = []

    def _fit(self, now: Arrived) -> None:
        """The rate from the session's first stamp to this one, where that is the surest so far."""
        state = self.state
        span_s = (now.last_ns - state.origin_ns) / 1e9
        if span_s < SETTLE_S:
            return
        doubt = STRAYS_S / span_s + DRIFT
        if doubt <= state.rate_doubt:
            end = state.next_sample + sum(each.n for each in state.held)
            state.rate_hz, state.rate_doubt = (end - state.origin_sample) / span_s, doubt

    def _lost(self, now: Arrived) -> int | None:
        """Samples missing before `now`; None where the clock was set or the number is not certain."""
        state = self.state
        step_s = (now.last_ns - state.newest_ns) / 1e9
        if state.rate_hz is None:
            low_hz, high_hz = BELIEVABLE_HZ
            return 0 if step_s > 0 and low_hz <= now.n / step_s <= high_hz else None
        missing = step_s * state.rate_hz - now.n
        if abs(missing) <= SAME:
            return 0
        is_frame = missing >= min(now.n, state.newest_n) / 2  # what is lost is a whole notification or more
        was_set = step_s > (now.received_us - state.newest_us) / 1e6 + ARRIVAL_STRAYS_S
        doubt = step_s * state.rate_hz * state.rate_doubt + STRAYS_S * state.rate_hz
        return round(missing) if is_frame and not was_set and doubt < 0.5 else None

    def _place(self, now: Arrived, lost: int) -> Placed:
        state = self.state
        first = state.next_sample + lost
        first_ns = now.last_ns - round((now.n - 1) / state.fs * 1e9)
        offset_ns = min([*state.offsets_ns, now.received_us * 1000 - now.last_ns])
        placed = Placed(
            session=state.session,
            seq=state.seq,
            first_sample=first,
            fs=state.fs,
            first_ns=max(0, first_ns),
            wall_time_us=max(0, (first_ns + offset_ns) // 1000),
            samples=now.samples,
            is_after_gap=lost > 0,
        )
        state.next_sample = first + now.n
        state.seq = (state.seq + 1) & 0xFFFFFFFF
        return placed
