"""Requests for annotations on their way to the store: together in one transaction, then told or refused."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from inference.alarms.annotations import Annotate, Annotation, AnnotationError, save_annotations
from inference.alarms.board import AlarmLink
from inference.alarms.journal import Journal
from ingest.link import Message
from ingest.topics import annotation_topic

NOT_NOW = "the store does not take it now: ask again"
MAX_A_TURN = 16  # 2-3 ms each, for which alarms wait
TOO_MANY = f"more than {MAX_A_TURN} came at once, and alarms go first: ask again"


@dataclass(frozen=True, slots=True)
class _Asked:
    request: Annotate
    message: Message  # that asked for it


class AnnotationDesk:
    """`refuse` tells who asked why it was not done."""

    def __init__(self, journal: Journal, link: AlarmLink, refuse: Callable[[Message, str], None]) -> None:
        self._journal = journal
        self._link = link
        self._refuse = refuse
        self._asked: list[_Asked] = []

    def ask(self, request: Annotate, message: Message) -> None:
        """Take a request, to be done by the next `write`; of a flood only the first ones."""
        if len(self._asked) >= MAX_A_TURN:
            self._refuse(message, TOO_MANY)
        else:
            self._asked.append(_Asked(request, message))

    def write(self) -> None:
        """Do what was asked; without a store that works nothing is kept for later, and all is refused."""
        asked, self._asked = self._asked, []
        if not asked:
            return
        for each, outcome in zip(asked, self._saved(asked), strict=True):
            if isinstance(outcome, Annotation):
                payload = msgspec.json.encode(outcome)
                self._link.publish(annotation_topic(outcome.device), payload, retain=False)
            else:
                self._refuse(each.message, str(outcome))

    def _saved(self, asked: Sequence[_Asked]) -> Sequence[Annotation | AnnotationError]:
        engine = self._journal.engine
        if engine is not None and self._journal.is_well:
            try:
                return save_annotations(engine, [each.request for each in asked])
            except SQLAlchemyError:
                pass  # the journal meets the same trouble, and tells of it
        return [AnnotationError(NOT_NOW) for _ in asked]
