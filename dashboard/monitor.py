"""Messages from devices and services -> the newest state of every patient and service; no I/O.

Samples are kept by their index and handed on as they come: the browser places them by index, so that a late
chunk fills its own hole and nothing waits here (docs/decisions.md).
"""

import logging
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from dashboard.house import House
from inference.alarms.alarm import Alarm, AlarmPriority, AlarmState
from inference.alarms.limits import LimitsInForce
from inference.alarms.messages import Refusal
from inference.verdict import Verdict
from ingest import topics
from ingest.chunk import ChunkFlag, Lead
from ingest.vitals import Vitals
from ingest.wire import decode

HISTORY_S = 62.0  # the patient page opens with the last minute
MAX_DEVICES = 1024  # a stranger who invents devices must not fill the memory
MAX_INDEX = 1 << 16  # frames.py sends it in two bytes
Revisions = dict[str, tuple[int, int]]  # by device: (index, revision) of the state that a page has
_PRIORITY_ORDER = {priority: place for place, priority in enumerate(AlarmPriority)}
_STATE_ORDER = {AlarmState.ON: 0, AlarmState.LATCHED: 1, AlarmState.ACK: 2, AlarmState.OFF: 3}
_LEAD_NAMES = {Lead.UNKNOWN: None, Lead.CHEST: "chest"}

logger = logging.getLogger(__name__)


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
    refusal: Refusal | None  # of the newest request about the patient's limits that was not done


class _Meta(msgspec.Struct, frozen=True):
    """The part of a device's retained description that is shown; the rest is the device's own."""

    name: str | None = None
    source: str | None = None
    lead: str | list[str] | None = None


class _Status(msgspec.Struct, frozen=True):
    online: bool | None = None
    battery: float | None = None


@dataclass(slots=True)
class _Patient:
    device: str
    index: int
    revision: int = 0  # grows with every change of slow state; samples do not count
    meta: _Meta = field(default_factory=_Meta)
    status: _Status = field(default_factory=_Status)
    lead: str | None = None
    vitals: Vitals | None = None
    vitals_at_us: int | None = None
    verdict: Verdict | None = None
    alarms: dict[str, Alarm] = field(default_factory=dict)
    limits: LimitsInForce | None = None
    refusal: Refusal | None = None
    data_at_us: int | None = None
    segments: deque[Segment] = field(default_factory=deque)


_vitals_decoder = msgspec.json.Decoder(list[Vitals])
_verdict_decoder = msgspec.json.Decoder(Verdict)
_alarm_decoder = msgspec.json.Decoder(Alarm)
_limits_decoder = msgspec.json.Decoder(LimitsInForce)
_refusal_decoder = msgspec.json.Decoder(Refusal)
_meta_decoder = msgspec.json.Decoder(_Meta)
_status_decoder = msgspec.json.Decoder(_Status)


