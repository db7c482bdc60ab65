"""A recording -> windows of 10 s that overlap by half, up to its very end."""

import numpy as np

from ingest.recordings import Recording
from ingest.window import Window, hop_samples, window_samples

HOP_S = 5.0  # each second is seen twice, in another place of the window
TAIL_S = 1.0  # of a rest that gets a window of its own, flush with the end


def windows_of(recording: Recording, hop_s: float = HOP_S) -> list[Window]:
    """All windows, oldest first; at least one, with missing samples where the recording is shorter.

    Nothing is copied where the recording is long enough.
    """
    n, length, hop = recording.n_samples, window_samples(recording.fs), hop_samples(hop_s, recording.fs)
    starts = list(range(0, max(1, n - length + 1), hop))
    if n - (starts[-1] + length) >= TAIL_S * recording.fs:
        starts.append(n - length)
    device = device_of(recording)  # once: it is made of all samples
    return [_window(recording, device, start, length) for start in starts]


def device_of(recording: Recording) -> str:
    """A name in place of a device's: the same recording has the same."""
    return f"file/{recording.identity}"


def _window(recording: Recording, device: str, start: int, length: int) -> Window:
    samples_mv = recording.samples_mv[start : start + length]
    if len(samples_mv) < length:
        samples_mv = np.concatenate([samples_mv, np.full(length - len(samples_mv), np.nan, np.float32)])
    clipped = recording.clipped[start : start + length]
    start_us = 0 if recording.start is None else round(recording.start.timestamp() * 1e6)
    return Window(
        device=device,
        session=0,
        first_sample=start,
        wall_time_us=max(0, start_us) + round(start * 1e6 / recording.fs),
        fs=recording.fs,
        lead=recording.lead,
        samples_mv=samples_mv,
        coverage=1.0 - float(np.count_nonzero(np.isnan(samples_mv))) / length,
        lead_off=0.0,
        clipped=float(np.count_nonzero(clipped)) / length,
        historic=True,
    )
