"""`wristlead export`: options -> a folder of files, or a list of what is stored."""

import contextlib
import datetime as dt
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ingest.export.export import END_OF_TIME_US, Job, Span, describe, export
from ingest.export.extra import REMEDY, missing_package
from ingest.export.part import ExportError
from ingest.export.reader import Reader
from ingest.settings import Settings
from ingest.store.archive import StoreError


def run_export(  # noqa: PLR0913 - the options of the command
    settings: Settings,
    *,
    device: str | None,
    since: str | None,
    until: str | None,
    clock: str,
    format_name: str,
    out: Path,
    list_only: bool,
    force: bool,
    rescale: bool,
) -> None:
    """Export, or list; raises SystemExit with one sentence for what cannot be done."""
    span = Span(_moment(since, "--from", 0), _moment(until, "--to", END_OF_TIME_US), clock == "device")
    package = missing_package(format_name)
    if not list_only and package is not None:
        raise SystemExit(f"--format {format_name} needs the package {package}: {REMEDY}")
    if not list_only and device is None:
        raise SystemExit("export what? Name a device, SITE/DEVICE; wristlead export --list shows all")
    if settings.store_url is None and not settings.data_dir.exists():
        raise SystemExit(f"there is no folder {settings.data_dir}: set --data-dir or --store-url")
    try:
        with contextlib.closing(Reader(settings.store_address)) as reader:
            if list_only:
                _list(reader, reader.devices() if device is None else [device], span)
                return
            job = Job(reader, device or "", span, format_name, rescale, _say)
            _print(str(export(job, out, force=force)))
    except (ExportError, StoreError, ValueError) as error:
        raise SystemExit(str(error)) from None
    except BrokenPipeError:  # such as `| head`: who read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise SystemExit(f"cannot write to {out}: {error.strerror or error}") from None


def _list(reader: Reader, devices: Sequence[str], span: Span) -> None:
    if not devices:
        _say("nothing is stored yet")
    for each in devices:
        for line in describe(reader, each, span, lambda _: None):
            _print(line)


def _moment(text: str | None, option: str, default_us: int) -> int:
    """ISO 8601 -> Unix microseconds; UTC where no zone is told."""
    if text is None:
        return default_us
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise SystemExit(f"{option} is {text!r}, want a time such as 2026-11-25T10:00Z") from None
    moment = moment.replace(tzinfo=moment.tzinfo or dt.UTC)
    return round((moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
