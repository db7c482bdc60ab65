"""What the gateway needs beyond the services, and whether it is installed here."""

from importlib.util import find_spec

REMEDY = "pip install 'wristlead[ble]' brings it"


def is_installed() -> bool:
    """True where bleak (the optional extra `ble`) is installed; looks, and loads nothing."""
    return find_spec("bleak") is not None
