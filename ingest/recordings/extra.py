"""Libraries of the optional extra `recordings`: WFDB and EDF. Everything else is read without."""

import importlib
import warnings
from types import ModuleType

from ingest.recordings.recording import RecordingError

REMEDY = "pip install 'wristlead[recordings]' brings it"


def required(package: str) -> ModuleType:
    """The package; raises RecordingError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # wfdb uses what pandas will take away one day
            return importlib.import_module(package)
    except ImportError:
        raise RecordingError(f"this format needs the package {package}: {REMEDY}") from None
