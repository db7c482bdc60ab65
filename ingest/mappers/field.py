"""A JSON payload and a dotted path -> the value there, or a WireError that says what is missing."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.encoding import WireError

_decode = msgspec.json.Decoder().decode


def parse(payload: bytes) -> Any:
    """The JSON document; raises WireError."""
    try:
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"payload is not JSON: {error}") from None


def look_up(document: Any, path: str) -> Any:
    """The value at `path`; a part that is a number counts elements of a list. Raises WireError."""
    found = document
    for part in path.split("."):
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdecimal() and len(part) < 10 and int(part) < len(found):
            found = found[int(part)]
        else:
            raise WireError(f"no {path!r} in the payload: {part!r} is not in {_in_short(found)}")
    return found


def has(document: Any, path: str) -> bool:
    """True when there is a value at `path` that is not null."""
    try:
        return look_up(document, path) is not None
    except WireError:
        return False


def number(value: Any, name: str) -> float | int:
    """A finite number, also one written as a string; raises WireError."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = int(value) if value.strip().lstrip("+-").isdecimal() else float(value)
        except ValueError:
            raise WireError(f"{name} is {value!r}, want a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WireError(f"{name} is {_in_short(value)}, want a number")
    if not -1e30 < value < 1e30:
        raise WireError(f"{name} is {str(value)[:40]}, want a finite number")
    return value


def numbers(values: Any, name: str) -> NDArray[np.float64]:
    """A list of numbers as float64 (n,), NaN for null; raises WireError."""
    if not isinstance(values, list) or not values:
        raise WireError(f"{name} is {_in_short(values)}, want a list of numbers")
    if set(map(type, values)) - {int, float, type(None)}:
        wrong = next(each for each in values if type(each) not in (int, float, type(None)))
        raise WireError(f"{name} holds {_in_short(wrong)}, want only numbers, and null for a missing one")
    try:
        return np.array(values, np.float64)  # None becomes NaN
    except OverflowError:
        raise WireError(f"{name} holds an integer beyond any voltage") from None


def _in_short(value: Any) -> str:
    match value:
        case dict():
            return "a table of " + (", ".join(str(key)[:20] for key in list(value)[:6]) or "nothing")
        case list():
            return f"a list of {len(value)}"
        case _:
            return repr(value)[:60]
