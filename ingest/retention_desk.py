"""Requests for how long things are kept -> stored, in force and published, or refused in words.

Counting what would be lost, and storing a change, wait behind the commits on their thread.
"""

import logging
from concurrent.futures import Future
from functools import partial
from typing import Protocol

import msgspec

from ingest.committer import Committer
from ingest.keeping import (
    Change,
    Keeping,
    KeepingError,
    KeepingSet,
    Loss,
    NeedsLoss,
    decode_request,
    from_log,
    in_words,
)
from ingest.link import Message
from ingest.store.archive import Archive, StoreError
from ingest.store.set_by_people import SetLine
from ingest.topics import RETENTION, RETENTION_IN_FORCE, refusal_topic

WHAT = "retention"  # in the log
MAX_ECHO = 500  # bytes of a refused request that are said back

logger = logging.getLogger(__name__)


class _Link(Protocol):
    @property
    def is_connected(self) -> bool:
        """True while the broker is there."""

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Send, at least once."""


class RetentionDesk:
    """Joins what people ask, the store and what is in force. One request at a time."""

    def __init__(self, keeping: Keeping, committer: Committer, link: _Link) -> None:
        self._keeping = keeping
        self._committer = committer
        self._link = link
        self._under_way: tuple[Message, Change | NeedsLoss, Future[Loss | None]] | None = None
        self._shown: bytes | None = None

    def take(self, message: Message) -> None:
        """One message on the topic of requests."""
        try:
            if message.retained:
                raise KeepingError("it was retained: nobody knows how old it is")
            if self._under_way is not None:
                raise KeepingError("another change is being looked at: ask again")
            found = self._keeping.push(decode_request(message.payload), message.received_us)
        except (ValueError, RecursionError) as error:
            self._refuse(message, str(error))
            return
        question = partial(_store, found) if isinstance(found, Change) else partial(_count, found)
        self._under_way = (message, found, self._committer.ask(question))

    def turn(self, now_us: int) -> None:
        """Conclude what the store has answered; say what is in force where that changed."""
        if self._under_way is not None and self._under_way[2].done():
            self._conclude(*self._under_way, now_us)
            self._under_way = None
        if not self._link.is_connected:
            self._shown = None  # a broker that was killed may have forgotten it
            return
        payload = msgspec.json.encode(self._keeping.in_force(now_us))
        if payload != self._shown:
            self._shown = payload
            self._link.publish(RETENTION_IN_FORCE, payload, retain=True)

    def _conclude(
        self, message: Message, found: Change | NeedsLoss, answer: Future[Loss | None], now_us: int
    ) -> None:
        try:
            loss = answer.result()
        except StoreError as error:
            self._refuse(message, f"{error}; nothing was changed")
            return
        if isinstance(found, NeedsLoss):
            if loss is not None:
                self._keeping.stand_as_asked(found, loss, now_us)
            return
        self._keeping.take(found)
        days = self._keeping.keep_days
        self._committer.retention.keep(days, hold_s=self._keeping.held_s(found.at_us))
        logger.warning("%s set that what comes is kept %s", found.who, in_words(days))

    def _refuse(self, message: Message, reason: str) -> None:
        logger.warning("refused a message on %s: %s", message.topic, reason)
        if not message.retained:
            request = message.payload[:MAX_ECHO].decode(errors="replace")
            refusal = {"reason": reason, "request": request, "at_us": message.received_us}
            self._link.publish(refusal_topic(RETENTION), msgspec.json.encode(refusal), retain=False)


def keeping_of(archive: Archive, default_days: float | None) -> Keeping:
    """What was set before this start, else the default; raises StoreError.

    What is there and cannot be read keeps everything until somebody sets it anew: nothing may be deleted that
    nobody wanted to lose.
    """
    line = archive.newest_set(WHAT)
    if line is None:
        return Keeping(default_days)
    try:
        return Keeping(default_days, from_log(line.after, line.who, line.at_us))
    except (ValueError, KeyError) as error:
        logger.warning(
            "how long things are kept cannot be read (%s): nothing is deleted until it is set", error
        )
        return Keeping(default_days, KeepingSet(None, line.who, line.at_us))


def _store(change: Change, archive: Archive) -> None:
    archive.write_set(SetLine(change.at_us, change.who, WHAT, change.before, change.after))


def _count(needs: NeedsLoss, archive: Archive) -> Loss:
    return Loss(needs.before_us, *archive.windows_before(needs.before_us))
