"""Any JSON that holds ECGs: lists of numbers, or lists of records, with rate and unit beside them or above.

Known by their words: Google Health API v4 (Fitbit, Pixel Watch), Withings Heart v2, and what hobby boards
write. Names of people, such as a source or an owner, are not looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from ingest.encoding import WireError
from ingest.mappers.field import look_up
from ingest.recordings.columns import Column, Told, dates_column, draft_of
from ingest.recordings.draft import finish, is_unit
from ingest.recordings.lead_name import named_lead
from ingest.recordings.moment import moment, since_1970
from ingest.recordings.recording import Format, Hints, Recording, RecordingError, Source
from ingest.recordings.text import MAX_TEXT_BYTES

LEAST = 100  # numbers in a list that may be an ECG
MAX_DEPTH = 12
MAX_TABLES = 5_000
_RATES = (
    "fs",
    "fshz",
    "hz",
    "samplingfrequency",
    "samplingfrequencyhertz",
    "samplingrate",
    "samplerate",
    "samplefrequency",
    "frequency",
)
_UNITS = ("unit", "units", "ecgunit", "voltageunit")
_LEADS = ("lead", "leadname")
_STARTS = ("start", "starttime", "startdate", "timestamp", "date", "recordedat", "datetime", "t0")
_DEVICES = ("device", "model", "devicemodel")  # a device's name often is its owner's
_VERDICTS = ("classification", "resultclassification", "verdict")
_HEART_RATES = ("averageheartrate", "beatsperminuteavg", "heartrate", "hr", "bpm", "avgheartrate")
_WITHINGS_AFIB = {0: "no atrial fibrillation", 1: "atrial fibrillation", 2: "inconclusive"}


@dataclass(frozen=True, slots=True)
class _Place:
    """Columns of one table, and the scalars beside and above it."""

    columns: list[Column]
    scalars: Mapping[str, Any]
    path: str


def read_json(source: Source, hints: Hints) -> Iterator[Recording | RecordingError]:
    """Each ECG of the document, or why it is refused; raises RecordingError when there is none."""
    if len(source.content) > MAX_TEXT_BYTES:
        raise RecordingError(f"{len(source.content)} bytes of JSON, want at most {MAX_TEXT_BYTES}")
    try:
        document = msgspec.json.decode(source.content.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordingError(f"no JSON: {error}") from None
    if hints.column is not None and not hints.column.isdigit():
        document, hints = _asked_for(document, hints)
    places = list(_places(document, {}, "", 0))
    if not places:
        raise RecordingError(f"no list of at least {LEAST} numbers in it")
    for number, place in enumerate(places[:MAX_TABLES], 1):
        name = source.name if len(places) == 1 else f"{source.name}, {place.path or number}"
        try:
            draft = draft_of(place.columns, _told(place.scalars), Format.JSON, hints)
            yield finish(draft, hints, name)
        except (RecordingError, WireError) as error:
            yield RecordingError(f"{place.path}: {error}" if place.path else str(error))


def _asked_for(document: Any, hints: Hints) -> tuple[Any, Hints]:
    """The document with nothing but the list that was named, and the scalars around it."""
    path = hints.column or ""
    parent, _, last = path.rpartition(".")
    try:
        around = look_up(document, parent) if parent else document
        wanted = look_up(document, path)
    except WireError as error:
        raise RecordingError(str(error)) from None
    scalars = {**_scalars(document), **_scalars(around)}
    without = Hints(hints.format, hints.lead, hints.fs, hints.unit, None, hints.zone)
    return {**scalars, last: wanted}, without


def _places(node: Any, above: Mapping[str, Any], path: str, depth: int) -> Iterator[_Place]:
    if depth > MAX_DEPTH:
        return
    match node:
        case dict():
            scalars = {**above, **_scalars(node)}
            lists = {key: value for key, value in node.items() if _is_signal(value)}
            yield from _tables(lists, scalars, path)
            for key, value in node.items():
                if key not in lists and isinstance(value, dict | list):
                    yield from _places(value, scalars, f"{path}.{key}".lstrip("."), depth + 1)
        case list() if _is_signal(node):
            yield from _tables({"values": node}, above, path)
        case list():
            for number, value in enumerate(node[:MAX_TABLES]):
                if isinstance(value, dict | list):
                    yield from _places(value, above, f"{path}.{number}".lstrip("."), depth + 1)


def _tables(lists: Mapping[str, list[Any]], scalars: Mapping[str, Any], path: str) -> Iterator[_Place]:
    """Lists of equal lengths are columns of one table; a list of records is a table of its own."""
    by_length: dict[int, list[Column]] = {}
    for key, values in lists.items():
        if isinstance(values[0], dict):
            columns = _columns_of_records(values)
            if columns:
                yield _Place(columns, scalars, f"{path}.{key}".lstrip("."))
        else:
            by_length.setdefault(len(values), []).append(_column(key, values))
    for columns in by_length.values():
        yield _Place(columns, scalars, path)


def _is_signal(value: Any) -> bool:
    if not isinstance(value, list) or len(value) < LEAST:
        return False
    kinds = set(map(type, value))
    return (kinds <= {int, float, type(None)} and kinds != {type(None)}) or kinds == {dict}


def _column(name: str, values: Sequence[Any]) -> Column:
    try:
        return Column(name, np.array(values, np.float64))
    except OverflowError:
        raise RecordingError(f"{name[:40]!r} holds an integer beyond any voltage") from None


def _columns_of_records(records: Sequence[Mapping[str, Any]]) -> list[Column]:
    """A column for each key of the first record that is a number, or a date, in all."""
    columns = []
    for key in list(records[0])[:64]:
        cells = [record.get(key) for record in records]
        kinds = set(map(type, cells))
        if kinds <= {int, float, type(None)} and kinds != {type(None)}:
            columns.append(_column(key, cells))
        elif kinds == {str} and (dates := dates_column(key, [str(cell) for cell in cells])) is not None:
            columns.append(dates)
    return columns


def _scalars(node: Any) -> dict[str, Any]:
    """Numbers and texts of a table, by lower-case name without separators; those of an object within too."""
    found: dict[str, Any] = {}
    if isinstance(node, dict):
        for key, value in list(node.items())[:200]:
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                found[_plain(key)] = value
            elif key in ("ecg", "heart_rate", "interval", "signal", "meta", "metadata") and isinstance(
                value, dict
            ):
                found = {**_scalars(value), **found}
    return found


def _plain(key: str) -> str:
    return "".join(c for c in key.lower() if c.isalnum())


def _told(scalars: Mapping[str, Any]) -> Told:
    unit = _first(scalars, _UNITS, str)
    factor = scalars.get("millivoltsscalingfactor")
    if isinstance(factor, int | float) and factor > 0:  # Google: mV are the samples divided by it
        unit = f"{1 / factor:.12f} mV"
    elif "signalid" in scalars and unit is None:  # Withings
        unit = "uV"
    verdict = _first(scalars, _VERDICTS, str)
    if verdict is None and "signalid" in scalars:
        verdict = _WITHINGS_AFIB.get(scalars.get("afib", -1))
    return Told(
        fs=_first(scalars, _RATES, float),
        unit=unit if unit is not None and (factor or is_unit(unit)) else None,
        lead=named_lead(_first(scalars, _LEADS, str) or ""),
        start=_start(scalars),
        device=_first(scalars, _DEVICES, str),
        vendor_verdict=verdict,
        vendor_rate_bpm=_first(scalars, _HEART_RATES, float),
    )


def _first(scalars: Mapping[str, Any], names: Sequence[str], kind: type) -> Any:
    for name in names:
        value = scalars.get(name)
        if isinstance(value, str) and kind is str:
            return value
        if kind is float and isinstance(value, int | float) and abs(value) < 1e300:
            return float(value)
    return None


def _start(scalars: Mapping[str, Any]) -> Any:
    for name in _STARTS:
        value = scalars.get(name)
        if isinstance(value, str) and (at := moment(value)) is not None:
            return at
        if isinstance(value, int | float) and abs(value) < 1e300 and (at := since_1970(value)) is not None:
            return at
    return None
