"""Numbers as text (one a message, or several apart by blanks, commas or lines) -> values."""

import numpy as np
from numpy.typing import NDArray

from ingest.encoding import WireError

MAX_NUMBER_BYTES = 40


def read_numbers(payload: bytes) -> NDArray[np.float64]:
    """The numbers as float64 (n,); raises WireError."""
    parts = payload.strip(b" \t\r\n\0").replace(b",", b" ").replace(b";", b" ").split()
    if not parts:
        raise WireError("payload is empty, want a number as text")
    if max(map(len, parts)) > MAX_NUMBER_BYTES or b"_" in payload:  # Python would read 1_0 as 10
        raise WireError(f"payload is {payload[:60]!r}, want numbers as text")
    try:
        values = np.array([float(part) for part in parts], np.float64)
    except ValueError:
        raise WireError(f"payload is {payload[:60]!r}, want numbers as text") from None
    if not np.all(np.isfinite(values)):
        raise WireError(f"payload is {payload[:60]!r}, want finite numbers")
    return values
