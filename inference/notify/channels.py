"""Configured channels -> what sends on each; one that cannot be used answers why, and harms no other."""

from collections.abc import Callable, Mapping

from inference.notify.configuration import Channel, ChannelError, NotifyConfig, address_of
from inference.notify.delivery import Deliver, open_channel, scheme_of
from inference.notify.extra import REMEDY, is_installed
from inference.notify.texts import Letter


def open_channels(
    config: NotifyConfig, environment: Mapping[str, str]
) -> tuple[dict[str, Deliver], dict[str, str]]:
    """What sends on each channel, by name, and why those that cannot be used cannot."""
    delivers: dict[str, Deliver] = {}
    broken: dict[str, str] = {}
    for channel in config.channel:
        try:
            delivers[channel.name] = _open(channel, environment)
        except ChannelError as error:
            broken[channel.name] = str(error)
            delivers[channel.name] = _refusing(str(error))
    return delivers, broken


def describe(channel: Channel, environment: Mapping[str, str], problem: str | None) -> str:
    """One line about a channel for people; of its address only the kind."""
    try:
        scheme = scheme_of(address_of(channel, environment))
    except ChannelError:
        scheme = scheme_of(channel.url.get_secret_value())
    facts = [
        f"{channel.name}: {scheme}",
        f"level {channel.level}",
        f"{channel.min_priority} and above",
        "all sites" if not channel.sites else f"sites {', '.join(channel.sites)}",
        f"{channel.burst} at once, {channel.per_minute:g} a minute",
        "with names" if channel.show_names else "without names",
        *(["with follow-ups"] if channel.follow_up else []),
        *([f"CANNOT BE USED: {problem}"] if problem is not None else []),
    ]
    return ", ".join(facts)


def _open(channel: Channel, environment: Mapping[str, str]) -> Deliver:
    address = address_of(channel, environment)
    if not is_installed():
        raise ChannelError(f"apprise is not installed: {REMEDY}")
    return open_channel(address)


def _refusing(reason: str) -> Callable[[Letter], str | None]:
    return lambda _letter: reason
