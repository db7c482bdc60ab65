"""How long things are kept: nothing is deleted that nobody confirmed, and a refusal changes nothing."""

import math
import random
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingest.committer import Committer
from ingest.keeping import (
    CONFIRM_WITHIN_US,
    DAY_US,
    GRACE_S,
    Change,
    Keeping,
    KeepingError,
    KeepingInForce,
    Loss,
    NeedsLoss,
    Request,
    decode_request,
    from_log,
)
from ingest.link import Message
from ingest.retention_desk import WHAT, RetentionDesk, keeping_of
from ingest.store.archive import Archive
from ingest.store.retention import STEADY_S, Retention
from ingest.store.set_by_people import SetLine
from ingest.topics import RETENTION, RETENTION_IN_FORCE, refusal_topic

AT = 1_790_000_000_000_000
NOTHING = Loss(0, None, 0, 0)


def length_of(days: float | None) -> float:
    return math.inf if days is None else days


def confirmed(keeping: Keeping, request: Request, at_us: int = AT) -> Change:
    """The change that a person comes to who asks, sees what is lost, and confirms."""
    needs = keeping.push(request, at_us)
    assert isinstance(needs, NeedsLoss)
    keeping.stand_as_asked(needs, NOTHING, at_us)
    again = msgspec.structs.replace(request, confirm=at_us)
    change = keeping.push(again, at_us + 1)
    assert isinstance(change, Change)
    return change


def test_a_longer_time_is_taken_at_once_and_a_shorter_one_waits_for_who_has_seen_what_it_deletes() -> None:
    keeping = Keeping(30.0)
    longer = keeping.push(Request("Ada", keep_days=90.0), AT)
    assert isinstance(longer, Change)
    keeping.take(longer)
    assert (keeping.keep_days, keeping.in_force(AT).deletes_from_us) == (90.0, None)
    needs = keeping.push(Request("Bob", keep_days=7.0), AT)
    assert needs == NeedsLoss(7.0, is_default=False, who="Bob", before_us=AT - 7 * DAY_US)
    assert keeping.keep_days == 90.0
    change = confirmed(keeping, Request("Bob", keep_days=7.0))
    assert keeping.keep_days == 90.0  # until it is stored
    keeping.take(change)
    assert (change.before, change.after) == ('{"keep_days":90.0}', '{"keep_days":7.0}')
    said = keeping.in_force(AT + 2)
    assert (said.keep_days, said.is_default, said.who, said.asked) == (7.0, False, "Bob", None)
    assert said.deletes_from_us == AT + 1 + round(GRACE_S * 1e6)
    for_ever = keeping.push(Request("Ada", keep_days=None), AT)
    assert isinstance(for_ever, Change)


def test_what_may_still_be_undone_is_safe_whatever_is_set_in_between() -> None:
    keeping = Keeping(30.0)
    keeping.take(confirmed(keeping, Request("Bob", keep_days=7.0)))
    held_until_us = AT + 1 + round(GRACE_S * 1e6)
    for minute, days in ((1, 8.0), (2, 29.0)):  # longer than 7, and both delete of the 30
        longer = keeping.push(Request("Ada", keep_days=days), AT + minute * 60_000_000)
        assert isinstance(longer, Change)
        keeping.take(longer)
        assert keeping.in_force(AT + minute * 60_000_000).deletes_from_us == held_until_us
        assert keeping.held_s(longer.at_us) == pytest.approx(GRACE_S - 60 * minute)
    undone = keeping.push(Request("Ada", reset=True), AT + 180_000_000)
    assert isinstance(undone, Change)
    keeping.take(undone)
    assert (keeping.held_s(undone.at_us), keeping.in_force(undone.at_us).deletes_from_us) == (0.0, None)
    keeping.take(confirmed(keeping, Request("Bob", keep_days=7.0), held_until_us))
    late = keeping.push(Request("Ada", keep_days=8.0), held_until_us + round(2 * GRACE_S * 1e6))
    assert isinstance(late, Change)  # the deleting has begun
    keeping.take(late)
    assert keeping.held_s(late.at_us) == 0.0


