"""FHIR R4 and R5: an Observation, a Bundle of them, or a bare SampledData -> readings.

R4 tells `period` (ms), R5 `interval` and `intervalUnit`. `E` (error) is a missing sample; `L` and `U` (below
and above what the device can measure) are clipped samples at `lowerLimit` and `upperLimit`, and missing ones
where no limit is told. Only what is needed is declared: the structs of an Observation of 10 s at 512 Hz take
5 us, by fhir.resources 8.3 88 us and 27 MB on disk; either way its 5,120 numbers take ten times as long.
"""

import math
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Lead
from ingest.encoding import NV_PER_MV, WireError
from ingest.mappers.calendar_text import unix_us
from ingest.mappers.lead import MDC_LEADS
from ingest.mappers.reading import Reading
from ingest.mappers.unit import samples_mv, unit_nv
from ingest.wire import FS_RANGE_HZ, MAX_PAYLOAD_BYTES

MDC_SYSTEMS = ("urn:oid:2.16.840.1.113883.6.24", "urn:iso:std:iso:11073:10101")
PREFERRED = (Lead.I, Lead.II)  # as ingest/window.py: what the model reads
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_T = TypeVar("_T")
_MARKS = {"E": 0.0, "L": 1.0, "U": 2.0}


class _Quantity(msgspec.Struct, frozen=True, rename="camel"):
    value: float | None = None
    unit: str | None = None
    code: str | None = None


class _SampledData(msgspec.Struct, frozen=True, rename="camel"):
    origin: _Quantity
    dimensions: int
    data: str | None = None
    period: float | None = None  # R4, ms
    interval: float | None = None  # R5
    interval_unit: str | None = None
    factor: float = 1.0
    lower_limit: float | None = None
    upper_limit: float | None = None
    code_map: str | None = None
    offsets: str | None = None


class _Coding(msgspec.Struct, frozen=True, rename="camel"):
    system: str | None = None
    code: str | None = None


class _Concept(msgspec.Struct, frozen=True, rename="camel"):
    coding: list[_Coding] = []


class _Component(msgspec.Struct, frozen=True, rename="camel"):
    code: _Concept = _Concept()
    value_sampled_data: _SampledData | None = None


class _Period(msgspec.Struct, frozen=True, rename="camel"):
    start: str | None = None


class _Reference(msgspec.Struct, frozen=True, rename="camel"):
    reference: str | None = None


class _Observation(msgspec.Struct, frozen=True, rename="camel"):
    code: _Concept = _Concept()
    value_sampled_data: _SampledData | None = None
    component: list[_Component] = []
    effective_date_time: str | None = None
    effective_instant: str | None = None
    effective_period: _Period | None = None
    device: _Reference | None = None
    subject: _Reference | None = None


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    resource: msgspec.Raw = msgspec.Raw(b"")


class _Head(msgspec.Struct, frozen=True, rename="camel"):
    """Enough of any payload to see what it is."""

    resource_type: str | None = None
    entry: list[_Entry] = []


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    """One SampledData, decoded."""

    samples_mv: NDArray[np.float32]
    clipped: NDArray[np.bool_]
    fs: float
    lead: Lead


def read_resources(
    payload: bytes, lead: Lead, max_bytes: int = MAX_PAYLOAD_BYTES
) -> list[tuple[Reading, dict[str, str]] | WireError]:
    """The readings with `device` and `subject` references; for each that is refused, why.

    `lead` is that of a bare SampledData and of codes that name none. Of several leads one is taken: `lead` if
    it is told, else I, II, or the first. Raises WireError when nothing can be read.
    """
    if len(payload) > max_bytes:
        raise WireError(f"payload is {len(payload)} bytes, want 1 to {max_bytes}")
    head = _decode(payload, _Head)
    match head.resource_type:
        case "Bundle":
            found: list[tuple[Reading, dict[str, str]] | WireError] = []
            for entry in head.entry:
                if bytes(entry.resource) and _decode(entry.resource, _Head).resource_type == "Observation":
                    try:
                        found.append(_read_observation(_decode(entry.resource, _Observation), lead))
                    except WireError as error:
                        found.append(error)
            if not found:
                raise WireError("Bundle holds no Observation")
            return found
        case "Observation":
            return [_read_observation(_decode(payload, _Observation), lead)]
        case None:
            stretch = _read_sampled(_decode(payload, _SampledData), lead)
            return [(_as_reading([stretch], None), {})]
        case other:
            raise WireError(f"resource is {other[:40]!r}, want Observation, Bundle or a bare SampledData")


def _decode(payload: bytes | msgspec.Raw, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"payload is no FHIR {kind.__name__.strip('_')}: {error}") from None


