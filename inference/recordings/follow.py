"""A recording through the live path of beats and vitals, a second at a time -> R peaks and vitals."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inference.recordings.windows import device_of
from ingest.chunk import NO_FLAGS, ChunkFlag
from ingest.quality import SignalState
from ingest.recordings import Recording
from ingest.sequence import Ordered
from ingest.vitals import RATE_RANGE_BPM, Vitals, VitalsMonitor

SETTLES_S = 1.0  # nothing is told later than this after its beat


def follow(recording: Recording) -> tuple[NDArray[np.int64], tuple[Vitals, ...]]:
    """R peaks (n,) as samples of the recording, and the vitals at the end of each second.

    The last second may be a part of one.
    """
    monitor = VitalsMonitor(device_of(recording), 0, recording.fs)
    origin = int(np.argmax(~np.isnan(recording.samples_mv)))  # the monitor's first sample
    start_us = 0 if recording.start is None else max(0, round(recording.start.timestamp() * 1e6))
    r_peaks: list[int] = []
    vitals = []
    n_seconds = max(1, round(recording.length_s))
    at = origin
    for second in range(1, n_seconds + 1):
        end = recording.n_samples if second == n_seconds else round(second * recording.fs)
        for ordered in _known_runs(recording, at, end, float(second)):
            at = ordered.end_sample
            monitor.push(ordered)
        r_peaks += _beats(monitor)
        vitals.append(monitor.snapshot(start_us + second * 1_000_000, float(second)))
    if monitor.beats is not None:
        monitor.beats.gap(round(SETTLES_S * recording.fs))
        r_peaks += monitor.beats.push(np.zeros(0, np.float32)).tolist()
    return np.array(r_peaks, np.int64) + origin, tuple(vitals)


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


def _beats(monitor: VitalsMonitor) -> list[int]:
    """What `snapshot` would look for itself, so that its R peaks are seen here too."""
    found: list[int] = []
    while (samples_mv := monitor.next_run()) is not None and monitor.beats is not None:
        r_peaks = monitor.beats.push(samples_mv).tolist()
        monitor.add_beats(r_peaks)
        found += r_peaks
    return found


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