def test_a_confirmation_is_of_what_was_shown_and_has_an_end() -> None:
    keeping = Keeping(30.0)
    needs = keeping.push(Request("Ada", keep_days=7.0), AT)
    assert isinstance(needs, NeedsLoss)
    keeping.stand_as_asked(needs, NOTHING, AT)
    for request, at_us in (
        (Request("Ada", keep_days=6.0, confirm=AT), AT),
        (Request("Ada", keep_days=7.0, confirm=AT + 1), AT),
        (Request("Ada", keep_days=7.0, confirm=AT), AT + CONFIRM_WITHIN_US + 1),
        (Request("Ada", keep_days=7.0, confirm=AT), AT - 1),  # the clock was set back
    ):
        with pytest.raises(KeepingError, match="asked no more"):
            keeping.push(request, at_us)
    assert keeping.keep_days == 30.0


@pytest.mark.parametrize("default", [None, 0.1, 30.0, 400.0])
@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_asked_in_whatever_order_less_is_kept_only_after_a_confirmation(
    default: float | None, seed: int
) -> None:
    rng, keeping = random.Random(seed), Keeping(default)
    for step in range(200):
        days = rng.choice([None, 0.1, 7.0, 30.0, 400.0])
        is_reset = rng.random() < 0.2
        confirm = rng.choice([None, None, AT + rng.randrange(step + 1)])
        request = (
            Request("Ada", reset=True, confirm=confirm)
            if is_reset
            else Request("Ada", keep_days=days, confirm=confirm)
        )
        before, asked = keeping.keep_days, keeping.in_force(AT + step).asked
        try:
            found = keeping.push(request, AT + step)
        except KeepingError:
            assert keeping.keep_days == before
            continue
        if isinstance(found, NeedsLoss):
            assert keeping.keep_days == before
            keeping.stand_as_asked(found, NOTHING, AT + step)
            continue
        keeping.take(found)
        is_less = length_of(keeping.keep_days) < length_of(before)
        assert not is_less or (asked is not None and confirm == asked.at_us)
        assert from_log(found.after, found.who, found.at_us) == found.new


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"who":"Ada","keep_days":0}', "want 0.1 to 36500"),
        (b'{"who":"Ada","keep_days":-7}', "want 0.1 to 36500"),
        (b'{"who":"Ada","keep_days":1e9}', "want 0.1 to 36500"),
        (b'{"who":"Ada"}', "want keep_days"),
        (b'{"who":"Ada","keep_days":7,"reset":true}', "want keep_days"),
        (b'{"who":"Ada","keep_days":"7"}', "Expected `float | null`"),
        (b'{"who":"Ada","keep_days":true}', "Expected `float | null`"),
        (b'{"who":" ","keep_days":7}', "needs a name"),
        (b'{"who":"Ada","keep_dais":7}', "unknown field"),
        (b"[" * 9000, "recursion|depth|Expected"),
        (b"", "truncated"),
        (b"\xff\xfe", "malformed"),
    ],
)
def test_a_hostile_or_damaged_request_is_refused_in_words(payload: bytes, reason: str) -> None:
    with pytest.raises((ValueError, RecursionError), match=reason):
        decode_request(payload)


class StandInLink:
    def __init__(self) -> None:
        self.is_connected = True
        self.retained: dict[str, bytes] = {}
        self.said: list[tuple[str, bytes]] = []

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if retain:
            self.retained[topic] = payload
        else:
            self.said.append((topic, payload))

    def in_force(self) -> KeepingInForce:
        return msgspec.json.decode(self.retained[RETENTION_IN_FORCE], type=KeepingInForce)


class Desk:
    """A desk on a real store, whose thread is waited for."""

    def __init__(self, folder: Path, default_days: float | None = 30.0) -> None:
        self.archive = Archive.open(f"sqlite:///{folder / 'store.sqlite'}")
        keeping = keeping_of(self.archive, default_days)
        self.committer = Committer(self.archive, keeping.keep_days)
        self.link = StandInLink()
        self.desk = RetentionDesk(keeping, self.committer, self.link)
        self.desk.turn(AT)

    def ask(self, at_us: int = AT, *, retained: bool = False, **request: Any) -> None:
        payload = msgspec.json.encode({"who": "Ada"} | request)
        self.desk.take(Message(RETENTION, payload, at_us, retained, _mid=1, _qos=1, _connection=1))
        done: Future[None] = self.committer.ask(lambda _: None)
        done.result(timeout=10)
        self.desk.turn(at_us)


