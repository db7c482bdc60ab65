"""A Health Auto Export body (iOS app) -> one reading for each ECG in it, in the body's order.

`{"data":{"ecg":[{start, samplingFrequency, voltageMeasurements:[{date, voltage, units}], ...}]}}`, up to
64 MB. The body is first only cut into its ECGs, and each of them is parsed on its own, so that a thread that
reads it lets the others run in between: of 42 MB with 42 ECGs (generated) the cut takes 24 ms of CPU, all
ECGs 147 ms, the longest 4.3 ms.
"""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Lead
from ingest.encoding import WireError
from ingest.mappers.calendar_text import unix_us
from ingest.mappers.device_clock import EPOCH_US
from ingest.mappers.reading import Reading
from ingest.mappers.unit import samples_mv, unit_nv
from ingest.wire import FS_RANGE_HZ

MAX_BODY_BYTES = 64 << 20
START_STRAYS_S = 120.0  # first sample after `start`; the epochs of 1970 and 2001 lie 31 years apart
SPAN_STRAYS = 1.5  # samples by which dates and rate may disagree over a recording ...
SPAN_STRAYS_SHARE = 2e-3  # ... plus this share of it: real devices sample at 511.4 to 513.4 for 512 Hz


class _Voltage(msgspec.Struct, frozen=True, gc=False):
    voltage: float
    units: str | None = None
    date: float | str | None = None


class _Ecg(msgspec.Struct, frozen=True, rename="camel"):
    """What is used of one ECG; classification (localised) and heart rate are the phone's opinion."""

    voltage_measurements: list[_Voltage]
    sampling_frequency: float
    start: str | float | None = None
    source: str | None = None
    units: str | None = None


class _Data(msgspec.Struct, frozen=True):
    ecg: list[msgspec.Raw] = []


class _Body(msgspec.Struct, frozen=True):
    data: _Data


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_ecg = msgspec.json.Decoder(_Ecg).decode


def cut_body(payload: bytes) -> list[msgspec.Raw]:
    """The bytes of each ECG; raises WireError when the body is not such an export or holds none."""
    if len(payload) > MAX_BODY_BYTES:
        raise WireError(f"body is {len(payload)} bytes, want at most {MAX_BODY_BYTES}")
    try:
        found = _decode_body(payload).data.ecg
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"body is no Health Auto Export: {error}") from None
    if not found:
        raise WireError(
            'body holds no ECG, want {"data": {"ecg": [...]}}: export the metric Electrocardiogram'
        )
    return found


def read_ecgs(payload: bytes, lead: Lead) -> Iterator[tuple[Reading, dict[str, str]] | WireError]:
    """Each ECG as a reading with the keys that may name its device, or why it is refused."""
    for raw in cut_body(payload):
        try:
            yield read_ecg(raw, lead)
        except WireError as error:
            yield error


def read_ecg(raw: msgspec.Raw, lead: Lead) -> tuple[Reading, dict[str, str]]:
    """One ECG; raises WireError."""
    try:
        ecg = _decode_ecg(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"ECG is not Health Auto Export's: {error}") from None
    voltages, fs = ecg.voltage_measurements, ecg.sampling_frequency
    if not voltages:
        raise WireError("ECG has no voltageMeasurements")
    if not FS_RANGE_HZ[0] <= fs <= FS_RANGE_HZ[1]:
        raise WireError(f"samplingFrequency is {fs} Hz, want {FS_RANGE_HZ[0]:g} to {FS_RANGE_HZ[1]:g}")
    units = {each.units for each in voltages}
    if len(units) != 1:
        raise WireError(f"voltages have {len(units)} units ({', '.join(map(str, units))[:80]}), want one")
    values = np.fromiter((each.voltage for each in voltages), np.float64, len(voltages))
    start_us = _start_us(ecg, voltages, fs)
    samples = samples_mv(values, unit_nv(units.pop() or ecg.units), 0.0)
    ids = {"source": ecg.source} if ecg.source is not None else {}
    return Reading(samples, round(fs, 3), lead, start_us=start_us), ids


def _start_us(ecg: _Ecg, voltages: list[_Voltage], fs: float) -> int:
    """Unix microseconds of the first sample, from `start` and, where they are numbers, the dates."""
    start = ecg.start
    if start is None:
        raise WireError("ECG has no start")
    start_us = unix_us(start) if isinstance(start, str) else _as_us(start)
    dates = [each.date for each in voltages]
    if not all(isinstance(date, float) for date in dates):
        return start_us  # text has whole seconds: it says no more than `start`
    dates_s = np.array(dates, np.float64)
    _check_spacing(dates_s, fs)
    first_us = [_as_us(dates_s[0] + epoch_us / 1e6) for epoch_us in (EPOCH_US["unix"], EPOCH_US["2001"])]
    near_us = min(first_us, key=lambda us: abs(us - start_us))
    if abs(near_us - start_us) > START_STRAYS_S * 1e6:
        raise WireError(
            f"first date {dates_s[0]} is neither since 1970 nor since 2001 within {START_STRAYS_S:g} s of "
            f"start {str(start)[:40]!r}"
        )
    return near_us


def _check_spacing(dates_s: NDArray[np.float64], fs: float) -> None:
    """Raise WireError where dates and rate show that samples are missing or disordered."""
    n_between = len(dates_s) - 1
    expected = (dates_s[-1] - dates_s[0]) * fs
    in_whole_seconds = fs if np.all(dates_s == np.rint(dates_s)) else 0.0
    if not abs(expected - n_between) <= SPAN_STRAYS + SPAN_STRAYS_SHARE * n_between + in_whole_seconds:
        raise WireError(
            f"{len(dates_s)} voltages span {dates_s[-1] - dates_s[0]:.3f} s, which is {expected:.0f} samples "
            f"at {fs:g} Hz: samples are missing or samplingFrequency is wrong"
        )


def _as_us(seconds: float) -> int:
    if not 0 <= seconds < 253_402_300_800:
        raise WireError(f"time {seconds} s is outside the years 1970 to 9999")
    return round(seconds * 1e6)
