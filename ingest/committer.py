"""Batches -> the store, one at a time, on a thread: a disk that stalls must not silence vitals and heartbeat.

An fsync takes 0.3 ms on an idle disk, and was seen to take 1.6 s beside a program that writes much.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from ingest.backfill import Slot, cut_again
from ingest.batch import Batch
from ingest.link import Message
from ingest.store.archive import Archive, Committed, StoreError
from ingest.store.retention import Retention
from ingest.window import Window

PORTION = 4  # windows cut again after a commit: 40 a second, a day of one device in four minutes
PORTION_S = 0.05  # ... and none is begun later: a window of a thousand tiny chunks takes that long alone
LOOK_EVERY_US = 1_000_000  # for windows to cut where none was found: their samples wait 2 s anyway
SLOW_MS = 1000.0  # a commit takes 2 to 50 ms; from here on devices notice that acknowledgements are late
SLOW_AGAIN_US = 60_000_000  # a slow disk is said once a minute

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one batch: either it is on the disk, or the reason why nothing of it is."""

    batch: Batch
    messages: list[Message]  # those that brought it; to be acknowledged once it is stored
    committed: Committed | StoreError
    took_ms: float
    windows: list[Window] = field(default_factory=list)  # cut again from what is stored now, to be committed
    done: list[Slot] = field(default_factory=list)  # their places, and those without a sample


class Committer:
    """Writes one batch at a time. `begin` hands it over, `poll` tells what became of it."""

    def __init__(self, archive: Archive, keep_days: float | None = None) -> None:
        self._archive = archive
        self.retention = Retention(archive, keep_days)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._writing: Future[Outcome] | None = None
        self.n_messages = 0  # of the batch that is being written
        self.n_bytes = 0
        self._slow_again_us = 0
        self._had_turn = ""  # whose window was cut last: the others come next; none is due where empty
        self._looked_us = -LOOK_EVERY_US

    @property
    def is_busy(self) -> bool:
        """True from `begin` until `poll` or `wait` has told the outcome."""
        return self._writing is not None

    def begin(self, batch: Batch, messages: list[Message], now_us: int) -> None:
        """Start writing what came by `now_us`; neither list may change until the outcome is told."""
        self.n_messages, self.n_bytes = len(messages), batch.n_bytes
        self._writing = self._pool.submit(self._write, batch, messages, now_us)
        if self.retention.is_due():
            self._pool.submit(self._drop, now_us)  # behind it: no acknowledgement waits for this

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

    def ask(self, question: Callable[[Archive], Answer]) -> Future[Answer]:
        """Ask the store something behind what is being written; the answer may be a StoreError."""
        return self._pool.submit(question, self._archive)

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown()

    def _drop(self, now_us: int) -> None:
        try:
            self.retention.drop(now_us)
        except StoreError as error:
            logger.warning("%s; what is too old stays for now", error)

    def _write(self, batch: Batch, messages: list[Message], now_us: int) -> Outcome:
        started_s = time.perf_counter()
        try:
            committed = self._archive.commit(
                batch.chunks, batch.windows, batch.vitals, batch.refused, batch.rework
            )
        except StoreError as error:
            return Outcome(batch, messages, error, 1000 * (time.perf_counter() - started_s))
        took_ms = 1000 * (time.perf_counter() - started_s)
        self._note_slow(took_ms, now_us)
        return Outcome(batch, messages, committed, took_ms, *self._cut_portion(now_us))

    def _note_slow(self, took_ms: float, now_us: int) -> None:
        if took_ms >= SLOW_MS and now_us >= self._slow_again_us:
            self._slow_again_us = now_us + SLOW_AGAIN_US
            logger.warning("a commit took %.1f s: the store is slow, and chunks wait for it", took_ms / 1000)

    def _cut_portion(self, now_us: int) -> tuple[list[Window], list[Slot]]:
        """The next few windows to cut again, from what is stored: all that came by `now_us`, and no more.

        Here and nowhere else, as no commit can come between reading the samples and striking their note.
        """
        windows: list[Window] = []
        done: list[Slot] = []
        if not self._had_turn and 0 <= now_us - self._looked_us < LOOK_EVERY_US:
            return windows, done
        self._had_turn, after = "", self._had_turn
        self._looked_us = now_us
        until_s = time.perf_counter() + PORTION_S
        try:
            for slot in self._archive.due_slots(now_us, PORTION, after):
                self._had_turn = slot.device  # be it unreadable: it must not keep the others waiting
                chunks = [each.chunk for each in self._archive.chunks_at(*slot.place, slot.n_samples)]
                window = cut_again(slot, chunks, now_us)
                windows += [window] if window is not None else []
                done.append(slot)
                if time.perf_counter() >= until_s:
                    break
        except StoreError as error:  # the notes are kept: they are tried again after the next commit
            logger.warning("%s; late windows wait", error)
        return windows, done
