"""The proof behind the crash benchmark notices whatever is not as it should be; and a short run of it all."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, delete, text

from benchmarks.crash import TARGETS, Plan, draw_kills, run
from benchmarks.household import settings_in
from benchmarks.proof import Proof, prove
from inference.records import save_verdicts
from inference.verdict import Indeterminate, Verdict
from ingest.pipeline import DevicePipeline
from ingest.store.archive import Archive
from ingest.store.rows import ReceivedChunk
from ingest.store.schema import open_store, verdict_table, window_table
from ingest.window import Window
from ingest.wire import HEADER, decode
from simulators.faults import FaultPlan
from simulators.rings import EcgRing, allot
from simulators.watch import Shape, Watch

N_WATCHES = 2
N_CHUNKS = 32
START_US = 1_790_000_000_000_000
SESSION = 77


@pytest.fixture(scope="module")
def allotted() -> list[tuple[EcgRing, int]]:
    return [(ring, offset) for ring, offset, _ in allot(N_WATCHES)]


class Told:
    """A store and a log as they are after a run without any trouble."""

    def __init__(self, folder: Path, allotted: list[tuple[EcgRing, int]]) -> None:
        self.engine: Engine = open_store(f"sqlite:///{folder / 'wristlead.sqlite'}")
        self.archive = Archive(self.engine)
        self.allotted = allotted
        self.log = folder / "published.csv"
        self.lines = ["device,session,first_sample,n_samples,published_us,acked_us,kind"]
        self.payloads = {
            f"fleet/watch-{number:05d}": payloads_of(number, ring, offset)
            for number, (ring, offset) in enumerate(allotted)
        }

    def fill(self) -> None:
        for device, payloads in self.payloads.items():
            pipeline = DevicePipeline(device)
            chunks, windows = [], []
            for k, payload in enumerate(payloads):
                now_us = START_US + k * 1_000_000
                chunks.append(ReceivedChunk(decode(payload, device), payload, now_us))
                windows += [closed(window, now_us) for window in pipeline.push(chunks[-1].chunk, now_us)]
                self.lines.append(f"{device},{SESSION},{512 * k},512,{now_us},{now_us + 9},chunk")
            self.archive.commit(chunks, windows)
            save_verdicts(self.engine, [verdict_on(window) for window in windows])

    def prove(self) -> Proof:
        self.log.write_text("\n".join(self.lines) + "\n")
        return prove(self.engine, self.log, self.allotted, 10.0)[0]


def payloads_of(number: int, ring: EcgRing, offset: int) -> list[bytes]:
    shape = Shape(1.0, FaultPlan(), START_US / 1e6)
    rng = np.random.default_rng(number)
    device = f"fleet/watch-{number:05d}"
    watch = Watch(device, session=SESSION, ring=ring, offset=offset, start_s=0.0, shape=shape, rng=rng)
    return [watch.payload(k) for k in range(N_CHUNKS)]


def closed(window: Window, now_us: int) -> Window:
    fields = {name: getattr(window, name) for name in Window.__struct_fields__}
    return Window(**{**fields, "closed_us": now_us})


def verdict_on(window: Window) -> Verdict:
    return Verdict(
        device=window.device,
        session=window.session,
        first_sample=window.first_sample,
        wall_time_us=window.wall_time_us,
        model="none",
        decided_us=window.closed_us + 1,
        historic=False,
        findings=(),
        indeterminate=Indeterminate.NOISY,
    )


@pytest.fixture
def told(tmp_path: Path, allotted: list[tuple[EcgRing, int]]) -> Told:
    return Told(tmp_path, allotted)


def test_a_run_without_trouble_holds(told: Told) -> None:
    told.fill()
    proof = told.prove()
    assert proof.holds
    assert (proof.stored, proof.windows) == (N_WATCHES * N_CHUNKS, N_WATCHES * 3)


def test_an_acknowledged_chunk_that_is_not_stored_is_noticed(told: Told) -> None:
    told.fill()
    told.lines.append(f"fleet/watch-00001,{SESSION},{512 * N_CHUNKS},512,1,2,chunk")
    proof = told.prove()
    assert (proof.holds, proof.lost, proof.lost_of) == (False, 1, {"fleet/watch-00001": 1})


def test_one_wrong_bit_is_noticed(told: Told) -> None:
    payload = bytearray(told.payloads["fleet/watch-00000"][9])
    payload[HEADER.size + 700] ^= 1
    told.payloads["fleet/watch-00000"][9] = bytes(payload)
    told.fill()
    proof = told.prove()
    assert (proof.holds, proof.spoilt) == (False, 1)


def test_a_window_that_is_missing_and_one_without_its_verdict_are_noticed(told: Told) -> None:
    told.fill()
    with told.engine.begin() as connection:
        gone, unjudged = window_table.c.first_sample == 5120, verdict_table.c.first_sample == 10_240
        connection.execute(delete(window_table).where(gone))
        connection.execute(delete(verdict_table).where(unjudged))
    proof = told.prove()
    assert (proof.holds, proof.windows_missing, proof.verdicts_missing) == (False, N_WATCHES, N_WATCHES)


def test_a_window_with_other_contents_is_noticed(told: Told) -> None:
    told.fill()
    with told.engine.begin() as connection:
        connection.execute(text("UPDATE window SET coverage = 0.99 WHERE first_sample = 5120"))
    proof = told.prove()
    assert (proof.holds, proof.windows_other) == (False, N_WATCHES)


@pytest.mark.parametrize("seed", range(10))
def test_kills_are_the_same_for_a_seed_and_spare_nobody(seed: int) -> None:
    plan = Plan(devices=1, seconds=300.0, kills=20, seed=seed, together=False)
    kills = draw_kills(plan, TARGETS)
    assert kills == draw_kills(plan, TARGETS)
    assert Counter(name for kill in kills for name in kill.names) == dict.fromkeys(TARGETS, 5)
    assert all(0 < one.at_s <= other.at_s < 300 for one, other in pairwise(kills))


@pytest.mark.slow
@pytest.mark.broker
@pytest.mark.timeout(300)
def test_four_kills_lose_nothing(tmp_path: Path) -> None:
    plan = Plan(devices=8, seconds=40.0, kills=4, seed=3, together=False)
    figures = run(plan, settings_in(tmp_path), tmp_path)
    assert figures["holds"], figures
    assert figures["kills"] == 4
    assert figures["eligible"] > 0
