"""What commits did since this process started, for the heartbeat."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ingest.batch import Batch
from ingest.gauges import DurationHistogram
from ingest.store.archive import Committed


@dataclass(slots=True)
class CommitFigures:
    """Counts, and how long chunks and commits took."""

    stored: int = 0
    duplicates: int = 0
    newest: int = 0  # chunks in the newest commit
    chunk_stored: DurationHistogram = field(default_factory=DurationHistogram)  # from arrival to the disk
    commit: DurationHistogram = field(default_factory=DurationHistogram)

    def note(self, batch: Batch, committed: Committed, took_ms: float, now_us: int) -> None:
        """One batch is on the disk at `now_us`."""
        self.commit.add(took_ms)
        received_us = np.array([each.received_us for each in batch.chunks], np.int64)
        self.chunk_stored.add_all((now_us - received_us) / 1000)
        n_new = len(committed.new_chunks)
        self.stored += n_new
        self.duplicates += len(batch.chunks) - n_new - len(committed.contradicting)
        self.newest = len(batch.chunks)

    def counters(self) -> dict[str, Any]:
        """As the heartbeat says them."""
        return {
            "stored": self.stored,
            "duplicates": self.duplicates,
            "batch": self.newest,
            "chunk_stored_ms": self.chunk_stored.summary(),
            "commit_ms": self.commit.summary(),
            "chunk_stored": self.chunk_stored.buckets(),
            "commit": self.commit.buckets(),
        }
