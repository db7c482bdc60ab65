from ingest.batch import (
    FULL_MESSAGES,
    HELD_BYTES,
    HELD_MESSAGES,
    RETRY_MAX_S,
    Batch,
    CommitSchedule,
    has_room,
)
from ingest.store.rows import Refused


def test_nothing_waiting_is_never_due() -> None:
    schedule = CommitSchedule(0.1)
    assert not schedule.is_due(1e9, FULL_MESSAGES)
    assert schedule.wait_s(5.0, 0.2) == 0.2


def test_a_commit_is_due_no_later_than_its_interval_after_the_first_message() -> None:
    schedule = CommitSchedule(0.1)
    schedule.note_waiting(10.0)
    schedule.note_waiting(10.09)  # later messages do not postpone it
    assert not schedule.is_due(10.09, 5)
    assert schedule.wait_s(10.06, 0.2) <= 0.041
    assert schedule.is_due(10.1, 5)
    schedule.began()
    schedule.succeeded()
    assert not schedule.is_due(11.0, 0)


def test_between_two_commits_the_store_is_left_to_others_for_an_interval() -> None:
    schedule = CommitSchedule(0.1)
    schedule.note_waiting(10.0)
    schedule.began()
    schedule.note_waiting(10.2)  # while it is written
    assert not schedule.is_due(12.0, 5)
    schedule.succeeded()
    schedule.note_waiting(12.0)
    assert not schedule.is_due(12.09, 5)
    assert schedule.is_due(12.1, 5)


def test_a_full_batch_is_due_at_once_but_not_while_the_store_fails() -> None:
    schedule = CommitSchedule(0.1)
    schedule.note_waiting(10.0)
    assert schedule.is_due(10.0, FULL_MESSAGES)
    schedule.failed(10.0)
    schedule.note_waiting(10.1)
    assert not schedule.is_due(10.1, FULL_MESSAGES)


def test_back_off_doubles_to_its_limit_and_ends_with_a_good_commit() -> None:
    schedule, now_s, waits = CommitSchedule(0.1), 0.0, []
    schedule.note_waiting(now_s)
    for _ in range(8):
        schedule.failed(now_s)
        waits.append(schedule.wait_s(now_s, 100.0))
        now_s += waits[-1]
        assert schedule.is_failing
        assert schedule.is_due(now_s, 1)
    assert waits == sorted(waits)
    assert waits[:3] == [0.5, 1.0, 2.0]
    assert waits[-1] == RETRY_MAX_S
    schedule.succeeded()
    assert not schedule.is_failing
    schedule.failed(now_s)
    assert schedule.wait_s(now_s, 100.0) == 0.5


def test_what_is_held_is_bounded_in_number_and_bytes() -> None:
    assert has_room(HELD_MESSAGES - 1, HELD_BYTES - 1)
    assert not has_room(HELD_MESSAGES, 0)
    assert not has_room(0, HELD_BYTES)


def refused(k: int) -> Refused:
    return Refused("a/b", k, "why", b"x")


def test_what_could_not_be_written_comes_before_what_came_since() -> None:
    older, newer = Batch(refused=[refused(0), refused(1)], n_bytes=2), Batch(refused=[refused(2)], n_bytes=1)
    newer.put_back(older)
    assert [each.received_us for each in newer.refused] == [0, 1, 2]
    assert newer.n_bytes == 3
    assert not newer.is_empty
