"""What one device's day takes on the disk in each candidate, and what packing it costs.

    python -m benchmarks.storage --json

Recorded ECG (PTB-XL, 500 Hz, where `../shared/data` is, else the recordings that are shipped), taken to
512 Hz in whole microvolts, one chunk a second, an hour at most and none of it twice, counted up to a day.
Each candidate gives back every byte; `ratio` is to the messages as they came.
"""

import argparse
import json
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import zstandard
from numpy.typing import NDArray
from scipy.signal import resample

from ingest.chunk import Chunk, Lead
from ingest.encoding import Encoding
from ingest.store.appending import SEGMENT
from ingest.store.blocks import chunk_block
from ingest.store.packing import differences, pack, unpack
from ingest.store.rows import ReceivedChunk
from ingest.store.sealed import seal
from ingest.wire import encode_binary, encode_json

FS = 512
MAX_SECONDS = 3600
TOGETHER = 1 << 20
START_US = 1_790_000_000_000_000
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Print bytes and CPU seconds for each device-day of every candidate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    name, samples_uv = recorded()
    chunks = chunks_of(samples_uv)
    messages = [encode_binary(chunk) for chunk in chunks]
    raw = sum(map(len, messages))
    per_day = 86_400 / len(chunks)
    figures = {
        title: {
            "mb_per_device_day": round(size * per_day / 1e6, 2),
            "ratio": round(size / raw, 3),
            "cpu_s_per_device_day": round(cpu_s * per_day, 3),
        }
        for title, size, cpu_s in candidates(chunks, messages, samples_uv)
    }
    found = {"signal": name, "seconds": len(chunks), "candidates": figures}
    print(json.dumps(found, indent=None if options.json else 2))


