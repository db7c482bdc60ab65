"""What a vitals record or a verdict may say: checked as it is read, so that no number or name of it can harm.

A stranger may publish on these topics too. What these functions let pass can be computed with, stored and
published; what they refuse no ingest and no inference of ours would say.
"""

from functools import lru_cache

from inference.verdict import Finding, RhythmFinding, Verdict
from ingest.topics import check_site, is_device
from ingest.vitals import RATE_RANGE_BPM, Vitals

END_OF_TIME_US = 253_402_214_400_000_000  # a day before the year 10000: calendars of every time zone hold it
MAX_INTEGER = 2**63 - 1  # the largest that a store holds
MAX_MODEL = 64  # characters, as stored
MAX_DEVICE = 129  # characters: two ids of 64
_is_device = lru_cache(10_000)(is_device)  # the same ones come each second; asked anew it is half of a check


def check_vitals(vitals: Vitals) -> Vitals:
    """The same vitals; raises ValueError when something of them cannot be."""
    check_patient(vitals.device)
    check_moment("at_us", vitals.at_us)
    _check_range("session", vitals.session, 0, MAX_INTEGER)
    _check_range("last_sample", vitals.last_sample, 0, MAX_INTEGER)
    _check_range("data_age_s", vitals.data_age_s, 0, vitals.at_us / 1e6)
    _check_range("since_beat_s", vitals.since_beat_s, 0, END_OF_TIME_US / 1e6)
    _check_range("heart_rate_bpm", vitals.heart_rate_bpm, *RATE_RANGE_BPM)
    _check_range("battery", vitals.battery, 0, 100)
    return vitals


def check_verdict(verdict: Verdict) -> Verdict:
    """The same verdict; raises ValueError when something of it cannot be."""
    check_patient(verdict.device)
    check_moment("decided_us", verdict.decided_us)
    _check_range("session", verdict.session, 0, MAX_INTEGER)
    _check_range("first_sample", verdict.first_sample, 0, MAX_INTEGER)
    if not 1 <= len(verdict.model) <= MAX_MODEL or not verdict.model.isprintable():
        raise ValueError(
            f"model is {verdict.model[:MAX_MODEL]!r}, want 1 to {MAX_MODEL} printable characters"
        )
    superclasses = [each.superclass for each in verdict.findings]
    if len(set(superclasses)) != len(superclasses):
        raise ValueError(f"a verdict's findings name one superclass twice: {', '.join(superclasses[:9])}")
    said: list[Finding | RhythmFinding] = [*verdict.findings, *verdict.rhythm]
    for each in said:
        _check_range("probability", each.probability, 0, 1)
        _check_range("threshold", each.threshold, 0, 1)
    return verdict


def check_patient(device: str) -> None:
    """Raise ValueError unless it is "site/device" of two ids, and no part of Wristlead itself."""
    if len(device) > MAX_DEVICE or not _is_device(device):
        raise ValueError(
            f"device is {device[:140]!r}, want site/device, two ids of [A-Za-z0-9_-], 1 to 64 long"
        )
    check_site(device)


def check_moment(name: str, at_us: int) -> None:
    """Raise ValueError unless calendars know the moment."""
    _check_range(name, at_us, 0, END_OF_TIME_US)


def _check_range(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise ValueError(
            f"{name} is {str(value)[:24]}, want {low:.16g} to {high:.16g}, or null where unknown"
        )
