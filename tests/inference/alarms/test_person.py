"""The name of a person, as every request carries it."""

import pytest

from inference.alarms.person import MAX_WHO, decode_who


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (b'{"who":" Ada\\u0000 \\n"}', "Ada"),
        (b'{"who":"Ada","on":true}', "Ada"),
        (b'{"who":"' + b"a" * 100 + b'"}', "a" * MAX_WHO),
    ],
)
def test_a_name_holds_what_can_be_shown_and_stored(payload: bytes, name: str) -> None:
    assert decode_who(payload) == name


@pytest.mark.parametrize("payload", [b"", b"5", b"{}", b'{"who":5}', b'{"who":" \\u0000 "}'])
def test_who_names_nobody_asks_for_nothing(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"name in who|who|Expected|truncated"):
        decode_who(payload)
