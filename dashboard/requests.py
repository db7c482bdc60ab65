"""What a person at a page asks of the other services: read from the page, checked, and put on the wire.

The dashboard decides nothing: it publishes, and shows what the services make of it.
"""

from typing import Any, Protocol

import msgspec

from dashboard.monitor import Monitor
from inference.alarms.person import MAX_WHO
from inference.explain.explanation import ExplanationMethod, answer_of
from inference.explain.request import ExplainRequest
from inference.verdict import Rhythm, Superclass
from ingest import topics
from ingest.topics import ID_PATTERN


class Request(Protocol):
    """One thing that a person asks."""

    def concerns(self, monitor: Monitor) -> bool:
        """True where there is something that it is about."""

    def topic(self) -> str:
        """Where it is published."""

    def payload(self) -> bytes:
        """What is published there."""


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is asked, by somebody."""

    who: str  # as the person named themselves in this browser

    def payload(self) -> bytes:
        """Everything but where it goes, as JSON."""
        return msgspec.json.encode({"who": self.who.strip()[:MAX_WHO]} | self.more())

    def more(self) -> dict[str, Any]:
        """What is said besides who asks."""
        return {}


class Acknowledge(Named, frozen=True):
    """I have seen this alarm: the episode that began at `since_us`, or whichever is on."""

    device: str
    kind: str
    since_us: int | None = None

    def concerns(self, monitor: Monitor) -> bool:
        """Only an alarm that is there can be acknowledged."""
        return (
            ID_PATTERN.fullmatch(self.kind) is not None and monitor.alarm(self.device, self.kind) is not None
        )

    def topic(self) -> str:
        """Where the alarm service listens."""
        return topics.acknowledge_topic(self.device, self.kind)

    def more(self) -> dict[str, Any]:
        """The episode, where it is told."""
        return {} if self.since_us is None else {"since_us": self.since_us}


class PauseAll(Named, frozen=True):
    """Hold back all sounds and notifications for two minutes, or no longer."""

    on: bool
    asked_us: int | None = None  # by this server's clock: one that waited too long does not begin

    def concerns(self, monitor: Monitor) -> bool:  # noqa: ARG002 - one signature for all
        """Always."""
        return True

    def topic(self) -> str:
        """Where the alarm service listens."""
        return topics.PAUSE

    def more(self) -> dict[str, Any]:
        """On or off, and when it was asked."""
        return {"on": self.on} | ({} if self.asked_us is None else {"asked_us": self.asked_us})


class Limits(Named, frozen=True):
    """Four limits of somebody's own; null is inherited. The alarm service checks them and may refuse."""

    rate_low_bpm: float | None = None
    rate_high_bpm: float | None = None
    rate_extreme_low_bpm: float | None = None
    rate_extreme_high_bpm: float | None = None
    reset: bool = False  # all inherited again

    def more(self) -> dict[str, Any]:
        """The four limits, or that there are none of their own."""
        if self.reset:
            return {"reset": True}
        return {
            "rate_low_bpm": self.rate_low_bpm,
            "rate_high_bpm": self.rate_high_bpm,
            "rate_extreme_low_bpm": self.rate_extreme_low_bpm,
            "rate_extreme_high_bpm": self.rate_extreme_high_bpm,
        }


class SetLimits(Limits, frozen=True, kw_only=True):
    """Limits of one patient's own; what is null comes from the site."""

    device: str

    def concerns(self, monitor: Monitor) -> bool:
        """Only of a patient that is known."""
        return monitor.has_patient(self.device)

    def topic(self) -> str:
        """Where the alarm service listens."""
        return topics.limits_topic(self.device)


class Discharge(Named, frozen=True):
    """The patient has left: their alarms end, and their own limits with them.

    Likewise a part of Wristlead, `wristlead/{name}`, that was taken away for good.
    """

    device: str

    def concerns(self, monitor: Monitor) -> bool:
        """Only of a patient that is known, or of a part of Wristlead that has an alarm."""
        site, _, name = self.device.partition("/")
        if site == topics.OWN_SITE:
            return monitor.house.has_alarm(name)
        return monitor.has_patient(self.device)

    def topic(self) -> str:
        """Where the alarm service listens."""
        return topics.discharge_topic(self.device)


class Annotate(Named, frozen=True):
    """Write, change or remove words at a moment or a span of a recording; the alarm service keeps them."""

    device: str
    id: str
    from_us: int | None = None
    to_us: int | None = None  # null: a moment
    text: str | None = None
    remove: bool = False

    def concerns(self, monitor: Monitor) -> bool:  # noqa: ARG002 - one signature for all
        """Of any device: what is stored of a patient who has left can be annotated too."""
        return topics.is_device(self.device)

    def topic(self) -> str:
        """Where the alarm service listens."""
        return topics.annotate_topic(self.device)

    def more(self) -> dict[str, Any]:
        """The annotation, or that it is to go."""
        if self.remove:
            return {"id": self.id, "remove": True}
        return {"id": self.id, "from_us": self.from_us, "to_us": self.to_us, "text": self.text}


class ChannelTest(Named, frozen=True):
    """Send a test on one notification channel."""

    name: str

    def concerns(self, monitor: Monitor) -> bool:
        """Only of a channel that is known."""
        return monitor.house.has_channel(self.name)

    def topic(self) -> str:
        """Where the notifier listens."""
        return topics.channel_test_topic(self.name)


class Explain(Named, frozen=True):
    """Say why a window got that superclass or rhythm; wl/v1/explain carries nobody's name."""

    device: str
    session: int
    first_sample: int
    superclass: Superclass | None = None
    rhythm: Rhythm | None = None
    method: ExplanationMethod = ExplanationMethod.GRADIENT_SHAP

    def __post_init__(self) -> None:
        """Raise ValueError unless it asks of one answer."""
        answer_of(self.superclass, self.rhythm)

    def concerns(self, monitor: Monitor) -> bool:
        """Only of a patient or a recording that is known."""
        return monitor.has_patient(self.device) or monitor.recordings.has_device(self.device)

    def topic(self) -> str:
        """Where the explain service listens."""
        return topics.explain_topic(self.device)

    def payload(self) -> bytes:
        """An ExplainRequest."""
        asked = ExplainRequest(self.session, self.first_sample, self.superclass, self.method, self.rhythm)
        return msgspec.json.encode(asked)


class StopReplay(Named, frozen=True):
    """Play that recording no longer; a page asks it of the server's route."""

    recording_id: str

    def concerns(self, monitor: Monitor) -> bool:
        """Only of a recording that is known."""
        return monitor.recordings.find(self.recording_id) is not None

    def topic(self) -> str:
        """Where its replay listens, whichever process plays it."""
        return topics.replay_topic(self.recording_id)