def test_what_is_set_is_stored_logged_and_in_force_after_a_restart_whatever_the_option(
    tmp_path: Path,
) -> None:
    first = Desk(tmp_path)
    assert first.link.in_force().is_default
    first.ask(keep_days=7.0)
    asked = first.link.in_force().asked
    assert asked is not None
    assert asked.loses == Loss(AT - 7 * DAY_US, None, 0, 0)
    assert first.link.in_force().keep_days == 30.0
    first.ask(keep_days=7.0, confirm=asked.at_us)
    assert first.link.in_force().keep_days == 7.0
    first.committer.close()
    again = Desk(tmp_path, default_days=90.0)
    said = again.link.in_force()
    assert (said.keep_days, said.default_days, said.is_default, said.who) == (7.0, 90.0, False, "Ada")
    again.ask(reset=True)
    assert again.link.in_force().keep_days == 90.0
    newest = again.archive.newest_set(WHAT)
    assert newest is not None
    assert (newest.before, newest.after) == ('{"keep_days":7.0}', None)
    again.committer.close()


def test_a_request_that_was_retained_or_cannot_be_is_answered_and_changes_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    before = dict(desk.link.retained)
    desk.ask(keep_days=400.0, retained=True)
    assert desk.link.said == []
    desk.ask(keep_days=4.0, confirm=5)
    desk.ask(keep_days=-4.0)
    desk.ask(reset=True)
    assert [topic for topic, _ in desk.link.said] == [refusal_topic(RETENTION)] * 3
    assert b"kept for 30 days already" in desk.link.said[-1][1]
    assert desk.archive.newest_set(WHAT) is None
    assert desk.link.retained == before
    desk.committer.close()


def test_a_line_of_the_store_that_cannot_be_read_keeps_everything(tmp_path: Path) -> None:
    archive = Archive.open(f"sqlite:///{tmp_path / 'store.sqlite'}")
    for after in ("{", '{"keep_days":0.0}', '{"days":7}', '{"keep_days":"7"}'):
        archive.write_set(SetLine(AT, "Ada", WHAT, None, after))
        assert keeping_of(archive, 30.0).keep_days is None


def test_a_broker_that_forgot_is_told_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.link.retained.clear()
    desk.desk.turn(AT)
    assert desk.link.retained == {}
    desk.link.is_connected = False
    desk.desk.turn(AT)
    desk.link.is_connected = True
    desk.desk.turn(AT)
    assert desk.link.in_force().keep_days == 30.0
    desk.committer.close()


class Kept:
    """An archive that says what it was told to drop."""

    def __init__(self) -> None:
        self.dropped_before: list[int] = []

    def tidy(self) -> None:
        pass

    def drop_partitions(self, before_us: int) -> int:
        self.dropped_before.append(before_us)
        return 0

    def drop_windows(self, before_us: int, at_most: int) -> int:  # noqa: ARG002 - the archive's signature
        return 0


def test_nothing_is_dropped_in_the_time_in_which_a_shorter_one_can_be_undone() -> None:
    second = [0.0]
    archive = Kept()
    retention = Retention(archive, 30.0, lambda: second[0])
    retention.drop(AT)
    second[0] = STEADY_S + 1
    now_us = AT + round(second[0] * 1e6)
    retention.keep(7.0, hold_s=GRACE_S)
    retention.drop(now_us)
    assert archive.dropped_before == []
    second[0] += GRACE_S - 1
    retention.drop(AT + round(second[0] * 1e6))
    assert archive.dropped_before == []
    retention.keep(30.0)  # undone
    retention.drop(now_us := AT + round(second[0] * 1e6))
    assert archive.dropped_before == [now_us - 30 * DAY_US]
    retention.keep(None)
    retention.drop(now_us)
    assert len(archive.dropped_before) == 1
