"""Blocks -> the end of this process's own segment file, on the disk when `write` returns."""

import contextlib
import fcntl
import os
import secrets
import time
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

SEGMENT = ".seg"
SEALED = ".sealed"
ROTATE_BYTES = 1 << 30  # a million chunks of 1 kB: their index takes a reader 50 MB


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
        if self._fd < 0:
            self._begin_file()
        try:
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
        sync_folder(self._folder)

    def _take_back(self) -> None:
        """Cut off what was half written; a file that failed is not trusted again."""
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
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    elif hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)


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
