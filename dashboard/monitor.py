"""Messages from devices and services -> the newest state of every patient and service; no I/O.

Samples are kept by their index and handed on as they come: the browser places them by index, so that a late
chunk fills its own hole and nothing waits here (docs/decisions.md). A patient is there from the first
samples, vitals, alarm or limits of a device until the alarm service has taken the limits away.
"""

import logging
import re

import msgspec
import numpy as np

from dashboard.device_rows import DeviceRow, row_of_patient, row_of_silent
from dashboard.heartbeats import Heartbeats
from dashboard.house import House
from dashboard.in_force import InForce
from dashboard.known_recordings import KnownRecordings
from dashboard.patient_state import (
    REFUSED,
    About,
    Explaining,
    Meta,
    Patient,
    PatientState,
    Segment,
    Status,
    name_of,
    read_meta,
    state_of,
)
from inference.alarms.alarm import Alarm, AlarmState
from inference.alarms.limits import LimitsInForce
from inference.alarms.messages import Refusal
from inference.explain.request import ExplainProgress
from inference.verdict import Verdict
from ingest import topics
from ingest.chunk import ChunkFlag, Lead
from ingest.vitals import Vitals
from ingest.wire import decode

HISTORY_S = 62.0  # the patient page opens with the last minute
MAX_DEVICES = 1024  # a stranger who invents devices must not fill the memory
MAX_ALARMS = 64  # of one patient; there are some twenty kinds
MAX_SAMPLES = 1 << 20  # of one patient: a minute at 10 kHz and more; a device that floods loses its oldest
MAX_EXPLAINING = 12  # questions of one patient whose progress is kept
MAX_INDEX = 1 << 16  # frames.py sends it in two bytes
Revisions = dict[str, tuple[int, int]]  # by device: (index, revision) of the state that a page has
_LEAD_NAMES = {Lead.UNKNOWN: None, Lead.CHEST: "chest"}

logger = logging.getLogger(__name__)


_vitals_decoder = msgspec.json.Decoder(list[Vitals])
_verdict_decoder = msgspec.json.Decoder(Verdict)
_alarm_decoder = msgspec.json.Decoder(Alarm)
_limits_decoder = msgspec.json.Decoder(LimitsInForce)
_refusal_decoder = msgspec.json.Decoder(Refusal)
_progress_decoder = msgspec.json.Decoder(ExplainProgress)
_status_decoder = msgspec.json.Decoder(Status)


