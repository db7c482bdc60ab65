"""A day of one device comes late, beside a live one: what it costs until its last window is stored.

`python -m benchmarks.backfill --hours 24 --json`: the real intake, committer and store, without broker.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ingest.batch import FULL_MESSAGES
from ingest.chunk import Chunk, Lead
from ingest.committer import Committer
from ingest.intake import Intake
from ingest.pipeline import DevicePipeline
from ingest.store.archive import Archive
from ingest.topics import device_topic
from ingest.wire import encode_binary

FS = 512.0
SECOND_US = 1_000_000
TURN_US = 100_000  # from commit to commit, as ingest commits by default
TURNS_A_SECOND = SECOND_US // TURN_US
START_US = 1_790_000_000 * SECOND_US
LATE, LIVE = "ward/late", "ward/live"


@dataclass(frozen=True, slots=True)
class Result:
    """Of one run; turns are commits, ten a second in the service."""

    chunks: int  # that came late, of a second each
    order: str
    windows: int  # cut from them
    turns: int  # until the last was stored
    cpu_s: float  # all of this process: reading, storing, cutting again
    wall_s: float
    longest_commit_ms: float  # with what was cut after it: so long may a live chunk wait
    live_windows: int  # of the live device, meanwhile
    live_expected: int


def message(device: str, number: int) -> bytes:
    """One second of a made signal."""
    index = np.arange(int(FS))
    samples = ((index * 7 + number * 13) % 2000 - 1000)[:, None].astype(np.float32) * np.float32(0.001)
    session = 1 if device == LATE else 2
    first, wall_us = number * int(FS), START_US + number * SECOND_US
    return encode_binary(Chunk(device, session, number, first, wall_us, 0, FS, (Lead.I,), samples))


def run(folder: Path, n_chunks: int, order: str) -> Result:
    """Give the day as fast as commits take it, a live chunk each second of simulated time."""
    numbers = np.arange(n_chunks)
    if order == "shuffled":
        np.random.default_rng(0).shuffle(numbers)
    late = [message(LATE, number) for number in numbers.tolist()]
    archive, intake = Archive.open(f"sqlite:///{folder / 'store.sqlite'}"), Intake(DevicePipeline)
    committer = Committer(archive)
    now_us, turns, live, longest_s, windows, live_windows = START_US, 0, 0, 0.0, 0, 0
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    while late or not intake.batch.is_empty or archive.due_slots(now_us + 60 * SECOND_US, 1):
        for payload in late[:FULL_MESSAGES]:
            intake.receive(device_topic(LATE, "backfill"), payload, now_us)
        del late[:FULL_MESSAGES]
        if turns % TURNS_A_SECOND == 0:
            intake.receive(device_topic(LIVE, "chunk"), message(LIVE, live), now_us)
            intake.tick(now_us)
            live += 1
        committer.begin(intake.take(), [], now_us)
        began_s = time.perf_counter()
        outcome = committer.wait()
        longest_s = max(longest_s, time.perf_counter() - began_s)
        if outcome is None or isinstance(outcome.committed, Exception):
            raise SystemExit(f"the store failed: {outcome}")
        stored = [device for device, _, _ in outcome.committed.new_windows]
        windows, live_windows = windows + stored.count(LATE), live_windows + stored.count(LIVE)
        intake.batch.windows += outcome.windows
        intake.batch.rework.done += outcome.done
        now_us, turns = now_us + TURN_US, turns + 1
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    committer.close()
    return Result(
        n_chunks, order, windows, turns, round(cpu_s, 1), round(wall_s, 1), round(1000 * longest_s, 1),
        live_windows, live // 10,
    )  # fmt: skip


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--order", choices=("in order", "shuffled"), default="in order")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asdict(run(Path(folder), round(3600 * arguments.hours), arguments.order))
    if arguments.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name:>18}  {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
