"""What the broker retains for everybody: alarms, limits in force and the pause, and the newest of each alone.

Nothing is queued while the broker is away, and everything is said again on its return.
"""

from typing import Protocol

from ingest.link import Message

__all__ = ["AlarmLink", "Board"]


class AlarmLink(Protocol):
    """What the service asks of its MQTT connection."""

    @property
    def is_connected(self) -> bool:
        """True while the broker is there."""

    def poll(self, timeout_s: float) -> list[Message]:
        """Messages that came."""

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Send, at least once."""

    def acknowledge(self, *messages: Message) -> None:
        """Say that messages are safe here."""


class Board:
    """Retained topics of one service, by what should stand on each."""

    def __init__(self, link: AlarmLink) -> None:
        self._link = link
        self._shown: dict[str, bytes] = {}  # what should stand there; no empty payloads
        self._unsaid: set[str] = set()  # topics that changed since they were last published
        self._found: set[str] = set()  # topics that the broker said it retains
        self._was_connected = False

    def show(self, topic: str, payload: bytes) -> None:
        """Let this stand on the topic; an empty payload takes it away."""
        if self._shown.get(topic, b"") != payload:
            self._unsaid.add(topic)
        self._shown.pop(topic, None)
        if payload:
            self._shown[topic] = payload

    def found(self, topic: str) -> None:
        """The broker retains something on this topic of ours."""
        self._found.add(topic)

    def publish(self) -> None:
        """Say what changed; all of it when the broker is back."""
        is_back = self._link.is_connected and not self._was_connected
        self._was_connected = self._link.is_connected
        if self._was_connected:
            for topic in self._shown | dict.fromkeys(self._unsaid, b"") if is_back else self._unsaid:
                self._link.publish(topic, self._shown.get(topic, b""), retain=True)
        self._unsaid.clear()

    def clear_leftovers(self) -> None:
        """Take away what is retained and should not stand there; call it only once that is known.

        They outlive an alarm when we, or a broker that had not saved yet, were killed as it went off.
        """
        for topic in self._found - self._shown.keys():
            self._link.publish(topic, b"", retain=True)
        self._found.clear()
