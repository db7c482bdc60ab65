"""Every command in the README is run, or, where it would take a whole test run of its own, resolved."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.recording_files import ecg_uv, table_csv, write_export_zip
from ingest.chunk import Chunk, Lead
from ingest.store.archive import Archive
from ingest.store.rows import ReceivedChunk
from ingest.wire import encode_binary
from tests.conftest import Mosquitto, find_free_port
from wristlead import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.strip()
    for block in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
QUESTIONS = [c for c in COMMANDS if c.startswith("wristlead export ") or "--inspect" in c]
OF_FILES = [c for c in COMMANDS if c.startswith("wristlead classify ")]
TABLE_COMMANDS = re.findall(r"`(python -m benchmarks\.[^`]+)`", README)


def test_readme_has_the_contract() -> None:
    assert {"make demo", "make test"} <= set(COMMANDS)
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_exist(command: str) -> None:
    _, target = command.split()
    result = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", QUESTIONS)
def test_questions_to_the_store_are_answered(command: str, tmp_path: Path) -> None:
    received_us = 1_795_602_600_000_000  # 2026-11-25T10:30Z, after the README's --from
    samples_mv = np.zeros((500, 1), np.float32)
    chunk = Chunk("sim/patient-001", 1, 0, 0, received_us, 0, 500.0, (Lead.I,), samples_mv)
    archive = Archive.open(f"sqlite:///{tmp_path / 'wristlead.sqlite'}")
    archive.commit([ReceivedChunk(chunk, encode_binary(chunk), received_us)])
    answered = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", *shlex.split(command)],
        cwd=tmp_path,
        env={**os.environ, "WRISTLEAD_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answered.returncode == 0, answered.stderr
    assert "patient-001" in answered.stdout or "refused" in answered.stdout


@pytest.mark.parametrize("command", OF_FILES)
def test_files_of_recordings_are_judged(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_export_zip(Path("export.zip"), 2, seconds=10)
    Path("table.csv").write_bytes(table_csv(ecg_uv(10, 500)))
    assert main(shlex.split(command)[1:]) == 0
    assert "plots" in capsys.readouterr().out or Path("ecgs.html").exists()


@pytest.mark.broker
@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if c.startswith("wristlead ") and c not in QUESTIONS + OF_FILES]
)
def test_wristlead_commands_run_and_end_cleanly(command: str, mosquitto: Mosquitto, tmp_path: Path) -> None:
    arguments = shlex.split(command)[1:]
    # The README's broker and folder are the reader's; here they are the test's own.
    replaced = {"--broker": f"127.0.0.1:{mosquitto.port}", "--data-dir": str(tmp_path / "data")}
    for option, value in replaced.items():
        if option in arguments:
            arguments[arguments.index(option) + 1] = value
    if arguments[0] == "simulate":
        arguments += ["--broker", f"127.0.0.1:{mosquitto.port}"]
    environment = {
        "WRISTLEAD_BROKER_PORT": str(find_free_port()),
        "WRISTLEAD_DASHBOARD_PORT": str(find_free_port()),
        "WRISTLEAD_DATA_DIR": str(tmp_path / "data"),
    }
    quiet = [] if arguments[0] == "simulate" else ["--no-browser"]
    with subprocess.Popen(
        [sys.executable, "-m", "wristlead", *arguments, *quiet],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        time.sleep(8.0)  # long enough to start and work
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=40)
    assert running.returncode == 0, errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("command", TABLE_COMMANDS)
def test_benchmarks_of_the_readme_know_their_options(command: str) -> None:
    module = shlex.split(command)[2]
    options = [word for word in shlex.split(command)[3:] if word.startswith("--")]
    result = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for option in options:
        assert option in result.stdout


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
