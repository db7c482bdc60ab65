"""Messages about Wristlead itself -> services, notification channels, pause and its own alarms; no I/O."""

from dataclasses import dataclass, replace

import msgspec

from inference.alarms.alarm import Alarm, AlarmState
from inference.alarms.messages import Refusal
from inference.alarms.pause import Pause
from ingest import topics
from ingest.store.schema import STORE_OK

EXPECTED_SERVICES = ("ingest", "inference", "alarms")
MISSING_AFTER_S = 2.2  # heartbeats come each second; the page must name a missing service within 3 s
TROUBLE_AFTER_S = 3.0  # a store that another writer locks for a second is no news
MAX_CHANNELS = 64
MAX_ALARMS = 256  # of Wristlead's own parts
MAX_SERVICES = 64  # a stranger who invents services must not fill the memory


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Whether a service answers; `since_us` is when it was last heard (or when we began to listen)."""

    name: str
    is_missing: bool
    is_unseen: bool
    since_us: int
    trouble: str | None = None  # why it cannot use the store, when that has lasted


@dataclass(frozen=True, slots=True)
class Channel:
    """One way by which notifications leave the house; times are Unix microseconds."""

    name: str = ""
    ok: bool = True
    reason: str | None = None  # why it fails
    at_us: int | None = None  # of the newest attempt
    level: int | None = None  # 0: told at once; 1 and above: where nobody acknowledged in time
    min_priority: str | None = None
    sent: int = 0
    failed: int = 0
    last_sent_us: int | None = None


class _Counters(msgspec.Struct, frozen=True):
    store: str = STORE_OK


class _Beat(msgspec.Struct, frozen=True):
    online: bool = False
    at_us: int = 0
    counters: _Counters = _Counters()


_beat_decoder = msgspec.json.Decoder(_Beat)
_pause_decoder = msgspec.json.Decoder(Pause)
_channel_decoder = msgspec.json.Decoder(Channel)
_alarm_decoder = msgspec.json.Decoder(Alarm)
_refusal_decoder = msgspec.json.Decoder(Refusal)


class House:
    """`started_us` is the wall clock when listening began. `push` raises what cannot be understood."""

    def __init__(self, started_us: int) -> None:
        self.paused: Pause | None = None
        self._started_us = started_us
        self._heard_us: dict[str, int] = {}
        self._offline: set[str] = set()
        self._trouble: dict[str, tuple[int, str]] = {}  # of a service with its store: since when, and why
        self._channels: dict[str, Channel] = {}
        self._alarms: dict[tuple[str, str], Alarm] = {}
        self._refusals: dict[str, Refusal] = {}

    def push(self, topic: str, payload: bytes, received_us: int, *, retained: bool = False) -> bool:
        """Take a message if it is about the house; False when it is not.

        Raises msgspec.DecodeError or ValueError when it cannot be understood; nothing has changed then.
        """
        what, *names = topic.removeprefix("wl/v1/").split("/")
        match what, names:
            case "service", [name]:
                self._take_beat(name, payload, received_us, retained=retained)
            case "paused", []:
                self.paused = _pause_decoder.decode(payload) if payload else None
            case "channel", [name]:
                self._take_channel(name, payload)
            case "alarm", [topics.OWN_SITE, name, kind]:
                self._take_alarm(name, kind, payload)
            case "refusal", ["discharge", topics.OWN_SITE, name] if self.has_alarm(name):
                self._refusals[f"{topics.OWN_SITE}/{name}"] = _refusal_decoder.decode(payload)
            case _:
                return False
        return True

    def services(self, now_us: int) -> tuple[ServiceState, ...]:
        """State of the services without which the page is not whole."""
        return tuple(self.service(name, now_us) for name in EXPECTED_SERVICES)

    def service(self, name: str, now_us: int) -> ServiceState:
        """State of one service, also of one that need not be there."""
        since_us = self._heard_us.get(name, self._started_us)
        is_silent = now_us - since_us > MISSING_AFTER_S * 1e6
        is_unseen = name not in self._heard_us
        is_missing = is_silent or name in self._offline
        trouble_us, trouble = self._trouble.get(name, (now_us, None))
        has_lasted = now_us - trouble_us >= TROUBLE_AFTER_S * 1e6
        return ServiceState(name, is_missing, is_unseen, since_us, trouble if has_lasted else None)

    def channels(self) -> tuple[Channel, ...]:
        """Every notification channel, by name."""
        return tuple(self._channels[name] for name in sorted(self._channels))

    def alarms(self) -> tuple[Alarm, ...]:
        """Alarms of Wristlead's own parts that are not off: a channel that fails, a service that is gone."""
        return tuple(self._alarms[place] for place in sorted(self._alarms))

    def alarm(self, name: str, kind: str) -> Alarm | None:
        """That alarm of a part of the house, if it is not off."""
        return self._alarms.get((name, kind))

    def has_alarm(self, name: str) -> bool:
        """True when that part of the house has an alarm that is not off."""
        return any(part == name for part, _ in self._alarms)

    def refusals(self) -> dict[str, Refusal]:
        """By "wristlead/name": why the newest request to discharge that part was not done."""
        return dict(self._refusals)

    def has_channel(self, name: str) -> bool:
        """True when a notification channel of that name is known."""
        return name in self._channels

    def _take_beat(self, name: str, payload: bytes, received_us: int, *, retained: bool) -> None:
        beat = _beat_decoder.decode(payload) if payload else _Beat()
        is_new = name not in self._heard_us and name not in EXPECTED_SERVICES
        if is_new and len(self._heard_us) >= MAX_SERVICES:
            raise ValueError(f"service {name} is one more than the {MAX_SERVICES} kept")
        if beat.online:
            # A retained heartbeat is only as fresh as it says: its service may be long gone.
            self._heard_us[name] = min(beat.at_us, received_us) if retained else received_us
            self._offline.discard(name)
            self._note_trouble(name, beat.counters.store, received_us)
        else:
            self._heard_us.setdefault(name, received_us)
            self._offline.add(name)

    def _note_trouble(self, name: str, store: str, received_us: int) -> None:
        if store == STORE_OK:
            self._trouble.pop(name, None)
        else:
            since_us, _ = self._trouble.get(name, (received_us, ""))
            self._trouble[name] = (since_us, store)

    def _take_channel(self, name: str, payload: bytes) -> None:
        if not payload:
            self._channels.pop(name, None)
            return
        channel = _channel_decoder.decode(payload)
        if name not in self._channels and len(self._channels) >= MAX_CHANNELS:
            raise ValueError(f"channel {name} is one more than the {MAX_CHANNELS} kept")
        self._channels[name] = replace(channel, name=name)

    def _take_alarm(self, name: str, kind: str, payload: bytes) -> None:
        alarm = _alarm_decoder.decode(payload) if payload else None
        if alarm is None or alarm.state is AlarmState.OFF:
            self._alarms.pop((name, kind), None)
            self._refusals.pop(f"{topics.OWN_SITE}/{name}", None)
        elif (name, kind) not in self._alarms and len(self._alarms) >= MAX_ALARMS:
            raise ValueError(f"alarm {kind} of {name} is one more than the {MAX_ALARMS} kept")
        else:
            self._alarms[name, kind] = alarm
