"""Hostile payloads through the whole intake and the mappers, beside a device that behaves.

    python -m benchmarks.fuzz --payloads 1000000 --json

One hundred messages each simulated second, three to the intake for one to a mapper. Exits non-zero when
anything but a refusal came of one, one took longer than 10 s, resident memory grows, or the windows and
vitals of the device that behaves are not, to the byte, those of a run without the others.

    python -m benchmarks.fuzz --guided --runs 1000000 --json

The same guided by coverage (`pip install 'wristlead[fuzz]'`): see `benchmarks/guided.py`.
"""

import argparse
import faulthandler
import hashlib
import json
import logging
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import msgspec
import numpy as np
import psutil

from benchmarks import guided
from benchmarks.hostile_mapped import UNREADABLE, MappedSource, mapped_sources, mapper_configs
from benchmarks.hostile_payloads import START_US, HostilePayloads
from benchmarks.pipeline import FS, SECONDS, chunks_of
from ingest.chunk import Chunk
from ingest.intake import Intake
from ingest.mappers.exact import encode_exactly
from ingest.mappers.mapper import MappingError
from ingest.mappers.switch import Mappers
from ingest.pipeline import DevicePipeline
from ingest.window import encode_window
from ingest.wire import decode, encode_binary

GOOD = "good/one"
PER_S = 100  # hostile messages each simulated second, as many as the fastest real source sends
HANG_S = 10.0
STALL_S = 60.0  # not even back from C: end with a traceback
N_SAMPLES = 200  # of resident memory in a run
FORGET_S = 3_600  # mappers start anew each simulated hour, as their process now and then does
COUNTED = ("chunks", "refused", "windows", "retained", "over_limit", "crowded", "flapping", "faults")
FOR_MEMORY = 200_000  # payloads; shorter runs are all warm-up
WARM_UP = 0.3  # share of the run after which memory must not grow
MAX_GROWTH_MB = 32.0  # per million payloads, of a process of about 150 MB


class HangError(BaseException):
    """One payload took longer than 10 s; no stage may catch it as a fault of a device."""


@dataclass(slots=True)
class Findings:
    """What came of a run."""

    payloads: int = 0
    n_good_windows: int = 0
    good: str = ""  # digest of what the device that behaves led to
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_ms: float = 0.0  # CPU time of one payload
    slowest: str = ""
    rss_mb: list[tuple[int, float]] = field(default_factory=list)

    @property
    def growth_mb(self) -> float | None:
        """Slope of resident memory after the warm-up, MB per million payloads; None in a short run."""
        settled = [(n, mb) for n, mb in self.rss_mb if n >= WARM_UP * self.payloads]
        if len(settled) < 10 or self.payloads < FOR_MEMORY:
            return None
        n, mb = np.array(settled).T
        return float(np.polyfit(n, mb, 1)[0] * 1e6)


