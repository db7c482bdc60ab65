"""What notifications need beyond the other services, and whether it is installed here."""

from importlib.util import find_spec

REMEDY = "pip install 'wristlead[notify]' brings it"


def is_installed() -> bool:
    """True where apprise (the optional extra `notify`) is installed; looks, and loads nothing."""
    return find_spec("apprise") is not None
