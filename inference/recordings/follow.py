"""Recordings through the live path of beats and vitals, a second at a time -> R peaks and vitals."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.recordings.windows import device_of
from ingest.chunk import NO_FLAGS, ChunkFlag
from ingest.quality import SignalState
from ingest.recordings import Recording
from ingest.sequence import Ordered
from ingest.vitals import RATE_RANGE_BPM, Vitals, VitalsMonitor
from ingest.vitals_together import advance_together

SETTLES_S = 1.0  # nothing is told later than this after its beat


def follow_each(recordings: Sequence[Recording]) -> list[tuple[NDArray[np.int64], tuple[Vitals, ...]]]:
    """Of each: R peaks (n,) as its samples, and the vitals at the end of each second or what is left of it.

    They go side by side, which changes no bit and costs less.
    """
    followers = [_Follower(recording) for recording in recordings]
    for second in range(1, max((each.n_seconds for each in followers), default=0) + 1):
        going = [each for each in followers if second <= each.n_seconds]
        for each in going:
            each.push(second)
        advance_together([each.monitor for each in going])
        for each in going:
            each.look(second)
    return [each.finish() for each in followers]


def mean_rate_bpm(
    recording: Recording, r_peaks: NDArray[np.int64], vitals: tuple[Vitals, ...]
) -> float | None:
    """Rate of all intervals that lie in readable seconds without a hole; None without two of them."""
    if len(r_peaks) < 3:
        return None
    n_bad = np.cumsum([0, *(each.signal is not SignalState.GOOD for each in vitals)])
    seconds = np.minimum((r_peaks / recording.fs).astype(np.int64), len(vitals) - 1)
    n_missing = np.cumsum(np.isnan(recording.samples_mv))
    is_sound = (n_bad[seconds[1:] + 1] == n_bad[seconds[:-1]]) & (
        n_missing[r_peaks[1:]] == n_missing[r_peaks[:-1]]
    )
    rr_s = np.diff(r_peaks)[is_sound] / recording.fs
    rr_s = rr_s[(rr_s >= 60 / RATE_RANGE_BPM[1]) & (rr_s <= 60 / RATE_RANGE_BPM[0])]
    return 60.0 / float(rr_s.mean()) if len(rr_s) >= 2 else None


class _Follower:
    """One recording on its way through a monitor."""

    def __init__(self, recording: Recording) -> None:
        self.monitor = _Monitor(device_of(recording), 0, recording.fs)
        self.n_seconds = max(1, round(recording.length_s))
        self._recording = recording
        self._origin = self._at = int(
            np.argmax(~np.isnan(recording.samples_mv))
        )  # the monitor's first sample
        self._start_us = 0 if recording.start is None else max(0, round(recording.start.timestamp() * 1e6))
        self._vitals: list[Vitals] = []

    def push(self, second: int) -> None:
        """Hand over the samples of the second that ends there."""
        recording = self._recording
        end = recording.n_samples if second == self.n_seconds else round(second * recording.fs)
        for ordered in _known_runs(recording, self._at, end, float(second)):
            self._at = ordered.end_sample
            self.monitor.push(ordered)

    def look(self, second: int) -> None:
        """Note the vitals there."""
        self._vitals.append(self.monitor.snapshot(self._start_us + second * 1_000_000, float(second)))

    def finish(self) -> tuple[NDArray[np.int64], tuple[Vitals, ...]]:
        """R peaks, also those of which the end of the recording kept the detector, and vitals."""
        beats = self.monitor.beats
        if beats is not None:
            beats.gap(round(SETTLES_S * self._recording.fs))
            self.monitor.r_peaks += beats.push(np.zeros(0, np.float32)).tolist()
        return np.array(self.monitor.r_peaks, np.int64) + self._origin, tuple(self._vitals)


class _Monitor(VitalsMonitor):
    """Keeps all R peaks, counted from its first sample."""

    def __init__(self, device: str, session: int, fs: float) -> None:
        super().__init__(device, session, fs)
        self.r_peaks: list[int] = []

    def add_beats(self, r_peaks: Sequence[int]) -> None:
        """Take R peaks as `beats` tells them."""
        self.r_peaks += r_peaks
        super().add_beats(r_peaks)


def _known_runs(recording: Recording, first: int, end: int, received_s: float) -> Iterator[Ordered]:
    """The known runs of samples between `first` and `end`, each with what is missing before it."""
    if first >= end:  # before the first sample that is known
        return
    is_known = ~np.isnan(recording.samples_mv[first:end])
    edges = np.flatnonzero(np.diff(is_known)) + 1
    taken = first
    for low, high in zip([0, *edges.tolist()], [*edges.tolist(), end - first], strict=True):
        if low == high or not is_known[low]:
            continue
        run = slice(first + low, first + high)
        is_clipped = bool(recording.clipped[run].any())
        yield Ordered(
            device="",
            session=0,
            first_sample=run.start,
            samples_mv=recording.samples_mv[run, None],
            leads=(recording.lead,),
            fs=recording.fs,
            wall_time_us=0,
            flags=ChunkFlag.CLIPPED if is_clipped else NO_FLAGS,
            missing_before=run.start - taken,
            break_before=False,
            received_s=received_s,
        )
        taken = run.stop
