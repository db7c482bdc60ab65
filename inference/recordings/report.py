"""Judged recordings -> the content of a report, which writers put on a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from inference.recordings.strip import Strip
from inference.recordings.summary import Summary


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One recording of a report."""

    summary: Summary
    strip: Strip


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Everything that a report says; `html_report` and `pdf_report` draw it."""

    made: datetime
    parts: Sequence[Part]
    refused: Sequence[str]  # in sentences
    repeated: Sequence[Summary] = ()  # came before in another file

    @property
    def title(self) -> str:
        """Of the document."""
        n = len(self.parts)
        return self.parts[0].summary.file if n == 1 else f"{n} recordings"
