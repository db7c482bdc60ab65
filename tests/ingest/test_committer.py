"""One batch at a time, on a thread; what became of it is told, and a slow store is said."""

import logging
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event

from ingest import committer
from ingest.backfill import Late, Rework
from ingest.batch import Batch
from ingest.chunk import Chunk, Lead
from ingest.committer import LOOK_EVERY_US, PORTION, SLOW_AGAIN_US, Committer
from ingest.store.archive import Archive, StoreError
from ingest.store.rows import ReceivedChunk
from ingest.store.schema import open_store
from ingest.wire import encode_binary

NOW_US = 1_790_000_000_000_000
FS, LENGTH = 100.0, 1000  # Hz, samples of a window


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Committer:
    monkeypatch.setattr(committer, "SLOW_MS", 0.0)  # every commit takes longer than that
    return Committer(Archive(open_store("sqlite://")))


def test_a_slow_store_is_said_once_a_minute(slow: Committer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for now_us in (SLOW_AGAIN_US, SLOW_AGAIN_US + 1, 2 * SLOW_AGAIN_US - 1, 2 * SLOW_AGAIN_US):
            slow.begin(Batch(), [], now_us)
            assert slow.wait() is not None
    slow.close()
    assert len([each for each in caplog.messages if "the store is slow" in each]) == 2


def late(device: str, n_windows: int) -> Batch:
    """A second of each window, due at once."""
    batch = Batch()
    for k in range(n_windows):
        chunk = Chunk(device, 1, k, k * LENGTH, 1, 0, FS, (Lead.I,), np.full((100, 1), 0.5, np.float32))
        batch.chunks.append(ReceivedChunk(chunk, encode_binary(chunk), NOW_US))
        batch.rework.late.append(Late(device, 1, k * LENGTH, 100, FS, Lead.I, 10.0, NOW_US))
    return batch


class Ward:
    """A committer whose commits follow one another, and whose windows they cut."""

    def __init__(self, folder: Path) -> None:
        self.archive = Archive.open(f"sqlite:///{folder / 'store.sqlite'}")
        self.committer = Committer(self.archive)
        self.cut: list[str] = []  # devices, in the order of their windows

    def commit(self, batch: Batch, now_us: int) -> int:
        """How many were cut after it; they are in the next one."""
        self.committer.begin(batch, [], now_us)
        outcome = self.committer.wait()
        assert outcome is not None
        assert not isinstance(outcome.committed, StoreError)
        self.cut += [each.device for each in outcome.windows]
        self.next = Batch(windows=outcome.windows, rework=Rework(done=outcome.done))
        return len(outcome.windows)


def test_an_hour_of_one_device_is_cut_beside_what_another_sends_all_day(tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    ward.commit(late("ward/a-greedy", 40), NOW_US)
    ward.committer.close()
    ward.committer = Committer(ward.archive)  # who had the last turn is forgotten, and no harm
    ward.cut.clear()
    ward.commit(late("ward/other", 10), NOW_US)
    while ward.commit(ward.next, NOW_US):
        pass
    ward.committer.close()
    assert (ward.cut.count("ward/a-greedy"), ward.cut.count("ward/other")) == (40, 10)
    last = max(k for k, device in enumerate(ward.cut) if device == "ward/other")
    assert last < 2 * 10 + PORTION  # a turn each, were it a thousand that wait


def test_a_place_that_cannot_be_read_does_not_keep_others_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward = Ward(tmp_path)
    reads = ward.archive.chunks_at

    def chunks_at(device: str, session: int, first_sample: int, n_samples: int) -> list[ReceivedChunk]:
        if device == "ward/a":
            raise StoreError("this part of the disk is gone")
        return reads(device, session, first_sample, n_samples)

    monkeypatch.setattr(ward.archive, "chunks_at", chunks_at)
    ward.commit(late("ward/a", 5), NOW_US)
    ward.commit(late("ward/b", 5), NOW_US)
    for _ in range(10):
        ward.commit(ward.next, NOW_US)
    ward.committer.close()
    assert ward.cut == ["ward/b"] * 5


def test_where_nothing_was_due_it_is_looked_for_once_a_second(tmp_path: Path) -> None:
    ward, asked = Ward(tmp_path), []
    event.listen(
        ward.archive._engine, "before_cursor_execute", lambda *told: asked.append("turn(device)" in told[2])
    )
    for k in range(31):
        ward.commit(Batch(), NOW_US + k * LOOK_EVERY_US // 10)
    assert sum(asked) == 4
    ward.commit(Batch(), NOW_US)  # the clock was set back
    assert sum(asked) == 5
    ward.committer.close()
