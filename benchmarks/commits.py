"""What a commit costs: CPU of the committer for each chunk, as a fleet's come.

    python -m benchmarks.commits --devices 1000 --seconds 20 --json

A chunk of a second of each device each second, a tenth of them in each commit; vitals of all in one commit of
ten, a window of each device every ten seconds. Of each second the least counts: other programs only add.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ingest.batch import Batch
from ingest.chunk import Chunk, Lead
from ingest.committer import Committer
from ingest.quality import SignalState
from ingest.store.archive import Archive
from ingest.store.rows import ReceivedChunk
from ingest.vitals import Vitals
from ingest.window import Window
from ingest.wire import encode_binary

FS = 512
SECOND_US = 1_000_000
COMMITS = 10  # a second
WINDOW_S = 10
START_US = 1_790_000_000 * SECOND_US
SAMPLES_MV = (np.random.default_rng(0).integers(-900, 900, (FS, 1)) / 1000).astype(np.float32)
WINDOW_MV = np.tile(SAMPLES_MV[:, 0], WINDOW_S)


def second_of(devices: list[str], second: int) -> Iterator[tuple[Batch, int]]:
    """The commits of one second, and when each is."""
    for turn in range(COMMITS):
        now_us = START_US + second * SECOND_US + turn * SECOND_US // COMMITS
        its = devices[turn::COMMITS]
        chunks = [chunk_of(device, second, now_us) for device in its]
        closing = [device for k, device in enumerate(its) if (second + k) % WINDOW_S == 0]
        windows = [window_of(device, second, now_us) for device in closing]
        yield (
            Batch(chunks, windows, [vitals_of(each, second, now_us) for each in devices if turn == 0]),
            now_us,
        )


def chunk_of(device: str, second: int, now_us: int) -> ReceivedChunk:
    """A second of one lead."""
    wall_us = START_US + second * SECOND_US
    chunk = Chunk(device, 7, second, second * FS, wall_us, 0, float(FS), (Lead.I,), SAMPLES_MV)
    return ReceivedChunk(chunk, encode_binary(chunk), now_us)


def window_of(device: str, second: int, now_us: int) -> Window:
    """One that is full."""
    return Window(
        device=device, session=7, first_sample=second * FS, wall_time_us=now_us, fs=float(FS), lead=Lead.I,
        samples_mv=WINDOW_MV, coverage=1.0, lead_off=0.0, clipped=0.0, historic=False, closed_us=now_us,
    )  # fmt: skip


def vitals_of(device: str, second: int, now_us: int) -> Vitals:
    """With all that is kept of them."""
    return Vitals(
        device, 7, now_us, second * FS, 75.0, 0.5, SignalState.GOOD, rmssd_ms=30.12, sdnn_ms=41.2,
        ectopic_per_min=1, irregular=False,
    )  # fmt: skip


def measure(archive: Archive, n_devices: int, seconds: int) -> dict[str, float]:
    """Microseconds of CPU for each chunk; raises SystemExit when the store fails."""
    committer = Committer(archive)
    devices = [f"ward/watch-{k:05d}" for k in range(n_devices)]
    spent_us = []
    for second in range(seconds):
        batches = list(second_of(devices, second))
        begun_s = time.process_time()
        for batch, now_us in batches:
            committer.begin(batch, [], now_us)
            outcome = committer.wait()
            if outcome is None or isinstance(outcome.committed, Exception):
                raise SystemExit(f"the store failed: {outcome}")
        spent_us.append(1e6 * (time.process_time() - begun_s) / n_devices)
    committer.close()
    return {"least_us": round(min(spent_us), 1), "median_us": round(float(np.median(spent_us)), 1)}


def main() -> None:
    """Print microseconds of CPU for each chunk."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive.open(f"sqlite:///{Path(folder) / 'store.sqlite'}")
        figures = measure(archive, options.devices, options.seconds)
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
