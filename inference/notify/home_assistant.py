"""Vitals and alarms -> a small retained state per device, and what Home Assistant needs to find it.

Device discovery as its MQTT integration describes it (https://www.home-assistant.io/integrations/mqtt/, from
2024.11 on): one retained `homeassistant/device/{node}/{object}/config` with `dev`, `o`, `cmps` and shared
options; an empty one removes the device. A template that yields `None` shows as unknown.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from inference.alarms.alarm import URGENCY, Alarm, AlarmState
from inference.notify.notice import Ended
from inference.notify.texts import STARS
from ingest.topics import ID_PATTERN, service_topic, summary_topic
from ingest.vitals import SignalState, Vitals

DISCOVERY = "homeassistant/device/+/+/config"  # prefix: Home Assistant's default
NODE = "wristlead-"
VITALS_EVERY_S = 5.0  # a new heart rate is told this often; alarms and the signal at once
STALE_S = 5.0  # older vitals say nothing about now
FORGOTTEN_S = 24 * 3600.0  # not heard for so long
MAX_DEVICES = 10_000  # found, and as many that left: a stranger who invents devices must not fill the memory
SECOND_US = 1_000_000
SENSORS: dict[str, dict[str, object]] = {
    "heart_rate": {
        "name": "Heart rate",
        "icon": "mdi:heart-pulse",
        "unit_of_measurement": "bpm",
        "state_class": "measurement",
        "value_template": "{{ value_json.heart_rate_bpm }}",
    },
    "signal": {
        "name": "Signal",
        "icon": "mdi:pulse",
        "value_template": "{{ value_json.signal }}",
    },
    "alarm": {
        "name": "Alarm",
        "icon": "mdi:alarm-light",
        "device_class": "enum",
        "options": ["none", *(priority.value for priority in STARS)],
        "value_template": "{{ value_json.alarm }}",
    },
    "battery": {
        "name": "Battery",
        "device_class": "battery",
        "unit_of_measurement": "%",
        "state_class": "measurement",
        "entity_category": "diagnostic",
        "value_template": "{{ value_json.battery }}",
    },
}


@dataclass(frozen=True, slots=True)
class Publication:
    """A retained message; an empty payload takes it away."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Summary:
    """The state of one device in one message; None is unknown."""

    heart_rate_bpm: int | None
    signal: SignalState
    battery: int | None  # per cent
    alarm: str  # highest priority of what is not off: high, medium, low, advisory or none
    alarm_text: str | None  # of the alarm that is meant
    alarm_state: AlarmState | None
    alarms: int  # how many are not off


@dataclass(slots=True)
class _Device:
    vitals: Vitals
    heard_us: int  # by our own clock
    alarms: dict[str, Alarm]
    shown: Summary | None = None
    due_us: int = 0  # when new numbers may be told


