"""One lead of an ECG -> a FHIR R4 Observation, SampledData of 10 s a component, as phones write their ECGs.

The lead has its MDC code, the study its LOINC and MDC codes. Numbers are whole microvolts or nanovolts
where these give every sample back bit by bit, else millivolts of 9 digits, which do for
whatever our readers have read. `E` is a missing sample; one that
the device could not measure is a number like the others, as its mark would lose it.
"""

import datetime as dt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Lead
from ingest.encoding import NV_PER_MV
from ingest.mappers.lead import MDC_LEADS, MDC_ROOT
from ingest.mappers.unit import UNITS_NV
from ingest.mappers.unit import samples_mv as as_mv

COMPONENT_S = 10.0
MDC = "urn:oid:2.16.840.1.113883.6.24"
LOINC = "http://loinc.org"
STUDY = "11524-6"  # EKG study
UNITS = ("uV", "nV")  # tried in this order
_CODES = {lead: code for code, lead in MDC_LEADS.items()}


def observation_of(
    samples_mv: NDArray[np.float32],
    fs: float,
    lead: Lead,
    start: dt.datetime | None,
    device: str | None = None,
) -> dict[str, Any]:
    """The resource as JSON has it.

    Args:
        samples_mv: (n_samples,); NaN where missing.
        fs: Hz.
        lead: its MDC code is that of the lead's potential, of any lead where it is not known.
        start: with its time zone; None where it is not known.
        device: what is shown of it; nobody's name.
    """
    length = max(1, round(COMPONENT_S * fs))
    unit, values = _whole(samples_mv)
    pieces = [values[first : first + length] for first in range(0, len(values), length)]
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "procedure",
                    }
                ]
            }
        ],
        "code": {
            "coding": [
                {"system": LOINC, "code": STUDY, "display": "EKG study"},
                {"system": MDC, "code": str(MDC_ROOT), "display": "MDC_ECG_ELEC_POTL"},
            ]
        },
        "component": [
            {"code": _lead_code(lead), "valueSampledData": _sampled(each, fs, unit)} for each in pieces
        ],
    }
    if start is not None:
        end = start + dt.timedelta(seconds=len(samples_mv) / fs)
        resource["effectivePeriod"] = {"start": start.isoformat(), "end": end.isoformat()}
    if device is not None:
        resource["device"] = {"display": device}
    return resource


def _lead_code(lead: Lead) -> dict[str, Any]:
    code = _CODES.get(lead)
    if code is None:
        return {"coding": [{"system": MDC, "code": str(MDC_ROOT), "display": "MDC_ECG_ELEC_POTL"}]}
    return {"coding": [{"system": MDC, "code": code, "display": f"MDC_ECG_ELEC_POTL_{lead.name}"}]}


def _whole(samples_mv: NDArray[np.float32]) -> tuple[str, NDArray[np.float64]]:
    """The unit of which all samples are whole multiples, and these; else millivolts."""
    for unit in UNITS:
        nv = UNITS_NV[unit]
        multiples = np.rint(samples_mv.astype(np.float64) * (NV_PER_MV / nv))
        if np.array_equal(as_mv(multiples, nv, 0.0), samples_mv, equal_nan=True):
            return unit, multiples
    return "mV", samples_mv.astype(np.float64)


def _sampled(values: NDArray[np.float64], fs: float, unit: str) -> dict[str, Any]:
    spelled = "{:.9g}" if unit == "mV" else "{:.0f}"
    numbers = ["E" if np.isnan(value) else spelled.format(value) for value in values.tolist()]
    return {
        "origin": {"value": 0, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
        "period": 1000.0 / fs,
        "factor": 1,
        "dimensions": 1,
        "data": " ".join(numbers),
    }
