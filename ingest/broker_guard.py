"""How much the broker holds for ingest -> whom it must not hear for a while: nobody fills the queue of all.

MQTT has no way to slow a publisher down, and a full queue drops what was acknowledged to anybody. So when
half of it is full and most of what arrives is of one topic, the broker that is started here is told, by its
access list and SIGHUP, to hear that topic no more: a minute first, each time twice as long, an hour at most.
Of somebody else's broker nothing is known; there its own limits must do.
"""

import logging
import os
import signal
from collections import Counter
from pathlib import Path

from ingest.broker import ACCESS_FILE, MAX_QUEUED, OPEN_ACCESS, PID_FILE

HELD_TOPIC = "$SYS/broker/store/messages/count"
# A day and two hours of 4 chunks/s are 374,400. At 48,000 small messages/s (measured) the rest fills in 10 s.
CROWDED = MAX_QUEUED // 2
MOSTLY = 0.5  # share of what arrives
DENIED_S = 60.0
DENIED_MOST_S = 3600.0

logger = logging.getLogger(__name__)


class BrokerGuard:
    """Watches the queue; `folder` is that of the broker started here, None for another's."""

    def __init__(self, folder: Path | None) -> None:
        self.denied: dict[str, float] = {}  # topic -> until when
        self._folder = folder
        self._is_crowded = False
        self._arrived: Counter[str] = Counter()
        self._times: Counter[str] = Counter()  # a topic was denied

    @property
    def is_on(self) -> bool:
        """True when there is a broker that can be told."""
        return self._folder is not None and (self._folder / PID_FILE).exists()

    def take(self, topic: str, payload: bytes) -> bool:
        """Note one message; True when it was the broker's own count, and nobody else's."""
        if topic == HELD_TOPIC:
            self._is_crowded = payload.isdigit() and int(payload) > CROWDED
            return True
        if self._is_crowded:
            self._arrived[topic] += 1
        return False

    def look(self, now_s: float) -> str | None:
        """Once a second: the topic that is denied from now on; None when none is."""
        found, arrived, self._arrived = None, self._arrived, Counter()
        for topic, n in arrived.most_common(1):
            # One that was denied already still arrives from the queue; a line break would be one more rule.
            if n > MOSTLY * arrived.total() and topic not in self.denied and topic.isprintable():
                found = topic
                took_s = min(DENIED_S * 2 ** self._times[topic], DENIED_MOST_S)
                self._times[topic] += 1
                self.denied[topic] = now_s + took_s
                text = "the broker's queue is half full, most of it of %s: the broker refuses that for %.0f s"
                logger.error(text, topic, took_s)
        over = [topic for topic, until_s in self.denied.items() if now_s >= until_s]
        for topic in over:
            del self.denied[topic]
            logger.warning("the broker hears %s again", topic)
        if found is not None or over:
            self._tell()
        return found

    def _tell(self) -> None:
        if self._folder is None:
            return
        rules = [f"topic deny {topic}" for topic in self.denied]
        try:
            (self._folder / ACCESS_FILE).write_text("\n".join([*OPEN_ACCESS, *rules]) + "\n")
            os.kill(int((self._folder / PID_FILE).read_text()), signal.SIGHUP)
        except (OSError, ValueError) as error:
            logger.error("the broker cannot be told to refuse %s: %s", ", ".join(self.denied), error)  # noqa: TRY400 - it goes on
