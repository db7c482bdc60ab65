"""What people set, as the page of settings shows it: what is in force, and the log with its undo; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from dashboard.in_force import InForce
from dashboard.monitor import Monitor
from dashboard.past import Past
from dashboard.patient_state import Patient, name_of
from dashboard.texts import settings as texts
from inference.alarms.limits import LimitsInForce
from inference.alarms.records import SettingChange, setting_changes
from ingest.keeping import KeepingInForce

LOG_LINES = 200
LIMITS = ("rate_extreme_low_bpm", "rate_low_bpm", "rate_high_bpm", "rate_extreme_high_bpm")


@dataclass(frozen=True, slots=True)
class Named:
    """A site or a patient, and what people set for it; None is what nobody set."""

    scope: str  # "site" or "site/device"
    given_name: str | None
    own_name: str  # without a given one: what the device says, or the id
    who: str | None  # gave the name
    at_us: int | None
    limits: LimitsInForce | None
    n_patients: int = 0  # of a site


@dataclass(frozen=True, slots=True)
class SettingsNow:
    """Everything that can be set, of this moment."""

    at_us: int
    sites: tuple[Named, ...]
    patients: tuple[Named, ...]
    keeping: KeepingInForce | None
    refusals: Mapping[str, Any]  # by what was asked: "name/ward", "limits/ward/bed-1", "retention"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One change in words; `undo` is the request that brings the former value back, None where none may."""

    at_us: int
    who: str
    what: str
    scope: str
    before: str
    after: str
    undo: Mapping[str, Any] | None


def settings_now(monitor: Monitor, at_us: int) -> SettingsNow:
    """As the owners of the settings say they are."""
    in_force, patients = monitor.in_force, monitor.known_patients()
    sites = {patient.device.partition("/")[0] for patient in patients} | set(in_force.site_limits)
    sites |= {scope for scope in in_force.names if "/" not in scope}
    refusals: dict[str, Any] = dict(in_force.refusals)
    for patient in patients:
        if "limits" in patient.refusals:
            refusals[f"limits/{patient.device}"] = patient.refusals["limits"]
    return SettingsNow(
        at_us,
        tuple(_site(in_force, site, patients) for site in sorted(sites)),
        tuple(_patient(in_force, patient) for patient in patients),
        in_force.keeping,
        refusals,
    )


def settings_log(past: Past) -> dict[str, Any]:
    """The newest lines; raises StoreError."""
    return {"lines": log_lines(past.ask(lambda engine: setting_changes(engine, limit=LOG_LINES)))}


def log_lines(changes: Sequence[SettingChange]) -> list[LogLine]:
    """Newest first, as `changes` are. Only the newest of its kind and scope can be undone.

    What a patient had is no longer anybody's after a discharge.
    """
    seen: set[tuple[str, str]] = set()
    left: dict[str, int] = {}  # by scope: when its newest patient was discharged
    for change in changes:
        if change.what == "discharge":
            left.setdefault(change.scope, change.at_us)
    lines = []
    for change in changes:
        is_newest = (change.what, change.scope) not in seen
        seen.add((change.what, change.scope))
        is_gone = change.at_us <= left.get(change.scope, -1)
        undo = undo_of(change) if is_newest and not is_gone else None
        lines.append(
            LogLine(
                change.at_us,
                change.who,
                texts.WHAT.get(change.what, change.what),
                change.scope,
                in_words(change.what, change.before),
                in_words(change.what, change.after),
                undo,
            )
        )
    return lines


def undo_of(change: SettingChange) -> dict[str, Any] | None:
    """What a page asks to have the value of before again; None for what cannot be undone, or not read."""
    before = _decoded(change.before) if change.what in {"limits", "retention"} else change.before
    match change.what:
        case "name":
            return {"name": {"scope": change.scope, "name": before}}
        case "limits" if before is None or isinstance(before, dict):
            limits = {"reset": True} if before is None else {name: before.get(name) for name in LIMITS}
            place = "device" if "/" in change.scope else "site"
            return {"limits" if place == "device" else "site_limits": {place: change.scope} | limits}
        case "retention" if before is None or isinstance(before, dict):
            keep = {"reset": True} if before is None else {"keep_days": before.get("keep_days")}
            return {"keeping": keep}
    return None


def in_words(what: str, value: str | None) -> str:
    """A value of the log as people read it."""
    if what == "limits":
        return _limits_in_words(_decoded(value))
    if what == "retention":
        return _keeping_in_words(_decoded(value))
    if what == "pause":
        return texts.PAUSE_WORDS.get(value or "off", value or "")
    if what == "annotation":
        return _annotation_in_words(_decoded(value))
    return texts.NONE if value is None else value


def _annotation_in_words(annotation: Any) -> str:
    text = annotation.get("text") if isinstance(annotation, dict) else None
    return text if isinstance(text, str) else texts.NONE


def _limits_in_words(limits: Any) -> str:
    if not isinstance(limits, dict) or not limits:
        return texts.INHERITED
    return ", ".join(
        texts.LIMIT.format(name=texts.LIMIT_NAMES[name], value=f"{limits[name]:g}")
        for name in LIMITS
        if isinstance(limits.get(name), int | float)
    )


def _keeping_in_words(keeping: Any) -> str:
    if not isinstance(keeping, dict):
        return texts.KEEP_DEFAULT
    days = keeping.get("keep_days")
    if isinstance(days, int | float):
        return texts.KEEP_DAYS.format(days=f"{days:g}")
    return texts.KEEP_ALL if days is None else texts.NONE


def _decoded(value: str | None) -> Any:
    """JSON of the log; None where there is nothing, or nothing that can be read."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return texts.NONE


def _site(in_force: InForce, site: str, patients: Sequence[Patient]) -> Named:
    entry = in_force.names.get(site)
    return Named(
        site,
        None if entry is None else entry.name,
        site,
        None if entry is None else entry.who,
        None if entry is None else entry.at_us,
        in_force.site_limits.get(site),
        sum(patient.device.startswith(f"{site}/") for patient in patients),
    )


def _patient(in_force: InForce, patient: Patient) -> Named:
    entry = in_force.names.get(patient.device)
    return Named(
        patient.device,
        None if entry is None else entry.name,
        name_of(patient),
        None if entry is None else entry.who,
        None if entry is None else entry.at_us,
        patient.limits,
    )
