"""Any other table of numbers: CSV with commas, semicolons, tabs or blanks, with or without names.

Lines before the table may tell the rate (`fs: 500`); lines that begin with # are remarks.
"""

import csv
import re
from collections.abc import Iterator, Sequence

import numpy as np

from ingest.recordings.columns import Column, Told, dates_column, draft_of
from ingest.recordings.draft import finish
from ingest.recordings.moment import moment
from ingest.recordings.recording import About, Format, Hints, Note, Recording, RecordingError, Source
from ingest.recordings.text import is_number, lines_of, number_of, numbers_of

LOOKED_AT = 400  # lines in which the table begins
ALIKE = 3  # rows of one shape that make a table
MAX_COLUMNS = 64
MAX_ROWS = 20_000_000
_REMARK = ("#", "%", "//")
_RATE = re.compile(
    r"(?:\bfs\b|sampl\w*[ _-]?(?:rate|freq\w*)|samplerate|\brate\b)[^\d\n]{0,20}(\d+(?:[.,]\d+)?)",
    re.IGNORECASE,
)


def read_table(source: Source, hints: Hints) -> Iterator[Recording]:
    """The one recording of the file; raises RecordingError with the line."""
    lines = lines_of(source.content)
    begin, delimiter = _where(lines)
    names, preamble = _names(lines, begin, delimiter)
    columns, notes = _columns(lines, begin, delimiter, names)
    told = Told(fs=_told_rate(preamble), notes=tuple(notes))
    yield finish(draft_of(columns, told, Format.CSV, hints), hints, source.name)


def _where(lines: Sequence[str]) -> tuple[int, str]:
    """Index of the first row of numbers, and the delimiter: "" for one column, " " for blanks."""
    for begin, line in enumerate(lines[:LOOKED_AT]):
        if not line.strip() or line.lstrip().startswith(_REMARK):
            continue
        following = [each for each in lines[begin : begin + 3 * ALIKE] if each.strip()][:ALIKE]
        for delimiter in (";", "\t", ",", " ", ""):
            widths = {len(_cells(each, delimiter)) for each in following}
            is_wide = delimiter == "" or widths.isdisjoint({1})
            if is_wide and len(widths) == 1 and all(_is_row(_cells(each, delimiter)) for each in following):
                return begin, delimiter
    raise RecordingError(f"no table of numbers begins in the first {LOOKED_AT} lines")


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == "":
        return [line.strip()]
    if delimiter == " ":
        return line.split()
    stripped = line.strip().removesuffix(delimiter)
    if '"' not in stripped:
        return [cell.strip() for cell in stripped.split(delimiter)]
    return [cell.strip() for cell in next(csv.reader([stripped], delimiter=delimiter), [])]


def _is_row(cells: Sequence[str]) -> bool:
    """Numbers and dates, at least one number, gaps allowed."""
    n_numbers = sum(map(is_number, cells))
    return n_numbers >= 1 and all(not cell or is_number(cell) or moment(cell) is not None for cell in cells)


def _names(lines: Sequence[str], begin: int, delimiter: str) -> tuple[list[str], Sequence[str]]:
    """The columns' names, from the line above where it has as many; and the lines before."""
    n_columns = len(_cells(lines[begin], delimiter))
    above = next((at for at in range(begin - 1, -1, -1) if lines[at].strip()), None)
    if above is not None:
        cells = _cells(lines[above].lstrip("#% "), delimiter)
        if len(cells) == n_columns and not any(map(is_number, cells)) and not _RATE.search(lines[above]):
            unique = [name.strip("'\"") or f"column {place}" for place, name in enumerate(cells, 1)]
            return unique, lines[:above]
    return [f"column {place}" for place in range(1, n_columns + 1)], lines[:begin]


def _columns(
    lines: Sequence[str], begin: int, delimiter: str, names: list[str]
) -> tuple[list[Column], list[Note]]:
    end = len(lines)
    while end > begin and not lines[end - 1].strip(" \t,;"):
        end -= 1
    if end - begin > MAX_ROWS or len(names) > MAX_COLUMNS:
        raise RecordingError(f"{end - begin} rows of {len(names)} columns are more than is read")
    if delimiter == "":
        return [Column(names[0], numbers_of(lines[begin:end], begin + 1))], []
    rows = []
    for place in range(begin, end):
        cells = _cells(lines[place], delimiter)
        if len(cells) != len(names):
            raise RecordingError(f"{len(cells)} cells, want {len(names)} as above", line=place + 1)
        rows.append(cells)
    if delimiter == "," and _is_decimal_comma(rows, names):
        note = Note(About.COLUMN, "the commas are decimal marks, and this is one column", is_guess=True)
        return [Column("column 1", numbers_of(lines[begin:end], begin + 1))], [note]
    by_column = zip(*rows, strict=True)
    return [_column(name, cells, begin) for name, cells in zip(names, by_column, strict=True)], []


def _is_decimal_comma(rows: Sequence[Sequence[str]], names: Sequence[str]) -> bool:
    """Two nameless columns, whole numbers that do not count and digits behind them: `-265,868`."""
    if len(names) != 2 or names != ["column 1", "column 2"]:
        return False
    firsts = [row[0] for row in rows]
    is_split = all(row[1].isdigit() and re.fullmatch(r"[+-]?\d+", row[0]) for row in rows)
    return is_split and not bool(np.all(np.diff(np.array(firsts[:1000], np.float64)) >= 0))


def _column(name: str, cells: Sequence[str], begin: int) -> Column:
    dates = dates_column(name, cells)
    if dates is not None:
        return dates
    values = np.full(len(cells), np.nan)
    for place, cell in enumerate(cells):
        if cell:
            number = number_of(cell)
            if number is None or not np.isfinite(number):
                raise RecordingError(f"{cell[:40]!r} in {name[:30]!r} is no number", line=begin + place + 1)
            values[place] = number
    return Column(name, values)


def _told_rate(preamble: Sequence[str]) -> float | None:
    for line in preamble:
        match = _RATE.search(line[:200])
        if match is not None:
            return number_of(match[1])
    return None
