from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ingest.chunk import Chunk, Lead
from ingest.store.archive import Archive
from ingest.store.growing import GrowingSegment
from ingest.store.rows import ReceivedChunk
from ingest.wire import encode_binary

NOW_US = 1_800_000_000_000_000


def received(k: int, session: int) -> ReceivedChunk:
    samples = np.full((5, 1), k % 100 / 1000, np.float32)
    chunk = Chunk("a/b", session, k, 5 * k, NOW_US, 0, 500.0, (Lead.I,), samples)
    return ReceivedChunk(chunk, encode_binary(chunk), NOW_US)


def test_messages_that_come_again_are_looked_up_by_session_not_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one, the 20,000 messages that a broker sends again after a reconnect took 150 s."""
    archive = Archive.open(f"sqlite:///{tmp_path / 'store.sqlite'}")
    chunks = [received(k, session) for session in (1, 2) for k in range(50)]
    assert len(archive.commit(chunks).new_chunks) == 100
    asked: Counter[int] = Counter()
    whole = GrowingSegment.n_samples_at

    def counted(self: GrowingSegment, device: str, session: int, first_samples: list[int]) -> dict[int, int]:
        asked[session] += 1
        return whole(self, device, session, first_samples)

    monkeypatch.setattr(GrowingSegment, "n_samples_at", counted)
    again = archive.commit([*chunks, received(50, 1)])
    assert again.new_chunks == {("a/b", 1, 250)}
    assert asked == {1: 1, 2: 1}
