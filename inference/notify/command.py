"""`wristlead notify --list` and `--test NAME`: the channels of the configuration, without broker or store."""

import os
import time

from inference.notify.channels import describe, open_channels
from inference.notify.configuration import NotifyConfig, NotifyConfigError, load_notify_config
from inference.notify.texts import write_test
from ingest.settings import Settings


def list_channels(settings: Settings) -> str:
    """One line for each channel; raises SystemExit with one sentence when there is no usable file."""
    config = _load(settings)
    _, broken = open_channels(config, os.environ)
    return "\n".join(describe(each, os.environ, broken.get(each.name)) for each in config.channel)


def send_test(settings: Settings, name: str) -> str:
    """Send a test on one channel and say that it was taken; raises SystemExit when it was not."""
    config = _load(settings)
    channels = {each.name: each for each in config.channel}
    if name not in channels:
        raise SystemExit(f"there is no channel {name!r}: {settings.notify_config} has {', '.join(channels)}")
    delivers, _ = open_channels(config, os.environ)
    reason = delivers[name](write_test(channels[name], "the command line", time.time_ns() // 1000))
    if reason is not None:
        raise SystemExit(f"{name} did not take the test: {reason}")
    return f"{name} took the test; look whether it arrived"


def _load(settings: Settings) -> NotifyConfig:
    if settings.notify_config is None:
        raise SystemExit("set --notify-config to a file of channels: docs/notify.md has examples")
    try:
        return load_notify_config(settings.notify_config)
    except NotifyConfigError as error:
        raise SystemExit(str(error)) from None
