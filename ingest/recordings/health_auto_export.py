"""Health Auto Export's JSON (iOS app) -> a recording for each ECG in it; as the mapper reads it over MQTT.

`source` often is "Somebody's Apple Watch" and is dropped.
"""

from collections.abc import Iterator

import msgspec
import numpy as np

from ingest.chunk import Lead
from ingest.encoding import WireError
from ingest.mappers.health_auto_export import cut_body, read_ecg
from ingest.recordings.draft import Draft, finish
from ingest.recordings.moment import moment, since_1970
from ingest.recordings.recording import Format, Hints, Recording, RecordingError, Source


class _Opinion(msgspec.Struct, frozen=True, rename="camel"):
    """What the phone thinks of an ECG, and when it says that it was taken."""

    classification: str | None = None
    average_heart_rate: float | None = None
    start: str | float | None = None


_decode_opinion = msgspec.json.Decoder(_Opinion).decode


def read_health_auto_export(source: Source, hints: Hints) -> Iterator[Recording | RecordingError]:
    """Each ECG, or why it is refused; raises RecordingError when the body is no such export."""
    try:
        ecgs = cut_body(source.content.removeprefix(b"\xef\xbb\xbf"))
    except WireError as error:
        raise RecordingError(str(error)) from None
    for number, raw in enumerate(ecgs, 1):
        place = f"{source.name}, ECG {number}" if len(ecgs) > 1 else source.name
        try:
            yield finish(_draft(raw), hints, place)
        except (RecordingError, WireError, msgspec.MsgspecError) as error:
            yield RecordingError(f"ECG {number} of {len(ecgs)}: {getattr(error, 'reason', error)}")


def _draft(raw: msgspec.Raw) -> Draft:
    reading, _ = read_ecg(raw, Lead.I)
    opinion = _decode_opinion(raw)
    start = moment(opinion.start) if isinstance(opinion.start, str) else None
    return Draft(
        format=Format.HEALTH_AUTO_EXPORT,
        values=reading.samples_mv.astype(np.float64),
        unit="mV",
        fs=reading.fs,
        lead=reading.lead,
        start=start or since_1970((reading.start_us or 0) / 1e6),
        device="Apple Watch",
        vendor_verdict=opinion.classification,
        vendor_rate_bpm=opinion.average_heart_rate,
    )
