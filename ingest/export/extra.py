"""What an export needs beyond the services, and whether it is installed here."""

from importlib.util import find_spec

PACKAGES = {"wfdb": "wfdb", "edf": "pyedflib", "csv": None}  # by format; the optional extra `export`
FORMATS = tuple(PACKAGES)
REMEDY = "pip install 'wristlead[export]' brings it"


def missing_package(format_name: str) -> str | None:
    """The package that a format needs and that is not installed; None when nothing is missing."""
    package = PACKAGES[format_name]
    return package if package is not None and find_spec(package) is None else None
