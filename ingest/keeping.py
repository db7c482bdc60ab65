"""How long things are kept: the option's default, what people set in its place, and what that would delete.

Pure. A longer time is taken at once. A shorter one deletes, so it stands as asked until the same person or
another confirms it, having seen what would be lost; and the deleting begins `GRACE_S` later, so that undoing
it in time loses nothing.
"""

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from ingest.person import Who, name_of

LEAST_DAYS, MOST_DAYS = 0.1, 36_500.0  # as the option keep_days; a century
CONFIRM_WITHIN_US = 600_000_000  # what would be lost is counted anew after that
GRACE_S = 600.0
DAY_US = 86_400_000_000


class KeepingError(ValueError):
    """A time that cannot be; the message says which, what was wanted and what to do."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What is stored and would be deleted; alarms, notes and the log are not among it."""

    before_us: int  # what came before this
    oldest_us: int | None  # None: nothing is that old
    windows: int  # with their verdicts, explanations and waveforms; MOST_COUNTED says "at least"
    devices: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A shorter time that waits for somebody to confirm it; `at_us` is how it is named."""

    keep_days: float | None
    is_default: bool
    who: str
    at_us: int
    loses: Loss


@dataclass(frozen=True, slots=True)
class KeepingSet:
    """What a person set in place of the option; None keeps all."""

    keep_days: float | None
    who: str
    at_us: int


@dataclass(frozen=True, slots=True)
class KeepingInForce:
    """What is published."""

    keep_days: float | None  # None keeps all
    default_days: float | None
    is_default: bool
    who: str | None  # of the newest change; None while the default counts
    at_us: int | None
    deletes_from_us: int | None  # after a shorter time was set: nothing is deleted before
    asked: Asked | None


class Request(Who, frozen=True, forbid_unknown_fields=True):
    """What a person asks on `wl/v1/retention`."""

    keep_days: float | msgspec.UnsetType | None = msgspec.UNSET  # null keeps all
    reset: bool = False  # the option's default again
    confirm: int | None = None  # `at_us` of what stands as asked


@dataclass(frozen=True, slots=True)
class Change:
    """Taken: to be stored, and then to be in force."""

    new: KeepingSet | None  # None: the default
    who: str
    at_us: int
    before: str | None  # as the log tells it
    after: str | None
    is_shorter: bool


@dataclass(frozen=True, slots=True)
class NeedsLoss:
    """Before it can be confirmed somebody must count what came before `before_us`."""

    keep_days: float | None
    is_default: bool
    who: str
    before_us: int


_decoder = msgspec.json.Decoder(Request)


def decode_request(payload: bytes) -> Request:
    """Raises ValueError (msgspec's included) for what is no request."""
    request = _decoder.decode(payload)
    if request.reset == (request.keep_days is not msgspec.UNSET):
        raise KeepingError("want keep_days (null keeps all), or reset to the default")
    days = request.keep_days
    if isinstance(days, float) and not (math.isfinite(days) and LEAST_DAYS <= days <= MOST_DAYS):
        raise KeepingError(
            f"keep_days is {days:g}, want {LEAST_DAYS:g} to {MOST_DAYS:g}, or null to keep all"
        )
    name_of(request.who)
    return request


class Keeping:
    """What is in force; `default_days` is the option, `given` what people set in its place."""

    def __init__(self, default_days: float | None, given: KeepingSet | None = None) -> None:
        self._default_days = default_days
        self._given = given
        self._asked: Asked | None = None
        self._deletes_from_us: int | None = None
        self._kept_days: float | None = None  # before the shorter time that may still be undone

    @property
    def keep_days(self) -> float | None:
        """None keeps all."""
        return self._default_days if self._given is None else self._given.keep_days

    def push(self, request: Request, at_us: int) -> Change | NeedsLoss:
        """What a request comes to; raises KeepingError, and changes nothing, where it cannot be done."""
        wanted = self._default_days if request.reset else _days(request)
        is_same = wanted == self.keep_days
        if is_same and request.reset == (self._given is None):
            raise KeepingError(f"what comes is kept {in_words(wanted)} already")
        who, is_shorter = name_of(request.who), _is_shorter(wanted, self.keep_days)
        if is_shorter and wanted is not None and not self._is_confirmed(request, wanted, at_us):
            return NeedsLoss(wanted, request.reset, who, at_us - round(wanted * DAY_US))
        new = None if request.reset else KeepingSet(wanted, who, at_us)
        return Change(new, who, at_us, as_logged(self._given), as_logged(new), is_shorter)

    def stand_as_asked(self, needs: NeedsLoss, loses: Loss, at_us: int) -> None:
        """It was counted: now it can be confirmed."""
        self._asked = Asked(needs.keep_days, needs.is_default, needs.who, at_us, loses)

    def take(self, change: Change) -> None:
        """It is stored: from now on it is in force.

        What was kept until a shorter time came is safe for `GRACE_S`, whatever is set in between; that much
        or more set again ends it.
        """
        held_s, before = self.held_s(change.at_us), self.keep_days
        self._given, self._asked = change.new, None
        if change.is_shorter:
            self._kept_days = self._kept_days if held_s else before
            self._deletes_from_us = change.at_us + round(GRACE_S * 1e6)
        elif not _is_shorter(self.keep_days, self._kept_days):
            self._deletes_from_us = None

    def held_s(self, at_us: int) -> float:
        """How long nothing may be deleted yet."""
        return 0.0 if self._deletes_from_us is None else max(0.0, (self._deletes_from_us - at_us) / 1e6)

    def in_force(self, at_us: int) -> KeepingInForce:
        """As it is published; what nobody confirmed in time is asked no more."""
        if self._asked is not None and not 0 <= at_us - self._asked.at_us <= CONFIRM_WITHIN_US:
            self._asked = None
        if self._deletes_from_us is not None and at_us >= self._deletes_from_us:
            self._deletes_from_us = None
        given = self._given
        return KeepingInForce(
            self.keep_days,
            self._default_days,
            given is None,
            None if given is None else given.who,
            None if given is None else given.at_us,
            self._deletes_from_us,
            self._asked,
        )

    def _is_confirmed(self, request: Request, wanted: float, at_us: int) -> bool:
        if request.confirm is None:
            return False
        asked = self.in_force(at_us).asked
        if asked is None or (asked.at_us, asked.keep_days, asked.is_default) != (
            request.confirm,
            wanted,
            request.reset,
        ):
            raise KeepingError("what was confirmed is asked no more: ask again, and see what would be lost")
        return True


def as_logged(given: KeepingSet | None) -> str | None:
    """As the log keeps it; None is the default."""
    return None if given is None else msgspec.json.encode({"keep_days": given.keep_days}).decode()


def from_log(after: str | None, who: str, at_us: int) -> KeepingSet | None:
    """The newest line of the log -> what was set; raises ValueError where it cannot be read."""
    if after is None:
        return None
    logged = msgspec.json.decode(after, type=dict[str, float | None])
    days = logged["keep_days"]
    if days is not None and not LEAST_DAYS <= days <= MOST_DAYS:
        raise KeepingError(f"keep_days is {days:g} in the store, want {LEAST_DAYS:g} to {MOST_DAYS:g}")
    return KeepingSet(days, who, at_us)


def in_words(keep_days: float | None) -> str:
    """`for 30 days`, `for ever`."""
    return "for ever" if keep_days is None else f"for {keep_days:g} days"


def _is_shorter(days: float | None, than: float | None) -> bool:
    return days is not None and (than is None or days < than)


def _days(request: Request) -> float | None:
    days: Any = request.keep_days
    return None if days is None else float(days)
