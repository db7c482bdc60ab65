"""Vitals, verdicts, device status, acknowledgements and ticks in; every change of an alarm out.

Pure: the clock comes with the events. Repeated and older events change nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from inference.alarms.alarm import Alarm, AlarmKind, AlarmState
from inference.alarms.episode import Episode, begin_episode
from inference.alarms.events import Acknowledge, ChannelStatus, DeviceStatus, Event, ServiceStatus, Tick
from inference.alarms.observed import (
    Observed,
    observe_service,
    observe_time,
    observe_verdict,
    observe_vitals,
)
from inference.alarms.rules import (
    ADVISORY,
    BLINDING,
    TECHNICAL,
    Limits,
    Present,
    Reading,
    Sight,
    note_inside,
    read_advisory,
    read_asystole,
    read_battery,
    read_channel,
    read_lead_off,
    read_no_data,
    read_rate,
    read_service,
    read_signal,
)
from inference.verdict import Verdict
from ingest.vitals import Vitals

__all__ = ["Acknowledge", "AlarmEngine", "DeviceMemory", "DeviceStatus", "Event", "Tick"]


@dataclass(slots=True)
class DeviceMemory:
    """Everything the engine knows of one device; its JSON continues identically elsewhere."""

    seen: Observed = field(default_factory=Observed)
    episodes: dict[AlarmKind, Episode] = field(default_factory=dict)  # those that are not off


class AlarmEngine:
    """One engine for any number of devices; `limits_of` names the devices with limits of their own."""

    def __init__(self, limits: Limits, limits_of: Mapping[str, Limits] | None = None) -> None:
        self._limits = limits
        self._limits_of = dict(limits_of or {})
        self._memory: dict[str, DeviceMemory] = {}
        self._handlers: dict[type[Event], Callable[[Any], list[Alarm]]] = {
            Vitals: self._on_vitals,
            Verdict: self._on_verdict,
            DeviceStatus: self._on_status,
            ChannelStatus: self._on_channel,
            ServiceStatus: self._on_service,
            Acknowledge: self._on_acknowledge,
            Tick: self._on_tick,
        }

    def push(self, event: Event) -> list[Alarm]:
        """Take in one event; every alarm that a person must see changed, oldest first, OFF included."""
        return self._handlers[type(event)](event)

    def active(self) -> list[Alarm]:
        """Every alarm that is not off."""
        return [episode.alarm for memory in self._memory.values() for episode in memory.episodes.values()]

    @property
    def devices(self) -> list[str]:
        """Every device that was ever heard of."""
        return list(self._memory)

    def snapshot(self, devices: Iterable[str] | None = None) -> dict[str, bytes]:
        """JSON of what is known of each device (all by default); `restore` continues from it identically."""
        names = self._memory if devices is None else devices
        return {name: msgspec.json.encode(self._memory[name]) for name in names}

    def restore(self, snapshot: Mapping[str, bytes]) -> None:
        """Continue from a snapshot; raises msgspec.ValidationError when one is not readable."""
        for device, memory in snapshot.items():
            self._memory[device] = msgspec.json.decode(memory, type=DeviceMemory)

    def adopt(self, alarm: Alarm) -> None:
        """Continue an alarm of which nothing but its newest state is known; none that is off."""
        episodes = self._memory.setdefault(alarm.device, DeviceMemory()).episodes
        if alarm.state is not AlarmState.OFF and alarm.kind not in episodes:
            acknowledged_us = alarm.at_us if alarm.state is AlarmState.ACK else None
            episodes[alarm.kind] = Episode(alarm, 0.0, alarm.at_us, acknowledged_us)

    def _on_vitals(self, vitals: Vitals) -> list[Alarm]:
        memory = self._memory.setdefault(vitals.device, DeviceMemory())
        if not observe_vitals(memory.seen, vitals):
            return []
        seen, at_us = memory.seen, vitals.at_us
        changes = self._advance(vitals.device, AlarmKind.LEAD_OFF, read_lead_off(seen, at_us), at_us)
        changes += self._advance(vitals.device, AlarmKind.SIGNAL, read_signal(seen, at_us), at_us)
        changes += self._advance(vitals.device, AlarmKind.NO_DATA, read_no_data(seen, at_us), at_us)
        changes += self._advance(vitals.device, AlarmKind.BATTERY, read_battery(seen, at_us), at_us)
        changes += self._advance(vitals.device, AlarmKind.ASYSTOLE, read_asystole(seen, at_us), at_us)
        limits = self._limits_of.get(vitals.device, self._limits)
        for kind in (AlarmKind.EXTREME_RATE, AlarmKind.RATE_LIMIT):
            note_inside(seen, kind, limits, at_us)
            changes += self._advance(vitals.device, kind, read_rate(seen, kind, limits, at_us), at_us)
        return changes + self._remind(vitals.device, at_us)

    def _on_verdict(self, verdict: Verdict) -> list[Alarm]:
        memory = self._memory.setdefault(verdict.device, DeviceMemory())
        if not observe_verdict(memory.seen, verdict):
            return []
        at_us = verdict.decided_us
        changes: list[Alarm] = []
        for kind in ADVISORY:
            changes += self._advance(verdict.device, kind, read_advisory(memory.seen, kind, at_us), at_us)
        return changes

    def _on_status(self, status: DeviceStatus) -> list[Alarm]:
        seen = self._memory.setdefault(status.device, DeviceMemory()).seen
        seen.online = status.online
        seen.battery = seen.battery if status.battery is None else status.battery
        reading = read_battery(seen, status.at_us)
        return self._advance(status.device, AlarmKind.BATTERY, reading, status.at_us)

    def _on_channel(self, channel: ChannelStatus) -> list[Alarm]:
        self._memory.setdefault(channel.device, DeviceMemory())
        return self._advance(channel.device, AlarmKind.NOTIFIER, read_channel(channel), channel.at_us)

    def _on_service(self, service: ServiceStatus) -> list[Alarm]:
        seen = self._memory.setdefault(service.device, DeviceMemory()).seen
        observe_service(seen, service)
        reading = read_service(seen, service.name, service.at_us)
        return self._advance(service.device, AlarmKind.SERVICE, reading, service.at_us)

    def _on_acknowledge(self, event: Acknowledge) -> list[Alarm]:
        memory = self._memory.get(event.device)
        episode = memory.episodes.get(event.kind) if memory else None
        change = episode.acknowledge(event.who, event.at_us) if episode else None
        return self._settled(change)

    def _on_tick(self, tick: Tick) -> list[Alarm]:
        devices = list(self._memory)
        return [alarm for device in devices for alarm in self._let_pass(device, tick.at_us)]

    def _let_pass(self, device: str, at_us: int) -> list[Alarm]:
        seen = self._memory[device].seen
        observe_time(seen, at_us)
        reading = read_no_data(seen, at_us)
        changes = self._advance(device, AlarmKind.NO_DATA, reading, at_us)
        for kind in (AlarmKind.ASYSTOLE, AlarmKind.EXTREME_RATE, AlarmKind.RATE_LIMIT):
            changes += self._advance(device, kind, Sight.UNKNOWN, at_us)
        reading = read_service(seen, device.rsplit("/", 1)[1], at_us)
        changes += self._advance(device, AlarmKind.SERVICE, reading, at_us)
        return changes + self._remind(device, at_us)

    def _advance(self, device: str, kind: AlarmKind, reading: Reading, at_us: int) -> list[Alarm]:
        """Bring one rule's reading to its alarm, under the suppression of rule 1."""
        episodes = self._memory[device].episodes
        is_suppressed = _is_suppressed(kind, episodes)
        if is_suppressed and kind is not AlarmKind.ASYSTOLE:
            reading = Sight.UNKNOWN
        episode = episodes.get(kind)
        if episode is None:
            if not isinstance(reading, Present):
                return []
            episodes[kind] = begin_episode(device, kind, reading, at_us)
            return [episodes[kind].alarm]
        # A finding rests on earlier windows: it is neither raised nor ended while the lead cannot be seen.
        is_over = is_suppressed and kind not in ADVISORY
        return self._settled(episode.advance(reading, at_us, is_suppressed=is_over))

    def _remind(self, device: str, at_us: int) -> list[Alarm]:
        """Rules 8 and 9: what was acknowledged sounds again, what nobody acknowledged is passed on."""
        episodes = self._memory[device].episodes.values()
        reminders = [episode.sound_again(at_us) or episode.escalate(at_us) for episode in episodes]
        return [alarm for alarm in reminders if alarm is not None]

    def _settled(self, change: Alarm | None) -> list[Alarm]:
        """The change as a list, its episode forgotten once it is off."""
        if change is None:
            return []
        if change.state is AlarmState.OFF:
            del self._memory[change.device].episodes[change.kind]
        return [change]


def _is_suppressed(kind: AlarmKind, episodes: Mapping[AlarmKind, Episode]) -> bool:
    """Rule 1: a technical alarm of the lead suppresses the rate and model alarms; asystole suppresses rates.

    Asystole itself is suppressed only while it cannot be seen: its reading asks for a good signal.
    """
    if kind in TECHNICAL:
        return False
    if any(other in episodes for other in BLINDING):
        return True
    asystole = episodes.get(AlarmKind.ASYSTOLE)
    is_silent = asystole is not None and asystole.alarm.state is not AlarmState.LATCHED
    return is_silent and kind in {AlarmKind.EXTREME_RATE, AlarmKind.RATE_LIMIT}
