"""What one device costs in ingest: CPU per second of signal, from chunk to windows and vitals, without I/O.

    python -m benchmarks.pipeline --json

One synthetic device at 512 Hz for each chunk length; a tick and a snapshot of the vitals each second. The
median of several runs, with the lowest and the highest; `over_floor` is the ratio to decoding the same
messages and nothing else, measured in the same run.

    python -m benchmarks.pipeline --devices 1000 --json

As many devices through `Intake`, a chunk of a second each, their vitals brought up to date together:
microseconds of CPU for each device-second by stage, and the same ratio.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import numpy as np

from ingest.allocator import keep_freed_memory
from ingest.chunk import NO_FLAGS, Chunk, Lead
from ingest.collector import spare_the_long_lived
from ingest.intake import Intake
from ingest.pipeline import DevicePipeline
from ingest.topics import device_topic
from ingest.vitals import Vitals
from ingest.window import encode_window
from ingest.wire import decode, encode_binary

FS = 512.0
SECONDS = 60
RUNS = 5
FLEET_SECONDS = 21  # two windows of each device
CHUNKS_MS = (250, 1000)
START_US = 1_790_000_000_000_000


def main() -> None:
    """Print milliseconds of CPU per device-second and per chunk, for each chunk length."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--devices", type=int, help="measure so many together, by stage")
    options = parser.parse_args()
    figures: dict[str, dict[str, float]]
    if options.devices is not None:
        if options.devices < 1:
            raise SystemExit(f"--devices is {options.devices}, want at least 1")
        spare_the_long_lived()  # as the service does
        keep_freed_memory()
        figures = {f"{options.devices}_devices": measure_fleet(options.devices)}
        print(json.dumps(figures, indent=None if options.json else 2))
        return
    figures = {f"{chunk_ms}_ms_chunks": measure(chunk_ms) for chunk_ms in CHUNKS_MS}
    print(json.dumps(figures, indent=None if options.json else 2))


def measure(chunk_ms: int) -> dict[str, float]:
    """Median, least and most CPU milliseconds for each second of one device's signal."""
    chunks = chunks_of(round(chunk_ms * FS / 1000))
    payloads = [encode_binary(chunk) for chunk in chunks]
    cost_ms, floor_ms = [], []
    for _ in range(RUNS):
        cost_ms.append(1e3 * run(chunks) / SECONDS)
        floor_ms.append(1e3 * run_floor(payloads) / SECONDS)
    cost_ms.sort()
    median_ms = statistics.median(cost_ms)
    return {
        "ms_per_device_second": round(median_ms, 4),
        "least": round(cost_ms[0], 4),
        "most": round(cost_ms[-1], 4),
        "ms_per_chunk": round(median_ms * chunk_ms / 1000, 4),
        "over_floor": round(median_ms / statistics.median(floor_ms), 1),
    }


def measure_fleet(n_devices: int, seconds: int = FLEET_SECONDS) -> dict[str, float]:
    """CPU microseconds of each stage for each device-second; raises SystemExit when a rate was not found."""
    payloads = [encode_binary(chunk) for chunk in chunks_of(round(FS))[:seconds]]
    topics = [device_topic(f"bench/{k}", "chunk") for k in range(n_devices)]
    intake = Intake(DevicePipeline)
    spent_s = dict.fromkeys(("receive", "tick", "vitals", "vitals_json", "window_bytes"), 0.0)
    vitals: list[Vitals] = []

    @contextmanager
    def timed(stage: str) -> Iterator[None]:
        started_s = time.process_time()
        yield
        spent_s[stage] += time.process_time() - started_s

    for second, payload in enumerate(payloads):
        now_us = START_US + (second + 1) * 1_000_000
        with timed("receive"):
            for topic in topics:
                intake.receive(topic, payload, now_us)
        with timed("tick"):
            intake.tick(now_us)
        with timed("vitals"):
            vitals = intake.vitals(now_us)
        with timed("vitals_json"):
            msgspec.json.encode(vitals)
        with timed("window_bytes"):
            for window in intake.take().windows:
                encode_window(window)
    if {round(each.heart_rate_bpm or 0.0) for each in vitals} != {75} or len(vitals) != n_devices:
        raise SystemExit(f"75 bpm of {n_devices} devices went in, {vitals[:3]} of {len(vitals)} came out")
    floor_s = sum(run_floor(payloads) for _ in range(RUNS)) / RUNS * n_devices
    us = {stage: 1e6 * each / (n_devices * len(payloads)) for stage, each in spent_s.items()}
    figures = {f"{stage}_us": round(each, 1) for stage, each in us.items()}
    figures["us_per_device_second"] = round(sum(us.values()), 1)
    return figures | {"over_floor": round(sum(spent_s.values()) / floor_s, 1)}


def chunks_of(n: int) -> list[Chunk]:
    """A minute of beats at 75 bpm with noise and wander, in chunks of n samples."""
    t = np.arange(round(SECONDS * FS)) / FS
    beat = np.exp(-0.5 * (((t % 0.8) - 0.4) / 0.012) ** 2) + 0.2 * np.exp(
        -0.5 * (((t % 0.8) - 0.66) / 0.05) ** 2
    )
    noise = np.random.default_rng(0).normal(0, 0.02, len(t)) + 0.1 * np.sin(2 * np.pi * 0.2 * t)
    samples_mv = np.asarray(beat + noise, np.float32)[:, None]
    return [
        Chunk(
            "bench/one",
            1,
            k // n,
            k,
            START_US + round(k / FS * 1e6),
            0,
            FS,
            (Lead.I,),
            samples_mv[k : k + n],
            NO_FLAGS,
        )
        for k in range(0, len(samples_mv), n)
    ]


def run(chunks: list[Chunk]) -> float:
    """CPU seconds for all chunks; raises SystemExit when the device's rate was not found."""
    pipeline = DevicePipeline("bench/one")
    tick_us = START_US
    started_s = time.process_time()
    for chunk in chunks:
        received_us = chunk.wall_time_us + round(chunk.n_samples / FS * 1e6)
        pipeline.push(chunk, received_us)
        if received_us >= tick_us + 1_000_000:
            tick_us = received_us
            pipeline.tick(tick_us)
            vitals = pipeline.vitals(tick_us)
    spent_s = time.process_time() - started_s
    if vitals is None or vitals.heart_rate_bpm is None or abs(vitals.heart_rate_bpm - 75.0) > 1.0:
        raise SystemExit(f"75 bpm went in, {vitals} came out")
    return spent_s


def run_floor(payloads: list[bytes]) -> float:
    """CPU seconds for decoding all messages."""
    started_s = time.process_time()
    for payload in payloads:
        decode(payload, "bench/one")
    return time.process_time() - started_s


if __name__ == "__main__":
    main()
