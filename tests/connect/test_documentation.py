"""Every command and payload of docs/connect.md is run against a real broker and the real ingest."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ingest.chunk import Chunk, Lead
from ingest.mappers.configuration import parse_mappers
from ingest.mappers.lead import LEAD_NAMES
from ingest.settings import load_settings
from ingest.store.archive import Archive
from ingest.topics import ID_PATTERN
from tests.conftest import SERVICES_SPEAK, find_free_port, wait_for_messages
from tests.ingest.mappers.test_documented_examples import EXAMPLE
from tests.ingest.test_service import House, await_that

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "connect.md").read_text("utf-8")
EXAMPLES = [match.groupdict() for match in EXAMPLE.finditer(PAGE)]
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
PUBLISH = [shlex.split(each)[1:] for each in COMMANDS if each.startswith("mosquitto_pub ")]
SIMULATE = [shlex.split(each)[1:] for each in COMMANDS if each.startswith("wristlead simulate ")]
FOREVER = [c for c in COMMANDS if c.startswith(("wristlead run ", "wristlead gateway "))]
ANSWERED = [each for each in COMMANDS if each.startswith("wristlead ingest --inspect ")]


@pytest.fixture
def house(tmp_path: Path, free_port: int) -> Iterator[House]:
    mappers = tmp_path / "mappers.toml"
    mappers.write_text("\n".join(each["toml"] for each in EXAMPLES))
    house = House(
        load_settings(data_dir=tmp_path, broker_port=free_port, commit_every_s=0.05, mappers=mappers)
    )
    house.start_broker()
    house.start_ingest()
    house.await_ingest()
    yield house
    house.close()


def stored(house: House, device: str) -> list[Chunk]:
    return [each.chunk for each in Archive(house.engine).chunks_since(device, 0)]


def publish(house: House, arguments: list[str]) -> None:
    """As mosquitto_pub does; by it where it is installed."""
    program = shutil.which("mosquitto_pub")
    if program is not None:
        at = arguments.index("-p") + 1
        there = [*arguments[:at], str(house.settings.broker_port), *arguments[at + 1 :]]
        subprocess.run([program, *there], check=True)
        return
    link = house.publisher().link
    topic, payload = (arguments[arguments.index(each) + 1] for each in ("-t", "-m"))
    link.publish(topic, payload.encode(), retain="-r" in arguments)
    await_that(lambda: not link._client._out_messages, lambda: link.poll(0.01))


def test_every_command_on_the_page_is_one_of_those_that_are_run() -> None:
    known = len(PUBLISH) + len(SIMULATE) + len(FOREVER) + len(ANSWERED)
    assert known + COMMANDS.count("pip install 'wristlead[ble]'") == len(COMMANDS) == 8
    assert len(EXAMPLES) == PAGE.count("```toml") == PAGE.count("```json") == 2


@pytest.mark.broker
def test_every_payload_and_every_simulator_is_stored_as_the_page_says(house: House) -> None:
    for arguments in PUBLISH:
        publish(house, arguments)
    await_that(lambda: stored(house, "home/first"))
    (first,) = stored(house, "home/first")
    assert (first.session, first.fs, first.leads) == (0x9F3C21D0, 250.0, (Lead.I,))
    assert np.rint(first.samples_mv[:, 0] * 1000).tolist() == [-12, 3, 18, 40, 31, 12, 0, -4]
    for told in EXAMPLES:
        publish(house, ["-p", "0", "-q", "1", "-t", told["topic"], "-m", told["payload"]])
        await_that(lambda told=told: stored(house, told["device"]))  # type: ignore[misc]
        chunks = stored(house, told["device"])
        assert sum(chunk.n_samples for chunk in chunks) == int(told["n"])
        assert {(c.fs, c.leads) for c in chunks} == {(float(told["fs"]), (LEAD_NAMES[told["lead"]],))}
        assert float(chunks[0].samples_mv[0, 0]) == pytest.approx(float(told["mv"]), rel=1e-6)
    for arguments in SIMULATE:
        before = len(stored(house, "home/patient-001"))
        assert wristlead(house, arguments).returncode == 0
        await_that(lambda before=before: len(stored(house, "home/patient-001")) > before + 200)  # type: ignore[misc]
    assert len(stored(house, "home/patient-002")) > 200
    (inspect,) = ANSWERED
    answer = wristlead(house, shlex.split(inspect)[1:])
    assert (answer.returncode, "refused" in answer.stdout) == (0, True), answer.stderr


def wristlead(house: House, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    if "--broker" in arguments:
        arguments = [*arguments]
        arguments[arguments.index("--broker") + 1] = f"127.0.0.1:{house.settings.broker_port}"
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "wristlead", *arguments],
        cwd=ROOT,
        env={**os.environ, "WRISTLEAD_DATA_DIR": str(house.settings.data_dir), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.broker
@pytest.mark.parametrize("command", FOREVER)
def test_what_runs_until_it_is_stopped_starts_and_ends_cleanly(
    command: str, house: House, tmp_path: Path
) -> None:
    """The gateway finds no radio here and goes on looking, as it says."""
    house.processes[1].terminate()  # `run` brings an ingest of its own
    house.processes[1].wait()
    arguments = shlex.split(command)[1:]
    for option, value in (
        ("--broker", f"127.0.0.1:{house.settings.broker_port}"),
        ("--mappers", str(house.settings.mappers)),
    ):
        if option in arguments:
            arguments[arguments.index(option) + 1] = value
    is_house = arguments[0] == "run"
    quiet = ["--no-browser"] if is_house else []
    own = {"WRISTLEAD_DATA_DIR": str(tmp_path / "own"), "WRISTLEAD_DASHBOARD_PORT": str(find_free_port())}
    with subprocess.Popen(
        [sys.executable, "-m", "wristlead", *arguments, *quiet],
        cwd=ROOT, env={**os.environ, **own, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        if is_house:
            wait_for_messages(house.settings.broker_port, *SERVICES_SPEAK)
        else:
            assert running.stderr is not None
            assert any("trying again" in line for line in running.stderr)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=40)
    assert running.returncode == 0, errors
    assert "Traceback" not in errors


def test_the_page_is_right_about_files_ids_and_mappers() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
    for topic in re.findall(r"ecg/v1/([\w-]+)/([\w-]+)/", PAGE):
        assert all(map(ID_PATTERN.fullmatch, topic))
    parse_mappers("\n".join(each["toml"] for each in EXAMPLES), "docs/connect.md")