class HomeState:
    """The newest of each device; every method returns what is to be published."""

    def __init__(self) -> None:
        self._devices: dict[str, _Device] = {}
        self._alarms: dict[str, dict[str, Alarm]] = {}  # by device and kind, whether it was heard or not
        self._left_at: dict[str, tuple[int, int]] = {}  # session and sample; vitals go on after the last one

    def on_vitals(self, vitals: Vitals, now_us: int) -> list[Publication]:
        """A device is found once it sends a signal."""
        device = self._devices.get(vitals.device)
        if device is not None:
            device.vitals, device.heard_us = vitals, now_us
            return self._tell(device, now_us)
        place = (vitals.session, vitals.last_sample)
        if vitals.signal is SignalState.NO_DATA or self._left_at.get(vitals.device) == place:
            return []
        self._left_at.pop(vitals.device, None)
        return self._find(vitals, now_us)

    def on_alarm(self, change: Alarm | Ended, now_us: int) -> list[Publication]:
        """An alarm changed, or went off."""
        alarms = self._alarms.setdefault(change.device, {})
        if isinstance(change, Ended):
            alarms.pop(change.kind, None)
        elif change.state is AlarmState.OFF:
            alarms.pop(change.kind.value, None)
        else:
            alarms[change.kind.value] = change
        device = self._devices.get(change.device)
        if device is not None:
            return self._tell(device, now_us)
        if not alarms:
            del self._alarms[change.device]
        return []

    def adopt(self, device: str, now_us: int) -> list[Publication]:
        """Home Assistant knows the device from an earlier run; it is forgotten like any that stays silent."""
        if device in self._devices:
            return []
        return self._find(Vitals(device, 0, now_us, 0, None, None, SignalState.NO_DATA), now_us)

    def tick(self, now_us: int) -> list[Publication]:
        """Let vitals grow old, and forget devices that have been silent for a day."""
        told: list[Publication] = []
        for name, device in list(self._devices.items()):
            if device.vitals.signal is not SignalState.NO_DATA:
                device.heard_us = min(device.heard_us, now_us)  # the clock may have been set back
            if now_us - device.heard_us > FORGOTTEN_S * SECOND_US:
                told += self.forget(name)
            else:
                told += self._tell(device, now_us)
        return told

    def forget(self, device: str) -> list[Publication]:
        """The patient was discharged: take away the state and its entry in Home Assistant."""
        self._alarms.pop(device, None)
        left = self._devices.pop(device, None)
        if left is None:
            return []
        self._left_at[device] = (left.vitals.session, left.vitals.last_sample)
        if len(self._left_at) > MAX_DEVICES:
            del self._left_at[next(iter(self._left_at))]  # who left first sends no vitals any more
        return [Publication(discovery_topic(device), b""), Publication(summary_topic(device), b"")]

    def _find(self, vitals: Vitals, now_us: int) -> list[Publication]:
        if len(self._devices) >= MAX_DEVICES:
            return []
        device = _Device(vitals, now_us, self._alarms.setdefault(vitals.device, {}))
        self._devices[vitals.device] = device
        found = Publication(discovery_topic(vitals.device), discovery(vitals.device))
        return [found, *self._tell(device, now_us)]

    def _tell(self, device: _Device, now_us: int) -> list[Publication]:
        is_fresh = abs(now_us - device.heard_us) <= STALE_S * SECOND_US
        summary, shown = summarise(device.vitals, device.alarms.values(), is_fresh=is_fresh), device.shown
        every_us = round(VITALS_EVERY_S * SECOND_US)
        device.due_us = min(device.due_us, now_us + every_us)
        is_pressing = shown is None or _pressing(summary) != _pressing(shown)
        if summary == shown or not (is_pressing or now_us >= device.due_us):
            return []
        device.shown, device.due_us = summary, now_us + every_us
        return [Publication(summary_topic(device.vitals.device), msgspec.json.encode(summary))]


def summarise(vitals: Vitals, alarms: Iterable[Alarm], *, is_fresh: bool) -> Summary:
    """What is true now of a device; old vitals count as no data."""
    rate_bpm = vitals.heart_rate_bpm if is_fresh else None
    present = sorted(alarms, key=lambda one: (URGENCY[one.priority], one.since_us), reverse=True)
    worst = present[0] if present else None
    return Summary(
        None if rate_bpm is None else round(rate_bpm),
        vitals.signal if is_fresh else SignalState.NO_DATA,
        None if vitals.battery is None else round(vitals.battery),
        "none" if worst is None else worst.priority.value,
        None if worst is None else f"{STARS[worst.priority]} {worst.text}",
        None if worst is None else worst.state,
        len(present),
    )


def discovery_topic(device: str) -> str:
    """Where Home Assistant looks for the device; site and device stay apart, so that no two are one."""
    site, _, name = device.partition("/")
    return f"homeassistant/device/{NODE}{site}/{name}/config"


def device_of_discovery(topic: str) -> str | None:
    """The device behind such a topic; None when it is not one of ours."""
    parts = topic.split("/")
    if len(parts) != 5 or not parts[2].startswith(NODE):
        return None
    ids = [parts[2].removeprefix(NODE), parts[3]]
    return "/".join(ids) if all(ID_PATTERN.fullmatch(each) for each in ids) else None


def discovery(device: str) -> bytes:
    """The device with its four sensors; they are available while the notifier is."""
    state = summary_topic(device)
    sensors = {**SENSORS, "alarm": {**SENSORS["alarm"], "json_attributes_topic": state}}
    payload = {
        "dev": {"ids": [f"wristlead/{device}"], "name": device, "mf": "Wristlead"},
        "o": {"name": "Wristlead"},
        "availability": [
            {
                "topic": service_topic("notify"),
                "value_template": "{{ 'online' if value_json.online else 'offline' }}",
            }
        ],
        "state_topic": state,
        "cmps": {
            key: {"p": "sensor", "unique_id": f"wristlead/{device}/{key}", **sensor}
            for key, sensor in sensors.items()
        },
    }
    return msgspec.json.encode(payload)


def _pressing(summary: Summary) -> tuple[object, ...]:
    """What is told at once; words and numbers alone change each second."""
    return (
        summary.heart_rate_bpm is None,
        summary.signal,
        summary.battery,
        summary.alarm,
        summary.alarm_state,
        summary.alarms,
    )
