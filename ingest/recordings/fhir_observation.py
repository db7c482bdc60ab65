"""FHIR R4 and R5 files: an Observation, a Bundle of them, or a bare SampledData; as the mapper reads them.

Who the subject is, is not kept.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from ingest.chunk import Lead
from ingest.encoding import WireError
from ingest.mappers.fhir import read_resources
from ingest.mappers.reading import Reading
from ingest.recordings.draft import Draft, finish
from ingest.recordings.moment import since_1970
from ingest.recordings.recording import Format, Hints, Recording, RecordingError, Source
from ingest.recordings.text import MAX_TEXT_BYTES

HEART_RATE = "8867-4"  # LOINC


def read_fhir(source: Source, hints: Hints) -> Iterator[Recording | RecordingError]:
    """Each Observation, or why it is refused; raises RecordingError when nothing can be read."""
    content = source.content.removeprefix(b"\xef\xbb\xbf")
    wanted = hints.lead or Lead.UNKNOWN
    try:
        found = read_resources(content, wanted, max_bytes=MAX_TEXT_BYTES)
        opinions = _opinions(msgspec.json.decode(content), len(found))
    except WireError as error:
        raise RecordingError(str(error)) from None
    for number, (one, (verdict, rate_bpm)) in enumerate(zip(found, opinions, strict=True), 1):
        place = source.name if len(found) == 1 else f"{source.name}, Observation {number}"
        try:
            if isinstance(one, WireError):
                raise one
            yield finish(_draft(one[0], verdict, rate_bpm), hints, place)
        except WireError as error:
            yield RecordingError(f"Observation {number}: {error}" if len(found) > 1 else str(error))
        except RecordingError as error:
            yield error


def _draft(reading: Reading, verdict: str | None, rate_bpm: float | None) -> Draft:
    return Draft(
        format=Format.FHIR,
        values=reading.samples_mv.astype(np.float64),
        fs=reading.fs,
        unit="mV",
        lead=reading.lead,
        start=None if reading.start_us is None else since_1970(reading.start_us / 1e6),
        vendor_verdict=verdict,
        vendor_rate_bpm=rate_bpm,
        clipped=reading.clipped,
    )


def _opinions(document: Any, n: int) -> list[tuple[str | None, float | None]]:
    """The vendor's verdict and heart rate of each Observation, where it tells them."""
    entries = document.get("entry") if document.get("resourceType") == "Bundle" else [{"resource": document}]
    resources = [entry.get("resource") for entry in entries or [] if isinstance(entry, dict)]
    told = [_opinion(each) for each in resources if isinstance(each, dict) and _is_read(each)]
    return told if len(told) == n else [(None, None)] * n


def _is_read(resource: dict[str, Any]) -> bool:
    return resource.get("resourceType") in ("Observation", None)


def _opinion(resource: dict[str, Any]) -> tuple[str | None, float | None]:
    verdict, rate_bpm = _text(resource.get("interpretation")), None
    for component in resource.get("component") or []:
        if not isinstance(component, dict):
            continue
        codes = [str(each.get("code")) for each in _codings(component.get("code"))]
        quantity = component.get("valueQuantity")
        if (
            HEART_RATE in codes
            and isinstance(quantity, dict)
            and isinstance(quantity.get("value"), int | float)
        ):
            rate_bpm = float(quantity["value"])
        if any("classification" in code.lower() for code in codes):
            told = component.get("valueString") or component.get("valueCodeableConcept")
            verdict = verdict or (told if isinstance(told, str) else _text(told))
    return verdict, rate_bpm


def _codings(concept: Any) -> list[dict[str, Any]]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return [each for each in codings if isinstance(each, dict)] if isinstance(codings, list) else []


def _text(concept: Any) -> str | None:
    """The words of a concept, or of the first of several."""
    one = concept[0] if isinstance(concept, list) and concept else concept
    if not isinstance(one, dict):
        return None
    words = one.get("text") or next((each.get("display") for each in _codings(one)), None)
    return words if isinstance(words, str) else None
