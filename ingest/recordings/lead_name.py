"""How files of many languages name a lead -> `Lead`."""

import re

from ingest.chunk import Lead
from ingest.mappers.lead import LEAD_NAMES, MDC_LEADS
from ingest.recordings.recording import About, Hints, Note, RecordingError

PREFERRED = (Lead.I, Lead.II)  # as ingest/window.py: what the model reads
# `Lead I`, `Ableitung I`, the same in Japanese and Chinese, `ECG II`, `aVR`, `V1`, `MLII` (modified lead II).
_AT_END = re.compile(
    r"(?:^|(?<![A-Za-z0-9])|(?<=ECG)|(?<=EKG)|ML|MDC_ECG_LEAD_)(aVR|aVL|aVF|V[1-6]|III|II|I)$", re.IGNORECASE
)
_LIKE_ECG = re.compile(r"ecg|ekg|volt|(?<![a-z])[mu\u00b5\u03bc]v(?![a-z])", re.IGNORECASE)
_BY_NAME = {name.lower(): lead for name, lead in LEAD_NAMES.items() if lead is not Lead.UNKNOWN}


def named_lead(text: str) -> Lead | None:
    """The lead that a label names; None where it names none."""
    plain = " ".join(text.split())[:60]
    if plain in MDC_LEADS:
        return MDC_LEADS[plain]
    match = _AT_END.search(plain)
    return _BY_NAME.get(match[1].lower() if match else plain.lower())


def which_signal(names: list[str], hints: Hints) -> int:
    """Place of the signal to take among those of a file; raises RecordingError where a person must say."""
    if hints.column is not None:
        if hints.column not in names:
            raise RecordingError(f"no signal {hints.column[:40]!r}, there are {', '.join(names)[:200]}")
        return names.index(hints.column)
    if len(names) == 1:
        return 0
    leads = [named_lead(name) for name in names]
    wanted = PREFERRED if hints.lead is None else (hints.lead,)
    for lead in wanted:
        if lead in leads:
            return leads.index(lead)
    like_ecg = [place for place, name in enumerate(names) if _LIKE_ECG.search(name)]
    if len(like_ecg) == 1:
        return like_ecg[0]
    leads_in_words = " or ".join(lead.name for lead in wanted)
    raise RecordingError(f"none of {', '.join(names)[:200]} is named lead {leads_in_words}: say --column")


def modified_lead(name: str) -> list[Note]:
    """What is to be said of a modified lead II."""
    is_modified = name.strip().upper().startswith("ML")
    return [Note(About.LEAD, "modified lead II is read as lead II", is_guess=True)] if is_modified else []
