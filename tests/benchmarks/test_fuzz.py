import importlib.util
import json
from pathlib import Path

import pytest

from benchmarks import guided
from benchmarks.fuzz import GOOD, figures_of, problems, run
from benchmarks.guided import Target
from benchmarks.hostile_mapped import mapped_sources
from benchmarks.hostile_payloads import SITE, START_US, HostilePayloads, wire_seeds
from ingest import intake
from ingest.chunk import Chunk
from ingest.encoding import WireError
from ingest.pipeline import DevicePipeline
from ingest.window import Window
from ingest.wire import decode

PAYLOADS = 6_000


def test_hostile_payloads_harm_neither_the_intake_nor_a_device_that_behaves() -> None:
    found, alone = run(PAYLOADS, 1)
    assert problems(found, alone) == []
    outcomes = found.outcomes
    assert found.n_good_windows == PAYLOADS // 100 // 10
    assert min(outcomes[f"intake {name}"] for name in ("chunks", "refused", "windows", "retained")) > 30
    assert min(outcomes["mapped"], outcomes["mapper refused"]) > 300
    assert json.dumps(figures_of(found))


def test_an_exception_that_is_no_refusal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fragile(payload: bytes, device: str) -> object:
        if payload[:1] == b"{" and device != GOOD:
            raise KeyError("y")
        return decode(payload, device)

    monkeypatch.setattr(intake, "decode", fragile)
    found, alone = run(1_000, 1)
    assert "KeyError('y')" in problems(found, alone)[0]


def test_an_exception_that_the_intake_survives_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = DevicePipeline.push

    def fragile(self: DevicePipeline, chunk: Chunk, received_us: int) -> list[Window]:
        if chunk.fs > 9_000.0:
            raise ZeroDivisionError
        return whole(self, chunk, received_us)

    monkeypatch.setattr(DevicePipeline, "push", fragile)
    found, alone = run(2_000, 1)
    assert "survived: ZeroDivisionError" in problems(found, alone)[0]


def test_an_effect_on_the_device_that_behaves_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    shared: list[int] = []
    whole = DevicePipeline.push

    def leaky(self: DevicePipeline, chunk: Chunk, received_us: int) -> list[Window]:
        shared.append(1)
        return whole(self, chunk, received_us + len(shared) // 500 * 1_000_000)

    monkeypatch.setattr(DevicePipeline, "push", leaky)
    found, alone = run(3_000, 1)
    assert "the device that behaves led to" in problems(found, alone)[0]


def test_the_same_seed_gives_the_same_messages_and_none_is_the_good_devices() -> None:
    one, other = HostilePayloads(5), HostilePayloads(5)
    messages = [one.message() for _ in range(3_000)]
    assert messages == [other.message() for _ in range(3_000)]
    assert not any(GOOD in topic for topic, _, _ in messages)
    assert sum(topic.startswith(f"ecg/v1/{SITE}") for topic, _, _ in messages) > 2_800


def test_many_are_nearly_right_and_many_are_not() -> None:
    hostile, refused = HostilePayloads(3), 0
    for _ in range(2_000):
        try:
            decode(hostile.message()[1], "a/b")
        except WireError:
            refused += 1
    assert 500 < refused < 1_900


def test_every_seed_of_a_mapper_is_good() -> None:
    for source in mapped_sources():
        seeds = (
            source.seeds[1:] if source.topic == "fhir_live" else source.seeds
        )  # a bare one names no device
        assert all(source.mapper.push(source.topic, each, START_US) for each in seeds)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris (the extra fuzz)")
def test_the_guided_run_tries_new_paths_and_finds_nothing() -> None:
    figures, wrong = guided.run(2_000, 1)
    assert wrong == []
    assert figures["runs"] == 2_000
    assert figures["corpus"] > len(wire_seeds()) * 3


def test_the_guided_target_raises_what_is_no_refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    target = Target(tmp_path / "figures.json", 3)
    target.take(b"\0garbage")
    target.take(b"")
    monkeypatch.setattr(guided, "decode", lambda payload, _device: dict[str, Chunk]()[str(payload)])
    with pytest.raises(KeyError):
        target.take(b"\0" + wire_seeds()[0])


def test_without_atheris_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(SystemExit, match=r"pip install 'wristlead\[fuzz\]'"):
        guided.run(1, 1)
