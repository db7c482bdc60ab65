"""A TOML file of `[[channel]]` tables -> checked channels, or one sentence for each thing that is wrong.

Addresses hold secrets: they are never part of an error, a log line or what is published.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import quote

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from inference.alarms.alarm import URGENCY, Alarm, AlarmKind, AlarmPriority
from ingest.topics import ID_PATTERN, OWN_SITE

MAX_LEVEL = 9
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class NotifyConfigError(ValueError):
    """The channels' file cannot be used; the message names file, channel, key and what was expected."""


class ChannelError(ValueError):
    """One channel cannot be used, others can; the message says why, without the address."""


def _is_id(value: Any) -> Any:
    if not isinstance(value, str) or not ID_PATTERN.fullmatch(value):
        raise ValueError("want 1 to 64 of A-Z a-z 0-9 _ -")
    return value


Id = Annotated[str, BeforeValidator(_is_id)]


class Channel(BaseModel):
    """One way to reach people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Id
    url: SecretStr = Field(min_length=1)  # as apprise reads it; ${NAME} is an environment variable
    level: int = Field(
        default=0, ge=0, le=MAX_LEVEL
    )  # 0 is told at once, 1 when nobody acknowledged, and so on
    min_priority: AlarmPriority = AlarmPriority.MEDIUM
    sites: tuple[Id, ...] = ()  # none: all
    show_names: bool = False  # else messages name a patient by site and device only
    follow_up: bool = False  # also say, quietly, that an alarm ended or was acknowledged
    burst: int = Field(default=5, ge=1, le=1000)  # messages at once
    per_minute: float = Field(default=6.0, gt=0.0, le=1000.0)  # messages in the long run

    def may_tell(self, alarm: Alarm) -> bool:
        """True when the channel takes such alarms at all; those of the house itself concern every site.

        That the channel itself fails is for the others to tell.
        """
        site, _, name = alarm.device.partition("/")
        is_of_itself = site == OWN_SITE and (alarm.kind, name) == (AlarmKind.NOTIFIER, self.name)
        is_of_site = not self.sites or site in self.sites or site == OWN_SITE
        is_urgent = URGENCY[alarm.priority] >= URGENCY[self.min_priority]
        return is_of_site and is_urgent and not is_of_itself


class Grouping(BaseModel):
    """How long an alarm waits for others, so that they make one message; seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    high_s: float = Field(default=0.0, ge=0.0, le=10.0)
    other_s: float = Field(default=5.0, ge=0.0, le=300.0)


class NotifyConfig(BaseModel):
    """The whole file; without channels where only home automation is served."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: Grouping = Grouping()
    channel: tuple[Channel, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [each.name for each in self.channel]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"channel {', '.join(twice)} is there twice: give each a name of its own")
        levels = {each.level for each in self.channel}
        if missing := sorted(set(range(max(levels, default=0))) - levels):
            raise ValueError(
                f"no channel has level {missing[0]}: alarms climb from level 0, and none may be left out"
            )
        return self


def load_notify_config(path: Path) -> NotifyConfig:
    """The channels of a TOML file; raises NotifyConfigError."""
    try:
        config = NotifyConfig.model_validate(tomllib.loads(path.read_text("utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise NotifyConfigError(f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        raise NotifyConfigError("; ".join(_in_words(each, path) for each in error.errors())) from None
    except (OSError, UnicodeDecodeError) as error:
        raise NotifyConfigError(
            f"{path} cannot be read ({error}): set --notify-config to a TOML file"
        ) from None
    if not config.channel:
        raise NotifyConfigError(f"{path} has no [[channel]]: docs/notify.md has examples")
    return config


def address_of(channel: Channel, environment: Mapping[str, str]) -> str:
    """The address with its `${NAME}` filled in; raises ChannelError, which names the variable only.

    A value that is a part of the address is escaped for it; one that is the whole address is taken as it is.
    """
    url = channel.url.get_secret_value()
    names = VARIABLE.findall(url)
    if missing := sorted({name for name in names if not environment.get(name)}):
        raise ChannelError(f"the environment variable {', '.join(missing)} is not set")
    if VARIABLE.fullmatch(url):
        return environment[names[0]]
    return VARIABLE.sub(lambda found: quote(environment[found[1]], safe=""), url)


def _in_words(error: Any, path: Path) -> str:
    """One pydantic error: the place, what was expected; what came only where it is no secret."""
    place = ".".join(str(each) for each in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "there is no such key"
    is_plain = isinstance(error["input"], str | int | float | bool) and "url" not in error["loc"]
    came = f" (got {error['input']!r})" if is_plain and error["type"] != "extra_forbidden" else ""
    return f"{path}: {place + ': ' if place else ''}{message}{came}"