class Monitor:
    """The newest of everything, by device; `started_us` is the wall clock when listening began."""

    def __init__(self, started_us: int) -> None:
        self.refused = 0  # messages that could not be understood
        self.house = House(started_us)
        self.started_us = started_us
        self.heartbeats = Heartbeats()
        self.in_force = InForce()
        self.recordings = KnownRecordings()
        self._patients: dict[str, Patient] = {}
        self._apart: dict[str, About] = {}  # of devices without a patient
        self._next_index = 0  # never given twice: a patient who comes back is another one

    def push(self, topic: str, payload: bytes, received_us: int, *, retained: bool = False) -> Segment | None:
        """Take one MQTT message; return the samples it carried, if it did.

        What cannot be understood is counted in `refused` and changes nothing.
        """
        try:
            if self.heartbeats.push(topic, payload, received_us, retained=retained):
                return None
            if self.in_force.push(topic, payload):
                self._note_names(topic)
                return None
            if self.house.push(topic, payload, received_us, retained=retained):
                return None
            if self.recordings.push(topic, payload, received_us):
                return None
            if topic.startswith("wl/v1/vitals/"):
                self._take_vitals(payload, received_us)
            elif topic.startswith("wl/v1/refusal/"):
                self._take_refusal(topic, payload)
            else:
                return self._take_device(topic, payload, received_us)
        except (ValueError, msgspec.DecodeError, RecursionError) as error:  # WireError is a ValueError
            self._refuse(topic, error)
        return None

    def patients(self, known: Revisions | None = None) -> tuple[PatientState, ...]:
        """States of the patients whose revision differs from `known`, which is brought up to date."""
        known = {} if known is None else known
        for device in known.keys() - self._patients.keys():
            del known[device]
        changed = [p for p in self._patients.values() if known.get(p.device) != (p.index, p.revision)]
        known.update((patient.device, (patient.index, patient.revision)) for patient in changed)
        return tuple(self._state_of(patient) for patient in changed)

    def devices(self) -> tuple[str, ...]:
        """All devices in the order of the wall: by site, then by name with numbers as numbers."""
        return tuple(sorted(self._patients, key=_natural))

    def names(self) -> dict[str, str]:
        """What every device is called, in the order of the wall."""
        names = self.in_force.name_of
        return {device: name_of(self._patients[device], names(device)) for device in self.devices()}

    def device_rows(self, at_us: int) -> tuple[DeviceRow, ...]:
        """Every device that was heard of, in the order of the wall, those without a patient last."""
        names = self.in_force.name_of
        patients = [row_of_patient(self._patients[each], names(each), at_us) for each in self.devices()]
        apart = [
            row_of_silent(device, self._apart[device], names(device))
            for device in sorted(self._apart, key=_natural)
        ]
        return (*patients, *apart)

    def own_refusals(self) -> dict[str, Refusal]:
        """By part of Wristlead, or "pause": why the newest request about it was not done."""
        refused = self.in_force.refusals
        return self.house.refusals() | ({"pause": refused["pause"]} if "pause" in refused else {})

    def known_patients(self) -> tuple[Patient, ...]:
        """Everybody, in the order of the wall; to be read at once and not kept."""
        return tuple(self._patients[device] for device in self.devices())

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
        """True when somebody is on this device: it sent samples, or has an alarm or limits."""
        return device in self._patients

    def alarm(self, device: str, kind: str) -> Alarm | None:
        """That alarm of a patient or of a part of Wristlead; None when it is off."""
        site, _, name = device.partition("/")
        if site == topics.OWN_SITE:
            return self.house.alarm(name, kind)
        patient = self._patients.get(device)
        return patient.alarms.get(kind) if patient is not None else None

    def _state_of(self, patient: Patient) -> PatientState:
        site = patient.device.partition("/")[0]
        return state_of(patient, self.in_force.name_of(patient.device), self.in_force.name_of(site))

    def _note_names(self, topic: str) -> None:
        """A name of a patient or site changed: their pages are told again."""
        if topic.startswith("wl/v1/name_in_force/"):
            scope = topics.scope_of_name(topic)
            for device, patient in self._patients.items():
                patient.revision += device == scope or device.startswith(f"{scope}/")

    def _take_device(self, topic: str, payload: bytes, received_us: int) -> Segment | None:
        device = topics.device_of(topic)
        if device.startswith(f"{topics.OWN_SITE}/"):  # a part of Wristlead is no patient
            return None
        what = topic.split("/")[2] if topic.startswith("wl/") else topic.rsplit("/", 1)[1]
        match what:
            case "chunk":
                segment = self._take_chunk(device, payload, received_us)
                if segment is not None:
                    self._patients[device].is_mapped = topic.startswith("wl/")
                return segment
            case "meta" | "status":
                self._take_about(device, what, payload)
            case "verdict":
                self._take_verdict(device, payload)
            case "explain_progress":
                self._take_progress(device, payload, received_us)
            case "limits_in_force":
                self._take_limits(device, payload)
            case "alarm":
                self._take_alarm(device, topic.rsplit("/", 1)[1], payload)
            case "annotation":
                self._take_annotation(device)
            case _:
                raise ValueError(f"nothing here listens to {topic!r}")
        return None

    def _patient(self, device: str) -> Patient:
        """The patient on this device, a new one where there is none."""
        if device not in self._patients:
            if device.startswith(f"{topics.OWN_SITE}/"):
                raise ValueError(f"{device} is of the site of Wristlead's own parts, which are no patients")
            if len(self._patients) >= MAX_DEVICES:
                raise ValueError(f"{device} is one more than the {MAX_DEVICES} devices kept")
            about = self._apart.pop(device, About())
            self._patients[device] = Patient(device, self._next_index, about)
            self._next_index = (self._next_index + 1) % MAX_INDEX
        return self._patients[device]

    def _discharge(self, device: str) -> None:
        former = self._patients.pop(device, None)
        if former is not None and len(self._apart) < MAX_DEVICES:
            newest = former.vitals
            former.about.left_at = None if newest is None else (newest.session, newest.last_sample)
            self._apart[device] = former.about

    def _take_about(self, device: str, what: str, payload: bytes) -> None:
        """A description or status alone is no patient: devices retain them for ever."""
        meta = read_meta(payload) if what == "meta" else Meta()
        status = _status_decoder.decode(payload) if what == "status" and payload else Status()
        patient = self._patients.get(device)
        if patient is None and device not in self._apart and len(self._apart) >= MAX_DEVICES:
            raise ValueError(f"{device} is one more than the {MAX_DEVICES} devices without a patient kept")
        about = self._apart.setdefault(device, About()) if patient is None else patient.about
        if what == "meta":
            about.meta = meta
        else:
            about.status = status
        if patient is not None:
            patient.revision += 1
        elif about == About():
            del self._apart[device]

    def _take_verdict(self, device: str, payload: bytes) -> None:
        verdict = _verdict_decoder.decode(payload)
        patient = self._patients.get(device)
        if patient is not None and not verdict.historic:
            patient.verdict = verdict
            patient.revision += 1

    def _take_progress(self, device: str, payload: bytes, received_us: int) -> None:
        """How far an explanation is; the newest of each question is kept."""
        told = _progress_decoder.decode(payload)
        patient = self._patients.get(device)
        if patient is None:
            return
        key = (told.session, told.first_sample, told.superclass, told.rhythm, told.method)
        patient.explaining.pop(key, None)
        patient.explaining[key] = Explaining(told, received_us)
        if len(patient.explaining) > MAX_EXPLAINING:
            del patient.explaining[next(iter(patient.explaining))]
        patient.revision += 1

    def _take_limits(self, device: str, payload: bytes) -> None:
        """The alarm service takes limits away when it has discharged the patient, and only then."""
        if not payload:
            self._discharge(device)
            return
        limits = _limits_decoder.decode(payload)
        patient = self._patient(device)
        patient.limits = limits
        patient.revision += 1

    def _take_alarm(self, device: str, kind: str, payload: bytes) -> None:
        alarm = _alarm_decoder.decode(payload) if payload else None
        if alarm is not None and alarm.state is not AlarmState.OFF:
            alarms = self._patient(device).alarms
            if kind not in alarms and len(alarms) >= MAX_ALARMS:
                raise ValueError(f"alarm {kind} of {device} is one more than the {MAX_ALARMS} kept")
            alarms[kind] = alarm
        elif device in self._patients:
            self._patients[device].alarms.pop(kind, None)
        else:
            return
        self._patients[device].revision += 1

    def _take_annotation(self, device: str) -> None:
        """Whoever shows them reads them from the store; of a patient who has left no page waits for it."""
        if device in self._patients:
            self._patients[device].annotations += 1
            self._patients[device].revision += 1

    def _take_refusal(self, topic: str, payload: bytes) -> None:
        what, *ids = topic.removeprefix("wl/v1/refusal/").split("/")
        patient = self._patients.get("/".join(ids))
        if what in REFUSED and patient is not None:
            patient.refusals[what] = _refusal_decoder.decode(payload)
            patient.revision += 1

    def _take_chunk(self, device: str, payload: bytes, received_us: int) -> Segment | None:
        chunk = decode(payload, device)
        if ChunkFlag.HISTORIC in chunk.flags:
            return None  # an old stretch must not look live, nor move the picture back
        patient = self._patient(device)
        samples_mv = np.ascontiguousarray(chunk.samples_mv[:, 0])
        place = (chunk.session, chunk.first_sample, chunk.fs, chunk.flags)
        segment = Segment(device, patient.index, *place, samples_mv, received_us)
        lead = _LEAD_NAMES.get(chunk.leads[0], chunk.leads[0].name)
        if lead != patient.lead or patient.data_at_us is None:
            patient.lead = lead
            patient.revision += 1
        patient.data_at_us = received_us
        patient.keep(segment, HISTORY_S, MAX_SAMPLES)
        return segment

    def _take_vitals(self, payload: bytes, received_us: int) -> None:
        for vitals in _vitals_decoder.decode(payload):
            try:
                self._take_vitals_of_one(vitals, received_us)
            except ValueError as error:  # costs none of the others
                self._refuse("vitals", error)

    def _take_vitals_of_one(self, vitals: Vitals, received_us: int) -> None:
        device = topics.device_of(topics.verdict_topic(vitals.device))
        apart = self._apart.get(device)
        if apart is not None and apart.left_at == (vitals.session, vitals.last_sample):
            return  # ingest tells of a silent device for ten minutes: nobody new is there
        patient = self._patient(device)
        patient.vitals = vitals
        patient.vitals_at_us = received_us
        patient.revision += 1

    def _refuse(self, topic: str, error: Exception) -> None:
        self.refused += 1
        logger.debug("refused a message on %s: %s", topic, error)


def _natural(device: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", device)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]
