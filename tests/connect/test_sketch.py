"""The ESP32 sketch, compiled here for a stand-in of its board: its bytes are wire v1, its gaps exact.

No board was at hand; the stand-in has the board's function names (stubs/board.h) and a clock that is moved.
"""

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.intake import Intake
from ingest.pipeline import DevicePipeline
from ingest.wire import decode

ROOT = Path(__file__).parents[2]
SKETCH = ROOT / "docs" / "esp32_ad8232"
STUBS = Path(__file__).parent / "stubs"
COMPILER = shutil.which("g++") or shutil.which("clang++")
DEVICE = "home/esp32-1"
# The layout that wire_v1.h states, field by field.
LAYOUT = struct.Struct("<BB BBBBBB I I Q q q I H H")

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler (Debian: apt install g++)")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, bytes]]:
    """(topic, retain, payload) of a minute, in order."""
    program = tmp_path_factory.mktemp("sketch") / "sketch"
    source = str(STUBS / "driver.cpp")
    compiled = [
        str(COMPILER),
        "-std=c++17",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-I",
        str(STUBS),
        "-I",
        str(SKETCH),
    ]
    subprocess.run([*compiled, "-x", "c++", source, "-o", str(program)], check=True)
    lines = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout.splitlines()
    assert lines.pop() == "dropped 0 waiting 0"
    return [(topic, retain, bytes.fromhex(data)) for topic, retain, data in map(str.split, lines)]


@pytest.fixture
def chunks(published: list[tuple[str, str, bytes]]) -> list[Chunk]:
    return [decode(data, DEVICE) for topic, _, data in published if topic.endswith(("chunk", "backfill"))]


def test_its_bytes_are_those_of_the_layout(published: list[tuple[str, str, bytes]]) -> None:
    """The fourth chunk, built here from the page: samples 300 to 399, before any clock was set."""
    samples = [tick % 3000 - 1500 for tick in range(300, 400)]
    began_us = 1_000_000
    header = LAYOUT.pack(
        0xEC, 0x47, 1, ChunkFlag.CLOCK_UNSYNCED, 0, 1, Lead.I, 0, 0x9F3C21D0, 3, 300, 0,
        (began_us + 301 * 4000) * 1000, 250_000, 100, 909,
    )  # fmt: skip
    payloads = [data for topic, _, data in published if topic == f"ecg/v1/{DEVICE}/chunk"]
    assert payloads[3] == header + struct.pack("<100h", *samples)
    assert len(payloads[3]) == 248


def test_ingest_takes_every_byte_and_misses_only_what_the_board_missed(
    published: list[tuple[str, str, bytes]], chunks: list[Chunk]
) -> None:
    intake = Intake(DevicePipeline)
    for k, (topic, retain, data) in enumerate(published):
        if topic.endswith(("chunk", "backfill")):
            assert retain == "0"
            intake.receive(topic, data, 1_790_000_000_000_000 + k)
    assert intake.batch.refused == []
    held = {i for c in chunks for i in range(c.first_sample, c.end_sample)}
    missing = sorted(set(range(14_900)) - held)
    assert missing == list(range(missing[0], missing[-1] + 1))
    assert 10_000 <= missing[0] <= missing[-1] <= 11_250
    for chunk in chunks:
        ticks = np.rint(chunk.samples_mv[:, 0] / 0.000909).astype(int) + 1500
        np.testing.assert_array_equal(ticks, np.arange(chunk.first_sample, chunk.end_sample) % 3000)
    (after_gap,) = {c.first_sample for c in chunks if ChunkFlag.GAP_BEFORE in c.flags}
    assert after_gap == missing[-1] + 1


def test_what_waited_for_the_broker_comes_late_and_in_order(
    published: list[tuple[str, str, bytes]],
) -> None:
    late = [decode(data, DEVICE) for topic, _, data in published if topic.endswith("backfill")]
    firsts = [chunk.first_sample for chunk in late]
    assert firsts == sorted(firsts)
    assert all(5_000 - 200 <= first < 7_500 for first in firsts)
    assert len(late) >= 12


def test_it_says_when_an_electrode_is_off_and_when_its_clock_is_not_set(chunks: list[Chunk]) -> None:
    off = sorted(
        {i for c in chunks if ChunkFlag.LEAD_OFF in c.flags for i in range(c.first_sample, c.end_sample)}
    )
    assert off == list(range(2500, 3000))
    for chunk in chunks:
        is_set = ChunkFlag.CLOCK_UNSYNCED not in chunk.flags
        assert (chunk.wall_time_us > 1_700_000_000_000_000) == is_set
        if is_set:
            assert chunk.wall_time_us == 1_790_000_000_000_000 + chunk.device_ns // 1000


def test_it_tells_its_lead_and_its_presence_once_connected(published: list[tuple[str, str, bytes]]) -> None:
    notices = [(topic.rpartition("/")[2], retain) for topic, retain, _ in published if "chunk" not in topic]
    assert notices[:2] == [("meta", "1"), ("status", "1")]
