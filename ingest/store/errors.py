"""What went wrong in the store, and what a person can do about it."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

# What the store says -> what a person is told.
REMEDIES = {
    "full": "is full: free some space on that disk",
    "no space": "is full: free some space on that disk",
    "quota": "is full: free some space on that disk",
    "file too large": "is full: free some space on that disk",
    "readonly": "cannot be written: make the file and its folder writable",
    "read-only": "cannot be written: make the file and its folder writable",
    "not permitted": "cannot be written: make the file and its folder writable",
    "permission denied": "cannot be written: make the file and its folder writable",
    "locked": "is locked by another program: close the one that holds it open",
    "unable to open": "cannot be opened: check that its folder exists and is writable",
    "no such file": "cannot be opened: check that its folder exists and is writable",
    "file exists": "cannot be opened: a file lies where its folder is to be, move it away",
    "not a directory": "cannot be opened: a file lies where its folder is to be, move it away",
    "malformed": "is damaged: move the file away, and restore it from a copy if you have one",
    "not a database": "is not a database: set --store-url or --data-dir to another place",
    "i/o error": "cannot be read or written: the disk may be failing, copy the data to another one",
    "input/output": "cannot be read or written: the disk may be failing, copy the data to another one",
    "connection refused": "cannot be reached: start PostgreSQL, or correct --store-url",
    "does not exist": "cannot be used: create that database or role, or correct --store-url",
    "authentication failed": "cannot be used: correct user and password in --store-url",
    "no password": "cannot be used: correct user and password in --store-url",
}


class StoreError(RuntimeError):
    """The store did not take or give the data; the message says why and what to do. Nothing was counted."""


def explain(place: object, cause: object) -> str:
    """One sentence for `cause` at `place`, with the remedy where one is known."""
    text = str(cause).strip()
    remedy = next((remedy for sign, remedy in REMEDIES.items() if sign in text.lower()), None)
    return f"the store {place} {remedy} ({text})" if remedy else f"the store {place} fails: {text}"


@contextmanager
def told(place: object) -> Iterator[None]:
    """Turn the system's errors into a StoreError that names `place`."""
    try:
        yield
    except OSError as error:
        cause = error.strerror or errno.errorcode.get(error.errno or 0, "unknown error")
        raise StoreError(explain(place, cause)) from error
