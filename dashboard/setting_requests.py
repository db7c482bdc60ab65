"""What a person on the page of settings asks: names, limits of a site, how long things are kept.

Like those of requests.py: published, and shown when their owner says what became of them.
"""

from typing import Any

import msgspec

from dashboard.monitor import Monitor
from dashboard.requests import Limits, Named
from ingest import topics

MAX_NAME_SAID = 200  # characters passed on; the alarm service refuses more than 64


class SetName(Named, frozen=True):
    """What a patient ("site/device") or a site is called; null takes the name away."""

    scope: str
    name: str | None

    def concerns(self, monitor: Monitor) -> bool:
        """Only of a patient or site that is known, or that has a name to be taken away."""
        return self.scope in monitor.in_force.names or is_known(monitor, self.scope)

    def topic(self) -> str:
        """Where the alarm service listens."""
        return topics.name_topic(self.scope)

    def more(self) -> dict[str, Any]:
        """The name, or that there is none."""
        return {"reset": True} if self.name is None else {"name": self.name[:MAX_NAME_SAID]}


class SetSiteLimits(Limits, frozen=True, kw_only=True):
    """Limits for everybody at a site who has none of their own; what is null is the installation's."""

    site: str

    def concerns(self, monitor: Monitor) -> bool:
        """Only of a site that is known."""
        return is_known(monitor, self.site) and "/" not in self.site

    def topic(self) -> str:
        """Where the alarm service listens."""
        return topics.limits_topic(self.site)


class SetKeeping(Named, frozen=True):
    """How long waveforms, windows and verdicts are kept; null keeps all. Ingest checks it and may refuse."""

    keep_days: float | msgspec.UnsetType | None = msgspec.UNSET
    reset: bool = False
    confirm: int | None = None  # of what ingest says would be deleted

    def concerns(self, monitor: Monitor) -> bool:
        """Only where ingest has said what is in force."""
        return monitor.in_force.keeping is not None

    def topic(self) -> str:
        """Where ingest listens."""
        return topics.RETENTION

    def more(self) -> dict[str, Any]:
        """The days or the default, and what was confirmed."""
        asked: dict[str, Any] = {"reset": True} if self.reset else {}
        if self.keep_days is not msgspec.UNSET:
            asked["keep_days"] = self.keep_days
        return asked | ({} if self.confirm is None else {"confirm": self.confirm})


def is_known(monitor: Monitor, scope: str) -> bool:
    """True of a patient that is there, and of a site with one or with limits of its own."""
    if "/" in scope:
        return monitor.has_patient(scope)
    at_site = any(device.startswith(f"{scope}/") for device in monitor.devices())
    return at_site or scope in monitor.in_force.site_limits
