"""Whose limits count for a patient: its own, else those of its site, else those of the settings.

A scope is "site/device" (one patient) or "site". Pure; refuses what would leave any patient with limits that
cross.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from inference.alarms.rules import Limits
from ingest.vitals import RATE_RANGE_BPM

MAX_SCOPES = 10_000  # as many as there can be devices; a stranger must not fill the memory


class LimitsError(ValueError):
    """Limits that cannot be; the message says which, what was wanted and what to do."""


class LimitsSource(StrEnum):
    """Where a limit comes from."""

    PATIENT = "patient"
    SITE = "site"
    SETTINGS = "settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLimits:
    """The limits of one scope in bpm; None is inherited."""

    rate_low_bpm: float | None = None
    rate_high_bpm: float | None = None
    rate_extreme_low_bpm: float | None = None
    rate_extreme_high_bpm: float | None = None

    def stated(self) -> dict[str, float]:
        """Those that are not inherited, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class SetLimits:
    """A person sets all limits of a scope; None takes them away."""

    scope: str
    limits: OwnLimits | None
    who: str
    at_us: int


@dataclass(frozen=True, slots=True)
class LimitsEntry:
    """What a scope was given, by whom and when."""

    limits: OwnLimits
    who: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsInForce:
    """What is published of a patient or a site: each limit, its source, and the newest change among them."""

    device: str  # or a site: what a patient without limits of its own gets there
    rate_low_bpm: float
    rate_high_bpm: float
    rate_extreme_low_bpm: float
    rate_extreme_high_bpm: float
    sources: Mapping[str, LimitsSource]  # by the names above
    who: str | None  # None while all come from the settings
    at_us: int | None


class LimitsBook:
    """Everybody's limits; `settings` are those of whoever has none."""

    def __init__(self, settings: Limits, entries: Mapping[str, LimitsEntry] | None = None) -> None:
        self._settings = settings
        self.entries = dict(entries or {})
        self._known: dict[str, Limits] = {}  # by device, until something is set

    def set(self, change: SetLimits) -> None:
        """Take a change; raises LimitsError, and changes nothing, when anybody's limits would cross."""
        entries = {scope: entry for scope, entry in self.entries.items() if scope != change.scope}
        if change.limits is not None and change.limits.stated():
            _check_range(change.limits)
            if len(entries) >= MAX_SCOPES:
                raise LimitsError(
                    f"limits of {MAX_SCOPES} patients and sites are kept, want no more: reset some that "
                    "nobody uses"
                )
            entries[change.scope] = LimitsEntry(change.limits, change.who, change.at_us)
        book = LimitsBook(self._settings, entries)
        touched = [scope for scope in entries if scope.startswith(f"{change.scope}/")]  # patients of a site
        for scope in (change.scope, *touched):
            book.check(scope, change.scope)
        self.entries = entries
        self._known.clear()

    def check(self, scope: str, changed: str) -> None:
        """Raise LimitsError unless the limits of the scope are in order; `changed` is the scope being set."""
        try:
            Limits(**self._merged(self._layers(scope)))
        except ValueError as error:
            whose = "" if scope == changed else f" of {scope}, whose own limits must be changed first"
            raise LimitsError(f"{error}{whose}") from None

    def of(self, device: str) -> Limits:
        """The limits that count for a device."""
        if device not in self._known:
            self._known[device] = Limits(**self._merged(self._effective(device)))
        return self._known[device]

    def in_force(self, device: str) -> LimitsInForce:
        """The same, and where each comes from."""
        layers = self._effective(device)
        sources = {
            name: source
            for source, entry in ((LimitsSource.SETTINGS, None), *layers.items())
            for name in (asdict(self._settings) if entry is None else entry.limits.stated())
        }
        newest = max(layers.values(), key=lambda entry: entry.at_us, default=None)
        return LimitsInForce(
            device=device,
            **self._merged(layers),
            sources=sources,
            who=None if newest is None else newest.who,
            at_us=None if newest is None else newest.at_us,
        )

    def _layers(self, scope: str) -> dict[LimitsSource, LimitsEntry]:
        """What was set for the scope, the most general first."""
        site, _, device = scope.partition("/")
        layers = {LimitsSource.SITE: self.entries.get(site)}
        if device:
            layers[LimitsSource.PATIENT] = self.entries.get(scope)
        return {source: entry for source, entry in layers.items() if entry is not None}

    def _effective(self, device: str) -> dict[LimitsSource, LimitsEntry]:
        """Those layers that are in order; settings may have changed since they were set."""
        layers = self._layers(device)
        for source in (LimitsSource.PATIENT, LimitsSource.SITE):
            try:
                Limits(**self._merged(layers))
            except ValueError:
                layers.pop(source, None)
        return layers

    def _merged(self, layers: Mapping[LimitsSource, LimitsEntry]) -> dict[str, float]:
        merged = asdict(self._settings)
        for entry in layers.values():
            merged |= entry.limits.stated()
        return merged


def _check_range(limits: OwnLimits) -> None:
    low, high = RATE_RANGE_BPM
    for name, value in limits.stated().items():
        if not low <= value <= high:
            raise LimitsError(f"{name} is {value:g}, want {low:g} to {high:g} bpm, or null to inherit it")
