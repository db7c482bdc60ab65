"""A known place with other samples: never taken for a repetition, never lost without being counted."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec import structs

from ingest.chunk import NO_FLAGS, Chunk, Lead
from ingest.wire import decode, encode_binary
from tests.ingest.laws.life import DEVICE, FS, SECOND_US, START_US, Life, Message, Session, message

FIRST = Session(7, 4000, START_US)
AGAIN_US = START_US + 100 * SECOND_US
HOUR_US = 3600 * SECOND_US


def stream(session: Session, n: int) -> list[Message]:
    """Chunks of `n` samples, each when its last sample was taken."""
    edges = [*range(0, session.n_samples, n), session.n_samples]
    return [message(session, first, end, session.taken_us(end)) for first, end in pairwise(edges)]


def begun_again(n: int, at_us: int, n_samples: int = 3000) -> list[Message]:
    """Another measurement that claims the session and the places of the first."""
    made = []
    for each in stream(Session(8, n_samples, at_us), n):
        chunk = structs.replace(decode(each.payload, DEVICE), session=7)
        made.append(replace(each, session=7, payload=encode_binary(chunk)))
    return made


def lived(folder: Path, messages: list[Message], seed: int = 0) -> Life:
    life = Life(folder)
    life.live(messages, np.random.default_rng(seed))
    life.settle()
    return life


@pytest.mark.parametrize("n", [100, 73])  # the same places, and other places that overlap
@pytest.mark.parametrize("pause_us", [100 * SECOND_US, HOUR_US])  # its pipeline lives, or is forgotten
def test_a_session_id_used_again_is_refused_and_counted_and_harms_nothing(
    n: int, pause_us: int, tmp_path: Path
) -> None:
    again = begun_again(n, START_US + pause_us)
    life = lived(tmp_path, stream(FIRST, 100) + again)
    assert life.intake.counters.refused_by["contradiction"] == len(again)
    assert "must change `sess`" in life.archive.refused(DEVICE)[-1].reason
    np.testing.assert_array_equal(life.archive.samples(DEVICE, 7, 0, 4000), FIRST.sample(0, 4000))
    places = [(w.session, w.first_sample) for w in life.published]
    assert sorted(places) == [(7, first) for first in range(0, 4000, 1000)]
    for window in life.published:
        first = window.first_sample
        np.testing.assert_array_equal(window.samples_mv, FIRST.sample(first, first + 1000))
    life.close()


def test_the_windows_of_a_session_id_used_again_are_not_stored_where_the_first_had_holes(
    tmp_path: Path,
) -> None:
    with_hole = [each for each in stream(FIRST, 100) if not 1200 <= each.first < 1400]
    life = lived(tmp_path, with_hole + begun_again(100, START_US + HOUR_US))
    window = next(w for w in life.windows() if w.first_sample == 1000)
    late = decode(begun_again(100, START_US)[12].payload, DEVICE).samples_mv[:, 0]
    np.testing.assert_array_equal(window.samples_mv[:200], FIRST.sample(1000, 1200))
    np.testing.assert_array_equal(window.samples_mv[200:300], late)  # nothing was known there
    assert all(w.samples_mv[0] == FIRST.sample(w.first_sample, w.first_sample + 1) for w in life.published)
    life.close()


def test_a_counter_that_wraps_is_refused_and_counted(tmp_path: Path) -> None:
    wrapped = begun_again(73, START_US + 700 * SECOND_US, 1000)
    life = lived(tmp_path, stream(Session(7, 2**16, START_US), 512) + wrapped)
    assert life.intake.counters.refused_by["contradiction"] == len(wrapped)
    life.close()


def test_what_follows_the_known_index_is_taken_again(tmp_path: Path) -> None:
    life = lived(tmp_path, stream(FIRST, 100) + begun_again(100, AGAIN_US, 6000))
    assert life.intake.counters.refused_by["contradiction"] == 40
    assert not np.isnan(life.archive.samples(DEVICE, 7, 0, 6000)).any()
    life.close()


def as_json(each: Message) -> Message:
    samples = decode(each.payload, DEVICE).samples_mv[:, 0].astype(float)
    text = {
        "v": 1, "sess": "00000007", "seq": 0, "i0": each.first, "t0_us": 1, "fs": FS, "lead": "I",
        "unit": "uV", "y": np.round(samples * 1000).astype(int).tolist(),
    }  # fmt: skip
    return replace(each, payload=msgspec.json.encode(text))


def test_a_repetition_is_no_contradiction_however_it_is_cut_encoded_or_timed(tmp_path: Path) -> None:
    recut = [replace(each, at_us=each.at_us + HOUR_US) for each in stream(FIRST, 73)]
    as_text = [as_json(replace(each, at_us=each.at_us + 2 * HOUR_US)) for each in stream(FIRST, 100)]
    life = lived(tmp_path, stream(FIRST, 100) + recut + as_text)
    assert life.intake.counters.refused == 0
    np.testing.assert_array_equal(life.archive.samples(DEVICE, 7, 0, 4000), FIRST.sample(0, 4000))
    life.close()


def test_another_lead_at_a_known_place_is_refused(tmp_path: Path) -> None:
    samples = FIRST.sample(0, 100)[:, None].copy()
    chunk = Chunk(DEVICE, 7, 0, 0, START_US, 0, FS, (Lead.II,), samples, NO_FLAGS)
    other = Message(AGAIN_US, 7, 0, 100, "chunk", encode_binary(chunk))
    life = lived(tmp_path, [*stream(FIRST, 100), other])
    assert life.intake.counters.refused_by["contradiction"] == 1
    life.close()


@pytest.mark.parametrize("seed", range(8))
def test_whatever_was_acknowledged_is_stored_or_counted_as_refused(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    at_us = START_US + int(rng.integers(1, 2000)) * SECOND_US
    messages = stream(FIRST, int(rng.integers(20, 200)))
    messages += begun_again(int(rng.integers(20, 200)), at_us, int(rng.integers(500, 5000)))
    life = lived(tmp_path, messages, seed)
    n_unstored = 0
    for each in life.acknowledged:
        stored = life.archive.samples(DEVICE, 7, each.first, each.end - each.first)
        n_unstored += not np.array_equal(stored, decode(each.payload, DEVICE).samples_mv[:, 0])
    assert len(life.acknowledged) == len(messages)
    assert life.intake.counters.refused_by["contradiction"] == n_unstored > 0
    life.close()
