"""A day of one device comes late, beside a live one: what it costs until its last window is stored.

    python -m benchmarks.backfill --hours 24 --json

The real intake, committer and store, without broker.

    python -m benchmarks.backfill --hours 24 --beside --json

Broker and ingest as processes: one device sends a late second for each window of the day, in no order, and
right behind it another sends one late hour. How long does each wait for its last window?
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.fleet_figures import own_command
from benchmarks.observation import Observer
from ingest.batch import FULL_MESSAGES
from ingest.broker import broker_command
from ingest.chunk import Chunk, Lead, Place
from ingest.committer import Committer
from ingest.intake import Intake
from ingest.link import MqttLink
from ingest.pipeline import DevicePipeline
from ingest.settings import Settings, load_settings
from ingest.store.archive import Archive
from ingest.supervisor import Supervisor
from ingest.topics import device_topic, window_topic
from ingest.window import decode_window
from ingest.wire import encode_binary

FS = 512.0
SECOND_US = 1_000_000
TURN_US = 100_000  # from commit to commit, as ingest commits by default
TURNS_A_SECOND = SECOND_US // TURN_US
START_US = 1_790_000_000 * SECOND_US
LATE, LIVE, HOUR = "ward/late", "ward/live", "ward/one-late-hour"
GIVEN_UP_S = 1800.0


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


@dataclass(frozen=True, slots=True)
class Beside:
    """Of two devices whose late samples wait together; seconds from the last chunk to the last window."""

    scattered_windows: int
    scattered_s: float
    hour_windows: int
    hour_s: float


def run_beside(settings: Settings, n_windows: int) -> Beside:
    """Send what comes late, and hear windows until all are there; raises SystemExit when they do not come."""
    numbers = np.random.default_rng(0).permutation(n_windows).tolist()
    expected = {LATE: n_windows, HOUR: 360}
    supervisor = Supervisor({**settings.as_environment(), "WRISTLEAD_SUPERVISED": "1"})
    try:
        supervisor.add("broker", broker_command(settings))
        supervisor.add("ingest", own_command("ingest"))
        observer = Observer(settings.broker_address, supervisor)
        while not observer.is_up("ingest"):
            observer.listen(0.2)
        link = MqttLink(settings.broker_address, "benchmark")
        for device in expected:
            link.subscribe(window_topic(device))
        link.connect()
        for number in numbers:
            link.publish(device_topic(LATE, "backfill"), message(LATE, 10 * number + number % 10))
        for number in range(3600):
            link.publish(device_topic(HOUR, "backfill"), message(HOUR, number))
        took_s = heard(link, expected)
        link.close()
    finally:
        supervisor.stop()
    return Beside(n_windows, round(took_s[LATE], 1), expected[HOUR], round(took_s[HOUR], 1))


def heard(link: MqttLink, expected: dict[str, int]) -> dict[str, float]:
    """When each device's last window came, seconds from now."""
    places: set[Place] = set()
    began_s, done_s = time.monotonic(), dict[str, float]()
    while len(done_s) < len(expected):
        if time.monotonic() > began_s + GIVEN_UP_S:
            raise SystemExit(f"only {len(places)} windows came within {GIVEN_UP_S:.0f} s; want {expected}")
        for each in link.poll(0.2):
            places.add(decode_window(each.payload).place)
        n_of = Counter(device for device, _, _ in places)
        for device, n in expected.items():
            if n_of[device] == n:
                done_s.setdefault(device, time.monotonic() - began_s)
    return done_s


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--order", choices=("in order", "shuffled"), default="in order")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--beside", action="store_true", help="two devices, real processes")
    parser.add_argument("--broker-port", type=int, default=18_935)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.beside:
            where = Path(folder)
            settings = load_settings(data_dir=where, broker_port=arguments.broker_port, log_level="WARNING")
            result = asdict(run_beside(settings, round(360 * arguments.hours)))
        else:
            result = asdict(run(Path(folder), round(3600 * arguments.hours), arguments.order))
    if arguments.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name:>18}  {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
