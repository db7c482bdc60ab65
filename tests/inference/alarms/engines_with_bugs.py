"""Engines that are wrong in one way each; the model check must catch them all."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from inference.alarms.alarm import Alarm, AlarmKind, AlarmState
from inference.alarms.engine import AlarmEngine
from inference.alarms.events import Acknowledge, Tick
from inference.alarms.limits import SetLimits
from inference.alarms.memory import HOUSE, DeviceMemory
from inference.alarms.rules import BLINDING, LATCHING, Reading
from ingest.vitals import Vitals


class LosesHighAlarms(AlarmEngine):
    """A technical alarm of the lead takes a high alarm away, and nobody is told."""

    def _advance(self, device: str, kind: AlarmKind, reading: Reading, at_us: int) -> list[Alarm]:
        episodes = self._memory[device].episodes
        if kind in LATCHING and any(other in episodes for other in BLINDING):
            episodes.pop(kind, None)
        return super()._advance(device, kind, reading, at_us)


class ClearsLatched(AlarmEngine):
    """What is latched goes off by itself after a while."""

    def _let_pass(self, device: str, at_us: int) -> list[Alarm]:
        changes = super()._let_pass(device, at_us)
        for episode in list(self._memory[device].episodes.values()):
            is_old = at_us - episode.alarm.at_us > 5_000_000
            if episode.alarm.state is AlarmState.LATCHED and is_old:
                changes += self._settled(device, episode, episode.discharge("nobody", at_us))
        return changes


class BlindedByOthers(AlarmEngine):
    """A technical alarm of anybody's lead suppresses everybody's rate alarms."""

    def _advance(self, device: str, kind: AlarmKind, reading: Reading, at_us: int) -> list[Alarm]:
        memories = self._memory.values()
        is_off = any(other in memory.episodes for memory in memories for other in BLINDING)
        is_rate = kind in {AlarmKind.EXTREME_RATE, AlarmKind.RATE_LIMIT}
        return super()._advance(device, kind, None if is_rate and is_off else reading, at_us)


class SeesThroughNoise(AlarmEngine):
    """A poor signal suppresses nothing."""

    def _advance(self, device: str, kind: AlarmKind, reading: Reading, at_us: int) -> list[Alarm]:
        if kind is AlarmKind.SIGNAL and reading is not None:
            return []
        return super()._advance(device, kind, reading, at_us)


class PauseHides(AlarmEngine):
    """While sounds are paused nothing new is raised."""

    def _advance(self, device: str, kind: AlarmKind, reading: Reading, at_us: int) -> list[Alarm]:
        is_new = kind not in self._memory[device].episodes
        return [] if self._pause and is_new else super()._advance(device, kind, reading, at_us)


class PauseLastsForEver(AlarmEngine):
    """The pause is never over."""

    def _on_tick(self, tick: Tick) -> list[Alarm]:
        pause = self._pause
        changes = super()._on_tick(tick)
        self._pause = pause
        return changes + self._sound_changes()


class SleepsThroughEscalation(AlarmEngine):
    """What nobody acknowledged is not passed on."""

    def _remind(self, device: str, at_us: int) -> list[Alarm]:
        for episode in self._memory[device].episodes.values():
            episode.waiting_us = at_us
        return super()._remind(device, at_us)


class PassesOnWhatWasSeen(AlarmEngine):
    """An acknowledgement passes the alarm on."""

    def _on_acknowledge(self, event: Acknowledge) -> list[Alarm]:
        changes = super()._on_acknowledge(event)
        return [replace(change, escalation=change.escalation + 1) for change in changes]


class SilencesNewerEpisodes(AlarmEngine):
    """An acknowledgement counts for whatever is on now."""

    def _on_acknowledge(self, event: Acknowledge) -> list[Alarm]:
        return super()._on_acknowledge(replace(event, since_us=None))


class KeepsTheOldLimits(AlarmEngine):
    """New limits are taken and not used."""

    def _on_limits(self, change: SetLimits) -> list[Alarm]:
        del change
        return []


class RemembersTheDischarged(AlarmEngine):
    """Vitals without new data bring a discharged device back."""

    def _on_vitals(self, vitals: Vitals) -> list[Alarm]:
        memory = self._memory.get(vitals.device)
        if memory is not None and memory.is_discharged:
            self._memory[vitals.device] = DeviceMemory()
        return super()._on_vitals(vitals)


class ForgetsThePause(AlarmEngine):
    """A restart ends the pause and the limits."""

    def snapshot(self, devices: Iterable[str] | None = None) -> dict[str, bytes]:
        return {name: memory for name, memory in super().snapshot(devices).items() if name != HOUSE}


class ForgetsEpisodes(AlarmEngine):
    """A restart ends every alarm."""

    def restore(self, snapshot: Mapping[str, bytes]) -> None:
        super().restore(snapshot)
        for memory in self._memory.values():
            memory.episodes.clear()


class CountsRepetitions(AlarmEngine):
    """Vitals that come again are believed."""

    def _on_vitals(self, vitals: Vitals) -> list[Alarm]:
        memory = self._memory.get(vitals.device)
        if memory is not None:
            memory.seen.vitals_us = None
        return super()._on_vitals(vitals)


BUGS = (
    LosesHighAlarms,
    ClearsLatched,
    BlindedByOthers,
    SeesThroughNoise,
    PauseHides,
    PauseLastsForEver,
    SleepsThroughEscalation,
    PassesOnWhatWasSeen,
    SilencesNewerEpisodes,
    KeepsTheOldLimits,
    RemembersTheDischarged,
    ForgetsThePause,
    ForgetsEpisodes,
    CountsRepetitions,
)
