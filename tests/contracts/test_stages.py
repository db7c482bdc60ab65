"""One law suite over every stage that takes a stream: each is a way from chunks to what can be compared."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from ingest.backfill import cut_again, late_chunk, slots_of
from ingest.beats import BeatDetector
from ingest.chunk import NO_FLAGS, Chunk, Lead
from ingest.pipeline import DevicePipeline
from ingest.quality import SignalQuality
from ingest.sequence import Sequencer
from ingest.vitals import VitalsMonitor
from ingest.window import WindowAssembler, encode_window

FS = 250.0
SECONDS = 33
END_US = 1_790_000_000_000_000 + SECONDS * 1_000_000
Run = Callable[[list[Chunk]], object]


def signal() -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    t = np.arange(round(SECONDS * FS)) / FS
    beats = sum(np.exp(-0.5 * ((t - r) / 0.012) ** 2) for r in np.cumsum(rng.uniform(0.5, 1.2, 45)))
    noise = rng.normal(0, np.where((t > 12) & (t < 17), 0.8, 0.02))
    return np.asarray(beats + noise, np.float32)[:, None]


SIGNAL = signal()


def chunks_cut_at(cuts: list[int]) -> list[Chunk]:
    edges = [0, *sorted(set(cuts) - {0, len(SIGNAL)}), len(SIGNAL)]
    chunks = []
    for seq, (first, end) in enumerate(pairwise(edges)):
        wall_us = END_US - SECONDS * 1_000_000 + round(first / FS * 1e6)
        part = SIGNAL[first:end].copy()
        chunks.append(Chunk("s/d", 1, seq, first, wall_us, 0, FS, (Lead.I,), part, NO_FLAGS))
    return chunks


def received_us(chunk: Chunk) -> int:
    return chunk.wall_time_us + round(chunk.n_samples / FS * 1e6)


def run_beats(chunks: list[Chunk]) -> object:
    stage = BeatDetector(FS)
    return [r_peak for c in chunks for r_peak in stage.push(c.samples_mv[:, 0]).tolist()]


def run_quality(chunks: list[Chunk]) -> object:
    stage = SignalQuality(FS)
    for c in chunks:
        stage.push(c.samples_mv[:, 0], lead_off=False, clipped=False)
    return stage.state()


def run_sequence(chunks: list[Chunk]) -> object:
    stage = Sequencer(2.5)
    ordered = [o for c in chunks for o in stage.push(c, received_us(c) / 1e6)]
    return b"".join(o.samples_mv.tobytes() for o in ordered), sum(o.missing_before for o in ordered)


def run_window(chunks: list[Chunk]) -> object:
    order, stage = Sequencer(2.5), WindowAssembler(4.0)
    return [encode_window(w) for c in chunks for o in order.push(c, 0.0) for w in stage.push(o)]


def run_vitals(chunks: list[Chunk]) -> object:
    order, stage = Sequencer(2.5), VitalsMonitor("s/d", 1, FS)
    for ordered in (o for c in chunks for o in order.push(c, END_US / 1e6)):
        stage.push(ordered)
    return stage.snapshot(END_US, END_US / 1e6)


def run_pipeline(chunks: list[Chunk]) -> object:
    stage = DevicePipeline("s/d")
    windows = [encode_window(w) for c in chunks for w in stage.push(c, received_us(c))]
    vitals = stage.vitals(END_US)
    assert vitals is not None
    return windows, replace(vitals, fs_measured=None, clock_offset_s=None)  # these are about arrival


def run_cutting_again(chunks: list[Chunk]) -> object:
    """Late samples -> their windows, all from the same stored chunks."""
    slots = {
        slot.first_sample: slot
        for chunk in chunks
        for slot in slots_of(late_chunk(chunk, FS, 4.0, END_US), FS)
    }
    windows = [cut_again(slots[first], chunks, END_US) for first in sorted(slots)]
    return [None if window is None else encode_window(window) for window in windows]


STAGES: list[Run] = [
    run_beats,
    run_quality,
    run_sequence,
    run_window,
    run_cutting_again,
    run_vitals,
    run_pipeline,
]


@pytest.mark.parametrize("run", STAGES)
def test_the_result_says_something(run: Run) -> None:
    assert run(chunks_cut_at(list(range(0, len(SIGNAL), 62)))) not in ([], b"", None)


@pytest.mark.parametrize("run", STAGES)
@pytest.mark.parametrize("seed", range(5))
def test_chunking_never_changes_the_result(run: Run, seed: int) -> None:
    rng = np.random.default_rng(seed)
    expected = run(chunks_cut_at(list(range(0, len(SIGNAL), 62))))
    assert run(chunks_cut_at(rng.integers(0, len(SIGNAL), 2 ** (seed + 3)).tolist())) == expected


@pytest.mark.parametrize("run", STAGES)
def test_the_input_is_never_changed(run: Run) -> None:
    chunks = chunks_cut_at([100, 2000, 5555])
    before = [c.samples_mv.tobytes() for c in chunks]
    run(chunks)
    assert [c.samples_mv.tobytes() for c in chunks] == before


@pytest.mark.parametrize("run", STAGES)
def test_the_same_input_gives_the_same_result_again(run: Run) -> None:
    chunks = chunks_cut_at([100, 2000, 5555])
    assert run(chunks) == run(chunks)
