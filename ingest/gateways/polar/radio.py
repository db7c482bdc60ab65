"""Bluetooth by bleak: find a Polar strap and connect to it. The only module that imports bleak."""

from collections.abc import Callable
from typing import cast

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from ingest.gateways.polar.strap import Client, StrapError

SEARCH_S = 15.0
# A lost D-Bus connection shows as the end of a file.
FAILURES: tuple[type[Exception], ...] = (BleakError, EOFError)
UNUSABLE: tuple[type[Exception], ...] = (*FAILURES, OSError)


class BluetoothRadio:
    """This machine's Bluetooth."""

    async def find(self, wanted: str | None) -> BLEDevice | None:
        """The strap with this address (on macOS the system's own id) or name; any Polar ECG strap if None."""

        def fits(device: BLEDevice, advertisement: AdvertisementData) -> bool:
            name = advertisement.local_name or device.name or ""
            if wanted is None:
                return name.startswith("Polar H10")
            return wanted.lower() in (device.address.lower(), name.lower())

        try:
            return await BleakScanner.find_device_by_filter(fits, timeout=SEARCH_S)
        except UNUSABLE as error:
            raise StrapError(
                f"Bluetooth cannot be used ({error}): is it switched on and permitted?"
            ) from None

    def address(self, strap: BLEDevice) -> str:
        """Its address, or what the system shows in its place."""
        return strap.address

    def client(self, strap: BLEDevice, on_gone: Callable[[], None]) -> Client:
        """A connection that is yet to be made."""

        def gone(_client: BleakClient) -> None:
            on_gone()

        return cast("Client", BleakClient(strap, disconnected_callback=gone))

    def failures(self) -> tuple[type[Exception], ...]:
        """What the client raises."""
        return FAILURES
