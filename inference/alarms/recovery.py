"""What the store knows of alarms -> an engine that continues from it, in a process that began to listen."""

import logging

import msgspec
from sqlalchemy import Engine

from inference.alarms.alarm import Alarm
from inference.alarms.engine import AlarmEngine
from inference.alarms.events import Discharge
from inference.alarms.messages import UNWATCHED
from inference.alarms.records import SettingChange, active_alarms, load_memory
from inference.alarms.setting import apply_setting
from ingest.topics import OWN_SITE

OURSELVES = "Wristlead"  # who did it, in the log

logger = logging.getLogger(__name__)


def recover(
    alarms: AlarmEngine, engine: Engine, listening_since_us: int, at_us: int
) -> tuple[list[Alarm], list[SettingChange]]:
    """Bring in what the store knows; devices already heard of keep their newer memory.

    Returns the alarms that ended by it, and the lines of the log that say so. Raises SQLAlchemyError.
    """
    heard = set(alarms.devices)
    for name, memory in sorted(load_memory(engine).items()):  # the house first
        if name in heard:
            continue
        try:
            alarms.restore({name: memory})
        except msgspec.DecodeError as error:
            logger.warning("the memory of %s is not readable (%s); its alarms continue", name, error)
    for alarm in active_alarms(engine):
        alarms.adopt(alarm)
    alarms.resume(listening_since_us, at_us)
    return _forget_unwatched(alarms, at_us)


def _forget_unwatched(alarms: AlarmEngine, at_us: int) -> tuple[list[Alarm], list[SettingChange]]:
    """Discharge what was once missed and is not any more: no heartbeat would ever end its alarm."""
    ended, said = list[Alarm](), list[SettingChange]()
    for device in (f"{OWN_SITE}/{name}" for name in sorted(UNWATCHED)):
        if device in alarms.devices:
            changes, lines = apply_setting(alarms, Discharge(device, OURSELVES, at_us))
            ended += changes
            said += lines
    return ended, said
