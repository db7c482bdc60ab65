"""What people set -> the retained topics that say what is in force: pause, limits and names."""

import msgspec

from inference.alarms.board import Board
from inference.alarms.engine import AlarmEngine
from ingest.topics import OWN_SITE, PAUSED, limits_in_force_topic, name_in_force_topic


class ShownSettings:
    """Keeps the board's settings true; only what changed is shown anew."""

    def __init__(self, board: Board, alarms: AlarmEngine) -> None:
        self._board = board
        self._alarms = alarms
        self._limited: set[str] = set()  # devices and sites whose limits are shown
        self._named: set[str] = set()  # scopes whose names are shown
        self._paused: bytes = b""
        self._arrivals = 0  # the engine's when its devices were last looked at
        self.is_stale = False  # limits or names may have changed, or somebody was discharged

    def show(self) -> bool:
        """Bring the board up to date; True where the pause changed."""
        arrivals = self._alarms.arrivals
        if self.is_stale or arrivals != self._arrivals:  # to look at 10,000 devices takes 3 ms
            self._arrivals = arrivals
            self._show_limits(self._scopes())
        if self.is_stale:
            self._show_names()
        self.is_stale = False
        return self._show_pause()

    def _scopes(self) -> set[str]:
        """Every patient, and their sites: what a new patient there would get."""
        own = f"{OWN_SITE}/"
        patients = {device for device in self._alarms.devices if not device.startswith(own)}
        set_for_sites = {scope for scope in self._alarms.limits.entries if "/" not in scope}
        return patients | {device.partition("/")[0] for device in patients} | set_for_sites

    def _show_limits(self, scopes: set[str]) -> None:
        for scope in self._limited - scopes:
            self._board.show(limits_in_force_topic(scope), b"")
        for scope in scopes if self.is_stale else scopes - self._limited:
            in_force = self._alarms.limits.in_force(scope)
            self._board.show(limits_in_force_topic(scope), msgspec.json.encode(in_force))
        self._limited = scopes

    def _show_names(self) -> None:
        entries = self._alarms.names.entries
        for scope in self._named - entries.keys():
            self._board.show(name_in_force_topic(scope), b"")
        for scope, entry in entries.items():
            self._board.show(name_in_force_topic(scope), msgspec.json.encode(entry))
        self._named = set(entries)

    def _show_pause(self) -> bool:
        pause = self._alarms.pause
        paused = b"" if pause is None else msgspec.json.encode(pause)
        if paused == self._paused:
            return False
        self._paused = paused
        self._board.show(PAUSED, paused)
        return True
