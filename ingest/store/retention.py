"""What is too old leaves the store: partitions whole, rows in batches that lock it briefly."""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from sqlalchemy import Connection, and_, delete, exists, select

from ingest.store.schema import explanation_table, verdict_table, window_table

DAY_US = 86_400_000_000
DROP_EVERY_S = 60.0
ROWS_AT_ONCE = 500  # windows in one transaction: 20 ms, while other services wait for the write lock
BATCHES = 40  # a minute: three times the windows that 1,000 devices close in it

logger = logging.getLogger(__name__)


class _Archive(Protocol):
    def drop_partitions(self, before_us: int) -> int:
        """Remove the waveforms that came before; how many partitions."""

    def drop_windows(self, before_us: int, at_most: int) -> int:
        """Remove the oldest windows that were closed before; how many."""


class Retention:
    """Drops what is older than `keep_days`, once a minute; None keeps everything."""

    def __init__(
        self, archive: _Archive, keep_days: float | None, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.partitions = 0  # dropped since the start
        self.windows = 0  # the same, with their verdicts and explanations
        self._archive = archive
        self._keep_us = None if keep_days is None else round(keep_days * DAY_US)
        self._monotonic_s = monotonic_s
        self._due_s = monotonic_s()

    def is_due(self) -> bool:
        """True once a minute."""
        return self._keep_us is not None and self._monotonic_s() >= self._due_s

    def drop(self, now_us: int) -> None:
        """Remove what is too old by `now_us`, some of it now, the rest the next times.

        Raises StoreError when the store does not let it; it is tried again a minute later.
        """
        self._due_s = self._monotonic_s() + DROP_EVERY_S
        if self._keep_us is None:
            return
        before_us = now_us - self._keep_us
        self.partitions += self._archive.drop_partitions(before_us)
        n_windows = 0
        for _ in range(BATCHES):
            n = self._archive.drop_windows(before_us, ROWS_AT_ONCE)
            n_windows += n
            if n < ROWS_AT_ONCE:
                break
        self.windows += n_windows
        if n_windows:
            logger.info("dropped %d windows: older than they are to be kept", n_windows)


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
