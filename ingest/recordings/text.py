"""The bytes of a text file -> lines; lines that hold a number each -> an array, or which line does not."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.recordings.recording import RecordingError

MAX_TEXT_BYTES = 64 << 20  # a day at 100 Hz; a JSON of 43 MB was seen
NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BLANKS = "\u00a0\u202f\u2007\u2009"  # no-break and thin spaces, which phones put before units


def lines_of(content: bytes) -> list[str]:
    """Lines without their ends; no-break spaces are spaces. Raises RecordingError for what is no text."""
    if len(content) > MAX_TEXT_BYTES:
        raise RecordingError(f"{len(content)} bytes of text, want at most {MAX_TEXT_BYTES}")
    try:
        text = content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # µ is the same byte in all of Windows' western pages
    if "\0" in text[:4096]:
        raise RecordingError("neither text nor a format that is known here")
    for blank in _BLANKS:
        text = text.replace(blank, " ")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def is_number(text: str) -> bool:
    """Whether that is one number, with a decimal point or a decimal comma."""
    return NUMBER.fullmatch(text.strip()) is not None


def number_of(text: str) -> float | None:
    """The number, with a decimal point or comma; None where it is none."""
    plain = text.strip()
    return float(plain.replace(",", ".")) if len(plain) <= 40 and NUMBER.fullmatch(plain) else None


def numbers_of(lines: Sequence[str], first_line: int) -> NDArray[np.float64]:
    """(n,) of n lines, with decimal points or decimal commas; blanks and lone commas at the end are nothing.

    `first_line` is the number of the first one. Raises RecordingError with the line that holds no number.
    """
    end = len(lines)
    while end and not lines[end - 1].strip(" \t,;"):
        end -= 1
    lines = lines[:end]
    text = "\n".join(lines)
    if "," in text:
        lines = text.replace(",", ".").split("\n")
    try:
        values = np.array([float(line) for line in lines], np.float64)
    except ValueError:
        values = np.full(1, np.nan)
    if not np.all(np.isfinite(values)) or "_" in text:  # Python would read 1_0 as 10
        _refuse_first(lines, first_line)
    return values


def _refuse_first(lines: Sequence[str], first_line: int) -> None:
    for place, line in enumerate(lines, first_line):
        if not NUMBER.fullmatch(line.strip()) or not np.isfinite(float(line)):
            raise RecordingError(f"{line.strip()[:40]!r} is not one finite number", line=place)
