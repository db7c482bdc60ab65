"""The body of a request -> files in a folder that goes with whoever holds it; bounded, never in memory."""

import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec
import psutil

from dashboard.data_routes import AskedWronglyError

MAX_UPLOAD_BYTES = 1 << 30  # an export.zip with years of everything
SPARE_BYTES = 500 << 20  # of the disk that stay free
MAX_PARTS = 16  # a WFDB header with its signal files
PREFIX = "wristlead-upload-"
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")


def new_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder of this process."""
    return tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True)


def remove_left_folders() -> None:
    """Those of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not pid.isdigit() or not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def parts_of(told: str | None) -> list[tuple[str, int]]:
    """`[["ecg.csv", 1234], ...]` -> plain names and sizes in bytes; raises AskedWronglyError."""
    try:
        parts = msgspec.json.decode(told or "", type=list[tuple[str, int]])
    except msgspec.DecodeError:
        raise AskedWronglyError('parts is missing, want such as [["ecg.csv", 1234]]') from None
    if not 1 <= len(parts) <= MAX_PARTS or any(size < 0 for _, size in parts):
        raise AskedWronglyError(f"{len(parts)} parts, want 1 to {MAX_PARTS}")
    total = sum(size for _, size in parts)
    if total > MAX_UPLOAD_BYTES:
        raise AskedWronglyError(
            f"{total / 1e6:.0f} MB, want at most {MAX_UPLOAD_BYTES / 1e6:.0f} MB: take out what is no ECG, "
            "or use `wristlead classify`"
        )
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if total + SPARE_BYTES > free:
        raise AskedWronglyError(f"the server's disk has no room for {total / 1e6:.0f} MB more")
    return [(plain_name(name), size) for name, size in parts]


def plain_name(name: str) -> str:
    """The last part of a name, in letters that no path gives a meaning to."""
    plain = _OTHER.sub("_", PurePosixPath(name.replace("\\", "/")).name).lstrip(".")
    return plain[-120:] or "file"


async def write_parts(
    body: AsyncIterator[bytes], parts: Sequence[tuple[str, int]], folder: Path
) -> list[Path]:
    """The files, one after the other as they come; raises AskedWronglyError for another length."""
    paths = [folder / name for name, _ in parts]
    if len(set(paths)) < len(paths):
        raise AskedWronglyError("two parts have one name")
    rest = b""
    blocks = aiter(body)
    for path, (_, size) in zip(paths, parts, strict=True):
        left = size
        with path.open("xb") as file:
            while left:
                block = rest or await anext(blocks, b"")
                if not block:
                    raise AskedWronglyError(f"the upload ended {left} bytes early")
                file.write(block[:left])
                rest, left = block[left:], left - min(left, len(block))
    if rest or any([block async for block in blocks]):
        raise AskedWronglyError("the upload is longer than it said")
    return paths
