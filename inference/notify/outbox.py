"""What one channel has told, what waits to be told on it, and when it may speak; pure, its JSON continues it.

An alarm waits until its group is due, the channel is free and its bucket holds a token; then everything that
waits goes as one message. A high alarm that waits is never taken away unsaid, whatever becomes of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from inference.alarms.alarm import URGENCY, Alarm, AlarmPriority, AlarmState
from inference.notify.configuration import Channel, Grouping
from inference.notify.notice import Line, Notice, worst_first

MAX_ATTEMPTS = 5  # for what is not high; then it only joins the next message
RETRY_FIRST_S = 2.0
RETRY_MAX_S = 60.0
HIGH = URGENCY[AlarmPriority.HIGH]
SECOND_US = 1_000_000
UNSEEN = (AlarmState.ON, AlarmState.LATCHED)  # nobody has acknowledged it


@dataclass(slots=True)
class Told:
    """What the people behind the channel know of one alarm."""

    since_us: int  # the episode
    urgency: int
    count: int
    is_acknowledged: bool = False  # by anybody since: when it is on again, it is told again
    followed: AlarmState | None = None  # the newest follow-up

    def covers(self, alarm: Alarm) -> bool:
        """True when telling the alarm would say nothing new."""
        is_known = (self.since_us, self.is_acknowledged) == (alarm.since_us, False)
        return is_known and self.urgency >= URGENCY[alarm.priority] and self.count >= alarm.count


@dataclass(slots=True)
class Waiting:
    """One alarm that is to be told; its words are those of the moment when it is."""

    since_us: int
    due_us: int
    urgency: int  # the largest while it waited
    is_follow_up: bool = False
    attempts: int = 0
    earlier: int = 0  # other episodes of it that waited and were replaced by this one


@dataclass(slots=True)
class OutboxMemory:
    """All that outlives the process."""

    told: dict[str, Told] = field(default_factory=dict)  # by "site/device/kind"
    waiting: dict[str, Waiting] = field(default_factory=dict)
    tokens: float | None = None  # None: full
    refilled_us: int = 0
    sent: int = 0
    failed: int = 0
    last_sent_us: int | None = None
    reason: str | None = None  # why the newest attempt failed
    judged_us: int | None = None  # when it was made


class Outbox:
    """One channel's side of the planner."""

    def __init__(self, channel: Channel, grouping: Grouping, memory: OutboxMemory | None = None) -> None:
        self.channel = channel
        self.memory = OutboxMemory() if memory is None else memory
        self._grouping = grouping
        self._in_flight: Notice | None = None

    def consider(self, key: str, alarm: Alarm, now_us: int, *, is_reached: bool) -> None:
        """Compare an alarm with what was told, and let it wait, or wait no more."""
        told = self.memory.told.get(key)
        if told is not None and told.since_us == alarm.since_us and alarm.state is AlarmState.ACK:
            told.is_acknowledged = True
        is_unsaid = is_reached and alarm.state in UNSEEN and (told is None or not told.covers(alarm))
        if is_unsaid:
            self._let_wait(key, alarm, now_us)
        elif self._must_follow_up(told, alarm):
            self._let_follow(key, alarm, now_us)
        elif not self._must_keep(key):
            self.memory.waiting.pop(key, None)

    def next_notice(self, number: int, alarm_of: Callable[[str], Alarm], now_us: int) -> Notice | None:
        """The message that may go now, with all that waits; None when none is due or may go."""
        waiting = self.memory.waiting
        due = [one for key, one in waiting.items() if self._is_due(one, alarm_of(key), now_us)]
        if self._in_flight is not None or not due:
            return None
        is_high = any(one.urgency >= HIGH and not one.is_follow_up for one in due)
        self._refill(now_us)
        # The last token is kept for a high alarm.
        if (self.memory.tokens or 0.0) < min(1 if is_high else 2, self.channel.burst):
            return None
        self.memory.tokens = (self.memory.tokens or 0.0) - 1.0
        lines = [Line(alarm_of(key), one.is_follow_up, one.earlier) for key, one in waiting.items()]
        self._in_flight = Notice(number, self.channel.name, worst_first(lines), now_us)
        return self._in_flight

    def settle(self, number: int, reason: str | None, at_us: int) -> tuple[Line, ...]:
        """Take the outcome of the message on its way; its lines, or none when it is not that one."""
        notice = self._in_flight
        if notice is None or notice.number != number:
            return ()
        self._in_flight = None
        self.judge(reason, at_us)
        for line in notice.lines:
            key = key_of(line.alarm)
            if reason is None:
                self._note_told(key, line)
            elif (one := self.memory.waiting.get(key)) is not None:
                one.attempts += 1
                pause_s = min(RETRY_FIRST_S * 2 ** (one.attempts - 1), RETRY_MAX_S)
                one.due_us = at_us + round(pause_s * SECOND_US)
        return notice.lines

    def unsaid_high(self) -> list[str]:
        """The high alarms that wait."""
        return [key for key in self.memory.waiting if self._is_unsaid_high(key)]

    def judge(self, reason: str | None, at_us: int) -> None:
        """Note how the newest attempt on this channel went."""
        memory = self.memory
        memory.reason, memory.judged_us = reason, at_us
        if reason is None:
            memory.sent, memory.last_sent_us = memory.sent + 1, at_us
        else:
            memory.failed += 1

    def shift(self, by_us: int) -> None:
        """The clock was set by that much."""
        self.memory.refilled_us += by_us
        for one in self.memory.waiting.values():
            one.due_us += by_us

    def _let_wait(self, key: str, alarm: Alarm, now_us: int) -> None:
        urgency = URGENCY[alarm.priority]
        group_s = self._grouping.high_s if urgency >= HIGH else self._grouping.other_s
        due_us = now_us + round(group_s * SECOND_US)
        one = self.memory.waiting.get(key)
        if one is None or one.is_follow_up:
            self.memory.waiting[key] = Waiting(alarm.since_us, due_us, urgency)
            return
        if one.since_us != alarm.since_us:
            one.earlier += not self._is_told(key, one.since_us)
            one.since_us = alarm.since_us
            one.attempts = 0
            one.due_us = min(one.due_us, due_us)
        if urgency > one.urgency:
            one.attempts, one.urgency = 0, urgency
            one.due_us = min(one.due_us, due_us)

    def _let_follow(self, key: str, alarm: Alarm, now_us: int) -> None:
        if self._must_keep(key) or (key in self.memory.waiting and self.memory.waiting[key].is_follow_up):
            return
        due_us = now_us + round(self._grouping.other_s * SECOND_US)
        self.memory.waiting[key] = Waiting(alarm.since_us, due_us, 0, is_follow_up=True)

    def _is_told(self, key: str, since_us: int) -> bool:
        told = self.memory.told.get(key)
        return told is not None and told.since_us == since_us

    def _must_follow_up(self, told: Told | None, alarm: Alarm) -> bool:
        is_known = told is not None and told.since_us == alarm.since_us and told.followed != alarm.state
        return self.channel.follow_up and is_known and alarm.state not in UNSEEN

    def _must_keep(self, key: str) -> bool:
        """True for a high alarm that waits, and for what is on its way."""
        on_its_way = () if self._in_flight is None else self._in_flight.lines
        return self._is_unsaid_high(key) or any(key_of(line.alarm) == key for line in on_its_way)

    def _is_unsaid_high(self, key: str) -> bool:
        one = self.memory.waiting.get(key)
        return one is not None and one.urgency >= HIGH and not one.is_follow_up

    def _is_due(self, one: Waiting, alarm: Alarm, now_us: int) -> bool:
        is_pressing = one.urgency >= HIGH and alarm.state in UNSEEN
        return now_us >= one.due_us and (one.attempts < MAX_ATTEMPTS or is_pressing)

    def _refill(self, now_us: int) -> None:
        memory, full = self.memory, float(self.channel.burst)
        if memory.tokens is None:
            memory.tokens = full
        else:
            elapsed_s = (now_us - memory.refilled_us) / SECOND_US
            memory.tokens = min(full, memory.tokens + elapsed_s * self.channel.per_minute / 60.0)
        memory.refilled_us = now_us

    def _note_told(self, key: str, line: Line) -> None:
        alarm, one = line.alarm, self.memory.waiting.get(key)
        was_told = self._is_told(key, alarm.since_us)
        if line.is_follow_up:
            if (told := self.memory.told.get(key)) is not None and told.since_us == alarm.since_us:
                told.followed = alarm.state
        else:
            told = Told(alarm.since_us, URGENCY[alarm.priority], alarm.count)
            told.is_acknowledged = alarm.state not in UNSEEN
            told.followed = alarm.state if alarm.state not in UNSEEN else None
            self.memory.told[key] = told
        if one is None:
            return
        if one.since_us == alarm.since_us:
            del self.memory.waiting[key]  # what is new since is found by looking again
        elif not line.is_follow_up:
            one.earlier -= line.earlier + (not was_told)


def key_of(alarm: Alarm) -> str:
    """The name of a patient's alarm of one kind."""
    return f"{alarm.device}/{alarm.kind.value}"
