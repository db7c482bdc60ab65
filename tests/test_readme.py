"""Every command in the README is run, or, where it would take a whole test run of its own, resolved."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.recording_files import ecg_uv, table_csv, write_export_zip
from ingest.chunk import Chunk, Lead
from ingest.store.archive import Archive
from ingest.store.rows import ReceivedChunk
from ingest.wire import encode_binary
from tests.conftest import SERVICES_SPEAK, Mosquitto, find_free_port, wait_for_messages
from tests.end_to_end.test_command import left_over
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
PATIENTS_SPEAK = [f"ecg/v1/sim/patient-00{k}/chunk" for k in (1, 2, 3, 4)]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
TOLD = sorted(
    {
        " ".join(words.split())
        for page in PAGES
        for words in re.findall(r"(?:`|^)((?:wristlead|python -m) [^`\n]+)", page.read_text(), re.MULTILINE)
    }
)
ASK_FOR_HELP = """
import contextlib, io, json, runpy, sys
told = {}
for program in sys.argv[1:]:
    module, *subcommands = program.split()
    sys.argv = [module, *subcommands, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            runpy.run_module(module, run_name="__main__")
        except SystemExit as end:
            assert not end.code, program
    told[program] = out.getvalue()
print(json.dumps(told))
"""


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
    own_port = find_free_port()
    port = mosquitto.port if "--broker" in arguments else own_port
    environment = {
        "WRISTLEAD_BROKER_PORT": str(own_port),
        "WRISTLEAD_DASHBOARD_PORT": str(find_free_port()),
        "WRISTLEAD_DATA_DIR": str(tmp_path / "data"),
    }
    is_house = arguments[0] == "run"
    quiet = ["--no-browser"] if is_house else []
    works = SERVICES_SPEAK if is_house else PATIENTS_SPEAK
    with subprocess.Popen(
        [sys.executable, "-m", "wristlead", *arguments, *quiet],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        wait_for_messages(port, *works)
        with socket.socket() as probe:
            assert (probe.connect_ex(("127.0.0.1", own_port)) == 0) == (port == own_port)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=40)
    assert running.returncode == 0, errors
    assert "Traceback" not in errors
    assert ("none is started here" in errors) == (is_house and port != own_port)
    assert not left_over(tmp_path / "data")


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What each module and subcommand answers to --help; one process, as all import the same."""
    asked = sorted({program for program, _ in map(parts_of, TOLD)})
    command = [sys.executable, "-W", "ignore", "-c", ASK_FOR_HELP, *asked]
    told: dict[str, str] = json.loads(subprocess.run(command, cwd=ROOT, stdout=-1, check=True).stdout)
    return told


def parts_of(command: str) -> tuple[str, list[str]]:
    """Module and subcommands, `benchmarks.crash` or `wristlead gateway polar`, and the options."""
    words = command.split(" #", maxsplit=1)[0].split(" | ", maxsplit=1)[0].removeprefix("python -m ").split()
    subcommands = takewhile(re.compile(r"[a-z][a-z-]+").fullmatch, words[1:])
    return " ".join([words[0], *subcommands]), [word for word in words if word.startswith("--")]


@pytest.mark.parametrize("command", TOLD)
def test_commands_that_are_told_of_anywhere_know_their_options(command: str, helps: dict[str, str]) -> None:
    program, options = parts_of(command)
    for option in options:
        assert option in helps[program]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link
