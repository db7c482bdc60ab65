"""The border to bleak: what is used of it exists as it is used. No radio was at hand to try more."""

import inspect

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError

from ingest.gateways.polar.radio import BluetoothRadio
from ingest.gateways.polar.strap import Client


@pytest.mark.parametrize(
    "name", ["connect", "disconnect", "start_notify", "write_gatt_char", "read_gatt_char"]
)
def test_what_is_used_of_the_client_is_what_bleak_has(name: str) -> None:
    ours, theirs = inspect.signature(getattr(Client, name)), inspect.signature(getattr(BleakClient, name))
    assert set(ours.parameters) <= set(theirs.parameters)
    assert inspect.iscoroutinefunction(getattr(BleakClient, name))


def test_the_client_tells_when_it_is_gone_and_its_errors_are_caught() -> None:
    assert "disconnected_callback" in inspect.signature(BleakClient.__init__).parameters
    assert {"filterfunc", "timeout"} <= set(inspect.signature(BleakScanner.find_device_by_filter).parameters)
    assert issubclass(BleakError, BluetoothRadio().failures())
