"""A file of `key,value` lines and then a number a line, in whatever language -> what its header tells.

Keys are translated, and the decimal comma follows the region, not the language: a comma separates in the
header and is a decimal mark in the body. Known keys are those seen in files; of others the structure is used
(the value with a number and hertz, the value that is a voltage unit, the value that names a lead, the value
that is a date with its time), and what stays unknown is named by its key alone: its value may be a name.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ingest.chunk import Lead
from ingest.recordings.draft import is_unit
from ingest.recordings.lead_name import named_lead
from ingest.recordings.moment import moment
from ingest.recordings.recording import About, Note, RecordingError
from ingest.recordings.text import is_number, number_of

MAX_HEADER_LINES = 60


class Key(StrEnum):
    """What a header line can be about."""

    PERSON = "person"  # dropped
    START = "start"
    CREATED = "created"  # Samsung's word for it
    VERDICT = "verdict"
    DROPPED = "dropped"  # symptoms, software: understood, not used
    DEVICE = "device"
    RATE = "rate"
    HEART_RATE = "heart rate"
    LEAD = "lead"
    UNIT = "unit"


# English, German, Japanese and Chinese, as seen; lower case.
_SEEN = {
    Key.PERSON: "name|date of birth|geburtstag|geburtsdatum|名前|生年月日|姓名|出生日期",
    Key.START: "recorded date|aufzeichnungsdatum|記録日|記録日時|记录日期",
    Key.CREATED: "created time",
    Key.VERDICT: "classification|klassifizierung|分類|分类",
    Key.DROPPED: "symptoms|symptome|症状|software version|softwareversion|ソフトウェアバージョン|软件版本",
    Key.DEVICE: "device|gerät|デバイス|设备",
    Key.RATE: "sample rate|sampling rate|messrate|サンプルレート|采样速率",
    Key.HEART_RATE: "average heart rate|平均心率",
    Key.LEAD: "lead|ableitung|リード|导联",
    Key.UNIT: "unit|einheit|単位|单位",
}
_KEYS = {word: key for key, words in _SEEN.items() for word in words.split("|")}
_RATE = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:hertz|hz|ヘルツ|赫兹|赫茲|헤르츠|герц|гц)", re.IGNORECASE)


@dataclass(slots=True)
class Header:
    """What the lines before the numbers tell."""

    body: int  # index of the first line of numbers
    known: dict[Key, str] = field(default_factory=dict)
    fs: float | None = None
    unit: str | None = None
    lead: Lead | None = None
    start: datetime | None = None
    notes: list[Note] = field(default_factory=list)

    @property
    def heart_rate_bpm(self) -> float | None:
        """The vendor's, such as `72`, `72 bpm` or `72,0 BPM`."""
        words = self.known.get(Key.HEART_RATE, "").split()
        return number_of(words[0]) if words else None


def read_header(lines: Sequence[str]) -> Header:
    """The header of such a file; raises RecordingError where no unit or no numbers follow."""
    header, unknown = Header(body=-1), []
    is_over = False
    for at, line in enumerate(lines[:MAX_HEADER_LINES]):
        if not line.strip(" ,"):
            is_over = header.unit is not None and header.lead is not None
            continue
        if is_over or (header.unit is not None and is_number(line)):
            header.body = at
            break
        key, value = _split(line)
        if not _take(header, key, value):
            unknown.append(f"line {at + 1} ({key[:30]!r})")
    if header.unit is None:
        raise RecordingError(f"no line of the first {MAX_HEADER_LINES} gives a voltage unit, such as Unit,µV")
    if header.body < 0:
        raise RecordingError("no numbers follow the header", line=min(len(lines), MAX_HEADER_LINES))
    if unknown:
        header.notes.append(Note(About.FILE, f"not understood in the header: {', '.join(unknown[:6])}"))
    return header


def looks_keyed(lines: Sequence[str]) -> bool:
    """Whether the first lines tell a rate in hertz and a voltage unit, each behind a key."""
    values = [_split(line)[1] for line in lines[:MAX_HEADER_LINES] if "," in line]
    return any(map(is_unit, values)) and any(_RATE.fullmatch(value) for value in values)


def _split(line: str) -> tuple[str, str]:
    """Key and value, without quotes; the value keeps its commas."""
    try:
        cells = next(csv.reader([line[:400]]), [])
    except csv.Error:
        cells = line[:400].split(",")
    key = cells[0].strip() if cells else ""
    return key, ",".join(cells[1:]).strip(" ,")


def _take(header: Header, name: str, value: str) -> bool:
    """Whether the line was understood."""
    key = _KEYS.get(name.lower().rstrip(" :"))
    if key in (Key.PERSON, Key.DROPPED):
        return True
    if (key is Key.UNIT or key is None) and is_unit(value):
        header.unit = header.unit or value
        return True
    rate = _RATE.fullmatch(value) if key in (Key.RATE, None) else None
    if rate is not None:
        header.fs = number_of(rate[1])
        return True
    if key in (Key.START, Key.CREATED, None) and (start := moment(value)) is not None:
        header.start = header.start or start
        header.known.setdefault(key or Key.START, "")
        return True
    if key in (Key.LEAD, None) and (lead := named_lead(value)) is not None:
        header.lead = lead
        return True
    if key is not None:
        header.known[key] = value
    return key in (Key.VERDICT, Key.DEVICE, Key.HEART_RATE)
