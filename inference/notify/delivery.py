"""A letter -> one attempt on one channel, by apprise; None when it was taken, else why not, without secrets.

Apprise is loaded by the first channel that is opened. What it logs names addresses and tokens, so it goes
nowhere but, warnings only and with every piece of the address blotted out, into the reason.
"""

import logging
import re
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from inference.alarms.alarm import AlarmPriority
from inference.notify.configuration import ChannelError
from inference.notify.texts import Letter

if TYPE_CHECKING:
    from apprise import NotifyBase

MAX_REASON = 200  # characters
BLOT = "..."
TALKATIVE = ("apprise", "urllib3", "requests", "requests_oauthlib", "oauthlib")  # they log whole addresses
MIN_SECRET = 4  # characters; shorter pieces of an address are words such as "to" and "8080"

Deliver = Callable[[Letter], str | None]

_quiet = threading.Lock()


class _Warnings(logging.Handler):
    """Collects what apprise warns of in each thread, and keeps it from every other log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.by_thread: dict[int, list[str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        heard = self.by_thread.get(threading.get_ident())
        if heard is not None:
            heard.append(record.getMessage())


_warnings = _Warnings()


def open_channel(url: str) -> Deliver:
    """What sends letters to an apprise address; raises ChannelError when the address is none."""
    import apprise  # noqa: PLC0415 - which may be missing, and costs 0.4 s

    plugin = _open_plugin(url)
    types = {
        AlarmPriority.HIGH: apprise.NotifyType.FAILURE,
        AlarmPriority.MEDIUM: apprise.NotifyType.WARNING,
        None: apprise.NotifyType.SUCCESS,
    }

    def deliver(letter: Letter) -> str | None:
        heard: list[str] = []
        _warnings.by_thread[threading.get_ident()] = heard
        try:
            is_sent = plugin.notify(
                title=letter.title,
                body=letter.body,
                notify_type=types.get(letter.priority, apprise.NotifyType.INFO),
                body_format=apprise.NotifyFormat.TEXT,
            )
        except Exception as error:  # noqa: BLE001 - 140 plugins of strangers; one must not end the others
            heard.append(f"{type(error).__name__}: {error}")
            is_sent = False
        finally:
            del _warnings.by_thread[threading.get_ident()]
        return None if is_sent else redact(heard[-1] if heard else "it was not sent", url)

    return deliver


def scheme_of(url: str) -> str:
    """What kind of service an address names, such as `ntfys`: the only part that may be shown."""
    scheme = url.partition("://")[0]
    return scheme if re.fullmatch(r"[A-Za-z0-9+.-]{1,32}", scheme) and "://" in url else "?"


def redact(text: str, url: str) -> str:
    """The text in one line, shortened, without any piece of the address behind its scheme."""
    pieces = re.split(r"[/:@?&=#,;]+", url.partition("://")[2])
    known = {piece for each in pieces for piece in (each, unquote(each)) if len(piece) >= MIN_SECRET}
    for piece in sorted(known, key=len, reverse=True):
        text = text.replace(piece, BLOT)
    return " ".join(text.split())[:MAX_REASON]


def _open_plugin(url: str) -> "NotifyBase":
    import apprise  # noqa: PLC0415 - as above

    _keep_to_ourselves()
    asset = apprise.AppriseAsset(
        app_id="Wristlead",
        app_desc="Wristlead",
        app_url="",
        image_url_mask="",  # else phones load a picture from apprise's own address
        image_url_logo="",
        storage_mode=apprise.PersistentStoreMode.MEMORY,  # no files in the home
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its e-mail plugin loads imghdr (Python < 3.13)
        plugin = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if not isinstance(plugin, apprise.NotifyBase):
        raise ChannelError("the address is not one that apprise reads: docs/notify.md has examples")
    plugin.request_rate_per_sec = 0  # else a second alarm waits up to 5.5 s: our own bucket is the limit
    return plugin


def _keep_to_ourselves() -> None:
    with _quiet:
        for name in TALKATIVE:
            log = logging.getLogger(name)
            log.propagate = False
            log.setLevel(logging.WARNING)
            if _warnings not in log.handlers:
                log.addHandler(_warnings)
