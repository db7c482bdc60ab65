"""The technical rules: lead, signal, data, battery, notification channels and Wristlead's own parts.

Like the readings of rules.py they are pure: (observed, now) -> Present, Ended or None.
"""

from inference.alarms.alarm import AlarmPriority
from inference.alarms.events import ChannelStatus
from inference.alarms.observed import POOR_SIGNAL, SECOND_US, Observed
from inference.alarms.rules import Ended, Present, Reading, in_words
from ingest.vitals import SignalState

TECHNICAL_AFTER_S = 4.0  # rule 4: shown within 5 s; the first record may be 1 s behind the event
NOISY_AFTER_S = 10.0  # noise is mostly movement and passes: two thirds of ignored alarms end within 19 s
TECHNICAL_ENDS_S = 5.0  # rule 4: flaps under 5 s are one episode
TECHNICAL_MEDIUM_S = 30.0  # rule 4
NO_DATA_S = 10.0  # rule 5
NO_DATA_MEDIUM_S = 60.0  # rule 5
SERVICE_S = 10.0  # as no data: a part of Wristlead that is silent
SERVICE_MEDIUM_S = 60.0
BATTERY_LOW = 20  # per cent, rule 5
BATTERY_MEDIUM = 5  # per cent, rule 5
BATTERY_RISE = 3  # per cent above the limit before the alarm ends: gauges flicker by one or two


def read_lead_off(seen: Observed, at_us: int) -> Reading:
    """Rule 4 for the electrode."""
    if seen.signal is SignalState.LEAD_OFF:
        return _read_run(seen, at_us, "Lead off", TECHNICAL_AFTER_S)
    return _read_end(seen, seen.lead_off_us, at_us, "Lead on again")


def read_signal(seen: Observed, at_us: int) -> Reading:
    """Rule 4 for a signal that shows no heart; noise may last longer before it is shown."""
    if seen.signal in POOR_SIGNAL:
        is_noise = seen.signal is SignalState.NOISY
        after_s = NOISY_AFTER_S if is_noise else TECHNICAL_AFTER_S
        return _read_run(seen, at_us, seen.signal.value.capitalize(), after_s)
    return _read_end(seen, seen.poor_us, at_us, "Signal no longer poor")


def read_no_data(seen: Observed, at_us: int) -> Reading:
    """Rule 5, by the wall clock: silence of the device and silence of ingest look the same to the patient."""
    if seen.data_us is None:
        return None
    age_s = (at_us - seen.data_us) / SECOND_US
    if age_s < NO_DATA_S:
        return Ended("Data again")
    priority = AlarmPriority.MEDIUM if age_s >= NO_DATA_MEDIUM_S else AlarmPriority.LOW
    text = f"No data {in_words(age_s)}" + ("" if seen.online else ", device offline")
    return Present(priority, text, seen.data_us, age_s, age_s)


def read_battery(seen: Observed, at_us: int) -> Reading:
    """Rule 5 where the device reports its battery."""
    if seen.battery is None:
        return None
    if seen.battery > BATTERY_LOW:
        is_over = seen.battery >= BATTERY_LOW + BATTERY_RISE
        return Ended(f"Battery {seen.battery} % > {BATTERY_LOW} %") if is_over else None
    is_medium = seen.battery <= BATTERY_MEDIUM
    limit = BATTERY_MEDIUM if is_medium else BATTERY_LOW
    priority = AlarmPriority.MEDIUM if is_medium else AlarmPriority.LOW
    text = f"Battery {seen.battery} % ≤ {limit} %"
    return Present(priority, text, at_us, float(seen.battery), 100.0 - seen.battery)


def read_channel(channel: ChannelStatus) -> Reading:
    """Rule 9: a notification channel that fails is itself an alarm, until it works again."""
    if channel.is_working:
        return Ended(f"Notifications by {channel.name} work again")
    reason = "" if channel.reason is None else f": {channel.reason}"
    text = f"Notifications by {channel.name} fail{reason}"
    return Present(AlarmPriority.MEDIUM, text, channel.at_us, 0.0, 0.0)


def read_service(seen: Observed, name: str, at_us: int) -> Reading:
    """Rule 1: a part of Wristlead that was heard before and is silent now."""
    if seen.service_us is None:
        return None
    silent_s = (at_us - seen.service_us) / SECOND_US
    if silent_s < SERVICE_S:
        return Ended(f"Service {name} answers again")
    priority = AlarmPriority.MEDIUM if silent_s >= SERVICE_MEDIUM_S else AlarmPriority.LOW
    how = "silent" if seen.service_online else "offline"
    text = f"Service {name} {how} {in_words(silent_s)}"
    return Present(priority, text, seen.service_us, silent_s, silent_s)


def _read_run(seen: Observed, at_us: int, name: str, after_s: float) -> Reading:
    run_s = (at_us - seen.signal_since_us) / SECOND_US
    if run_s < after_s:
        return None
    priority = AlarmPriority.MEDIUM if run_s >= TECHNICAL_MEDIUM_S else AlarmPriority.LOW
    return Present(priority, f"{name} {in_words(run_s)}", seen.signal_since_us, run_s, run_s)


def _read_end(seen: Observed, last_us: int | None, at_us: int, text: str) -> Reading:
    if seen.signal is SignalState.NO_DATA:
        return None
    is_over = last_us is None or at_us - last_us >= TECHNICAL_ENDS_S * SECOND_US
    return Ended(text) if is_over else None
