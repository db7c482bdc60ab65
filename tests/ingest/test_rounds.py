from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ingest.rounds import Rounds

NAMES = [f"a/{k}" for k in range(40)]


@given(at_once=st.integers(1, 50), sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_each_device_has_one_turn_a_round_however_many_there_are(at_once: int, sizes: list[int]) -> None:
    rounds = Rounds(1.0, at_once)
    for second, size in enumerate(sizes):
        everybody = NAMES[:size]
        assert rounds.begins(float(second), lambda everybody=everybody: everybody)  # type: ignore[misc]
        told: Counter[str] = Counter()
        while share := rounds.share(float(second)):
            assert len(share) <= at_once
            told.update(share)
        assert told == Counter(everybody)
        assert not rounds.is_going_on


@given(
    at_once=st.integers(1, 50),
    size=st.integers(1, 40),
    turns_s=st.lists(st.floats(0.001, 3.0), min_size=41, max_size=41),
)
def test_however_long_turns_are_everybody_is_told_by_the_first_after_a_second(
    at_once: int, size: int, turns_s: list[float]
) -> None:
    rounds, now_s, told = Rounds(1.0, at_once), 0.0, list[str]()
    assert rounds.begins(now_s, lambda: NAMES[:size])
    for turn_s in turns_s:
        told += rounds.share(now_s)
        if now_s >= 1.0:
            break
        now_s += turn_s
    assert told == NAMES[:size]


def test_a_round_begins_once_a_second_and_never_before_the_last_is_over() -> None:
    rounds = Rounds(1.0, 2)
    assert rounds.begins(10.0, lambda: "abcdefg")
    assert rounds.share(10.0) == ["a", "b"]
    assert rounds.share(10.9) == ["c", "d"]
    assert not rounds.begins(11.5, lambda: "xyz")  # it lasts longer than a second
    assert rounds.share(11.5) == ["e", "f", "g"]
    assert rounds.begins(11.6, lambda: "xyz")
    assert [*rounds.share(11.6), *rounds.share(11.6)] == ["x", "y", "z"]
    assert not rounds.begins(12.5, lambda: "abc")
    assert rounds.share(12.5) == []
    assert rounds.begins(12.6, lambda: "abc")


def test_who_came_since_a_round_began_is_told_in_the_next() -> None:
    everybody = ["a"]
    rounds = Rounds(1.0, 8)
    assert rounds.begins(0.0, lambda: everybody)
    everybody.append("b")
    assert rounds.share(0.0) == ["a"]
    assert rounds.begins(1.0, lambda: everybody)
    assert rounds.share(1.0) == ["a", "b"]
