"""One message to the people behind one channel: which alarms it tells, and what became of it."""

from dataclasses import dataclass

from inference.alarms.alarm import URGENCY, Alarm


@dataclass(frozen=True, slots=True)
class Line:
    """One alarm within a message."""

    alarm: Alarm  # as it is told
    is_follow_up: bool = False  # told before; now only that it ended or was acknowledged
    earlier: int = 0  # episodes of the same alarm before this one that no message had room for


@dataclass(frozen=True, slots=True)
class Notice:
    """One message on one channel."""

    number: int  # unique within a planner's life, restarts included
    channel: str
    lines: tuple[Line, ...]  # worst first; at least one
    at_us: int

    @property
    def is_quiet(self) -> bool:
        """True when nobody has to act on it."""
        return all(line.is_follow_up for line in self.lines)


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What became of a notice: `reason` is None when the channel took it, else why not, in words."""

    number: int
    channel: str
    reason: str | None
    at_us: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The alarm is off: its retained topic is empty."""

    device: str  # "site/device"
    kind: str


def worst_first(lines: list[Line]) -> tuple[Line, ...]:
    """By what has to be acted on, then by urgency, then the newest."""
    return tuple(
        sorted(
            lines,
            key=lambda one: (one.is_follow_up, -URGENCY[one.alarm.priority], -one.alarm.since_us),
        )
    )