class Fuzz:
    """One run, second by simulated second; nothing of the seed touches the good device."""

    def __init__(self, seed: int) -> None:
        self.findings = Findings()
        self._rng = Random(seed)
        self._messages = HostilePayloads(seed)
        self._mapped = mapped_sources()
        self._intake = Intake(DevicePipeline, Mappers(mapper_configs()))
        self._digest = hashlib.blake2b(digest_size=16)
        chunks = chunks_of(round(FS))
        self._good = [(chunk, chunk.samples_mv) for chunk in chunks]
        self._process = psutil.Process()
        self._now = b""  # the payload in work

    def second(self, number: int, n_hostile: int) -> None:
        """One simulated second: hostile messages, a good chunk between them, then what the service does."""
        now_us = START_US + number * 1_000_000
        self._messages.now_us = now_us
        if number % FORGET_S == 0:
            self._mapped = mapped_sources()
        for k in range(n_hostile):
            if k == n_hostile // 2:
                self._send_good(number, now_us)
            self._send_hostile(now_us + k * 1_000_000 // (2 * n_hostile))
        if not n_hostile:
            self._send_good(number, now_us)
        end_us = now_us + 500_000
        self._timed("tick", lambda: self._intake.tick(end_us))
        self._timed("vitals", lambda: self._note_vitals(end_us))
        self._note_batch()

    def _send_good(self, number: int, now_us: int) -> None:
        chunk, samples_mv = self._good[number % SECONDS]
        again = Chunk(
            GOOD, 1, number, number * chunk.n_samples, now_us, 0, FS, chunk.leads, samples_mv, chunk.flags
        )
        self._intake.receive(f"ecg/v1/{GOOD}/chunk", encode_binary(again), now_us + 250_000)

    def _send_hostile(self, now_us: int) -> None:
        self.findings.payloads += 1
        if self._rng.random() < 0.25:
            source = self._rng.choice(self._mapped)
            payload = self._messages.mutated(self._rng.choice(source.seeds))
            if self._rng.random() < 0.3:
                self._receive(source.topic, payload, now_us, retained=False)
            else:
                self._timed(f"mapper {source.topic}", lambda: self._map(source, payload, now_us), payload)
            return
        topic, payload, retained = self._messages.message()
        self._receive(topic, payload, now_us, retained=retained)

    def _receive(self, topic: str, payload: bytes, now_us: int, *, retained: bool) -> None:
        self._timed(
            f"intake {topic}",
            lambda: self._intake.receive(topic, payload, now_us, retained=retained),
            payload,
        )

    def _map(self, source: MappedSource, payload: bytes, now_us: int) -> None:
        """What it yields must be storable and come back the same."""
        try:
            chunks = source.mapper.push(source.topic, payload, now_us)
        except MappingError as error:
            chunks = error.chunks
            if UNREADABLE in str(error):
                self._note_fault(f"{source.topic}: {error}", payload)
            self.findings.outcomes["mapper refused"] += 1
        else:
            self.findings.outcomes["mapped"] += 1
        for chunk in chunks:
            back = decode(encode_exactly(chunk), chunk.device)
            if not np.array_equal(back.samples_mv, chunk.samples_mv):
                raise ValueError(f"{source.topic}: mapped samples changed on the wire")

    def _timed(self, what: str, step: Callable[[], object], payload: bytes = b"") -> None:
        self._now = payload
        started_s = time.process_time()
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding; the run goes on
            self._note_fault(f"{what}: {error!r}", payload)
        took_ms = (time.process_time() - started_s) * 1e3
        if took_ms > self.findings.slowest_ms:
            self.findings.slowest_ms = took_ms
            self.findings.slowest = f"{what}, {len(payload)} bytes {payload[:64].hex()}"

    def note_survived(self, text: str) -> None:
        """An exception that the intake caught as a fault of the device whose payload this is."""
        self._note_fault(text, self._now)

    def _note_fault(self, text: str, payload: bytes) -> None:
        if len(self.findings.faults) < 20:
            self.findings.faults.append(f"payload {self.findings.payloads} {text} {payload[:400].hex()}")
        self.findings.outcomes["faults"] += 1

    def _note_vitals(self, now_us: int) -> None:
        for each in self._intake.vitals(now_us):
            if each.device == GOOD:
                self._digest.update(msgspec.json.encode(each))

    def _note_batch(self) -> None:
        for window in self._intake.take().windows:
            if window.device == GOOD:
                self.findings.n_good_windows += 1
                self._digest.update(encode_window(window))

    def conclude(self) -> Findings:
        """The findings, with what the intake counted."""
        self.findings.good = self._digest.hexdigest()
        for name in COUNTED:
            self.findings.outcomes[f"intake {name}"] = getattr(self._intake.counters, name)
        return self.findings

    def note_memory(self) -> None:
        """Sample resident memory."""
        self.findings.rss_mb.append((self.findings.payloads, self._process.memory_info().rss / 1e6))


class _Faults(logging.Handler):
    """Tells a run of the exceptions that the intake survived: with hostile input they are findings too."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None and record.exc_info[1] is not None:
            error = record.exc_info[1]
            place = traceback.extract_tb(error.__traceback__)[-1]
            self._note(f"survived: {error!r} in {Path(place.filename).name}:{place.lineno}")


def run(payloads: int, seed: int, within_s: float | None = None) -> tuple[Findings, Findings]:
    """Findings of the device that behaves among `payloads` others, or as many as fit, and of it alone.

    Raises HangError where one payload takes 10 s and returns to Python then; a longer stall is aborted with a
    traceback after a minute.
    """
    ends_s = None if within_s is None else time.monotonic() + within_s
    fuzz, number = Fuzz(seed), 0
    with _watched(fuzz):
        while fuzz.findings.payloads < payloads and (ends_s is None or time.monotonic() < ends_s):
            signal.setitimer(signal.ITIMER_REAL, HANG_S)
            faulthandler.dump_traceback_later(STALL_S, exit=True)
            fuzz.second(number, min(PER_S, payloads - fuzz.findings.payloads))
            number += 1
            if number % max(1, payloads // PER_S // N_SAMPLES) == 0:
                fuzz.note_memory()
    alone = Fuzz(seed)
    for second in range(number):
        alone.second(second, 0)
    return fuzz.conclude(), alone.conclude()


@contextmanager
def _watched(fuzz: Fuzz) -> Iterator[None]:
    logger, handler = logging.getLogger("ingest"), _Faults(fuzz.note_survived)

    def end(_number: int, _frame: FrameType | None) -> None:
        raise HangError(f"payload {fuzz.findings.payloads} takes longer than {HANG_S:g} s")

    before = signal.signal(signal.SIGALRM, end)
    logger.addHandler(handler)
    propagates, logger.propagate = logger.propagate, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)
        logger.removeHandler(handler)
        logger.propagate = propagates


def problems(found: Findings, alone: Findings) -> list[str]:
    """What is wrong, in words; empty when nothing is."""
    wrong = list(found.faults)
    if (found.good, found.n_good_windows) != (alone.good, alone.n_good_windows):
        wrong.append(
            f"the device that behaves led to {found.n_good_windows} windows, digest {found.good}; alone to "
            f"{alone.n_good_windows}, digest {alone.good}"
        )
    if found.growth_mb is not None and found.growth_mb > MAX_GROWTH_MB:
        wrong.append(f"memory grows by {found.growth_mb:.0f} MB per million payloads")
    return wrong


def main() -> int:
    """Parse, run, print; 1 when something was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--payloads", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, help="end after so long, with as many payloads as it took")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guided", action="store_true", help="guided by coverage, with atheris")
    parser.add_argument("--runs", type=int, default=1_000_000, help="of the guided one")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    if options.guided:
        figures, wrong = guided.run(options.runs, options.seed)
    else:
        found, alone = run(options.payloads, options.seed, options.seconds)
        figures, wrong = figures_of(found), problems(found, alone)
    print(json.dumps({**figures, "problems": wrong}, indent=None if options.json else 2))
    return int(bool(wrong))


def figures_of(found: Findings) -> dict[str, Any]:
    """What is printed of a run."""
    return {
        "payloads": found.payloads,
        "outcomes": dict(found.outcomes),
        "good_windows": found.n_good_windows,
        "slowest_ms": round(found.slowest_ms, 1),
        "slowest": found.slowest,
        "rss_mb": [round(mb, 1) for _, mb in found.rss_mb[:: len(found.rss_mb) // 10 or 1]],
        "growth_mb_per_million": None if found.growth_mb is None else round(found.growth_mb, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
