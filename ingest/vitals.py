"""Beats become heart rate, once a second, with the reason whenever there is none."""

from dataclasses import dataclass
from enum import StrEnum


class SignalState(StrEnum):
    """What the last seconds of the signal are good for; the words are shown to people."""

    GOOD = "good"
    LEAD_OFF = "lead off"
    FLAT = "flat line"  # a constant value: an electrode or device failure, not asystole
    SATURATED = "saturated"
    NOISY = "noisy"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class Vitals:
    """The state of one device, published each second."""

    device: str  # "site/device"
    session: int
    at_us: int  # wall clock of this record, Unix microseconds
    last_sample: int  # index one past the newest sample used
    heart_rate_bpm: float | None  # None where beats or quality do not allow; never 0, never the last value
    since_beat_s: float | None  # from the last R peak to the newest sample; None before the first beat
    signal: SignalState
    rr_s: tuple[float, ...] = ()  # the newest RR intervals, oldest first, at most 12
    data_age_s: float = 0.0  # wall clock since the newest sample arrived
    fs_measured: float | None = None  # Hz, fitted against arrival; None until 30 s were seen
    clock_offset_s: float | None = None  # device clock minus arrival, slowly fitted
    battery: int | None = None  # per cent
    lost_samples: int = 0  # samples declared missing in this session
    duplicates: int = 0  # chunks dropped as already seen
    late: int = 0  # chunks that came after their place was closed
    refused: int = 0  # payloads that could not be understood
