"""Blocks -> the end of this process's own segment file, on the disk when `write` returns."""

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import time
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

_NOT_HERE = (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY)  # what file systems without F_FULLFSYNC answer
SEGMENT = ".seg"
SEALED = ".sealed"
ROTATE_BYTES = 1 << 30  # a million chunks of 1 kB: their index takes a reader 60 MB

logger = logging.getLogger(__name__)


class SegmentWriter:
    """Appends to one file at a time, which it made itself; nothing half-written ever counts."""

    def __init__(self, folder: Path, clock_us: Callable[[], int]) -> None:
        self._folder = folder
        self._clock_us = clock_us
        self._id = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._n_files = 0
        self._fd = -1  # none
        self._end = 0
        self._close: Callable[[], object] = lambda: None
        self.stem = ""  # of the file that is appended to; empty when none is

    def write(self, blocks: bytes) -> None:
        """Append and wait until the disk has it; raises OSError, and then nothing of it was written."""
        self.rotate_if_due()
        try:
            if self._fd < 0:
                self._begin_file()
            _write_all(self._fd, blocks)
            sync(self._fd)
        except OSError:
            self._take_back()
            raise
        self._end += len(blocks)

    def rotate_if_due(self) -> None:
        """Close the file when its hour is over or it is full; the next write begins another."""
        if self.stem and (self._end >= ROTATE_BYTES or not self.stem.startswith(_hour(self._clock_us()))):
            self.close()

    def is_mine(self, stem: str) -> bool:
        """True for a file that this writer made."""
        return f"-{self._id}-" in stem

    def close(self) -> None:
        """Close the file."""
        self._close()
        self._fd, self.stem = -1, ""

    def _begin_file(self) -> None:
        if not self._folder.is_dir():
            self._folder.mkdir()
            sync_folder(self._folder.parent)
        stem = f"{_hour(self._clock_us())}-{self._id}-{self._n_files:04d}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._fd = os.open(self._folder / (stem + SEGMENT), flags, 0o644)
        self._close = weakref.finalize(self, os.close, self._fd)
        self._n_files += 1
        self._end, self.stem = 0, stem
        lock(self._fd)  # until it is closed: whatever the clocks say, nobody compresses it before
        sync_folder(self._folder)

    def _take_back(self) -> None:
        """Cut off what was half written; a file that failed is not trusted again."""
        if self._fd < 0:
            return
        with contextlib.suppress(OSError):  # readers leave a torn end alone, and nothing follows it
            os.ftruncate(self._fd, self._end)
            if self._end == 0:
                (self._folder / (self.stem + SEGMENT)).unlink()
        self.close()


def begin_us(stem: str) -> int:
    """When the hour in a file's name began, Unix microseconds."""
    return round(datetime.strptime(stem[:11], "%Y%m%dT%H").replace(tzinfo=UTC).timestamp() * 1e6)


def sync(fd: int) -> None:
    """Wait until the file's bytes are on the disk itself; macOS needs more than fsync for that."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            os.fsync(fd)  # a network or memory-card file system: it has nothing stronger
    elif hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def lock(fd: int) -> None:
    """Lock the file until it is closed; raises BlockingIOError when another process has the lock."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:  # some network file systems know no locks: the hour in the name must do
        logger.debug("no lock: %s", error)


def sync_folder(folder: Path) -> None:
    """Wait until the names in the folder are on the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _hour(us: int) -> str:
    return time.strftime("%Y%m%dT%H", time.gmtime(us // 1_000_000))
