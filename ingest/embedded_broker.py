"""The embedded broker: amqtt on loopback, for machines without Mosquitto; MQTT 3.1.1, nothing on disk.

What a client has not acknowledged when its connection ends, and what comes until it is back, waits for it.
When this process ends, all of that is gone.
"""

import asyncio
import logging
import signal
from dataclasses import dataclass
from typing import Any

import amqtt.broker
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import OutgoingApplicationMessage, Session


class NamedClients(BaseAuthPlugin):  # type: ignore[misc]  # amqtt ships no types
    """Lets every client in as a known one: amqtt keeps persistent sessions only of clients it knows."""

    @dataclass
    class Config:
        """No options."""

    async def authenticate(self, *, session: Session) -> bool:
        """Welcome; the listener is on loopback."""
        session.is_anonymous = False
        return True


class SessionHandler(BrokerProtocolHandler):  # type: ignore[misc]  # amqtt ships no types
    """One connection; what was sent and not acknowledged waits for the next one, where amqtt drops it."""

    async def _handle_qos1_message_flow(self, app_message: Any) -> None:
        session = self.session
        try:
            await super()._handle_qos1_message_flow(app_message)
        except (asyncio.CancelledError, TimeoutError, OSError):
            if isinstance(app_message, OutgoingApplicationMessage) and not session.clean_session:
                session.retained_messages.put_nowait(app_message)
            raise


class SessionBroker(Broker):  # type: ignore[misc]  # amqtt ships no types
    """The broker; what waited for a client comes as a plain message, where amqtt marks it as retained."""

    async def _publish_session_retained_messages(self, session: Session) -> None:
        handler = self._get_handler(session)
        waiting = session.retained_messages
        while handler is not None and not waiting.empty():
            message = waiting.get_nowait()
            task = asyncio.ensure_future(
                handler.mqtt_publish(message.topic, message.data, message.qos, retain=False)
            )
            self._tasks_queue.append(task)


def serve(host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    for name in ("amqtt", "transitions", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # amqtt reports every lost client as an error
    asyncio.run(_serve(host, port))


async def _serve(host: str, port: int) -> None:
    config = BrokerConfig(
        listeners={"default": ListenerConfig(bind=f"{host}:{port}")},
        plugins={f"{__name__}.{NamedClients.__name__}": {}},
    )
    amqtt.broker.BrokerProtocolHandler = SessionHandler  # it has no other door
    broker = SessionBroker(config)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await broker.start()
    await stopped.wait()
    await broker.shutdown()
