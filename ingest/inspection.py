"""The store's sample of refused payloads -> text for people, or JSON: `wristlead ingest --inspect DEVICE`.

It only reads, so it works beside a running ingest. Payloads and reasons come from strangers: what is printed
of them holds no control characters.
"""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from ingest.settings import Settings
from ingest.store.archive import Archive, StoreError
from ingest.store.rows import MAX_REFUSED_BYTES, Refused, RefusedCount
from ingest.topics import UNKNOWN_DEVICE

ALL = "all"
SHOWN_BYTES = 16  # of each payload; --json has all that is kept


def inspect(settings: Settings, device: str, *, as_json: bool = False) -> str:
    """What is kept of the refused payloads of `device`, or of which devices any are, for "all".

    Raises SystemExit with one sentence when there is no store, or no such device.
    """
    try:
        _require_store(settings)
        archive = Archive.open(settings.store_address)
        counts = archive.refused_counts()
        if device == ALL:
            return _json([_count_as_dict(each) for each in counts]) if as_json else _counts_in_words(counts)
        refused = archive.refused(device)
        if not refused and device != UNKNOWN_DEVICE and device not in archive.devices():
            raise SystemExit(_unknown(device, counts))
    except StoreError as error:
        raise SystemExit(str(error)) from None
    return _json([_as_dict(each) for each in refused]) if as_json else _in_words(device, refused)


def _require_store(settings: Settings) -> None:
    """Looking must not make an empty store where somebody mistyped the folder."""
    try:
        url = make_url(settings.store_address)
    except ArgumentError:
        raise SystemExit(f"store_url is {settings.store_address!r}, want an SQLAlchemy URL") from None
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise SystemExit(
            f"there is no store at {url.database}: set --data-dir or --store-url to that of the ingest"
        )


def _unknown(device: str, counts: Sequence[RefusedCount]) -> str:
    known = ", ".join(_plain(each.device) for each in counts[:3]) or "none"
    more = f" and {len(counts) - 3} more" if len(counts) > 3 else ""
    return (
        f"the store knows no device {_plain(device)}, want SITE/DEVICE; "
        f"payloads were refused of: {known}{more} (--inspect {ALL} lists them)"
    )


def _in_words(device: str, refused: Sequence[Refused]) -> str:
    if not refused:
        return f"{device}: no payload was refused"
    head = ("WHEN (UTC)", "BYTES", "FIRST BYTES", "AS TEXT", "WHY")
    rows = [
        (
            _time(each.received_us),
            f"{len(each.payload)}{'+' if _is_cut(each) else ''}",
            each.payload[:SHOWN_BYTES].hex(" "),
            _text(each.payload[:SHOWN_BYTES]),
            _plain(each.reason),
        )
        for each in refused
    ]
    told = f"{_plain(device)}: the newest {len(refused)} refused payloads, oldest first"
    return "\n".join([told, *_aligned([head, *rows], right={1})])


def _counts_in_words(counts: Sequence[RefusedCount]) -> str:
    if not counts:
        return "no payload of any device was refused"
    head = ("DEVICE", "KEPT", "OLDEST KEPT (UTC)", "NEWEST (UTC)")
    rows = [
        (_plain(each.device), str(each.n), _time(each.oldest_us), _time(each.newest_us)) for each in counts
    ]
    return "\n".join(_aligned([head, *rows], right={1}))


def _aligned(rows: Sequence[tuple[str, ...]], right: set[int]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _as_dict(refused: Refused) -> dict[str, Any]:
    return {
        "device": refused.device,
        "received_us": refused.received_us,
        "received": _time(refused.received_us),
        "reason": refused.reason,
        "bytes_kept": len(refused.payload),
        "is_cut": _is_cut(refused),
        "hex": refused.payload.hex(),
        "text": _text(refused.payload),
    }


def _count_as_dict(count: RefusedCount) -> dict[str, Any]:
    return {
        "device": count.device,
        "kept": count.n,
        "oldest_kept": _time(count.oldest_us),
        "newest": _time(count.newest_us),
    }


def _is_cut(refused: Refused) -> bool:
    """True when more came than is kept; the reason then says how much."""
    return len(refused.payload) == MAX_REFUSED_BYTES and refused.reason.endswith("bytes are kept)")


def _time(at_us: int) -> str:
    moment = dt.datetime.fromtimestamp(at_us // 1_000_000, dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_us // 1000 % 1000:03d}Z"


def _text(payload: bytes) -> str:
    """One character a byte: printable ASCII as it is, a dot for the rest."""
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in payload)


def _plain(text: str) -> str:
    """Nothing that a terminal would obey."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _json(value: object) -> str:
    return json.dumps(value, indent=2)
