"""Each example in docs/mappers.md is complete: its payload becomes what the page says."""

import re
from pathlib import Path

import pytest

from ingest.chunk import Chunk
from ingest.mappers.configuration import MapperConfig, parse_mappers
from ingest.mappers.lead import LEAD_NAMES
from ingest.mappers.switch import Mappers
from tests.ingest.mappers.payloads import NOW_US

PAGE = (Path(__file__).parents[3] / "docs" / "mappers.md").read_text("utf-8")
EXAMPLE = re.compile(
    r"```toml\n(?P<toml>[^`]+)```\n\nOn `(?P<topic>[^`]+)`:\n\n```(?:json|text)\n(?P<payload>[^`]+)```\n\n"
    r"becomes `(?P<device>[^`]+)`: (?P<n>\d+) samples? of lead (?P<lead>\w+) at (?P<fs>\d+) Hz, "
    r"the first (?P<mv>[\d.-]+) mV\."
)
EXAMPLES = [match.groupdict() for match in EXAMPLE.finditer(PAGE)]


def test_every_table_on_the_page_is_one_of_the_examples() -> None:
    assert len(EXAMPLES) == PAGE.count("```toml") == 6


@pytest.mark.parametrize("told", EXAMPLES, ids=lambda each: each["topic"])
def test_the_payload_beside_a_table_becomes_what_is_said_under_it(told: dict[str, str]) -> None:
    mapper = Mappers(parse_mappers(told["toml"], "docs/mappers.md")).of(told["topic"])
    assert mapper is not None
    chunks: list[Chunk] = mapper.push(told["topic"], told["payload"].encode(), NOW_US)
    assert {chunk.device for chunk in chunks} == {told["device"]}
    assert sum(chunk.n_samples for chunk in chunks) == int(told["n"])
    assert {chunk.leads for chunk in chunks} == {(LEAD_NAMES[told["lead"]],)}
    assert {chunk.fs for chunk in chunks} == {float(told["fs"])}
    assert float(chunks[0].samples_mv[0, 0]) == pytest.approx(float(told["mv"]), rel=1e-6)


def test_every_key_of_a_table_is_explained_and_no_other() -> None:
    table = PAGE[PAGE.index("| key | meaning |") :]
    keys = {
        key
        for row in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
        for key in re.findall(r"`(\w+)`", row)
    }
    assert keys == set(MapperConfig.model_fields)
