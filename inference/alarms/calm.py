"""Whether anything of a device can raise an alarm at all: nearly always no, and told in a microsecond.

Pure, and no rule of its own: `tests/inference/alarms/test_calm.py` holds it to what the rules say.
"""

from inference.alarms.alarm import AlarmKind
from inference.alarms.observed import SECOND_US, Observed
from inference.alarms.rules import ASYSTOLE_S, FRESH_S, Limits
from inference.alarms.technical import BATTERY_LOW, NO_DATA_S, SERVICE_S
from ingest.quality import SignalState

RATES = (AlarmKind.EXTREME_RATE, AlarmKind.RATE_LIMIT)
OF_TIME = frozenset({AlarmKind.NO_DATA, AlarmKind.ASYSTOLE, *RATES, AlarmKind.SERVICE})  # a tick may change
OF_VITALS = frozenset(  # vitals may change
    {AlarmKind.LEAD_OFF, AlarmKind.SIGNAL, AlarmKind.NO_DATA, AlarmKind.BATTERY, AlarmKind.ASYSTOLE, *RATES}
)


def is_calm(seen: Observed, limits: Limits, at_us: int) -> bool:
    """True when no rule that reads vitals sees a condition present."""
    rate = seen.heart_rate_bpm
    return (
        seen.signal is SignalState.GOOD
        and seen.data_age_s <= FRESH_S
        and is_heard(seen, at_us)
        and seen.since_beat_s is not None
        and seen.since_beat_s < ASYSTOLE_S
        and (rate is None or limits.rate_low_bpm <= rate <= limits.rate_high_bpm)
        and (seen.battery is None or seen.battery > BATTERY_LOW)
    )


def is_heard(seen: Observed, at_us: int) -> bool:
    """True when neither the device nor, of a part of Wristlead, the service is silent for too long."""
    return (seen.data_us is None or at_us - seen.data_us < NO_DATA_S * SECOND_US) and (
        seen.service_us is None or at_us - seen.service_us < SERVICE_S * SECOND_US
    )
