"""Alarms, ticks and outcomes of deliveries in; who is told what, and when, out.

Pure: the clock comes with ticks and outcomes. Channels stand on levels: an alarm goes to those of level 0,
and to the next when `escalation` says that nobody acknowledged it. A high alarm whose channels all failed, or
that none on its levels takes, goes to the next level at once. What was told is not told again; a retrigger, a
higher priority, and an alarm that is on again after it was acknowledged are.
"""

from dataclasses import dataclass, field, replace

import msgspec

from inference.alarms.alarm import Alarm, AlarmPriority, AlarmState
from inference.alarms.events import Tick
from inference.notify.configuration import NotifyConfig
from inference.notify.messages import check_numbers
from inference.notify.notice import DeliveryResult, Ended, Notice
from inference.notify.outbox import SECOND_US, UNSEEN, Outbox, OutboxMemory, key_of

FORGET_S = 600.0  # after an alarm is off, for the sake of messages that come again
CLOCK_SET_S = 2.0  # back by more than this is a clock that was set

Event = Alarm | Ended | Tick | DeliveryResult


@dataclass(slots=True)
class Tracked:
    """One alarm as it was last heard."""

    alarm: Alarm
    failed: list[str] = field(default_factory=list)  # channels that did not take it
    climbed: int = 0  # levels above its escalation, because those below failed
    off_us: int | None = None


@dataclass(slots=True)
class PlannerMemory:
    """All that outlives the process."""

    tracked: dict[str, Tracked] = field(default_factory=dict)  # by "site/device/kind"
    outboxes: dict[str, OutboxMemory] = field(default_factory=dict)  # by channel
    number: int = 0


class NotificationPlanner:
    """One planner for all channels."""

    def __init__(self, config: NotifyConfig) -> None:
        self._config = config
        self._tracked: dict[str, Tracked] = {}
        self._number = 0
        self._now_us = 0
        self._outboxes = {each.name: Outbox(each, config.group) for each in config.channel}
        self._top_level = max((each.level for each in config.channel), default=0)

    @property
    def outboxes(self) -> dict[str, Outbox]:
        """By channel, in the order of the configuration."""
        return self._outboxes

    @property
    def alarms(self) -> list[Alarm]:
        """Every alarm that is not off, as last heard."""
        return [each.alarm for each in self._tracked.values() if each.alarm.state is not AlarmState.OFF]

    def push(self, event: Event) -> list[Notice]:
        """Take in one event; the messages that are to go out now."""
        match event:
            case Tick():
                self._set_clock(event.at_us)
                self._forget()
            case Alarm():
                self._take(event)
            case Ended():
                known = self._tracked.get(f"{event.device}/{event.kind}")
                if known is not None and known.alarm.state is not AlarmState.OFF:
                    self._take(replace(known.alarm, state=AlarmState.OFF, who=None))
            case DeliveryResult():
                self._set_clock(event.at_us)
                self._settle(event)
        return self._due()

    def snapshot(self) -> bytes:
        """JSON of all that is known; what is on its way counts as not yet told."""
        boxes = {name: box.memory for name, box in self._outboxes.items()}
        return msgspec.json.encode(PlannerMemory(self._tracked, boxes, self._number))

    def restore(self, snapshot: bytes) -> None:
        """Continue from a snapshot; raises ValueError when it is not readable."""
        memory = msgspec.json.decode(snapshot, type=PlannerMemory)
        for one in memory.tracked.values():
            check_numbers(one.alarm)
        self._tracked, self._number = memory.tracked, memory.number
        for name, box in self._outboxes.items():
            known = memory.outboxes.get(name, OutboxMemory())
            known.waiting = {key: one for key, one in known.waiting.items() if key in self._tracked}
            self._outboxes[name] = Outbox(box.channel, self._config.group, known)

    def _take(self, alarm: Alarm) -> None:
        key = key_of(alarm)
        known = self._tracked.get(key)
        if known is None or known.alarm.since_us != alarm.since_us:
            if alarm.state is AlarmState.OFF:
                return
            known = self._tracked[key] = Tracked(alarm)
        elif 0 < known.alarm.at_us - alarm.at_us <= CLOCK_SET_S * SECOND_US:
            return  # a repetition; one that is older by more comes from a clock that was set back
        known.alarm = alarm
        known.off_us = self._now_us if alarm.state is AlarmState.OFF else None
        self._consider(key)

    def _consider(self, key: str) -> None:
        known = self._tracked[key]
        self._climb(known)
        reached = known.alarm.escalation + known.climbed
        for box in self._outboxes.values():
            is_reached = box.channel.level <= reached and box.channel.may_tell(known.alarm)
            box.consider(key, known.alarm, self._now_us, is_reached=is_reached)

    def _climb(self, known: Tracked) -> None:
        """One level more for as long as no channel below could take a high alarm that nobody has seen."""
        alarm = known.alarm
        if alarm.priority is not AlarmPriority.HIGH or alarm.state not in UNSEEN:
            return
        while (reached := alarm.escalation + known.climbed) < self._top_level:
            channels = [box.channel for box in self._outboxes.values() if box.channel.level <= reached]
            if any(each.may_tell(alarm) and each.name not in known.failed for each in channels):
                return
            known.climbed += 1

    def _settle(self, result: DeliveryResult) -> None:
        box = self._outboxes.get(result.channel)
        if box is None:
            return
        keys = [key_of(line.alarm) for line in box.settle(result.number, result.reason, result.at_us)]
        if keys and result.reason is not None:  # what waits behind it need not fail by itself to go elsewhere
            keys += [key for key in box.unsaid_high() if key not in keys]
        for key in keys:
            known = self._tracked[key]
            if result.channel in known.failed:
                known.failed.remove(result.channel)
            if result.reason is not None:
                known.failed.append(result.channel)
            self._consider(key)

    def _due(self) -> list[Notice]:
        notices = []
        for box in self._outboxes.values():
            notice = box.next_notice(self._number + 1, lambda key: self._tracked[key].alarm, self._now_us)
            if notice is not None:
                self._number += 1
                notices.append(notice)
        return notices

    def _set_clock(self, at_us: int) -> None:
        if at_us < self._now_us - CLOCK_SET_S * SECOND_US:
            by_us = at_us - self._now_us
            for box in self._outboxes.values():
                box.shift(by_us)
            for known in self._tracked.values():
                known.off_us = None if known.off_us is None else known.off_us + by_us
            self._now_us = at_us
        self._now_us = max(self._now_us, at_us)

    def _forget(self) -> None:
        """Let go of alarms that have been off for a while and that no channel has yet to tell."""
        long_off_us = self._now_us - FORGET_S * SECOND_US
        over = [
            key for key, one in self._tracked.items() if one.off_us is not None and one.off_us < long_off_us
        ]
        for key in over:
            if not any(key in box.memory.waiting for box in self._outboxes.values()):
                del self._tracked[key]
                for box in self._outboxes.values():
                    box.memory.told.pop(key, None)
