"""Batches -> the store, one at a time, on a thread: a disk that stalls must not silence vitals and heartbeat.

An fsync takes 0.3 ms on an idle disk, and was seen to take 1.6 s beside a program that writes much.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ingest.batch import Batch
from ingest.link import Message
from ingest.store.archive import Archive, Committed, StoreError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one batch: either it is on the disk, or the reason why nothing of it is."""

    batch: Batch
    messages: list[Message]  # those that brought it; to be acknowledged once it is stored
    committed: Committed | StoreError
    took_ms: float


class Committer:
    """Writes one batch at a time. `begin` hands it over, `poll` tells what became of it."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._writing: Future[Outcome] | None = None
        self.n_messages = 0  # of the batch that is being written
        self.n_bytes = 0

    @property
    def is_busy(self) -> bool:
        """True from `begin` until `poll` or `wait` has told the outcome."""
        return self._writing is not None

    def begin(self, batch: Batch, messages: list[Message]) -> None:
        """Start writing; neither list may change until the outcome is told."""
        self.n_messages, self.n_bytes = len(messages), batch.n_bytes
        self._writing = self._pool.submit(self._write, batch, messages)

    def poll(self) -> Outcome | None:
        """The outcome when it is there; None while it is not, and when nothing is written."""
        return self.wait() if self._writing is not None and self._writing.done() else None

    def wait(self) -> Outcome | None:
        """The outcome, waited for; None when nothing is written."""
        if self._writing is None:
            return None
        outcome = self._writing.result()
        self._writing, self.n_messages, self.n_bytes = None, 0, 0
        return outcome

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown()

    def _write(self, batch: Batch, messages: list[Message]) -> Outcome:
        started_s = time.perf_counter()
        committed: Committed | StoreError
        try:
            committed = self._archive.commit(batch.chunks, batch.windows, batch.vitals, batch.refused)
        except StoreError as error:
            committed = error
        return Outcome(batch, messages, committed, 1000 * (time.perf_counter() - started_s))
