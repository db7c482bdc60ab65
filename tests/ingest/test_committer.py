"""One batch at a time, on a thread; what became of it is told, and a slow store is said."""

import logging

import pytest

from ingest import committer
from ingest.batch import Batch
from ingest.committer import SLOW_AGAIN_US, Committer
from ingest.store.archive import Archive
from ingest.store.schema import open_store


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
