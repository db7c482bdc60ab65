"""Ingest's session at a broker that has just started, before devices are acknowledged for nobody.

A broker hands a chunk to the sessions that it has. On the very first start there is none until ingest comes.
And Mosquitto (2.0.11) queues nothing for a session that it read from its file until its client has connected
once: what devices are acknowledged before is gone. So whoever starts the broker connects as ingest at once.
"""

import logging
import os
import signal
import socket
import time
from pathlib import Path

from ingest.broker import mosquitto_path
from ingest.link import LinkError, MqttLink
from ingest.settings import Settings
from ingest.topics import DEVICE_BACKFILL, DEVICE_CHUNKS, DEVICE_STATUS

CLIENT_ID = "wristlead-ingest"
TOPICS = (DEVICE_CHUNKS, DEVICE_BACKFILL, DEVICE_STATUS)
CONNECT_WITHIN_S = 5.0
SUBSCRIBED_WITHIN_S = 2.0
LOOK_EVERY_S = 0.005

logger = logging.getLogger(__name__)


def wake_session(settings: Settings, broker_pid: int) -> None:
    """Connect and subscribe as ingest does, and leave; have Mosquitto save a session that is new.

    Call it as soon as the broker was started. An ingest that was faster is disconnected, and comes back
    within a second. A configured mapper's topics are not subscribed. Without a broker it only warns.
    """
    link = MqttLink(settings.broker_address, CLIENT_ID, persistent=True, manual_ack=True)
    for topic in TOPICS:
        link.subscribe(topic)
    try:
        _await_listener(settings.broker_address)
        link.connect(CONNECT_WITHIN_S)
    except LinkError as error:
        logger.warning("%s; until ingest is there, chunks may be acknowledged for nobody", error)
        return
    end_s = time.monotonic() + SUBSCRIBED_WITHIN_S
    while not link.is_subscribed and time.monotonic() < end_s:
        link.poll(LOOK_EVERY_S)  # what comes meanwhile is not acknowledged: it comes again to ingest
    link.close()
    is_saved = _file_of(settings).exists()
    if not is_saved and mosquitto_path(settings) is not None:
        os.kill(broker_pid, signal.SIGUSR1)  # save now instead of within two seconds


def _await_listener(address: tuple[str, int]) -> None:
    """Until somebody listens there, looking more often than a link does; at most as long."""
    end_s = time.monotonic() + CONNECT_WITHIN_S
    while time.monotonic() < end_s:
        try:
            socket.create_connection(address, timeout=CONNECT_WITHIN_S).close()
        except OSError:
            time.sleep(LOOK_EVERY_S)
        else:
            return


def _file_of(settings: Settings) -> Path:
    return settings.data_dir / "broker" / "mosquitto.db"
