"""`wristlead ingest --inspect`: what was refused can be looked at, beside a running ingest too."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import wristlead
from ingest.chunk import Chunk, Lead
from ingest.link import MqttLink
from ingest.store.archive import Archive
from ingest.store.rows import MAX_REFUSED_BYTES, ReceivedChunk, Refused
from ingest.topics import service_topic
from ingest.wire import encode_binary
from tests.conftest import Mosquitto

ROOT = Path(__file__).parent.parent.parent
AT_US = 1_795_572_000_123_000  # 2026-11-25T02:00:00.123Z
BYTES = b"\xec\x47\x00{\x1b[2Jabc"  # with a sequence that clears a terminal


def inspected(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wristlead", "ingest", "--data-dir", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@dataclass
class Said:
    """What the command said, run in this process: a process of its own takes a second to load."""

    returncode: int
    stdout: str
    stderr: str


Inspect = Callable[..., Said]


@pytest.fixture
def inspect(capsys: pytest.CaptureFixture[str]) -> Inspect:
    def run(folder: Path, *arguments: str) -> Said:
        code = wristlead.main(["ingest", "--data-dir", str(folder), *arguments])
        return Said(code, *capsys.readouterr())

    return run


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'wristlead.sqlite'}"


def good_chunk(device: str) -> ReceivedChunk:
    samples = np.zeros((125, 1), np.float32)
    chunk = Chunk(device, 1, 0, 0, AT_US, 0, 500.0, (Lead.I,), samples)
    return ReceivedChunk(chunk, encode_binary(chunk), AT_US)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with two devices whose payloads were refused, and one that sends well."""
    Archive.open(url(tmp_path)).commit(
        [good_chunk("ward/well")],
        refused=[
            Refused("ward/bad", AT_US, "starts ec47\x1b[31m", BYTES),
            Refused(
                "ward/bad",
                AT_US + 1_000_000,
                f"cut (the first {MAX_REFUSED_BYTES} of 9000 bytes are kept)",
                b"x" * 4096,
            ),
            Refused("ward/longer-name", AT_US + 2_000_000, "no JSON", b"{"),
        ],
    )
    return tmp_path


def test_a_device_is_shown_with_when_size_bytes_and_why_in_columns(folder: Path, inspect: Inspect) -> None:
    result = inspect(folder, "--inspect", "ward/bad")
    assert result.returncode == 0, result.stderr
    told, head, first, second = result.stdout.splitlines()
    assert told == "ward/bad: the newest 2 refused payloads, oldest first"
    assert first.split()[:2] == ["2026-11-25T02:00:00.123Z", str(len(BYTES))]
    assert second.split()[:2] == ["2026-11-25T02:00:01.123Z", "4096+"]
    for name, words in (
        ("FIRST BYTES", ("ec 47 00 7b 1b 5b 32 4a", "78 78")),
        ("AS TEXT", (".G.{.[2Jabc", "x" * 16)),
        ("WHY", ("starts ec47", "cut (the first 4096 of 9000 bytes are kept)")),
    ):
        assert first.index(words[0]) == second.index(words[1]) == head.index(name)
    assert result.stdout.replace("\n", "").isprintable(), "a stranger's bytes must not steer the terminal"


def test_all_lists_every_device_with_how_many_are_kept(folder: Path, inspect: Inspect) -> None:
    lines = inspect(folder, "--inspect", "all").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["DEVICE", "KEPT"],
        ["ward/bad", "2"],
        ["ward/longer-name", "1"],
    ]
    assert len({line.index("2026-11-25T") for line in lines[1:]}) == 1


def test_json_has_the_whole_payload(folder: Path, inspect: Inspect) -> None:
    found = json.loads(inspect(folder, "--inspect", "ward/bad", "--json").stdout)
    assert [bytes.fromhex(each["hex"]) for each in found] == [BYTES, b"x" * 4096]
    assert [(each["received_us"], each["is_cut"]) for each in found] == [
        (AT_US, False),
        (AT_US + 1_000_000, True),
    ]
    counts = json.loads(inspect(folder, "--inspect", "all", "--json").stdout)
    assert [(each["device"], each["kept"]) for each in counts] == [("ward/bad", 2), ("ward/longer-name", 1)]


def test_nothing_refused_an_unknown_device_and_no_store_are_told_apart(
    folder: Path, tmp_path: Path, inspect: Inspect
) -> None:
    result = inspect(folder, "--inspect", "ward/well")
    assert (result.returncode, result.stdout) == (0, "ward/well: no payload was refused\n")
    assert inspect(folder, "--inspect", "ward/well", "--json").stdout == "[]\n"
    result = inspect(folder, "--inspect", "ward/nobody")
    assert result.returncode != 0
    assert "knows no device ward/nobody" in result.stderr
    assert "ward/bad, ward/longer-name" in result.stderr
    result = inspect(tmp_path / "mistyped", "--inspect", "all")
    assert result.returncode != 0
    assert f"there is no store at {tmp_path / 'mistyped' / 'wristlead.sqlite'}" in result.stderr
    assert not (tmp_path / "mistyped").exists()


@pytest.mark.broker
def test_what_a_running_ingest_refuses_is_seen_at_once(mosquitto: Mosquitto, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "WRISTLEAD_BROKER": f"127.0.0.1:{mosquitto.port}",
        "WRISTLEAD_DATA_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "wristlead", "ingest"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as ingest:
        device = MqttLink(mosquitto.address, "a-device")
        device.subscribe(service_topic("ingest"))
        device.connect()
        deadline = time.monotonic() + 30.0
        while not any(b'"online":true' in each.payload for each in device.poll(0.1)):
            assert time.monotonic() < deadline
        device.publish("ecg/v1/ward/bed/chunk", b"not an ECG")
        found: list[dict[str, object]] = []
        while not found and time.monotonic() < deadline:
            device.poll(0.1)
            found = json.loads(inspected(tmp_path, "--inspect", "all", "--json").stdout)
        assert [each["device"] for each in found] == ["ward/bed"]
        assert "not an ECG" in inspected(tmp_path, "--inspect", "ward/bed").stdout
        assert ingest.poll() is None
        device.close()
        ingest.send_signal(signal.SIGTERM)
