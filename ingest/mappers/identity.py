"""A stranger's name for a device -> an id that topics, store and pages can carry, and back.

A name of `[A-Za-z0-9_-]{1,64}` stays as it is. Any other becomes `x--` and the name in UTF-8 with each byte
outside `[A-Za-z0-9-]` as `_` and two hex digits, so that two names never share an id. A name that begins with
`x--` is written so too. What is then longer than 64 is refused: cutting it could join two devices.
"""

import re

from ingest.encoding import WireError
from ingest.topics import ID_PATTERN

_ESCAPED = "x--"
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-")


def id_of(name: str) -> str:
    """The id for a name; raises WireError when it is empty or too long to be written as one."""
    if ID_PATTERN.fullmatch(name) and not name.startswith(_ESCAPED):
        return name
    raw = name.encode("utf-8", "surrogatepass")
    text = _ESCAPED + "".join(chr(byte) if byte in _PLAIN else f"_{byte:02x}" for byte in raw[:65])
    if not raw or not ID_PATTERN.fullmatch(text):
        raise WireError(
            f"device or site {name[:80]!r} makes an id of {len(text)} characters, want 1 to 64 "
            "of A-Z a-z 0-9 _ -, or a shorter one with other characters"
        )
    return text


def name_of(device_id: str) -> str:
    """The name that `id_of` made an id from."""
    if not device_id.startswith(_ESCAPED):
        return device_id
    raw = re.sub(
        rb"_([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), device_id[len(_ESCAPED) :].encode()
    )
    return raw.decode("utf-8", "surrogatepass")