def _read_observation(observation: _Observation, lead: Lead) -> tuple[Reading, dict[str, str]]:
    stretches = []
    if observation.value_sampled_data is not None:
        of_lead = _lead_of(observation.code) or lead
        stretches.append(_read_sampled(observation.value_sampled_data, of_lead))
    for component in observation.component:
        if component.value_sampled_data is not None:
            of_lead = _lead_of(component.code) or _lead_of(observation.code) or lead
            stretches.append(_read_sampled(component.value_sampled_data, of_lead))
    if not stretches:
        raise WireError("Observation holds no valueSampledData, itself or in a component")
    leads = {stretch.lead for stretch in stretches}
    wanted = next((each for each in (lead, *PREFERRED) if each in leads), stretches[0].lead)
    taken = [stretch for stretch in stretches if stretch.lead == wanted]
    references = {"device": observation.device, "subject": observation.subject}
    ids = {name: each.reference for name, each in references.items() if each is not None and each.reference}
    return _as_reading(taken, _start_us(observation)), ids


def _as_reading(stretches: list[_Stretch], start_us: int | None) -> Reading:
    """Stretches of one lead follow each other: Apple's recordings are cut into 10 s each."""
    rates = {stretch.fs for stretch in stretches}
    if len(rates) != 1:
        raise WireError(f"components of one lead have rates of {sorted(rates)[:4]} Hz, want one")
    clipped = np.concatenate([stretch.clipped for stretch in stretches])
    return Reading(
        samples_mv=np.concatenate([stretch.samples_mv for stretch in stretches]),
        fs=rates.pop(),
        lead=stretches[0].lead,
        clipped=clipped if clipped.any() else np.zeros(0, bool),
        start_us=start_us,
    )


def _read_sampled(sampled: _SampledData, lead: Lead) -> _Stretch:
    if sampled.dimensions != 1 or sampled.offsets or sampled.code_map:
        raise WireError(
            f"SampledData has {sampled.dimensions} dimensions, offsets {bool(sampled.offsets)}, codeMap "
            f"{bool(sampled.code_map)}: want 1 dimension, evenly spaced numbers"
        )
    if not sampled.data:
        raise WireError("SampledData has no data")
    values, marks = _numbers(sampled.data)
    origin = sampled.origin.value or 0.0
    with np.errstate(over="ignore"):  # infinite is refused below
        values = origin + sampled.factor * values
    for mark, limit in ((_MARKS["L"], sampled.lower_limit), (_MARKS["U"], sampled.upper_limit)):
        if limit is not None:
            values[marks == mark] = origin + sampled.factor * limit
    nv = _unit_nv(sampled.origin)
    if not np.all(np.isnan(values) | (np.abs(values) < float(np.finfo(np.float32).max) * NV_PER_MV / nv)):
        raise WireError("SampledData holds a number beyond any voltage")
    clipped = (marks > 0) & ~np.isnan(values)
    return _Stretch(samples_mv(values, nv, 0.0), clipped, _fs(sampled), lead)


def _numbers(data: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values with NaN for marks, and marks with NaN for values."""
    if "_" in data:  # Python would read 1_0 as 10
        raise WireError("data holds '_', want numbers, E, U or L")
    parts = data.split()
    values, marks = np.full(len(parts), np.nan), np.full(len(parts), np.nan)
    try:
        plain = np.array([float(part) for part in parts])
    except ValueError:
        plain = values  # marks among them, or no numbers at all
    if parts and np.all(np.isfinite(plain)):
        return plain, marks
    for place, part in enumerate(parts):
        if part in _MARKS:
            marks[place] = _MARKS[part]
            continue
        values[place] = _finite(part)
    if not parts:
        raise WireError("SampledData has no data")
    return values, marks


def _finite(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise WireError(f"data holds {text[:20]!r}, want numbers, E, U or L") from None
    if not math.isfinite(value):
        raise WireError(f"data holds {text[:20]!r}, want a finite number")
    return value


def _fs(sampled: _SampledData) -> float:
    if (sampled.period is None) == (sampled.interval is None):
        raise WireError("SampledData wants one of period (R4) and interval (R5)")
    if sampled.period is not None:
        seconds, told = sampled.period * 1e-3, f"period {sampled.period} ms"
    else:
        if sampled.interval_unit not in _SECONDS:
            raise WireError(f"intervalUnit {sampled.interval_unit!r}, want one of {', '.join(_SECONDS)}")
        seconds = (sampled.interval or 0.0) * _SECONDS[sampled.interval_unit]
        told = f"interval {sampled.interval} {sampled.interval_unit}"
    if not 1 / FS_RANGE_HZ[1] <= seconds <= 1 / FS_RANGE_HZ[0]:
        raise WireError(f"{told} is not {FS_RANGE_HZ[0]:g} to {FS_RANGE_HZ[1]:g} Hz")
    return round(1.0 / seconds, 3)


def _unit_nv(origin: _Quantity) -> float:
    if origin.code is not None or origin.unit is None:
        return unit_nv(origin.code)  # UCUM
    return unit_nv(origin.unit)


def _lead_of(concept: _Concept) -> Lead | None:
    for coding in concept.coding:
        if coding.system in MDC_SYSTEMS and coding.code in MDC_LEADS:
            return MDC_LEADS[coding.code]
    return None


def _start_us(observation: _Observation) -> int | None:
    period = observation.effective_period
    told = (
        observation.effective_instant or observation.effective_date_time or (period.start if period else None)
    )
    return None if told is None else unix_us(told)
