"""What is known of each device -> the rows of the page of devices; pure. None is unknown."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice

from dashboard.patient_state import About, Meta, Patient, Segment, battery_of, name_of
from ingest.vitals import Vitals

DELAY_OF = 64  # newest chunks from which the delay is told: a quarter of a minute
FRESH_US = 5_000_000  # of vitals; older ones say nothing about now


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device; times are Unix microseconds of arrival here."""

    device: str  # "site/device"
    name: str
    about: Meta  # what it says of itself
    online: bool | None
    battery: int | None  # per cent
    is_patient: bool = False  # False: it has said who it is, and never sent samples
    is_mapped: bool = False  # ingest reads what it sends by a mapper
    lead: str | None = None
    session: int | None = None
    data_at_us: int | None = None
    fs_claimed: float | None = None  # Hz
    fs_measured: float | None = None
    rate_off: float | None = None  # measured against claimed, as a share of it
    lost_samples: int | None = None  # of the present session, like the next four
    lost_s: float | None = None
    duplicates: int | None = None
    late: int | None = None
    refused: int | None = None
    clock_offset_s: float | None = None  # device clock less arrival
    delay_s: float | None = None  # see `delay_of`
    doubts: tuple[str, ...] = ()


def row_of_patient(patient: Patient, given_name: str | None, at_us: int) -> DeviceRow:
    """The row of a device that somebody is on."""
    meta, vitals = patient.about.meta, _fresh(patient, at_us)
    newest = patient.segments[-1] if patient.segments else None
    claimed = newest.fs if newest is not None else meta.fs
    row = DeviceRow(
        device=patient.device,
        name=name_of(patient, given_name),
        about=meta,
        online=patient.about.status.online,
        battery=battery_of(patient),
        is_patient=True,
        is_mapped=patient.is_mapped,
        lead=patient.lead or (meta.lead if isinstance(meta.lead, str) else None),
        session=None if newest is None else newest.session,
        data_at_us=patient.data_at_us,
        fs_claimed=claimed,
        delay_s=delay_of(reversed(patient.segments), None if vitals is None else vitals.fs_measured),
    )
    return row if vitals is None else _with_vitals(row, vitals)


def row_of_silent(device: str, about: About, given_name: str | None) -> DeviceRow:
    """The row of a device that has said who it is, and sent no samples."""
    meta, battery = about.meta, about.status.battery
    return DeviceRow(
        device=device,
        name=given_name or meta.name or device.split("/")[1],
        about=meta,
        online=about.status.online,
        battery=None if battery is None else round(battery),
        lead=meta.lead if isinstance(meta.lead, str) else None,
        fs_claimed=meta.fs,
    )


def _with_vitals(row: DeviceRow, vitals: Vitals) -> DeviceRow:
    claimed, measured = row.fs_claimed, vitals.fs_measured
    fs = claimed if measured is None else measured
    return replace(
        row,
        fs_measured=measured,
        rate_off=None if not claimed or measured is None else measured / claimed - 1.0,
        lost_samples=vitals.lost_samples,
        lost_s=vitals.lost_samples / fs if fs else None,
        duplicates=vitals.duplicates,
        late=vitals.late,
        refused=vitals.refused,
        clock_offset_s=vitals.clock_offset_s,
        doubts=vitals.doubts,
    )


def delay_of(newest_first: Iterable[Segment], fs_measured: float | None) -> float | None:
    """How old the oldest sample of a chunk is when it comes, in all but the latest 5 %; None without two.

    Its own length, and how much later it came than the quickest chunk of the same session: what the quickest
    one took is not known, as clocks differ.
    """
    fs, session = fs_measured, None
    lengths, behind_s = list[int](), list[float]()
    for each in islice(newest_first, DELAY_OF):
        fs, session = fs or each.fs, each.session if session is None else session
        if each.session != session:
            break
        lengths.append(len(each.samples_mv))
        behind_s.append(each.received_us / 1e6 - (each.first_sample + lengths[-1]) / fs)
    if fs is None or len(behind_s) < 2:
        return None
    behind_s.sort()
    length_s = sorted(lengths)[len(lengths) // 2] / fs
    return length_s + behind_s[round(0.95 * (len(behind_s) - 1))] - behind_s[0]


def _fresh(patient: Patient, at_us: int) -> Vitals | None:
    is_old = patient.vitals_at_us is None or at_us - patient.vitals_at_us > FRESH_US
    return None if is_old else patient.vitals
