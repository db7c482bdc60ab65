"""The names that strangers give a lead -> `Lead`."""

from ingest.chunk import Lead
from ingest.encoding import WireError

LEAD_NAMES = {lead.name: lead for lead in Lead if lead not in (Lead.UNKNOWN, Lead.CHEST)} | {
    "unknown": Lead.UNKNOWN,
    "chest": Lead.CHEST,
}
_BY_LOWER_NAME = {name.lower(): lead for name, lead in LEAD_NAMES.items()}
# ISO/IEEE 11073-10102: MDC_ECG_ELEC_POTL_<lead> is 131328 + the lead's number there.
MDC_ROOT = 131328
_MDC_NUMBERS = {
    1: Lead.I, 2: Lead.II, 3: Lead.V1, 4: Lead.V2, 5: Lead.V3, 6: Lead.V4, 7: Lead.V5, 8: Lead.V6,
    61: Lead.III, 62: Lead.aVR, 63: Lead.aVL, 64: Lead.aVF,
}  # fmt: skip
MDC_LEADS = {str(MDC_ROOT + number): lead for number, lead in _MDC_NUMBERS.items()}


def lead_of(name: object) -> Lead:
    """`I`, `aVR`, `Lead II`, `chest`, in any case, or an MDC code; raises WireError for anything else."""
    text = str(name).strip()
    found = _BY_LOWER_NAME.get(text.lower().removeprefix("lead").strip()) or MDC_LEADS.get(text)
    if found is None and text.lower() != "unknown":
        raise WireError(f"lead {text[:40]!r}, want one of {', '.join(LEAD_NAMES)}")
    return found or Lead.UNKNOWN
