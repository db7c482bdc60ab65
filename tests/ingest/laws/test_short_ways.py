"""The short ways of the usual chunk change nothing: with them closed every stream leads to the same."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partialmethod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.pipeline import DevicePipeline
from ingest.sequence import Ordered, Sequencer
from ingest.vitals import Vitals
from ingest.window import WindowAssembler, encode_window

FS = 100.0
START_US = 1_790_000_000_000_000
FLAGS = (0, 0, 0, 0, ChunkFlag.LEAD_OFF, ChunkFlag.CLIPPED, ChunkFlag.HISTORIC, ChunkFlag.GAP_BEFORE)

Step = dict[str, Any]  # of STEP

# One step of a device: how its next chunk differs from the usual one, mostly not at all.
STEP = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(0, 400),
        "jump": st.sampled_from([-300, -100, -1, 1, 50, 100, 700, 5_900, 7_000, 10**15]),
        "again": st.integers(1, 5),  # repeats an earlier one
        "session": st.integers(1, 3),
        "anew": st.booleans(),
        "fs": st.sampled_from([99.7, 100.4, 250.0]),
        "leads": st.sampled_from([(Lead.I,), (Lead.V1, Lead.II)]),
        "flags": st.sampled_from(FLAGS),
        "wait_us": st.sampled_from([0, 1_000, 3_000_000, 11_000_000, 700_000_000, -2_000_000]),
    },
)
USUAL: st.SearchStrategy[Step] = st.just({})
STEPS = st.lists(st.one_of(USUAL, USUAL, USUAL, STEP), min_size=1, max_size=60)


@contextmanager
def general() -> Iterator[None]:
    """Every chunk takes the long way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sequencer, "goes_on", lambda *_: False)
        patch.setattr(WindowAssembler, "_only_fills", lambda *_: False)
        yield


def stream_of(steps: list[Step]) -> list[tuple[Chunk, int]]:
    """Chunks and when they came."""
    session, first, now_us, made = 1, 0, START_US, list[tuple[Chunk, int]]()
    rng = np.random.default_rng(len(steps))
    for number, step in enumerate(steps):
        now_us += step.get("wait_us", 1_000_000)
        if "again" in step and made:
            made.append((made[-min(step["again"], len(made))][0], now_us))
            continue
        session, first = step.get("session", session), max(0, first + step.get("jump", 0))
        first = 0 if step.get("anew", False) else first
        leads, n = step.get("leads", (Lead.I,)), step.get("n", 100)
        samples_mv = rng.normal(size=(n, len(leads))).astype(np.float32)
        flags = ChunkFlag(step.get("flags", 0))
        wall_us = now_us - 1_000_000
        chunk = Chunk("s/d", session, number, first, wall_us, 0, step.get("fs", FS), leads, samples_mv, flags)
        made.append((chunk, now_us))
        first = chunk.end_sample if not flags & ChunkFlag.HISTORIC else first
    return made


def told_of(ordered: Ordered) -> tuple[object, ...]:
    rest = [getattr(ordered, name) for name in Ordered.__struct_fields__ if name != "samples_mv"]
    return (*rest, ordered.samples_mv.tobytes(), ordered.samples_mv.shape)


def in_order(stream: list[tuple[Chunk, int]]) -> list[object]:
    """All that a sequencer says at each step."""
    sequencer, said = Sequencer(2.5), list[object]()
    names = ("duplicates", "late", "reordered", "stray", "restarts", "lost_samples")
    for chunk, now_us in stream:
        said.append([told_of(each) for each in sequencer.push(chunk, now_us / 1e6)])
        said.append([id(each) for each in sequencer.take_passed()])
        said.append([getattr(sequencer, name) for name in names])
    return [*said, [told_of(each) for each in sequencer.finish()]]


def led_to(stream: list[tuple[Chunk, int]]) -> list[object]:
    """Windows, late samples and vitals of a whole pipeline, byte for byte, each step with its tick."""
    pipeline, found = DevicePipeline("s/d", hop_s=5.0), list[object]()
    vitals: Vitals | None
    for chunk, now_us in stream:
        windows = pipeline.push(chunk, now_us) + pipeline.tick(now_us + 10)
        vitals = pipeline.vitals(now_us + 10)
        found += [[encode_window(each) for each in windows], pipeline.take_late(), repr(vitals)]
    return [
        *found,
        [encode_window(each) for each in pipeline.finish(stream[-1][1] + 20)],
        pipeline.take_late(),
    ]


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_the_order_is_that_of_the_long_way(steps: list[Step]) -> None:
    stream = stream_of(steps)
    with general():
        wanted = in_order(stream)
    assert in_order(stream) == wanted


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_windows_late_samples_and_vitals_are_those_of_the_long_way(steps: list[Step]) -> None:
    stream = stream_of(steps)
    with general():
        wanted = led_to(stream)
    assert led_to(stream) == wanted


def test_nearly_all_chunks_of_a_sound_stream_take_the_short_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the two laws above compare the long way with itself."""
    taken: Counter[str] = Counter()
    for stage, name in ((Sequencer, "goes_on"), (WindowAssembler, "_only_fills")):
        monkeypatch.setattr(stage, name, partialmethod(noted, name, getattr(stage, name), taken))
    led_to(stream_of([{} for _ in range(100)]))
    assert taken == {"goes_on": 99, "_only_fills": 80}  # a first chunk; each half of 10 s closes a window


def noted(
    stage: object, name: str, is_usual: Callable[..., bool], taken: Counter[str], *told: object
) -> bool:
    answer = is_usual(stage, *told)
    taken[name] += answer
    return answer
