"""Beats become heart rate, once a second, with the reason whenever there is none."""

from array import array
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ingest.beats import MIN_FS_HZ, BeatDetector
from ingest.chunk import ChunkFlag
from ingest.quality import Noise, SignalQuality, SignalState
from ingest.rhythm import NOISE_SPAN_S, UNKNOWN_RHYTHM, RhythmFollower
from ingest.sequence import Ordered
from ingest.window import preferred_lead

__all__ = ["SignalState", "Vitals", "VitalsMonitor", "heart_rate_bpm"]

RATE_RANGE_BPM = (15.0, 300.0)  # alarms.md; outside it the rate is unknown
RR_KEPT = 12
SLOW_RR_S = 1.2  # three such in a row: the mean of 4 follows a falling rate within 10 s
RR_AGE_S = 20.0  # 12 beats at 40 bpm last 18 s; older ones say nothing about now
NO_BEAT_S = 4.0  # asystole in alarms.md: from here on the rate is unknown, not slow
NO_DATA_S = 3.0
STALE_S = 5.0  # newest ordered sample; a lost 1 s chunk holds the stream for 4.5 s at the default wait
PROCESS_EVERY_S = 4.0  # samples gathered at most before they are filtered; snapshot takes them each second
# Once: each look at a member of an enum costs 0.1 us on Python 3.11.
_GOOD, _NOISY, _NO_DATA = SignalState.GOOD, SignalState.NOISY, SignalState.NO_DATA
_SLOW = SignalState.SLOW_SAMPLING


class Vitals(Struct, frozen=True, gc=False):  # a ninth of what a frozen dataclass costs to make
    """The state of one device, published each second."""

    device: str  # "site/device"
    session: int
    at_us: int  # wall clock of this record, Unix microseconds
    last_sample: int  # index one past the newest sample used
    heart_rate_bpm: float | None  # None where beats or quality do not allow; never 0, never the last value
    since_beat_s: float | None  # see VitalsMonitor; None before the first beat of the session
    signal: SignalState
    noise: Noise | None = None  # what makes the signal noisy, where it is
    rr_s: tuple[float, ...] = ()  # the newest RR intervals, oldest first, at most 12
    data_age_s: float = 0.0  # wall clock since the newest sample arrived
    fs_measured: float | None = None  # Hz, fitted against arrival; None until 30 s were seen
    clock_offset_s: float | None = None  # device clock minus arrival, slowly fitted
    battery: int | None = None  # per cent
    lost_samples: int = 0  # samples declared missing in this session
    duplicates: int = 0  # chunks dropped as already seen
    late: int = 0  # chunks that came after their place was closed
    refused: int = 0  # payloads that could not be understood
    doubts: tuple[str, ...] = ()  # what the device claims and cannot be, in words (plausibility.py)
    rmssd_ms: float | None = None  # of the normal-to-normal intervals of 5 minutes (variability.py)
    sdnn_ms: float | None = None
    ectopic_per_min: int | None = None  # beats of the last minute that came too early (ectopy.py)
    newest_is_ectopic: bool | None = None  # whether the newest beat came too early
    irregular: bool | None = None  # as in atrial fibrillation (irregularity.py)
    irregular_for_s: float | None = None  # since its onset; None unless irregular


def heart_rate_bpm(rr_s: tuple[float, ...]) -> float | None:
    """Displayed rate from the newest RR intervals, oldest first; None with fewer than two or out of range.

    Mean of the last 12 without the longest and the shortest; after three of more than 1.2 s, of the last 4
    (the averaging that ECG monitors state for IEC 60601-2-27).
    """
    newest = rr_s[-RR_KEPT:]
    n = len(newest)
    if n < 2:
        return None
    used: Sequence[float]
    if n >= 3 and newest[-1] > SLOW_RR_S and newest[-2] > SLOW_RR_S and newest[-3] > SLOW_RR_S:
        used = newest[-4:]
    else:
        used = sorted(newest)[1:-1] if n >= 4 else newest
    rate_bpm = 60.0 * len(used) / sum(used)
    return rate_bpm if RATE_RANGE_BPM[0] <= rate_bpm <= RATE_RANGE_BPM[1] else None


