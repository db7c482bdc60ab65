"""Dates as files write them -> datetimes, with their zone where they tell one."""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone

_DATE = re.compile(
    r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})"
    r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?)?"
    r"\s*(?P<half>AM|PM)?\s*(?P<zone>Z|(?:UTC|GMT)?[+-]\d{2}:?\d{2}|UTC|GMT)?",
    re.ASCII | re.IGNORECASE,
)
# With points the day comes first wherever people write dates so; with slashes nobody can tell.
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(.*)", re.ASCII | re.DOTALL)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BELIEVABLE_S = (946_684_800, 4_102_444_800)  # years 2000 to 2099
_PER_S = (1, 1e3, 1e6, 1e9)  # s, ms, us, ns since 1970


def moment(text: str) -> datetime | None:
    """`2026-07-26 21:56:26 +0200` and its like; without a zone where none is told; None for anything else."""
    match = _matched(text)
    if match is None or match["hour"] is None:
        return None
    hour = int(match["hour"])
    if match["half"]:
        hour = hour % 12 + (12 if match["half"].upper() == "PM" else 0)
    part_us = int((match["part"] or "0").ljust(9, "0")[:6])
    day = (int(match["year"]), int(match["month"]), int(match["day"]))
    try:
        at = time(hour, int(match["minute"]), int(match["second"] or 0), part_us, _zone(match["zone"]))
        return datetime.combine(date(*day), at)
    except (ValueError, OverflowError):
        return None


def since_1970(number: float) -> datetime | None:
    """A count of s, ms, us or ns since 1970 that lies in our century, whichever it is; else None."""
    for per_s in _PER_S:
        if _BELIEVABLE_S[0] <= number / per_s <= _BELIEVABLE_S[1]:
            return _EPOCH + timedelta(seconds=number / per_s)
    return None


def _matched(text: str) -> re.Match[str] | None:
    if len(text) > 60:
        return None
    plain = " ".join(text.split())
    day_first = _DAY_FIRST.fullmatch(plain)
    if day_first is not None:
        plain = f"{day_first[3]}-{day_first[2]}-{day_first[1]}{day_first[4]}"
    return _DATE.fullmatch(plain)


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    offset = text.upper().removeprefix("UTC").removeprefix("GMT").replace(":", "")
    if offset in ("", "Z"):
        return UTC
    ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
    return timezone(-ahead if offset[0] == "-" else ahead)
