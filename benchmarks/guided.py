"""Guided by coverage: bytes that reach new lines of decoding, intake or mappers are kept and changed further.

atheris (libFuzzer) watches the branches of `ingest` and chooses what to change; a third of the changes are
those of `benchmarks/hostile_payloads.py`, which know the structure. The first byte of an input chooses where
it goes: 0 `decode`, 1 a new `Intake`, from 2 on the mappers.
"""

import gc
import importlib.util
import json
import logging
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from types import FunctionType
from typing import Any

from benchmarks.hostile_mapped import UNREADABLE, mapped_sources
from benchmarks.hostile_payloads import START_US, HostilePayloads, wire_seeds
from ingest.encoding import WireError
from ingest.intake import Intake
from ingest.mappers.exact import encode_exactly
from ingest.mappers.mapper import MappingError
from ingest.pipeline import DevicePipeline
from ingest.wire import decode

MAX_BYTES = 16_384
FORGET = 200  # an intake lives for so many inputs, so that what came before matters too
LIMIT_S = 25.0  # one input
LIMIT_MB = 1024


def run(runs: int, seed: int) -> tuple[dict[str, Any], list[str]]:
    """Figures, and what went wrong; raises SystemExit where atheris is not installed."""
    if importlib.util.find_spec("atheris") is None:
        raise SystemExit(
            "atheris is not installed: pip install 'wristlead[fuzz]' (Linux; on macOS it wants LLVM), "
            "or leave out --guided"
        )
    with tempfile.TemporaryDirectory() as folder:
        corpus, told = Path(folder, "corpus"), Path(folder, "figures.json")
        corpus.mkdir()
        for number, each in enumerate(_seeds()):
            (corpus / f"seed-{number}").write_bytes(each)
        command = [
            sys.executable,
            "-m",
            "benchmarks.guided",
            str(told),
            str(runs),
            str(seed),
            str(corpus),
            folder,
        ]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        figures = json.loads(told.read_text()) if told.exists() else {"runs": 0}
        crashes = [
            f"{path.name}: {path.read_bytes()[:400].hex()}"
            for pattern in ("crash-*", "timeout-*", "oom-*", "slow-unit-*")
            for path in Path(folder).glob(pattern)
        ]
        figures["corpus"] = len(list(corpus.iterdir()))
    lines = [line for line in ended.stderr.splitlines() if " cov: " in line]
    figures["coverage"] = [lines[0].strip(), lines[-1].strip()] if lines else []
    if figures["runs"] < runs:
        crashes.append(
            f"ended after {figures['runs']} of {runs} runs, with {ended.returncode}: {ended.stderr[-3000:]}"
        )
    return figures, crashes


def _seeds() -> list[bytes]:
    wire = [place + each for place in (b"\0", b"\1\0", b"\1\x40") for each in wire_seeds()]
    mapped = [bytes([2 + k]) + seed for k, source in enumerate(mapped_sources()) for seed in source.seeds]
    return wire + mapped


class Target:
    """Takes inputs; what it raises is a finding."""

    def __init__(self, told: Path, runs: int) -> None:
        self._told = told
        self._runs = runs
        self._outcomes = {"runs": 0, "decoded": 0, "refused": 0, "mapped": 0, "intake_chunks": 0}
        self._sources = mapped_sources()
        self._intake = Intake(DevicePipeline)

    def take(self, data: bytes) -> None:
        """One input; raises whatever is no refusal."""
        self._outcomes["runs"] += 1
        place, payload = data[0] if data else 0, data[1:]
        if self._outcomes["runs"] % FORGET == 0:
            self._renew()
        now_us = START_US + self._outcomes["runs"] * 10_000
        if place == 0:
            self._decode(payload)
        elif place == 1:
            self._receive(payload, now_us)
        else:
            self._map((place - 2) % len(self._sources), payload, now_us)
        if self._outcomes["runs"] in (self._runs, *range(0, self._runs, 10_000)):
            self._told.write_text(json.dumps(self._outcomes))

    def _renew(self) -> None:
        self._intake.tick(START_US + self._outcomes["runs"] * 10_000)
        self._intake.vitals(START_US + self._outcomes["runs"] * 10_000)
        if self._intake.counters.faults:
            raise RuntimeError("a pipeline failed: the log has its traceback")
        self._outcomes["intake_chunks"] += self._intake.counters.chunks
        self._intake = Intake(DevicePipeline)
        self._sources = mapped_sources()

    def _decode(self, payload: bytes) -> None:
        try:
            chunk = decode(payload, "a/b")
        except WireError:
            self._outcomes["refused"] += 1
            return
        self._outcomes["decoded"] += 1
        encode_exactly(chunk)

    def _receive(self, payload: bytes, now_us: int) -> None:
        """The first byte chooses the device and the kind of message."""
        kinds = ("chunk", "chunk", "backfill", "status")
        first = payload[0] if payload else 0
        topic = f"ecg/v1/a/{first % 3}/{kinds[first // 64]}"
        self._intake.receive(topic, payload[1:], now_us)
        if self._intake.counters.faults:
            raise RuntimeError("a pipeline failed: the log has its traceback")

    def _map(self, place: int, payload: bytes, now_us: int) -> None:
        source = self._sources[place]
        try:
            chunks = source.mapper.push(source.topic, payload, now_us)
        except MappingError as error:
            if UNREADABLE in str(error):
                raise RuntimeError(str(error)) from error
            self._outcomes["refused"] += 1
            chunks = error.chunks
        else:
            self._outcomes["mapped"] += 1
        for chunk in chunks:
            decode(encode_exactly(chunk), chunk.device)


def main() -> None:
    """In a process of its own: libFuzzer ends it."""
    import atheris  # noqa: PLC0415 - an extra, for Linux

    told, runs, seed, corpus, folder = sys.argv[1:]
    logging.getLogger("ingest").setLevel(logging.ERROR)
    warnings.simplefilter("error")
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and str(each.__module__).startswith("ingest."):
            atheris.instrument_func(each)
    hostile = HostilePayloads(int(seed))

    def changed(data: bytes, most: int, number: int) -> bytes:
        if number % 3:
            return bytes(atheris.Mutate(data, most))
        cut = 2 if data[:1] == b"\1" else 1
        return (data[:cut] + hostile.mutated(data[cut:]))[:most]

    target = Target(Path(told), int(runs))
    arguments = [
        f"-atheris_runs={runs}",
        f"-seed={int(seed) + 1}",
        f"-max_len={MAX_BYTES}",
        f"-timeout={LIMIT_S:.0f}",
        f"-rss_limit_mb={LIMIT_MB}",
        f"-artifact_prefix={folder}/",
    ]
    atheris.Setup([sys.argv[0], *arguments, corpus], target.take, custom_mutator=changed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
