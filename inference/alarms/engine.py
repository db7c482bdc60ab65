"""Vitals, verdicts, statuses, people's requests and ticks in; every change of an alarm out.

Pure: the clock comes with the events. Repeated and older events change nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from inference.alarms.alarm import Alarm, AlarmKind, AlarmState
from inference.alarms.calm import OF_TIME, OF_VITALS, RATES, is_calm, is_heard
from inference.alarms.episode import Episode, begin_episode
from inference.alarms.events import (
    Acknowledge,
    ChannelStatus,
    DeviceEvent,
    DeviceStatus,
    Discharge,
    ServiceStatus,
    SetPause,
    Tick,
)
from inference.alarms.limits import LimitsBook, SetLimits
from inference.alarms.memory import HOUSE, DeviceMemory, HouseMemory, welcome
from inference.alarms.names import NamesBook, SetName
from inference.alarms.observed import (
    Observed,
    has_new_data,
    observe_service,
    observe_time,
    observe_verdict,
    observe_vitals,
)
from inference.alarms.pause import Pause, begin_pause, is_sounding
from inference.alarms.rules import (
    ADVISORY,
    Limits,
    Present,
    Reading,
    note_inside,
    read_advisory,
    read_asystole,
    read_rate,
)
from inference.alarms.technical import (
    read_battery,
    read_channel,
    read_lead_off,
    read_no_data,
    read_service,
    read_signal,
)
from inference.verdict import Verdict
from ingest.topics import OWN_SITE
from ingest.vitals import Vitals

__all__ = ["Acknowledge", "AlarmEngine", "DeviceStatus", "Event", "Tick"]

Event = DeviceEvent | SetPause | SetLimits | SetName | Tick


class AlarmEngine:
    """One engine for any number of devices; `limits` are those of devices for which nobody set others."""

    def __init__(self, limits: Limits) -> None:
        self._memory: dict[str, DeviceMemory] = {}
        self.arrivals = 0  # how often somebody became known, or came back after a discharge
        self._pause: Pause | None = None
        self._settings = limits
        self._limits = LimitsBook(limits)
        self._names = NamesBook()
        self._handlers: dict[type[Event], Callable[[Any], list[Alarm]]] = {
            Vitals: self._on_vitals,
            Verdict: self._on_verdict,
            DeviceStatus: self._on_status,
            ChannelStatus: self._on_channel,
            ServiceStatus: self._on_service,
            Acknowledge: self._on_acknowledge,
            SetPause: self._on_pause,
            SetLimits: self._on_limits,
            SetName: self._on_name,
            Discharge: self._on_discharge,
            Tick: self._on_tick,
        }

    def push(self, event: Event) -> list[Alarm]:
        """Take in one event; every alarm that a person must see changed, oldest first, OFF included.

        Changes nothing and raises LimitsError or NamesError for what cannot be set, CrowdedError for too many
        devices.
        """
        return self._handlers[type(event)](event)

    def active(self) -> list[Alarm]:
        """Every alarm that is not off."""
        return [episode.alarm for memory in self._memory.values() for episode in memory.episodes.values()]

    @property
    def devices(self) -> list[str]:
        """Every device that was ever heard of and not discharged since."""
        return [device for device, memory in self._memory.items() if not memory.is_discharged]

    def knows(self, device: str) -> bool:
        """True when anything is remembered of it."""
        return device in self._memory

    @property
    def pause(self) -> Pause | None:
        """The pause of all sounds, if there is one."""
        return self._pause

    @property
    def limits(self) -> LimitsBook:
        """Everybody's limits."""
        return self._limits

    @property
    def names(self) -> NamesBook:
        """What people call sites and patients."""
        return self._names

    def is_anybody(self, device: str) -> bool:
        """True when there is something that a discharge could end."""
        memory = self._memory.get(device)
        is_there = memory is not None and not memory.is_discharged
        return is_there or device in self._limits.entries or device in self._names.entries

    def snapshot(self, devices: Iterable[str] | None = None) -> dict[str, bytes]:
        """JSON of what is known of each device and of the house; `restore` continues from it identically."""
        house = HouseMemory(self._pause, self._limits.entries, self._names.entries)
        names = (*self._memory, HOUSE) if devices is None else devices
        known = {name: house if name == HOUSE else self._memory.get(name) for name in names}
        return {name: msgspec.json.encode(memory) for name, memory in known.items() if memory is not None}

    def restore(self, snapshot: Mapping[str, bytes]) -> None:
        """Continue from a snapshot; raises msgspec.ValidationError when one is not readable."""
        for device, memory in snapshot.items():
            if device == HOUSE:
                house = msgspec.json.decode(memory, type=HouseMemory)
                self._pause = self._pause or house.pause
                self._limits = LimitsBook(self._settings, house.limits)
                self._names = NamesBook(house.names)
            else:
                self._memory[device] = msgspec.json.decode(memory, type=DeviceMemory)
        self._sound_changes()  # a device's memory may be older than the pause

    def resume(self, listening_since_us: int, at_us: int) -> None:
        """Let time pass over what was restored: nobody heard a heartbeat before this process listened."""
        self.pass_pause(at_us)
        for memory in self._memory.values():
            seen = memory.seen
            if seen.service_us is not None and AlarmKind.SERVICE not in memory.episodes:
                seen.service_us = max(seen.service_us, listening_since_us)

    def pass_pause(self, at_us: int) -> list[Alarm]:
        """End the pause when its time is over; the alarms that may be heard again."""
        self._pause = None if self._pause is None else self._pause.at(at_us)
        return self._sound_changes()

    def adopt(self, alarm: Alarm) -> None:
        """Continue an alarm of which nothing but its newest state is known; none that is off."""
        memory = self._memory.setdefault(alarm.device, DeviceMemory())
        if alarm.state is not AlarmState.OFF and alarm.kind not in memory.episodes:
            acknowledged_us = alarm.at_us if alarm.state is AlarmState.ACK else None
            alarm = replace(alarm, sounding=is_sounding(alarm, self._pause))
            memory.episodes[alarm.kind] = Episode(alarm, 0.0, alarm.at_us, acknowledged_us)

    def _welcome(self, device: str) -> DeviceMemory:
        memory = self._memory.get(device)
        if memory is None:
            memory = welcome(self._memory, device)
            self.arrivals += 1
        return memory

    def _on_vitals(self, vitals: Vitals) -> list[Alarm]:
        memory = self._welcome(vitals.device)
        if memory.is_discharged and has_new_data(memory.seen, vitals):
            former = None if memory.seen.session is None else (memory.seen.session, memory.seen.last_sample)
            memory = self._memory[vitals.device] = DeviceMemory(former=former)
            self.arrivals += 1
        if memory.is_discharged or not observe_vitals(memory.seen, vitals):
            return []
        seen, device, at_us = memory.seen, vitals.device, vitals.at_us
        limits = self._limits.of(device)
        for kind in RATES:
            note_inside(seen, kind, limits, at_us)
        if is_calm(seen, limits, at_us) and OF_VITALS.isdisjoint(memory.episodes):
            return self._remind(device, at_us)
        changes = self._advance(device, AlarmKind.LEAD_OFF, read_lead_off(seen, at_us), at_us)
        changes += self._advance(device, AlarmKind.SIGNAL, read_signal(seen, at_us), at_us)
        changes += self._advance(device, AlarmKind.NO_DATA, read_no_data(seen, at_us), at_us)
        changes += self._advance(device, AlarmKind.BATTERY, read_battery(seen, at_us), at_us)
        changes += self._advance(device, AlarmKind.ASYSTOLE, read_asystole(seen, at_us), at_us)
        for kind in RATES:
            changes += self._advance(device, kind, read_rate(seen, kind, limits, at_us), at_us)
        return changes + self._remind(device, at_us)

    def _on_verdict(self, verdict: Verdict) -> list[Alarm]:
        memory = self._welcome(verdict.device)
        if not memory.is_of_this_patient(verdict) or not observe_verdict(memory.seen, verdict):
            return []
        at_us = verdict.decided_us
        changes: list[Alarm] = []
        for kind in ADVISORY:
            changes += self._advance(verdict.device, kind, read_advisory(memory.seen, kind, at_us), at_us)
        return changes

    def _on_status(self, status: DeviceStatus) -> list[Alarm]:
        memory = self._memory.get(status.device)
        if memory is None or memory.is_discharged:  # anybody can say one; vitals bring the battery too
            return []
        seen = memory.seen
        seen.online = status.online
        seen.battery = seen.battery if status.battery is None else status.battery
        reading = read_battery(seen, status.at_us)
        return self._advance(status.device, AlarmKind.BATTERY, reading, status.at_us)

    def _on_channel(self, channel: ChannelStatus) -> list[Alarm]:
        self._welcome(channel.device).is_discharged = False
        return self._advance(channel.device, AlarmKind.NOTIFIER, read_channel(channel), channel.at_us)

    def _on_service(self, service: ServiceStatus) -> list[Alarm]:
        memory = self._welcome(service.device)
        memory.is_discharged = memory.is_discharged and not service.is_online
        if memory.is_discharged:
            return []
        observe_service(memory.seen, service)
        reading = read_service(memory.seen, service.name, service.at_us)
        return self._advance(service.device, AlarmKind.SERVICE, reading, service.at_us)

    def _on_acknowledge(self, event: Acknowledge) -> list[Alarm]:
        memory = self._memory.get(event.device)
        episode = memory.episodes.get(event.kind) if memory else None
        if episode is None or event.since_us not in {None, episode.alarm.since_us}:
            return []  # of an episode that is over: the one that is there was not seen
        return self._settled(event.device, episode, episode.acknowledge(event.who, event.at_us))

    def _on_pause(self, event: SetPause) -> list[Alarm]:
        self._pause = begin_pause(self.active(), event.who, event.at_us) if event.is_on else None
        return self._sound_changes()

    def _on_limits(self, change: SetLimits) -> list[Alarm]:
        self._limits.set(change)
        return []  # the next vitals are judged by them

    def _on_name(self, change: SetName) -> list[Alarm]:
        self._names.set(change)
        return []

    def _on_discharge(self, event: Discharge) -> list[Alarm]:
        memory = self._memory.get(event.device)
        if event.device in self._limits.entries:  # the next patient on this device is somebody else
            self._limits.set(SetLimits(event.device, None, event.who, event.at_us))
        self._names.set(SetName(event.device, None, event.who, event.at_us))
        if memory is None or memory.is_discharged:
            return []
        off = [
            change
            for episode in list(memory.episodes.values())
            for change in self._settled(event.device, episode, episode.discharge(event.who, event.at_us))
        ]
        seen = memory.seen
        place = Observed(
            session=seen.session, last_sample=seen.last_sample, earlier_sessions=seen.earlier_sessions
        )
        self._memory[event.device] = DeviceMemory(place, is_discharged=True)
        return off

    def _on_tick(self, tick: Tick) -> list[Alarm]:
        changes = self.pass_pause(tick.at_us)
        return changes + [a for device in self.devices for a in self._let_pass(device, tick.at_us)]

    def _let_pass(self, device: str, at_us: int) -> list[Alarm]:
        memory = self._memory[device]
        seen = memory.seen
        observe_time(seen, at_us)
        if is_heard(seen, at_us) and OF_TIME.isdisjoint(memory.episodes):
            return self._remind(device, at_us)
        changes = self._advance(device, AlarmKind.NO_DATA, read_no_data(seen, at_us), at_us)
        for kind in (AlarmKind.ASYSTOLE, *RATES):
            changes += self._advance(device, kind, None, at_us)
        reading = read_service(seen, device.partition("/")[2], at_us)
        changes += self._advance(device, AlarmKind.SERVICE, reading, at_us)
        return changes + self._remind(device, at_us)

    def _advance(self, device: str, kind: AlarmKind, reading: Reading, at_us: int) -> list[Alarm]:
        """Bring one rule's reading to its alarm, under the suppression of rule 1."""
        memory = self._memory[device]
        episode = memory.episodes.get(kind)
        if episode is None and not isinstance(reading, Present):
            return []
        is_suppressed = memory.is_suppressed(kind)
        if is_suppressed and kind is not AlarmKind.ASYSTOLE:
            reading = None
        if episode is None:
            if not isinstance(reading, Present):
                return []  # it was suppressed
            episode = memory.episodes[kind] = begin_episode(device, kind, reading, at_us)
            return self._settled(device, episode, episode.alarm)
        # A finding rests on earlier windows: it is neither raised nor ended while the lead cannot be seen.
        is_over = is_suppressed and kind not in ADVISORY
        return self._settled(device, episode, episode.advance(reading, at_us, is_suppressed=is_over))

    def _remind(self, device: str, at_us: int) -> list[Alarm]:
        """Rules 8 and 9: what was acknowledged sounds again, what nobody acknowledged is passed on."""
        changes: list[Alarm] = []
        for episode in list(self._memory[device].episodes.values()):
            change = episode.sound_again(at_us) or episode.escalate(at_us)
            if change is not None:
                changes += self._settled(device, episode, change)
        return changes

    def _settled(self, device: str, episode: Episode, change: Alarm | None) -> list[Alarm]:
        """The change with what was in force, as a list; its episode is forgotten once it is off."""
        if change is None:
            return []
        memory = self._memory[device]
        episode.alarm = replace(
            change,
            sounding=is_sounding(change, self._pause),
            limits_bpm=None if device.startswith(f"{OWN_SITE}/") else self._limits.of(device).ordered,
            session=memory.seen.session,
            sample=memory.seen.last_sample if memory.seen.session is not None else None,
        )
        if change.state is AlarmState.OFF:
            del memory.episodes[change.kind]
        return [episode.alarm]

    def _sound_changes(self) -> list[Alarm]:
        """The alarms whose sound was paused, or may be heard again."""
        changes: list[Alarm] = []
        for episode in (each for memory in self._memory.values() for each in memory.episodes.values()):
            sounding = is_sounding(episode.alarm, self._pause)
            if sounding != episode.alarm.sounding:
                episode.alarm = replace(episode.alarm, sounding=sounding)
                changes.append(episode.alarm)
        return changes