def recorded() -> tuple[str, NDArray[np.int16]]:
    """An hour of ECG in whole microvolts, (n_samples,)."""
    shared = ROOT.parent / "shared" / "data" / "ptbxl_500hz_replay.npz"
    path = shared if shared.exists() else ROOT / "simulators" / "recordings" / "ptbxl.npz"
    with np.load(path) as file:
        arrays = [file[name] for name in file.files if file[name].dtype.kind in "if" and file[name].ndim >= 2]
    records = max(arrays, key=lambda array: array.size)
    records = records.reshape(-1, *records.shape[-2:]) if records.ndim > 2 else records[:, :, None]
    if records.shape[-1] > records.shape[-2]:  # (records, leads, samples)
        records = records.transpose(0, 2, 1)
    lead = records[..., min(1, records.shape[-1] - 1)].astype(np.float64)
    if np.abs(lead).max() < 100:  # millivolts
        lead *= 1000
    hz = 500 if lead.shape[1] % 500 == 0 else 360
    n_out = round(lead.shape[1] * FS / hz)
    joined = np.concatenate([resample(each, n_out) for each in lead[: 1 + MAX_SECONDS * FS // n_out]])
    n_samples = min(len(joined) // FS, MAX_SECONDS) * FS
    return path.name, np.clip(np.rint(joined[:n_samples]), -32768, 32767).astype(np.int16)


def chunks_of(samples_uv: NDArray[np.int16]) -> list[Chunk]:
    """One chunk a second."""
    samples_mv = samples_uv.astype(np.float32)[:, None] / np.float32(1000)
    return [
        Chunk(
            "bench/one", 7, k, k * FS, START_US + k * 1_000_000, k * 1_000_000_000, float(FS), (Lead.I,),
            samples_mv[k * FS : (k + 1) * FS].copy(),
        )
        for k in range(len(samples_uv) // FS)
    ]  # fmt: skip


def candidates(
    chunks: list[Chunk], messages: list[bytes], samples_uv: NDArray[np.int16]
) -> list[tuple[str, int, float]]:
    """(name, bytes, CPU seconds) of each candidate for the hour."""
    found = [
        ("messages as they came (int16)", len(b"".join(messages)), 0.0),
        timed("JSON messages", lambda: sum(len(encode_json(each)) for each in chunks)),
        timed("varint messages", lambda: sum(len(encode_binary(each, Encoding.VARINT)) for each in chunks)),
        timed("SQLite blobs", lambda: sqlite_bytes(messages)),
        timed("zlib of 1 MiB", lambda: sum(len(zlib.compress(part)) for part in parts_of(messages))),
        *(timed(f"zstd {n} of 1 MiB", partial(zstd_bytes, messages, n)) for n in (1, 3, 9)),
        timed("second differences in planes, zstd 3", lambda: second_bytes(samples_uv)),
    ]
    found.append(timed("shipped: first differences in planes, zstd 3", lambda: packed_bytes(messages)))
    found.append(timed("shipped: packing and unpacking it", lambda: unpacked_bytes(messages)))
    found.extend(shipped_files(chunks, messages))
    return found


def timed(name: str, work: Callable[[], int]) -> tuple[str, int, float]:
    """Its bytes and the CPU it took."""
    begun_s = time.process_time()
    return name, work(), time.process_time() - begun_s


def parts_of(messages: list[bytes]) -> list[bytes]:
    """Messages joined to about 1 MiB each."""
    n = TOGETHER // len(messages[0])
    return [b"".join(messages[k : k + n]) for k in range(0, len(messages), n)]


def zstd(data: bytes, level: int) -> bytes:
    """Compressed."""
    return zstandard.ZstdCompressor(level=level).compress(data)


def zstd_bytes(messages: list[bytes], level: int) -> int:
    """Compressed as they came."""
    return sum(len(zstd(part, level)) for part in parts_of(messages))


def packed_bytes(messages: list[bytes]) -> int:
    """As a sealed file packs them, with its check that they come back."""
    n = TOGETHER // len(messages[0])
    return sum(len(pack(messages[k : k + n])) for k in range(0, len(messages), n))


def unpacked_bytes(messages: list[bytes]) -> int:
    """Packed and unpacked; the CPU counts both."""
    return len(unpack(pack(messages)))


def second_bytes(samples_uv: NDArray[np.int16]) -> int:
    """Differences of the differences in planes, samples only, of as many together as the shipped way."""
    total = 0
    for start in range(0, len(samples_uv), TOGETHER // 2):
        part = samples_uv[start : start + TOGETHER // 2]
        zigzag = differences(np.diff(part, prepend=np.int16(0))[:, None])
        planes = (zigzag >> 8).astype(np.uint8).tobytes() + zigzag.astype(np.uint8).tobytes()
        total += len(zstd(planes, 3))
    return total


def sqlite_bytes(messages: list[bytes]) -> int:
    """One row a message, as the store did before."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite"
        connection = sqlite3.connect(path)
        connection.execute(
            "CREATE TABLE chunk (id INTEGER PRIMARY KEY, device TEXT, first_sample INT, payload BLOB,"
            " UNIQUE (device, first_sample))"
        )
        rows = [("bench/one", k * FS, message) for k, message in enumerate(messages)]
        connection.executemany("INSERT INTO chunk (device, first_sample, payload) VALUES (?, ?, ?)", rows)
        connection.commit()
        connection.close()
        return path.stat().st_size


def shipped_files(chunks: list[Chunk], messages: list[bytes]) -> list[tuple[str, int, float]]:
    """The segment file of one commit a second, and what sealing makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"20260101T00-1-0{SEGMENT}"
        begun_s = time.process_time()
        pairs = zip(chunks, messages, strict=True)
        path.write_bytes(b"".join(chunk_block([ReceivedChunk(c, m, c.wall_time_us)]) for c, m in pairs))
        written = (
            "shipped: segment file, one device alone",
            path.stat().st_size,
            time.process_time() - begun_s,
        )
        begun_s = time.process_time()
        sealed = seal(path, rest=0.0)
        spent_s = time.process_time() - begun_s
        return [written, ("shipped: sealed file", sealed.stat().st_size if sealed else 0, spent_s)]


if __name__ == "__main__":
    main()
