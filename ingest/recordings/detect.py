"""The first bytes of a file -> its format; its name decides only which of WFDB's files it is."""

from pathlib import PurePath

from ingest.recordings.edf_file import BDF_MAGIC, EDF_MAGIC
from ingest.recordings.health_auto_export_csv import VOLTAGES
from ingest.recordings.keyed_header import looks_keyed
from ingest.recordings.polar_sensor_logger import is_polar
from ingest.recordings.recording import Format, RecordingError, Source
from ingest.recordings.samsung_export import FIRST_WORD
from ingest.recordings.samsung_monitor import is_samsung
from ingest.recordings.text import lines_of
from ingest.recordings.wfdb_record import HEADER, is_header

LOOKED_AT = 1 << 16  # bytes of text; no header is longer
WFDB_SUFFIXES = (HEADER, ".dat", ".atr")


def detect(source: Source) -> Format:
    """What the file is; raises RecordingError for an empty one, and for bytes that nobody here knows."""
    content, suffix = source.content, PurePath(source.name).suffix.lower()
    if not content.strip():
        raise RecordingError("the file is empty")
    if content.startswith((EDF_MAGIC, BDF_MAGIC)):
        return Format.EDF
    if suffix in WFDB_SUFFIXES and (suffix != HEADER or is_header(content)):
        return Format.WFDB
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return _json_format(content)
    return _text_format(lines_of(content[:LOOKED_AT]))


def _json_format(content: bytes) -> Format:
    if b'"voltageMeasurements"' in content and b'"ecg"' in content[:LOOKED_AT]:
        return Format.HEALTH_AUTO_EXPORT
    if b'"resourceType"' in content or (b'"origin"' in content and b'"dimensions"' in content):
        return Format.FHIR
    return Format.JSON


def _text_format(lines: list[str]) -> Format:
    if is_polar(lines[0]):
        return Format.POLAR
    if lines[0].startswith(FIRST_WORD):
        return Format.SAMSUNG_EXPORT
    if looks_keyed(lines):
        return Format.SAMSUNG if is_samsung(lines) else Format.APPLE
    if any(line.strip(' "').lower().startswith(VOLTAGES) for line in lines[:60]):
        return Format.HEALTH_AUTO_EXPORT_CSV
    return Format.CSV