class VitalsMonitor:
    """Follow the beats and the quality of one session of one device.

    `since_beat_s` counts the samples since the last R peak, or since the end of the last stretch without a
    signal (gap, lead off, flat, saturated) when that is later: nobody can see a beat there, and asystole is
    told by 4 s that could have shown one.
    """

    def __init__(self, device: str, session: int, fs: float) -> None:
        self.session = session
        self._device = device
        self.fs = fs
        self.beats = BeatDetector(fs) if fs >= MIN_FS_HZ else None  # else SLOW_SAMPLING
        self.quality = SignalQuality(fs)
        self._fault: Exception | None = None
        self._pending: list[Ordered] = []
        self._n_pending = 0
        self._first_sample: int | None = None  # of the session; R peaks are counted from it
        self._end_sample = 0
        self._last_beat: int | None = None
        self._signal_from = 0  # the last stretch without a signal ended here
        self._chain_from = 0  # an RR interval counts when both of its beats lie beyond this
        self._rr_s, self._rr_ends = array("d"), array("q")  # the newest 12 and the sample at the end of each
        self._rhythm = RhythmFollower(fs)
        self._heard_s = 0.0  # a chunk arrived
        self._received_s = 0.0  # the newest ordered sample arrived

    def hear(self, received_s: float) -> None:
        """A chunk came, perhaps not yet in order: the device is alive."""
        self._heard_s = received_s

    def push(self, ordered: Ordered) -> None:
        """Take the next samples of the session."""
        if self._first_sample is None:
            self._first_sample = self._end_sample = ordered.first_sample
        self._pending.append(ordered)
        self._n_pending += len(ordered.samples_mv)
        self._received_s = ordered.received_s
        self._heard_s = max(self._heard_s, ordered.received_s)
        if self._n_pending >= PROCESS_EVERY_S * self.fs:
            self._take_pending()

    def snapshot(  # noqa: PLR0913 - the fields of `Vitals` that only others know
        self,
        at_us: int,
        now_s: float,
        *,
        fs_measured: float | None = None,
        clock_offset_s: float | None = None,
        battery: int | None = None,
        lost_samples: int = 0,
        duplicates: int = 0,
        late: int = 0,
        refused: int = 0,
        doubts: tuple[str, ...] = (),
    ) -> Vitals:
        """What is known at `now_s`, a clock shared with `received_s`; `at_us` only stamps the record.

        Raises what `fail` was given: after a fault the state means nothing.
        """
        self._catch_up(now_s)
        age_s, since_s = now_s - self._heard_s, self._since_beat_s()
        signal = self._signal(age_s, since_s)
        self._forget_old()
        if signal is not _GOOD and signal is not _NO_DATA:
            self._forget_unsound(signal)
            since_s = self._since_beat_s()
        rr_s = tuple(self._rr_s)
        is_known = signal is _GOOD and since_s is not None and since_s <= NO_BEAT_S
        is_fresh = now_s - self._received_s <= STALE_S
        rhythm = self._rhythm.snapshot(self._end_sample) if is_fresh else UNKNOWN_RHYTHM
        rmssd_ms, sdnn_ms, ectopic_per_min, newest_is_ectopic, irregular, irregular_for_s = rhythm
        return Vitals(  # in the order of the fields: by name it costs six times as much
            self._device,
            self.session,
            at_us,
            self._end_sample,
            heart_rate_bpm(rr_s) if is_known and is_fresh else None,
            since_s,
            signal,
            self.quality.noise() if signal is _NOISY else None,
            rr_s,
            age_s,
            fs_measured,
            clock_offset_s,
            battery,
            lost_samples,
            duplicates,
            late,
            refused,
            doubts,
            rmssd_ms,
            sdnn_ms,
            ectopic_per_min,
            newest_is_ectopic if is_known else None,
            irregular,
            irregular_for_s,
        )

    def _catch_up(self, now_s: float) -> None:
        """Take what is pending, and the time."""
        if self._fault is not None:
            raise self._fault
        if self._pending:
            self._take_pending()
        if self._heard_s > now_s or self._received_s > now_s:  # set back: silence counts from now
            self._heard_s, self._received_s = min(self._heard_s, now_s), min(self._received_s, now_s)

    def _signal(self, age_s: float, since_beat_s: float | None) -> SignalState:
        """What the signal is good for, when the device was heard `age_s` ago."""
        if self.beats is not None:
            self.quality.read(self.beats.unreadable, since_beat_s)
        if age_s > NO_DATA_S:
            return _NO_DATA
        signal = self.quality.state()
        return _SLOW if self.beats is None and signal is _GOOD else signal

    def _since_beat_s(self) -> float | None:
        if self._last_beat is None:
            return None
        return (self._end_sample - max(self._last_beat, self._signal_from)) / self.fs

    def _forget_old(self) -> None:
        """Drop intervals that say nothing about now."""
        ends, oldest = self._rr_ends, self._end_sample - RR_AGE_S * self.fs
        while ends and ends[0] < oldest:
            del ends[0], self._rr_s[0]

    def _forget_unsound(self, signal: SignalState) -> None:
        """Drop intervals that were measured in a stretch now known to be bad."""
        newest_sound = self._end_sample - round(NOISE_SPAN_S * self.fs)
        self._rhythm.forget_after(newest_sound)
        self._chain_from = self._end_sample
        if signal is not _NOISY:
            self._signal_from = self._end_sample
        while self._rr_ends and self._rr_ends[-1] > newest_sound:
            del self._rr_ends[-1], self._rr_s[-1]

    def _take_pending(self) -> None:
        while (samples_mv := self.next_run()) is not None and self.beats is not None:
            self.add_beats(self.beats.push(samples_mv).tolist())

    def next_run(self) -> NDArray[np.float32] | None:
        """The next pending samples without a hole (n_samples,), for `beats` to see; None when none are left.

        The R peaks that `beats` found go to `add_beats` before the next run is asked for.
        """
        while self._pending:
            samples_mv = self._begin(self._pop_run())
            if samples_mv is not None:
                return samples_mv
        return None

    def add_beats(self, r_peaks: Sequence[int]) -> None:
        """Take R peaks as `beats` tells them."""
        first, before = self._first_sample or 0, self._last_beat
        for r_peak in r_peaks:
            beat = first + r_peak
            if before is not None and before >= self._chain_from:
                rr = beat - before
                self._rr_s.append(rr / self.fs)
                self._rr_ends.append(beat)
                if len(self._rr_s) > RR_KEPT:
                    del self._rr_s[0], self._rr_ends[0]
                self._rhythm.push(beat, rr)
            self._last_beat = before = beat

    def fail(self, error: Exception) -> None:
        """Keep what went wrong as samples were taken together with those of others; `snapshot` raises it."""
        self._fault = error

    @property
    def has_pending(self) -> bool:
        """Whether `next_run` may have something to say."""
        return bool(self._pending)

    def _pop_run(self) -> list[Ordered]:
        """Consecutive samples of one kind, after the gap before them if there is one."""
        pending, end = self._pending, 1
        if len(pending) == 1:  # as mostly
            self._pending = []
            return pending
        while (
            end < len(pending)
            and not pending[end].missing_before
            and pending[end].flags == pending[end - 1].flags
        ):
            end += 1
        self._pending = pending[end:]
        return pending[:end]

    def _begin(self, run: list[Ordered]) -> NDArray[np.float32] | None:
        """Note what is known before beats are looked for; None where there are none to look for."""
        first = run[0]
        column = preferred_lead(first.leads) if len(first.leads) > 1 else 0
        if len(run) == 1:
            samples_mv = first.samples_mv[:, column]
        else:
            samples_mv = np.concatenate([ordered.samples_mv[:, column] for ordered in run])
        n, flags = len(samples_mv), first.flags
        self._n_pending -= n
        is_off = is_clipped = False
        if flags:  # as seldom: each test of one costs 1 us
            is_off, is_clipped = bool(flags & ChunkFlag.LEAD_OFF), bool(flags & ChunkFlag.CLIPPED)
        if first.missing_before:
            self._lose(first.missing_before)
            self.quality.gap()
        self.quality.push(samples_mv, lead_off=is_off, clipped=is_clipped)
        if is_off:
            self._lose(n)
            return None
        self._end_sample += n
        return None if self.beats is None else samples_mv

    def _lose(self, n: int) -> None:
        if self.beats is not None:
            self.beats.gap(n)
        self._end_sample += n
        self._signal_from = self._chain_from = self._end_sample
