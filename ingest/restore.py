"""The store -> every recent device's pipeline as it was before this process: the same windows follow."""

import logging

from ingest.intake import Intake
from ingest.roster import IDLE_US
from ingest.store.archive import Archive
from ingest.window import NextWindow, hop_samples

LEAD_IN_US = 60_000_000  # replayed before the first unfinished window: holes, filters and beats settle
LONGEST_US = 86_400_000_000  # replayed of a device at most: what it sent in a day fits in memory

logger = logging.getLogger(__name__)


def restore_devices(archive: Archive, intake: Intake, hop_s: float, now_us: int) -> None:
    """Replay into `intake` each device that may have windows which are not stored, however long ago that was.

    Those are the devices heard within the 11 minutes before the newest window of all was closed, or later:
    what any device sent before was in stored windows by then. Raises StoreError when the store is unreadable.
    """
    settled_us = min(now_us, archive.newest_closing_us() or 0) - IDLE_US - LEAD_IN_US
    recent = {device: us for device, us in archive.devices(settled_us).items() if us >= settled_us}
    for device, heard_us in recent.items():
        since_us, next_window = _unfinished(archive, device, hop_s, settled_us)
        # A window may have been closed long after the newest chunk: that one is always replayed.
        since_us = max(min(since_us, heard_us - LEAD_IN_US), heard_us - LONGEST_US)
        intake.restore(device, archive.chunks_since(device, since_us), now_us, next_window)
    if recent:
        logger.info("restored %d devices from the store", len(recent))


def _unfinished(
    archive: Archive, device: str, hop_s: float, settled_us: int
) -> tuple[int, NextWindow | None]:
    """From when on to replay, and the first window that is not stored; none when none is recent."""
    newest = archive.newest_window(device, historic=False)
    if newest is None or newest.closed_us < settled_us:
        return settled_us - LEAD_IN_US, None  # their windows were stored, or noted as given up
    next_first = newest.first_sample + hop_samples(hop_s, newest.fs)
    next_window = NextWindow(newest.session, next_first, newest.fs)
    arrived_us = archive.first_arrival_us(device, newest.session, next_first)
    return min(newest.closed_us, arrived_us or newest.closed_us) - LEAD_IN_US, next_window
