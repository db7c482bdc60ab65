"""Libraries of the optional extra `recordings`: WFDB and EDF. Everything else is read without."""

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def reading_by(package: str) -> Iterator[None]:
    """Whatever the library stumbles over within is the file's fault; raises RecordingError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as that the last record is cut short
            yield
    except RecordingError:
        raise
    except Exception as error:  # noqa: BLE001 - libraries raise anything at damaged files
        raise RecordingError(f"the library {package} cannot read it: {error!r}"[:200]) from None
