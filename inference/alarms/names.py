"""What people call sites and patients; who was given no name keeps the one its device says of itself.

A scope is "site/device" (one patient) or "site". Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from inference.alarms.person import printable

MAX_NAME = 64  # characters, as a panel can show and the log can store
MAX_SCOPES = 10_000  # as many as there can be devices; a stranger must not fill the memory


class NamesError(ValueError):
    """A name that cannot be given; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class SetName:
    """A person names a scope; None takes the name away."""

    scope: str
    name: str | None
    who: str
    at_us: int


@dataclass(frozen=True, slots=True)
class NameEntry:
    """What a scope is called, by whom and since when; published as it is."""

    name: str
    who: str
    at_us: int


def readable_name(name: str) -> str:
    """The name as it is shown; raises NamesError where it is empty or too long.

    Nothing is cut off: half a name may be another patient's.
    """
    shown = printable(name, MAX_NAME + 1)
    if not shown:
        raise NamesError("a name needs a letter that can be seen; reset takes a name away")
    if len(shown) > MAX_NAME:
        raise NamesError(f"the name is longer than {MAX_NAME} characters: shorten it")
    return shown


class NamesBook:
    """Everybody's name, by scope."""

    def __init__(self, entries: Mapping[str, NameEntry] | None = None) -> None:
        self.entries = dict(entries or {})

    def set(self, change: SetName) -> None:
        """Take a change; raises NamesError, and changes nothing, when there are too many names."""
        if change.name is None:
            self.entries.pop(change.scope, None)
            return
        if change.scope not in self.entries and len(self.entries) >= MAX_SCOPES:
            raise NamesError(f"{MAX_SCOPES} names are kept, want no more: take some away that nobody uses")
        self.entries[change.scope] = NameEntry(change.name, change.who, change.at_us)
