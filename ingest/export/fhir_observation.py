"""One lead of an ECG -> a FHIR R4 Observation, SampledData of 10 s a component, as phones write their ECGs.

The lead has its MDC code, the study its LOINC and MDC codes. Numbers are whole steps where some step gives
every sample back bit by bit, else decimals of 9 digits, which do. `E` is a missing sample; one that
the device could not measure is a number like the others, as its mark would lose it.
"""

import datetime as dt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import Lead
from ingest.mappers.lead import MDC_LEADS, MDC_ROOT

COMPONENT_S = 10.0
MDC = "urn:oid:2.16.840.1.113883.6.24"
LOINC = "http://loinc.org"
STUDY = "11524-6"  # EKG study
STEPS_MV = (0.001, 0.000001)
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
    step_mv = _step_mv(samples_mv)
    pieces = [samples_mv[first : first + length] for first in range(0, len(samples_mv), length)]
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
            {"code": _lead_code(lead), "valueSampledData": _sampled(each, fs, step_mv)} for each in pieces
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


def _step_mv(samples_mv: NDArray[np.float32]) -> float | None:
    """The largest step of which all samples are whole multiples; None where there is none."""
    known = samples_mv[~np.isnan(samples_mv)]
    for step in STEPS_MV:
        if np.array_equal((np.rint(known.astype(np.float64) / step) * step).astype(np.float32), known):
            return step
    return None


def _sampled(samples_mv: NDArray[np.float32], fs: float, step_mv: float | None) -> dict[str, Any]:
    if step_mv is None:
        numbers = [f"{value:.9g}" for value in samples_mv.tolist()]
    else:
        is_missing = np.isnan(samples_mv)
        steps = np.rint(np.where(is_missing, 0, samples_mv.astype(np.float64)) / step_mv).astype(np.int64)
        numbers = list(map(str, steps.tolist()))
    data = " ".join(
        "E" if missing else text for text, missing in zip(numbers, np.isnan(samples_mv), strict=True)
    )
    return {
        "origin": {"value": 0, "unit": "mV", "system": "http://unitsofmeasure.org", "code": "mV"},
        "period": 1000.0 / fs,
        "factor": 1 if step_mv is None else step_mv,
        "dimensions": 1,
        "data": data,
    }
