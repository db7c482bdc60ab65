"""Dates as phones and FHIR servers write them -> Unix microseconds."""

import re
from datetime import UTC, datetime, timedelta

from ingest.encoding import WireError
from ingest.wire import END_OF_TIME_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(\.\d+)?\s*(?:(AM|PM)\s*)?(Z|[+-]\d{2}:?\d{2})?",
    re.ASCII | re.IGNORECASE,
)


def unix_us(text: str) -> int:
    """Microseconds of `2026-07-26 21:56:26 +0200`, `2026-07-26T21:56:26.765Z` and the like.

    Raises WireError, also for a date without a time zone: which moment it names is not known.
    """
    match = _DATE.fullmatch(text.strip()) if len(text) <= 60 else None
    if match is None or match[5] is None or match[4] is not None:
        raise WireError(f"date {text[:60]!r}, want such as 2026-07-26 21:56:26 +0200, with its time zone")
    zone = "+00:00" if match[5] in "Zz" else match[5]
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}")
        us = (moment - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError) as error:
        raise WireError(f"date {text[:60]!r} is none: {error}") from None
    if match[3]:
        us += round(float(f"0{match[3]}") * 1e6)
    if not 0 <= us < END_OF_TIME_US:
        raise WireError(f"date {text[:60]!r} is outside the years 1970 to 9999")
    return us
