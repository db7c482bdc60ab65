"""What people set, as its owners say it: names, limits of sites, how long things are kept; no I/O.

The dashboard decides none of it: the alarm service owns names and limits, ingest owns the keeping.
"""

from collections.abc import Mapping

import msgspec

from inference.alarms.limits import LimitsInForce
from inference.alarms.messages import Refusal
from inference.alarms.names import NameEntry
from inference.alarms.person import printable
from ingest import topics
from ingest.keeping import KeepingInForce

MAX_SCOPES = 2048  # names and sites kept: twice as many as patients; a stranger must not fill the memory
MAX_REFUSALS = 256  # of what was asked; the oldest makes room
MAX_NAME = 64

_name_decoder = msgspec.json.Decoder(NameEntry)
_limits_decoder = msgspec.json.Decoder(LimitsInForce)
_keeping_decoder = msgspec.json.Decoder(KeepingInForce)
_refusal_decoder = msgspec.json.Decoder(Refusal)


class InForce:
    """`push` raises what cannot be understood; nothing has changed then."""

    def __init__(self) -> None:
        self.keeping: KeepingInForce | None = None  # None: ingest has not said
        self._names: dict[str, NameEntry] = {}
        self._site_limits: dict[str, LimitsInForce] = {}
        self._refusals: dict[str, Refusal] = {}  # by what was asked: "name/ward/bed-1", "retention"

    @property
    def names(self) -> Mapping[str, NameEntry]:
        """What people call patients ("site/device") and sites."""
        return self._names

    @property
    def site_limits(self) -> Mapping[str, LimitsInForce]:
        """What counts at each site for who has no limits of its own."""
        return self._site_limits

    @property
    def refusals(self) -> Mapping[str, Refusal]:
        """Why the newest request of each kind and scope was not done."""
        return self._refusals

    def push(self, topic: str, payload: bytes) -> bool:
        """Take a message if it is about what people set; False when it is not."""
        what, _, rest = topic.removeprefix("wl/v1/").partition("/")
        match what:
            case "name_in_force":
                self._take_name(topics.scope_of_name(topic), payload)
            case "limits_in_force" if topics.ID_PATTERN.fullmatch(rest):
                self._take_limits(rest, payload)
            case "retention_in_force":
                self.keeping = _keeping_decoder.decode(payload) if payload else None
            case "refusal" if _is_of_settings(rest):
                self._take_refusal(rest, payload)
            case _:
                return False
        return True

    def name_of(self, scope: str) -> str | None:
        """The name that people gave to a patient or site; None where they gave none."""
        entry = self._names.get(scope)
        return None if entry is None else entry.name

    def _take_name(self, scope: str, payload: bytes) -> None:
        if not payload:
            self._names.pop(scope, None)
            return
        entry = _name_decoder.decode(payload)
        name = printable(entry.name, MAX_NAME)
        if not name:
            raise ValueError(f"the name of {scope} cannot be shown")
        _check_room(self._names, scope)
        self._names[scope] = NameEntry(name, printable(entry.who, MAX_NAME), entry.at_us)

    def _take_limits(self, site: str, payload: bytes) -> None:
        if not payload:
            self._site_limits.pop(site, None)
            return
        limits = _limits_decoder.decode(payload)
        _check_room(self._site_limits, site)
        self._site_limits[site] = limits

    def _take_refusal(self, asked: str, payload: bytes) -> None:
        refusal = _refusal_decoder.decode(payload)
        self._refusals.pop(asked, None)
        while len(self._refusals) >= MAX_REFUSALS:
            del self._refusals[next(iter(self._refusals))]
        self._refusals[asked] = refusal


def _is_of_settings(asked: str) -> bool:
    """What a page of settings asks; limits of a patient are the patient's own affair too."""
    what, _, scope = asked.partition("/")
    return what in {"name", "retention", "pause"} or (what == "limits" and "/" not in scope)


def _check_room(known: Mapping[str, object], scope: str) -> None:
    if scope not in known and len(known) >= MAX_SCOPES:
        raise ValueError(f"{scope} is one more than the {MAX_SCOPES} kept")
