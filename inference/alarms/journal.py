"""Transitions, settings and the engine's memory on their way to the store, kept while it is in trouble."""

import logging
from collections import deque
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from inference.alarms.alarm import Alarm
from inference.alarms.engine import AlarmEngine
from inference.alarms.records import SettingChange, save_alarms
from ingest.store.schema import STORE_OK

CHECKPOINT_S = 10.0  # how old the memory of a quiet device may be after a kill
RETRY_S = 1.0  # between attempts while the store is in trouble
MAX_UNSAVED = 10_000  # transitions kept while the store is in trouble

logger = logging.getLogger(__name__)


class Journal:
    """`open_engine` connects to the store; `recover` is called once, with it, before anything is saved."""

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        recover: Callable[[Engine], None],
        alarms: AlarmEngine,
        monotonic_s: Callable[[], float],
    ) -> None:
        self._open_engine = open_engine
        self._recover = recover
        self._alarms = alarms
        self._monotonic_s = monotonic_s
        self._engine: Engine | None = None
        self._transitions: deque[Alarm] = deque(maxlen=MAX_UNSAVED)
        self._settings: deque[SettingChange] = deque(maxlen=MAX_UNSAVED)
        self._changed: set[str] = set()  # names in a snapshot that must be saved with a transition
        self._heard: set[str] = set()  # names whose memory is older than what was heard
        self._save_at_s = 0.0
        self._checkpoint_at_s = monotonic_s() + CHECKPOINT_S
        self.dropped = 0
        self.state = STORE_OK  # or why the store cannot be used

    @property
    def has_read(self) -> bool:
        """True once the store has told what it knows."""
        return self._engine is not None

    @property
    def engine(self) -> Engine | None:
        """The store, once it has told what it knows."""
        return self._engine

    @property
    def is_well(self) -> bool:
        """False while the store is in trouble."""
        return self.state == STORE_OK

    @property
    def n_unsaved(self) -> int:
        """Transitions that wait for the store."""
        return len(self._transitions)

    def heard(self, name: str) -> None:
        """A device's memory grew older than what was heard; it is saved at the next checkpoint."""
        self._heard.add(name)

    def note(self, transition: Alarm) -> None:
        """A transition to be stored, with the memory of its device."""
        self.dropped += len(self._transitions) == MAX_UNSAVED
        self._transitions.append(transition)
        self._changed.add(transition.device)

    def note_setting(self, change: SettingChange) -> None:
        """A person's setting to be stored."""
        self._settings.append(change)

    def changed(self, name: str) -> None:
        """A memory that must be saved now."""
        self._changed.add(name)

    def save_if_due(self) -> None:
        """Save when there is something to save and the store is well."""
        is_checkpoint = self._monotonic_s() >= self._checkpoint_at_s
        if self.is_well and (self._changed or is_checkpoint):
            self.save()

    def retry_if_due(self) -> None:
        """Try again while the store is in trouble."""
        if not self.is_well and self._monotonic_s() >= self._save_at_s:
            self.save()

    def save(self) -> None:
        """One transaction; what it does not take is kept."""
        now_s = self._monotonic_s()
        is_checkpoint = now_s >= self._checkpoint_at_s
        try:
            if self._engine is None:
                engine = self._open_engine()
                self._recover(engine)
                self._engine = engine
            names = self._changed | self._heard if is_checkpoint else self._changed
            memory = self._alarms.snapshot(names)
            save_alarms(self._engine, list(self._transitions), memory, list(self._settings))
        except SQLAlchemyError as error:
            self._save_at_s = now_s + RETRY_S
            self._tell(str(getattr(error, "orig", None) or error))
            return
        self._tell(STORE_OK)
        self._transitions.clear()
        self._settings.clear()
        self._changed.clear()
        if is_checkpoint:
            self._heard.clear()
            self._checkpoint_at_s = now_s + CHECKPOINT_S

    def close(self) -> None:
        """Save everything, so that the next start continues identically."""
        for name in self._alarms.snapshot():
            self._changed.add(name)
        self.save()
        if self._engine is not None:
            self._engine.dispose()

    def _tell(self, state: str) -> None:
        if state != STORE_OK and self.state == STORE_OK:
            logger.error("alarms go on but cannot be stored: %s", state)
        elif state == STORE_OK and self.state != STORE_OK:
            logger.info("alarms are stored again")
        self.state = state
