"""What people write at a moment or a span of a recording: asked over MQTT, kept in the store, told again.

A request that was done already is told again and changes nothing, so that a repetition does no harm. What was
removed stays removed, and stays in the store.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, func, insert, or_, select

from inference.alarms.credible import check_moment, check_patient
from inference.alarms.person import Who, name_of, printable
from ingest.store.insertion import insert_replacing
from ingest.store.schema import alarm_setting_table, annotation_table
from ingest.topics import ID_PATTERN

MAX_TEXT = 500  # characters
MAX_SPAN_US = 7 * 86_400_000_000
MAX_ANNOTATIONS = 5000  # of one device, the removed ones included: a day is read at one glance
MAX_IN_ALL = 1_000_000  # of all: devices are names that anybody may invent


class AnnotationError(ValueError):
    """An annotation that cannot be; the message says what was wanted."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """Words of a person at a moment, or from one to another; all times are Unix microseconds."""

    device: str  # "site/device"
    id: str  # chosen by whoever wrote it; unique within the device
    from_us: int  # our clock, as alarms and vitals
    to_us: int | None  # None: a moment
    text: str
    who: str  # wrote or changed it last
    written_us: int
    removed_us: int | None = None
    removed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Annotate:
    """A person writes, changes or removes an annotation; `annotation` None removes."""

    device: str
    id: str
    annotation: Annotation | None
    who: str
    at_us: int


class _Request(Who, frozen=True, forbid_unknown_fields=True):
    id: str
    from_us: int | None = None
    to_us: int | None = None
    text: str | None = None
    remove: bool = False


_decoder = msgspec.json.Decoder(_Request)


def decode_annotate(device: str, payload: bytes, at_us: int) -> Annotate:
    """A request as it came; raises ValueError (msgspec's included) in words for whoever asked."""
    check_patient(device)
    request = _decoder.decode(payload)
    who = name_of(request.who)
    if not ID_PATTERN.fullmatch(request.id):
        raise AnnotationError(f"id is {request.id[:80]!r}, want 1 to 64 of [A-Za-z0-9_-]")
    if request.remove:
        return Annotate(device, request.id, None, who, at_us)
    if request.from_us is None:
        raise AnnotationError("an annotation needs from_us, Unix microseconds, or remove")
    check_moment("from_us", request.from_us)
    if request.to_us is not None and not 0 < request.to_us - request.from_us <= MAX_SPAN_US:
        raise AnnotationError(
            f"to_us is {request.to_us}, want more than from_us, by at most {MAX_SPAN_US} (7 days), or null"
        )
    text = printable(" ".join((request.text or "").split()), MAX_TEXT + 1)
    if not 1 <= len(text) <= MAX_TEXT:
        raise AnnotationError(f"text has {len(request.text or '')} characters, want 1 to {MAX_TEXT}")
    annotation = Annotation(device, request.id, request.from_us, request.to_us, text, who, at_us)
    return Annotate(device, request.id, annotation, who, at_us)


def applied(known: Annotation | None, asked: Annotate) -> Annotation:
    """What an annotation becomes by a request; the same object where nothing changes.

    Raises AnnotationError where it cannot be done.
    """
    wanted = asked.annotation
    if wanted is None:
        if known is None:
            raise AnnotationError(f"there is no annotation {asked.id} of {asked.device} to remove")
        if known.removed_us is not None:
            return known
        return replace(known, removed_us=asked.at_us, removed_by=asked.who)
    if known is None:
        return wanted
    if (known.from_us, known.to_us, known.text, known.who) == (
        wanted.from_us, wanted.to_us, wanted.text, wanted.who,
    ):  # fmt: skip
        return known  # also where it was removed since: a repetition brings nothing back
    if known.removed_us is not None:
        raise AnnotationError(f"annotation {asked.id} was removed by {known.removed_by}: write a new one")
    return wanted


def save_annotations(engine: Engine, asked: Sequence[Annotate]) -> list[Annotation | AnnotationError]:
    """Do what was asked, in order and in one transaction; what each became, or why it was refused.

    Raises sqlalchemy.exc.SQLAlchemyError when the store does not take it: then nothing was done.
    """
    with engine.begin() as connection:
        room = _Room(connection)
        return [_save(connection, room, each) for each in asked]


def annotations_between(
    engine: Engine, device: str, from_us: int, to_us: int, limit: int
) -> list[Annotation]:
    """Those of a device that touch from_us <= t < to_us and were not removed, newest first."""
    table = annotation_table.c
    end_us = func.coalesce(table.to_us, table.from_us)
    query = (
        select(annotation_table)
        .where(table.device == device, table.from_us < to_us, or_(end_us > from_us, table.from_us == from_us))
        .where(table.removed_us.is_(None))
        .order_by(table.from_us.desc(), table.id)
        .limit(limit)
    )
    with engine.connect() as connection:
        return [_as_annotation(row) for row in connection.execute(query)]


class _Room:
    """How many there are, counted once in a transaction: alarms wait for it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._counts: dict[str | None, int] = {}  # of a device; None: of all

    def take(self, device: str) -> None:
        """One more of the device; raises AnnotationError where there is no room for it."""
        if self._count(device) >= MAX_ANNOTATIONS:
            raise AnnotationError(f"{device} has {MAX_ANNOTATIONS} annotations, as many as are kept")
        if self._count(None) >= MAX_IN_ALL:
            raise AnnotationError(f"there are {MAX_IN_ALL} annotations, as many as are kept")
        self._counts[device] += 1
        self._counts[None] += 1

    def _count(self, device: str | None) -> int:
        if device not in self._counts:
            query = select(func.count()).select_from(annotation_table)
            query = query if device is None else query.where(annotation_table.c.device == device)
            self._counts[device] = self._connection.scalar(query) or 0
        return self._counts[device]


def _save(connection: Connection, room: _Room, asked: Annotate) -> Annotation | AnnotationError:
    table = annotation_table.c
    row = connection.execute(
        select(annotation_table).where(table.device == asked.device, table.id == asked.id)
    ).one_or_none()
    known = None if row is None else _as_annotation(row)
    try:
        annotation = applied(known, asked)
        if known is None:
            room.take(asked.device)
    except AnnotationError as error:
        return error
    if annotation is not known:
        connection.execute(insert_replacing(connection.dialect.name, annotation_table), asdict(annotation))
        connection.execute(insert(alarm_setting_table), _log_row(asked, known))
    return annotation


def _log_row(asked: Annotate, known: Annotation | None) -> dict[str, Any]:
    """The line in the log of what people set: the annotation before and after."""

    def said(annotation: Annotation | None) -> str | None:
        return None if annotation is None else msgspec.json.encode(annotation).decode()

    return {
        "at_us": asked.at_us, "who": asked.who, "what": "annotation", "scope": asked.device,
        "before": said(known), "after": said(asked.annotation),
    }  # fmt: skip


def _as_annotation(row: Any) -> Annotation:
    return Annotation(*(getattr(row, name) for name in Annotation.__slots__))
