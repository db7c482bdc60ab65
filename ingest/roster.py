"""Who is known: devices with a good chunk, names without one, and what each may send; all of it bounded.

What is refused is counted, said at its 1st, 10th, 100th time and kept as a bounded sample for inspection.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from ingest.limits import (
    MAX_DEVICES,
    MAX_STRANGERS,
    SILENT_US,
    STRANGER_BURST,
    STRANGER_PER_S,
    Allowance,
    DeviceLimits,
    Episode,
)
from ingest.pipeline import DevicePipeline
from ingest.store.rows import MAX_REFUSED_BYTES, Refused

IDLE_US = 600_000_000  # a device silent for 10 minutes is forgotten; its next chunk starts anew
OVER_LIMIT = "over its limit: more than any ECG source sends in a day of backlog; it must send less"

logger = logging.getLogger(__name__)


class CrowdedError(ValueError):
    """There are too many devices to know one more."""


@dataclass(slots=True)
class KnownDevice:
    """What is remembered of one device."""

    heard_us: int
    pipeline: DevicePipeline | None = None
    battery: int | None = None  # per cent
    refused: int = 0
    flaps: int = 0  # statuses that were too many
    faults: int = 0  # times its pipeline failed
    limits: DeviceLimits = field(default_factory=DeviceLimits)


@dataclass(slots=True)
class RosterCounters:
    """Since this process started."""

    refused: int = 0
    refused_by: Counter[str] = field(default_factory=Counter)  # the same by what was wrong
    over_limit: int = 0  # messages of devices that send too much, or are too many: lost, if they held signal
    crowded: int = 0  # of them, because there were too many devices
    flapping: int = 0  # statuses of devices that come and go without end; ignored


@dataclass(slots=True)
class Roster:
    """All devices by name. `keep` takes the sample of what was refused."""

    keep: Callable[[Refused], None]
    counters: RosterCounters = field(default_factory=RosterCounters)
    flooding: dict[str, Episode] = field(default_factory=dict)  # devices that are over their limit now
    devices: dict[str, KnownDevice] = field(default_factory=dict)  # with a good chunk
    _strangers: dict[str, KnownDevice] = field(default_factory=dict)
    _stranger_samples: Allowance = field(default_factory=lambda: Allowance(STRANGER_BURST, STRANGER_PER_S))

    def __len__(self) -> int:
        return len(self.devices) + len(self._strangers)

    def known(self, device: str, heard_us: int) -> KnownDevice:
        """Whoever has that name, from now on a stranger if nobody had."""
        state = self.devices.get(device) or self._strangers.get(device)
        if state is None:
            if len(self._strangers) >= MAX_STRANGERS:
                del self._strangers[next(iter(self._strangers))]  # the oldest name without a good chunk
            state = self._strangers[device] = KnownDevice(heard_us)
        state.heard_us = max(state.heard_us, heard_us)
        return state

    def welcome(self, device: str, heard_us: int) -> KnownDevice:
        """A device with a good chunk; raises CrowdedError when there are too many to know one more."""
        state = self.devices.get(device)
        if state is None:
            state = self.known(device, heard_us)
            if len(self.devices) >= MAX_DEVICES:
                self._turn_away(device)
            self.devices[device] = state
            self._strangers.pop(device, None)
        state.heard_us = max(state.heard_us, heard_us)
        return state

    def admits(self, device: str, payload: bytes, received_us: int) -> bool:
        """False, and counted, when the device is over its limit."""
        state = self.known(device, received_us)
        is_admitted = state.limits.admits_chunk(len(payload), received_us)
        if not is_admitted:
            self._note_over_limit(device, state, payload, received_us)
        return is_admitted

    def admits_status(self, device: str, received_us: int) -> bool:
        """False, and counted, when the device comes and goes without end."""
        state = self.known(device, received_us)
        is_admitted = state.limits.admits_status(received_us)
        if not is_admitted:
            self.counters.flapping += 1
            state.flaps += 1
            if _is_told(state.flaps):
                logger.warning("%s comes and goes without end: status %d ignored", device, state.flaps)
        return is_admitted

    def refuse(self, refused: Refused, wrong: str) -> None:
        """Count what could not be understood, say it now and then, and keep a sample."""
        self.counters.refused += 1
        self.counters.refused_by[wrong] += 1
        state = self.known(refused.device, refused.received_us)
        state.refused += 1
        self._keep_sample(state, refused)
        may_tell = refused.device in self.devices or self._stranger_samples.left > 0.0
        if may_tell and _is_told(state.refused):
            logger.warning("%s: payload %d refused: %s", refused.device, state.refused, refused.reason)

    def pass_time(self, now_us: int) -> Iterator[tuple[str, KnownDevice, bool]]:
        """Each device, and whether it is silent for so long that it is forgotten after this."""
        self._end_episodes(now_us)
        for name in [n for n, each in self._strangers.items() if now_us - each.heard_us > IDLE_US]:
            del self._strangers[name]
        idle_us = IDLE_US if len(self.devices) < MAX_DEVICES else SILENT_US
        for device, state in list(self.devices.items()):
            is_silent = now_us - state.heard_us > idle_us
            yield device, state, is_silent
            if is_silent:
                del self.devices[device]

    def _turn_away(self, device: str) -> None:
        self.counters.over_limit += 1
        self.counters.crowded += 1
        reason = (
            f"{len(self.devices)} devices are known, want at most {MAX_DEVICES}: "
            "stop those that are none, or wait until they were silent for a minute"
        )
        if _is_told(self.counters.crowded):
            logger.error("%s is refused (%d times): %s", device, self.counters.crowded, reason)
        raise CrowdedError(reason)

    def _note_over_limit(self, device: str, state: KnownDevice, payload: bytes, now_us: int) -> None:
        self.counters.over_limit += 1
        state.refused += 1
        if device not in self.flooding and state.limits.episode is not None:
            self.flooding[device] = state.limits.episode
            logger.error("%s is %s; its messages are refused until then", device, OVER_LIMIT)
        self._keep_sample(state, Refused(device, now_us, OVER_LIMIT, payload))

    def _keep_sample(self, state: KnownDevice, refused: Refused) -> None:
        """A flood of what is refused must fill neither memory nor disk."""
        now_us, payload = refused.received_us, refused.payload
        is_kept = state.limits.keeps_sample(now_us)
        if refused.device not in self.devices:
            is_kept = is_kept and self._stranger_samples.take(now_us)
        if is_kept:
            if len(payload) > MAX_REFUSED_BYTES:
                reason = f"{refused.reason} (the first {MAX_REFUSED_BYTES} of {len(payload)} bytes are kept)"
                refused = replace(refused, reason=reason, payload=payload[:MAX_REFUSED_BYTES])
            self.keep(refused)

    def _end_episodes(self, now_us: int) -> None:
        for device, episode in list(self.flooding.items()):
            state = self.devices.get(device) or self._strangers.get(device)
            if state is None or state.limits.ended(now_us) is not None:
                del self.flooding[device]
                took_s = (episode.newest_us - episode.since_us) / 1e6
                text = "%s is within its limit again: %d messages were refused in %.0f s"
                logger.warning(text, device, episode.refused, took_s)


def _is_told(n: int) -> bool:
    """True at 1, 10, 100, ...: a flood must not fill the log."""
    return str(n).strip("0") == "1"
