"""Messages of a device -> whether it may send them: what bounds one device, and how many devices there are.

A device has an allowance in *source seconds*: what the largest real source produces in one second. Each
message spends some of it, time earns it back, and a full allowance lasts for a day and two hours of backlog:
who was offline may deliver everything at any speed. Nobody who makes less than one source second a second is
ever refused (the law in tests/ingest/test_limits.py); a flood is, within seconds to minutes:

| a device that sends (measured on a simulated clock) | is refused after |
|-----------------------------------------------------|------------------|
| 10,000 chunks/s of 1 s each                         | 37 s             |
| 48,000 chunks/s of 5 samples (100/s is honest)      | 3.3 min          |
| 10,000 chunks/s of 5 samples                        | 16 min           |
| 10 MB/s of anything                                 | 39 min           |

These are of messages that ingest has read: until then a flood shares the broker's queue with everybody
(docs/operations.md). The check takes 0.8 us of CPU a message, 0.3 us of a refused one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

# One source second, the most of: (docs of devices: Galaxy Watch, 5 points at 500 Hz; 12 leads x 1000 Hz as
# JSON floats are 90 kB, of 17 digits each 240 kB; a device that tells half or a quarter of its true rate).
SOURCE_MESSAGES = 100
MESSAGE_S = 1.0 / SOURCE_MESSAGES  # source seconds that any message spends
SOURCE_BYTES = 256_000
SOURCE_SIGNAL_S = 4.0
EARNED_PER_S = 1.25  # source seconds; above 1, so that drift and repeated messages cost nothing
BACKLOG_S = 26 * 3600.0  # source seconds a full allowance holds: a day offline, and two hours
OWED_S = 60.0  # most that is ever owed: a device that behaves again is heard after a minute
WITHIN_AGAIN_US = 60_000_000  # a device is within its limit again when nothing was refused for a minute

STATUS_BURST = 600.0  # a device at the edge of the Wi-Fi comes and goes: two statuses each time
STATUS_PER_S = 1.0
SAMPLE_BURST = 100.0  # refused payloads of a device that are written; the store keeps the newest 20
SAMPLE_PER_S = 1.0
STRANGER_BURST = 1_000.0  # the same for all names together that never sent a good chunk
STRANGER_PER_S = 0.1  # 35 MB a day at most

MAX_STRANGERS = 10_000  # names without a good chunk that are remembered
MAX_DEVICES = 10_000  # twice the largest fleet in the benchmarks; a pipeline at 512 Hz takes 29 kB
SILENT_US = 60_000_000  # with so many, who was silent for a minute is forgotten, instead of for ten


@dataclass(slots=True)
class Allowance:
    """A leaky bucket; `left` starts full. Times are Unix microseconds and may jump: back earns nothing."""

    capacity: float
    earned_per_s: float
    left: float = -1.0
    _at_us: int = 0

    def __post_init__(self) -> None:
        self.left = self.capacity

    def is_spent(self, now_us: int) -> bool:
        """True when nothing is left at `now_us`."""
        elapsed_s = (now_us - self._at_us) / 1e6
        self._at_us = now_us
        if elapsed_s > 0.0:
            self.left = min(self.capacity, self.left + elapsed_s * self.earned_per_s)
        return self.left <= 0.0

    def spend(self, amount: float) -> None:
        """Take `amount`, below zero where need be; at most a minute is ever owed."""
        self.left = max(self.left - amount, -OWED_S)

    def take(self, now_us: int, amount: float = 1.0) -> bool:
        """Spend `amount` if something is left; False when not."""
        if self.is_spent(now_us):
            return False
        self.spend(amount)
        return True


@dataclass(slots=True)
class Episode:
    """A device over its limit: from the first refusal to a minute without one."""

    since_us: int
    newest_us: int
    refused: int = 0


class DeviceLimits:
    """What one device may send. Each method says yes or no; counting and logging are the owner's."""

    __slots__ = ("_samples", "_source", "_statuses", "episode")

    def __init__(self) -> None:
        self._source = Allowance(BACKLOG_S, EARNED_PER_S)
        self._statuses = Allowance(STATUS_BURST, STATUS_PER_S)
        self._samples = Allowance(SAMPLE_BURST, SAMPLE_PER_S)
        self.episode: Episode | None = None

    def admits_chunk(self, n_bytes: int, now_us: int) -> bool:
        """Before decoding: False when the allowance is spent; the refusal is noted in `episode`."""
        if self._source.take(now_us, max(MESSAGE_S, n_bytes / SOURCE_BYTES)):
            return True
        if self.episode is None:
            self.episode = Episode(now_us, now_us)
        self.episode.newest_us = now_us
        self.episode.refused += 1
        return False

    def charge_signal(self, signal_s: float, n_bytes: int) -> None:
        """After decoding: the signal a chunk claims to hold, where that is more than its message cost."""
        more_s = signal_s / SOURCE_SIGNAL_S - max(MESSAGE_S, n_bytes / SOURCE_BYTES)
        if more_s > 0.0:
            self._source.spend(more_s)

    def admits_status(self, now_us: int) -> bool:
        """False when the device comes and goes without end."""
        return self._statuses.take(now_us)

    def keeps_sample(self, now_us: int) -> bool:
        """True when a refused payload should be kept for inspection."""
        return self._samples.take(now_us)

    def ended(self, now_us: int) -> Episode | None:
        """The episode over the limit that has just ended; None while it lasts, and when there is none."""
        episode = self.episode
        if episode is None or now_us - episode.newest_us < WITHIN_AGAIN_US:
            return None
        self.episode = None
        return episode


def in_words(episodes: Mapping[str, Episode]) -> str:
    """For heartbeat and screen: "ok", or which devices are refused now, the worst first, at most three."""
    if not episodes:
        return "ok"
    worst = sorted(episodes, key=lambda device: -episodes[device].refused)
    told = ", ".join(f"{device} ({episodes[device].refused} messages)" for device in worst[:3])
    more = f" and {len(worst) - 3} more" if len(worst) > 3 else ""
    return f"acknowledged messages are being refused, over their limit: {told}{more}"
