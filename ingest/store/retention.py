"""What is too old leaves the store: partitions whole, rows in batches that lock it briefly."""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from sqlalchemy import Connection, and_, delete, exists, select

from ingest.store.schema import explanation_table, verdict_table, window_table

DAY_US = 86_400_000_000
DROP_EVERY_S = 60.0
STEADY_S = 3600.0  # a clock must have gone on for so long before anything is dropped by it
STEP_S = 60.0  # a wall clock that strays so far from the monotonic one was set
ROWS_AT_ONCE = 500  # windows in one transaction: 20 ms, while other services wait for the write lock

logger = logging.getLogger(__name__)


class _Archive(Protocol):
    def tidy(self) -> None:
        """Close and compress files that are complete."""

    def drop_partitions(self, before_us: int) -> int:
        """Remove the waveforms that came before; how many partitions."""

    def drop_windows(self, before_us: int, at_most: int) -> int:
        """Remove the oldest windows that were closed before; how many."""


class Retention:
    """Drops what is older than `keep_days`, once a minute; None keeps everything.

    A clock set forward by months would make everything too old: nothing is dropped in the first hour,
    nor in the hour after the wall clock was set.
    """

    def __init__(
        self, archive: _Archive, keep_days: float | None, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.partitions = 0  # dropped since the start
        self.windows = 0  # the same, with their verdicts and explanations
        self._archive = archive
        self._monotonic_s = monotonic_s
        self.keep(keep_days)
        self._due_s = monotonic_s()
        self._offset_s: float | None = None  # of the wall clock to the monotonic one
        self._steady_since_s = self._due_s

    def keep(self, keep_days: float | None, *, hold_s: float = 0.0) -> None:
        """From now on keep this long; nothing is dropped within `hold_s`, in which it may be undone."""
        keep_us = None if keep_days is None else round(keep_days * DAY_US)
        self._kept = keep_us, self._monotonic_s() + hold_s  # at once: another thread drops

    def is_due(self) -> bool:
        """True once a minute, and at once again while more rows are left than one transaction takes."""
        return self._monotonic_s() >= self._due_s

    def drop(self, now_us: int) -> None:
        """Remove what is too old by `now_us`, and let the store tidy its files.

        Raises StoreError when the store does not let it; it is tried again a minute later.
        """
        self._due_s = self._monotonic_s() + DROP_EVERY_S
        self._archive.tidy()
        keep_us, hold_until_s = self._kept
        if keep_us is None or not self._is_clock_steady(now_us) or self._monotonic_s() < hold_until_s:
            return
        before_us = now_us - keep_us
        self.partitions += self._archive.drop_partitions(before_us)
        n_windows = self._archive.drop_windows(before_us, ROWS_AT_ONCE)
        self.windows += n_windows
        if n_windows == ROWS_AT_ONCE:
            self._due_s = self._monotonic_s()
        elif n_windows:
            logger.info("dropped windows older than they are to be kept; %d since the start", self.windows)

    def _is_clock_steady(self, now_us: int) -> bool:
        now_s = self._monotonic_s()
        offset_s = now_us / 1e6 - now_s
        if self._offset_s is None or abs(offset_s - self._offset_s) > STEP_S:
            if self._offset_s is not None:
                text = "the clock was set by %.0f s: nothing is dropped by age for an hour"
                logger.warning(text, offset_s - self._offset_s)
            self._offset_s, self._steady_since_s = offset_s, now_s
        return now_s - self._steady_since_s >= STEADY_S


def drop_windows(connection: Connection, us: int, max_windows: int) -> int:
    """Remove the oldest windows closed before `us`, with verdicts and explanations; how many."""
    window = window_table.c
    oldest = select(window.id).where(window.closed_us < us).order_by(window.closed_us).limit(max_windows)
    ids = connection.scalars(oldest).all()
    if not ids:
        return 0
    for table in (explanation_table, verdict_table):
        theirs = exists().where(
            window.id.in_(ids),
            and_(
                table.c.device == window.device,
                table.c.session == window.session,
                table.c.first_sample == window.first_sample,
            ),
        )
        connection.execute(delete(table).where(theirs))
    connection.execute(delete(window_table).where(window.id.in_(ids)))
    return len(ids)
