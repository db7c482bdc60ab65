"""The notifier as a process: settings -> channels, connection and loop, until a signal ends it."""

import logging
import os
import signal
import threading

from sqlalchemy import Engine, make_url
from sqlalchemy.exc import ArgumentError

from inference.notify.channels import open_channels
from inference.notify.configuration import NotifyConfig, NotifyConfigError, load_notify_config
from inference.notify.courier import Couriers
from inference.notify.home_assistant import DISCOVERY, HomeState
from inference.notify.notifier import Notifier
from inference.notify.planner import NotificationPlanner
from ingest.link import MqttLink
from ingest.metrics_port import serve_metrics
from ingest.settings import Settings
from ingest.store.schema import open_store
from ingest.topics import ALARMS, CHANNEL_TESTS, CHANNELS, DEVICE_META, DISCHARGE, NAMES_IN_FORCE, VITALS

BUSY_WAIT_MS = 500  # a message must not wait for a stuck writer

logger = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; SystemExit with one sentence when there is nothing it can do.

    A broker that is away is waited for: a notifier that gave up would be silent for good.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    config = _configured(settings)
    link = MqttLink(
        settings.broker_address,
        "wristlead-notify",
        service="notify",
        counters=lambda: service.counters(),  # noqa: PLW0108 - the service comes after its link
    )
    service = _build(settings, config, link)
    link.on_beat = serve_metrics("notify", settings.metrics_port)
    _subscribe(link, config, with_home=settings.home_assistant)
    try:
        service.start()
        told = ", ".join(each.name for each in config.channel) or "no channel"
        logger.info("telling alarms on %s, of the broker at %s:%s", told, *settings.broker_address)
        while not stop.is_set():
            service.step()
        service.stop()
    finally:
        link.close()


def _build(settings: Settings, config: NotifyConfig, link: MqttLink) -> Notifier:
    delivers, broken = open_channels(config, os.environ)
    for name, reason in broken.items():
        logger.warning("the channel %s cannot be used: %s", name, reason)

    def open_engine() -> Engine:
        return open_store(settings.store_address, busy_wait_ms=BUSY_WAIT_MS)

    return Notifier(
        link,
        open_engine,
        NotificationPlanner(config),
        Couriers(delivers),
        broken=broken,
        home=HomeState() if settings.home_assistant else None,
        dashboard_url=settings.dashboard_url,
    )


def _subscribe(link: MqttLink, config: NotifyConfig, *, with_home: bool) -> None:
    link.subscribe(ALARMS)
    link.subscribe(CHANNEL_TESTS)
    link.subscribe(CHANNELS, qos=0)  # only for what is retained of channels that are gone
    if any(each.show_names for each in config.channel):
        link.subscribe(DEVICE_META)
        link.subscribe(NAMES_IN_FORCE)
    if with_home:
        link.subscribe(VITALS, qos=0)  # the next ones come in a second
        link.subscribe(DISCHARGE)
        link.subscribe(DISCOVERY)


def _configured(settings: Settings) -> NotifyConfig:
    try:
        make_url(settings.store_address)
        if settings.notify_config is not None:
            return load_notify_config(settings.notify_config)
    except (ArgumentError, NotifyConfigError) as error:
        raise SystemExit(f"Notifications cannot start: {error}") from None
    if not settings.home_assistant:
        raise SystemExit(
            "There is nobody to tell: set --notify-config to a file of channels (docs/notify.md), "
            "or --home-assistant true"
        )
    return NotifyConfig()
