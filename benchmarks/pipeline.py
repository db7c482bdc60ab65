"""What one device costs in ingest: CPU per second of signal, from chunk to windows and vitals, without I/O.

    python -m benchmarks.pipeline --json

One synthetic device at 512 Hz for each chunk length; a tick and a snapshot of the vitals each second. The
median of several runs, with the lowest and the highest; `over_floor` is the ratio to decoding the same
messages and nothing else, measured in the same run.
"""

import argparse
import json
import statistics
import time

import numpy as np

from ingest.chunk import NO_FLAGS, Chunk, Lead
from ingest.pipeline import DevicePipeline
from ingest.wire import decode, encode_binary

FS = 512.0
SECONDS = 60
RUNS = 5
CHUNKS_MS = (250, 1000)
START_US = 1_790_000_000_000_000


def main() -> None:
    """Print milliseconds of CPU per device-second and per chunk, for each chunk length."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
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
