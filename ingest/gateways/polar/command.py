"""`wristlead gateway polar`: settings -> a running gateway, until a signal ends it."""

import asyncio
import importlib
import logging
import secrets
import signal

from ingest.gateways.polar import extra
from ingest.gateways.polar.buffer import Buffer, StorageError
from ingest.gateways.polar.gateway import Gateway
from ingest.gateways.polar.strap import Radio
from ingest.publisher import Address
from ingest.settings import Settings
from ingest.topics import OWN_SITE, is_device

logger = logging.getLogger(__name__)


def run(settings: Settings, *, device: str, strap: str | None) -> None:
    """Publish the strap as `device` ("site/device"); SystemExit with one sentence when it cannot start."""
    if not extra.is_installed():
        raise SystemExit(f"bleak is not installed, and the gateway needs it: {extra.REMEDY}")
    radio: Radio = importlib.import_module("ingest.gateways.polar.radio").BluetoothRadio()
    serve(settings, radio, device=device, strap=strap)


def serve(settings: Settings, radio: Radio, *, device: str, strap: str | None) -> None:
    """The same with a given radio."""
    if not is_device(device) or device.startswith(f"{OWN_SITE}/"):
        raise SystemExit(
            f"--device is {device!r}, want SITE/DEVICE, each 1 to 64 of A-Z a-z 0-9 _ -, not {OWN_SITE}/..."
        )
    try:
        address = Address.of(*settings.broker_address)
    except OSError as error:
        host, port = settings.broker_address
        raise SystemExit(f"{host}:{port} has no address ({error}): set --broker to a host that has") from None
    path = settings.data_dir / "gateway" / f"{device.replace('/', '--')}.sqlite"
    try:
        buffer = Buffer(path)
        gateway = Gateway(
            device, address, buffer, radio, wanted=strap, new_session=lambda: secrets.randbits(32)
        )
    except StorageError as error:
        raise SystemExit(str(error)) from None
    logger.info("looking for %s; the buffer is %s", strap or "a Polar strap", path)
    asyncio.run(_until_signal(gateway))


async def _until_signal(gateway: Gateway) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await gateway.run(stop)
