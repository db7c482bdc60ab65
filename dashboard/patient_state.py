"""One patient: what is known of them -> what a page shows; pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dashboard.in_force import MAX_NAME
from inference.alarms.alarm import Alarm, AlarmPriority, AlarmState
from inference.alarms.limits import LimitsInForce
from inference.alarms.messages import Refusal
from inference.alarms.person import printable
from inference.explain.request import ExplainProgress
from inference.verdict import Verdict
from ingest.chunk import ChunkFlag
from ingest.vitals import Vitals

REFUSED = frozenset({"limits", "discharge", "annotate"})  # requests of whose refusal a page is told
_PRIORITY_ORDER = {priority: place for place, priority in enumerate(AlarmPriority)}
_STATE_ORDER = {AlarmState.ON: 0, AlarmState.LATCHED: 1, AlarmState.ACK: 2, AlarmState.OFF: 3}


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: two arrays have no single truth value
class Segment:
    """Consecutive samples of one patient's shown lead, as they came."""

    device: str  # "site/device"
    index: int  # of the patient in this process, the browser's short name for it
    session: int
    first_sample: int
    fs: float  # Hz
    flags: ChunkFlag
    samples_mv: NDArray[np.float32]  # (n_samples,)
    received_us: int  # wall clock of arrival


@dataclass(frozen=True, slots=True)
class Explaining:
    """How far the explanation is that somebody asked for."""

    progress: ExplainProgress
    at_us: int  # when it was heard here


@dataclass(frozen=True, slots=True)
class PatientState:
    """What the page shows of one patient; None is unknown. Times are Unix microseconds of arrival here."""

    device: str  # "site/device"
    index: int
    name: str
    source: str | None  # "replay" or "synthetic"; None for a real device
    lead: str | None
    online: bool | None
    battery: int | None  # per cent
    data_at_us: int | None  # newest samples
    vitals_at_us: int | None
    vitals: Vitals | None
    verdict: Verdict | None
    alarms: tuple[Alarm, ...]  # worst first, none that is off
    limits: LimitsInForce | None
    refusals: dict[str, Refusal]  # by REFUSED: of the newest request that was not done
    annotations: int = 0  # changes said since this process began: the list is to be read again at another
    site_name: str | None = None  # as people call the site; None: as its id is
    explaining: tuple[Explaining, ...] = ()  # the newest of each question, the longest unchanged first


class Meta(msgspec.Struct, frozen=True):
    """The part of a device's retained description that is shown; the rest is the device's own."""

    name: str | None = None
    source: str | None = None
    lead: str | list[str] | None = None
    model: str | None = None
    firmware: str | None = None
    unit: str | None = None
    time_zone: str | None = None
    fs: float | None = None  # Hz, as the device claims


class _MetaSaid(msgspec.Struct, frozen=True):
    """As it came: what is only shown to people may be anything, and costs nothing else."""

    name: str | None = None
    source: str | None = None
    lead: str | list[str] | None = None
    model: Any = None
    firmware: Any = None
    unit: Any = None
    time_zone: Any = None
    fs: Any = None


_meta_decoder = msgspec.json.Decoder(_MetaSaid)


def read_meta(payload: bytes) -> Meta:
    """What a device says of itself, short and printable. Raises msgspec.DecodeError where it is none."""
    said = _meta_decoder.decode(payload) if payload else _MetaSaid()
    is_rate = isinstance(said.fs, int | float) and not isinstance(said.fs, bool) and 0 < said.fs < 1e6
    return Meta(
        _shown(said.name),
        _shown(said.source),
        _shown(said.lead) if isinstance(said.lead, str) else None,
        _shown(said.model),
        _shown(said.firmware),
        _shown(said.unit),
        _shown(said.time_zone),
        float(said.fs) if is_rate else None,
    )


def _shown(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return printable(str(value), MAX_NAME) or None


class Status(msgspec.Struct, frozen=True):
    """The part of a device's retained status that is shown."""

    online: bool | None = None
    battery: float | None = None


@dataclass(slots=True)
class About:
    """What a device says of itself, which makes nobody a patient; it stays true when its patient has left."""

    meta: Meta = field(default_factory=Meta)
    status: Status = field(default_factory=Status)
    left_at: tuple[int, int] | None = None  # (session, last sample) of the patient who was discharged


@dataclass(slots=True)
class Patient:
    """Everything known of one patient, as it comes."""

    device: str
    index: int
    about: About
    revision: int = 0  # grows with every change of slow state; samples do not count
    lead: str | None = None
    vitals: Vitals | None = None
    vitals_at_us: int | None = None
    verdict: Verdict | None = None
    alarms: dict[str, Alarm] = field(default_factory=dict)
    limits: LimitsInForce | None = None
    refusals: dict[str, Refusal] = field(default_factory=dict)
    annotations: int = 0
    explaining: dict[object, Explaining] = field(default_factory=dict)  # by question
    data_at_us: int | None = None
    is_mapped: bool = False  # a mapper of ingest reads what its device sends
    segments: deque[Segment] = field(default_factory=deque)
    n_samples: int = 0  # in these segments

    def keep(self, segment: Segment, seconds: float, max_samples: int) -> None:
        """Add the newest samples; what came more than `seconds` before them, or is too much, is forgotten."""
        self.segments.append(segment)
        self.n_samples += len(segment.samples_mv)
        oldest_us = segment.received_us - seconds * 1e6
        while self.segments[0].received_us < oldest_us or self.n_samples > max_samples:
            self.n_samples -= len(self.segments.popleft().samples_mv)


def state_of(patient: Patient, given_name: str | None = None, site_name: str | None = None) -> PatientState:
    """As the pages show it; the names are those that people gave to patient and site."""
    vitals, meta, status = patient.vitals, patient.about.meta, patient.about.status
    lead = meta.lead if isinstance(meta.lead, str) else None
    return PatientState(
        patient.device,
        patient.index,
        name_of(patient, given_name),
        meta.source,
        patient.lead or lead,
        status.online,
        battery_of(patient),
        patient.data_at_us,
        patient.vitals_at_us,
        vitals,
        patient.verdict,
        _worst_first(list(patient.alarms.values())),
        patient.limits,
        dict(patient.refusals),
        patient.annotations,
        explaining=tuple(patient.explaining.values()),
        site_name=site_name,
    )


def name_of(patient: Patient, given_name: str | None = None) -> str:
    """What people call the patient, else what the device calls itself, else its id."""
    return given_name or patient.about.meta.name or patient.device.split("/")[1]


def battery_of(patient: Patient) -> int | None:
    """Per cent, as the newest vitals or the device's status say."""
    vitals, status = patient.vitals, patient.about.status
    battery = vitals.battery if vitals is not None and vitals.battery is not None else status.battery
    return None if battery is None else round(battery)


def _worst_first(alarms: Sequence[Alarm]) -> tuple[Alarm, ...]:
    """By priority; among equals what is there before what ended, and that before what was seen.

    Of several findings the most probable is first: their peaks are probabilities and can be compared.
    """

    def place(alarm: Alarm) -> tuple[int, int, float, int]:
        peak = alarm.peak if alarm.priority is AlarmPriority.ADVISORY and alarm.peak is not None else 0.0
        return _PRIORITY_ORDER[alarm.priority], _STATE_ORDER[alarm.state], -peak, -alarm.since_us

    return tuple(sorted(alarms, key=place))
