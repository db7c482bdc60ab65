"""The page /connect says the same as docs/connect.md, and its commands are commands."""

import re
import shlex
from pathlib import Path

import pytest

import wristlead
from dashboard.texts import connect
from ingest.wire import decode

ROOT = Path(__file__).parents[2]
COMMANDS = [command for way in connect.WAYS for command in way.commands]


def test_it_knows_every_way_of_the_documentation() -> None:
    page = (ROOT / "docs" / "connect.md").read_text()
    headings = set(re.findall(r"^## (.+)$", page, re.MULTILINE))
    assert len(headings) == len(connect.WAYS) - 1  # and "Nothing yet"
    for kind in ("MQTT", "Polar H10", "Galaxy Watch", "ESP32", "Home Assistant"):
        assert any(kind in heading for heading in headings)
        assert any(kind in way.heading for way in connect.WAYS)


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.startswith("wristlead ")])
def test_its_commands_are_understood(command: str) -> None:
    wristlead._parser().parse_args(shlex.split(command)[1:])


def test_its_message_is_a_chunk() -> None:
    (publish,) = [shlex.split(each) for each in COMMANDS if each.startswith("mosquitto_pub")]
    topic, payload = (publish[publish.index(each) + 1] for each in ("-t", "-m"))
    chunk = decode(payload.encode(), "/".join(topic.split("/")[2:4]))
    assert (chunk.device, chunk.n_samples, chunk.fs) == ("home/first", 4, 250.0)


def test_every_file_it_names_is_there() -> None:
    words = " ".join([connect.MORE, *(way.what for way in connect.WAYS)])
    named = re.findall(r"docs/[\w./]*\w", words)
    assert len(named) >= 4
    for name in named:
        assert (ROOT / name).exists(), name
