"""Who asks for something: the name of a person in a message -> what can be shown and stored."""

import msgspec

MAX_WHO = 64  # characters, as stored


class Who(msgspec.Struct, frozen=True):
    """Every request's first field; further fields are not an error."""

    who: str


_who_decoder = msgspec.json.Decoder(Who)


def decode_who(payload: bytes) -> str:
    """Who asks; raises ValueError (msgspec's included) when the JSON names nobody."""
    return name_of(_who_decoder.decode(payload).who)


def name_of(who: str) -> str:
    """The name as it is shown and stored; raises ValueError when nothing of it can be."""
    name = printable(who, MAX_WHO)
    if not name:
        raise ValueError("a request needs a name in who")
    return name


def printable(text: str, most: int) -> str:
    """What can be shown and stored, `most` characters of it: a zero character would block a store."""
    return "".join(each for each in text if each.isprintable()).strip()[:most]