class Monitor:
    """The newest of everything, by device; `started_us` is the wall clock when listening began."""

    def __init__(self, started_us: int) -> None:
        self.refused = 0  # messages that could not be understood
        self.house = House(started_us)
        self._patients: dict[str, _Patient] = {}
        self._discharged: dict[str, _Patient] = {}  # what their devices said of themselves stays true
        self._next_index = 0  # never given twice: a patient who comes back is another one

    def push(self, topic: str, payload: bytes, received_us: int, *, retained: bool = False) -> Segment | None:
        """Take one MQTT message; return the samples it carried, if it did.

        What cannot be understood is counted in `refused` and changes nothing.
        """
        try:
            if self.house.push(topic, payload, received_us, retained=retained):
                return None
            if topic.startswith("wl/v1/vitals/"):
                self._take_vitals(payload, received_us)
            elif topic.startswith("wl/v1/discharge/"):
                self._discharge(topics.device_of(topic))
            elif topic.startswith("wl/v1/refusal/"):
                self._take_refusal(topic, payload)
            else:
                return self._take_device(topic, payload, received_us)
        except (ValueError, msgspec.DecodeError, RecursionError) as error:  # WireError is a ValueError
            self.refused += 1
            logger.debug("refused a message on %s: %s", topic, error)
        return None

    def patients(self, known: Revisions | None = None) -> tuple[PatientState, ...]:
        """States of the patients whose revision differs from `known`, which is brought up to date."""
        known = {} if known is None else known
        changed = [p for p in self._patients.values() if known.get(p.device) != (p.index, p.revision)]
        known.update((patient.device, (patient.index, patient.revision)) for patient in changed)
        return tuple(_state_of(patient) for patient in changed)

    def devices(self) -> tuple[str, ...]:
        """All devices in the order of the wall: by site, then by name with numbers as numbers."""
        return tuple(sorted(self._patients, key=_natural))

    def names(self) -> dict[str, str]:
        """What every device is called, in the order of the wall."""
        return {device: _name_of(self._patients[device]) for device in self.devices()}

    def history(self, device: str, seconds: float) -> list[Segment]:
        """The newest `seconds` of the device's present session, by sample index; empty when unknown."""
        patient = self._patients.get(device)
        if patient is None or not patient.segments:
            return []
        newest = patient.segments[-1]
        start = newest.first_sample - seconds * newest.fs
        kept = [s for s in patient.segments if s.session == newest.session and s.first_sample >= start]
        return sorted(kept, key=lambda segment: segment.first_sample)

    def has_patient(self, device: str) -> bool:
        """True when anything was heard of this device."""
        return device in self._patients

    def alarm(self, device: str, kind: str) -> Alarm | None:
        """That alarm of a patient or of a part of Wristlead; None when it is off."""
        site, _, name = device.partition("/")
        if site == topics.OWN_SITE:
            return self.house.alarm(name, kind)
        patient = self._patients.get(device)
        return patient.alarms.get(kind) if patient is not None else None

    def _take_device(self, topic: str, payload: bytes, received_us: int) -> Segment | None:
        device = topics.device_of(topic)
        if device.startswith(f"{topics.OWN_SITE}/"):  # a part of Wristlead is no patient
            return None
        if not payload and device not in self._patients:  # what is taken away makes nobody a patient
            return None
        patient = self._patient(device)
        what = topic.split("/")[2] if topic.startswith("wl/") else topic.rsplit("/", 1)[1]
        match what:
            case "chunk":
                return self._take_chunk(patient, payload, received_us)
            case "meta":
                patient.meta = _meta_decoder.decode(payload) if payload else _Meta()
            case "status":
                patient.status = _status_decoder.decode(payload) if payload else _Status()
            case "verdict":
                verdict = _verdict_decoder.decode(payload)
                if not verdict.historic:
                    patient.verdict = verdict
            case "limits_in_force":
                patient.limits = _limits_decoder.decode(payload) if payload else None
            case "alarm":
                _take_alarm(patient, topic.rsplit("/", 1)[1], payload)
            case _:
                raise ValueError(f"nothing here listens to {topic!r}")
        patient.revision += 1
        return None

    def _discharge(self, device: str) -> None:
        former = self._patients.pop(device, None)
        if former is not None and len(self._discharged) < MAX_DEVICES:
            self._discharged[device] = _Patient(device, 0, meta=former.meta, status=former.status)

    def _take_refusal(self, topic: str, payload: bytes) -> None:
        what, *ids = topic.removeprefix("wl/v1/refusal/").split("/")
        patient = self._patients.get("/".join(ids))
        if what == "limits" and patient is not None:
            patient.refusal = _refusal_decoder.decode(payload)
            patient.revision += 1

    def _patient(self, device: str) -> _Patient:
        if device not in self._patients:
            if device.startswith(f"{topics.OWN_SITE}/"):
                raise ValueError(f"{device} is of the site of Wristlead's own parts, which are no patients")
            if len(self._patients) >= MAX_DEVICES:
                raise ValueError(f"{device} is one more than the {MAX_DEVICES} devices kept")
            patient = self._patients[device] = _Patient(device, self._next_index)
            former = self._discharged.pop(device, patient)
            patient.meta, patient.status = former.meta, former.status
            self._next_index = (self._next_index + 1) % MAX_INDEX
        return self._patients[device]

    def _take_chunk(self, patient: _Patient, payload: bytes, received_us: int) -> Segment | None:
        chunk = decode(payload, patient.device)
        if ChunkFlag.HISTORIC in chunk.flags:
            return None  # an old stretch must not look live, nor move the picture back
        segment = Segment(
            patient.device,
            patient.index,
            chunk.session,
            chunk.first_sample,
            chunk.fs,
            chunk.flags,
            np.ascontiguousarray(chunk.samples_mv[:, 0]),
            received_us,
        )
        lead = _LEAD_NAMES.get(chunk.leads[0], chunk.leads[0].name)
        if lead != patient.lead or patient.data_at_us is None:
            patient.lead = lead
            patient.revision += 1
        patient.data_at_us = received_us
        patient.segments.append(segment)
        while received_us - patient.segments[0].received_us > HISTORY_S * 1e6:
            patient.segments.popleft()
        return segment

    def _take_vitals(self, payload: bytes, received_us: int) -> None:
        for vitals in _vitals_decoder.decode(payload):
            patient = self._patient(topics.device_of(topics.verdict_topic(vitals.device)))
            patient.vitals = vitals
            patient.vitals_at_us = received_us
            patient.revision += 1


def _take_alarm(patient: _Patient, kind: str, payload: bytes) -> None:
    alarm = _alarm_decoder.decode(payload) if payload else None
    if alarm is None or alarm.state is AlarmState.OFF:
        patient.alarms.pop(kind, None)
    else:
        patient.alarms[kind] = alarm


def _state_of(patient: _Patient) -> PatientState:
    vitals, meta, status = patient.vitals, patient.meta, patient.status
    battery = vitals.battery if vitals is not None and vitals.battery is not None else status.battery
    lead = meta.lead if isinstance(meta.lead, str) else None
    return PatientState(
        patient.device,
        patient.index,
        _name_of(patient),
        meta.source,
        patient.lead or lead,
        status.online,
        None if battery is None else round(battery),
        patient.data_at_us,
        patient.vitals_at_us,
        vitals,
        patient.verdict,
        _worst_first(list(patient.alarms.values())),
        patient.limits,
        patient.refusal,
    )


def _name_of(patient: _Patient) -> str:
    return patient.meta.name or patient.device.split("/")[1]


def _worst_first(alarms: Sequence[Alarm]) -> tuple[Alarm, ...]:
    """By priority; among equals what is there before what ended, and that before what was seen.

    Of several findings the most probable is first: their peaks are probabilities and can be compared.
    """

    def place(alarm: Alarm) -> tuple[int, int, float, int]:
        peak = alarm.peak if alarm.priority is AlarmPriority.ADVISORY and alarm.peak is not None else 0.0
        return _PRIORITY_ORDER[alarm.priority], _STATE_ORDER[alarm.state], -peak, -alarm.since_us

    return tuple(sorted(alarms, key=place))


def _natural(device: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", device)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]
