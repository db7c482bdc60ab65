"""Chunks with other samples than are stored at their places, in every store; across sealing and restarts."""

from collections.abc import Iterator

import numpy as np
import pytest
from msgspec.structs import replace
from sqlalchemy import Engine

from ingest.chunk import Chunk, Lead
from ingest.store.archive import Archive
from ingest.store.contradictions import contradicting
from ingest.store.rows import ReceivedChunk
from ingest.store.schema import open_store
from ingest.wire import encode_binary


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url, busy_wait_ms=20)
    yield engine
    engine.dispose()


def received(first: int, n: int, add: int = 0, session: int = 7) -> ReceivedChunk:
    samples = (np.arange(first, first + n) + add).astype(np.float32)[:, None] * np.float32(0.001)
    chunk = Chunk("a/b", session, 0, first, 1000, 0, 100.0, (Lead.I,), samples)
    return ReceivedChunk(chunk, encode_binary(chunk), 1_790_000_000_000_000 + first)


KNOWN = [received(first, 100) for first in range(0, 1000, 100)]
OTHERS = {
    "the same place": received(300, 100, add=1),
    "longer at the same place": received(300, 150, add=1),
    "shorter at the same place": received(300, 20, add=1),
    "across two": received(350, 100, add=1),
    "only one sample differs": received(899, 1, add=1),
    "within the newest": received(950, 10, add=1),
    "across the end": received(950, 100, add=1),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("when", ["later", "after a restart", "in the same commit"])
def test_a_contradiction_is_told_and_left_out(engine: Engine, other: str, when: str) -> None:
    archive, contradiction = Archive(engine), OTHERS[other]
    if when == "in the same commit":
        committed = archive.commit([*KNOWN, contradiction])
    else:
        archive.commit(KNOWN)
        archive = Archive(engine) if when == "after a restart" else archive
        committed = archive.commit([contradiction])
    starts_beyond_the_newest = when == "after a restart" and contradiction.chunk.first_sample > 900
    told = [] if starts_beyond_the_newest else [contradiction]  # stored whole, in the shade of the first
    assert list(committed.contradicting) == told
    wanted = np.arange(1000).astype(np.float32) * np.float32(0.001)
    np.testing.assert_array_equal(archive.samples("a/b", 7, 0, 1000), wanted)


@pytest.mark.parametrize(("first", "n", "session"), [(0, 100, 7), (0, 30, 7), (50, 100, 7), (0, 100, 8)])
def test_what_agrees_or_is_of_another_session_is_no_contradiction(
    engine: Engine, first: int, n: int, session: int
) -> None:
    archive = Archive(engine)
    archive.commit(KNOWN)
    add = 0 if session == 7 else 1
    assert not archive.commit([received(first, n, add, session)]).contradicting


@pytest.mark.parametrize("seed", range(20))
def test_who_else_sent_something_changes_nothing(seed: int) -> None:
    """Where a device sent one chunk and has none stored nothing is compared: the same as if it were."""
    rng = np.random.default_rng(seed)

    def some(n: int) -> list[ReceivedChunk]:
        return [
            replace(each, chunk=replace(each.chunk, device=f"a/{rng.integers(0, 6)}"))
            for each in (
                received(int(rng.integers(0, 200)), int(rng.integers(1, 90)), int(rng.random() < 0.3))
                for _ in range(n)
            )
        ]

    chunks, stored = some(int(rng.integers(1, 12))), [each.chunk for each in some(int(rng.integers(0, 3)))]
    elsewhere = received(0, 10, session=8)
    others = [
        replace(elsewhere, chunk=replace(elsewhere.chunk, device=f"a/{k}"))
        for k in range(6)
        for _ in range(2)
    ]
    assert contradicting([*chunks, *others], stored) == contradicting(chunks, stored)
