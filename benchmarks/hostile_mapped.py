"""Mappers for every preset and format, each with good payloads to start mutations from."""

import json
from dataclasses import dataclass
from typing import Any

from ingest.mappers.configuration import MapperConfig, parse_mappers
from ingest.mappers.mapper import Mapper

TABLES = """
[[mapper]]
topic = "text"
preset = "adc_text"
fs = 50
gain_uv_per_step = 4.0
offset = 2048.0
device = "one"
[[mapper]]
topic = "valores"
preset = "esp32_valores"
fs = 100
gain_uv_per_step = 1.5
device = "one"
[[mapper]]
topic = "ecg"
preset = "esp32_ecg"
fs = 250
gain_uv_per_step = 1.0
device = "one"
[[mapper]]
topic = "raw"
preset = "ecg_raw"
[[mapper]]
topic = "w/+/ecg"
preset = "galaxy_watch"
device = { level = 1 }
[[mapper]]
topic = "h10"
preset = "polar"
device = "strap"
[[mapper]]
topic = "fhir"
preset = "fhir"
device = "one"
[[mapper]]
topic = "fhir_live"
preset = "fhir"
device = { key = "subject" }
recording = false
[[mapper]]
topic = "hae"
preset = "health_auto_export"
device = { key = "source" }
"""
UNREADABLE = "cannot be read: "  # how a mapper tells an exception that nobody thought of: a finding
START_S = 1_790_000_000
MDC = "urn:oid:2.16.840.1.113883.6.24"


@dataclass(frozen=True, slots=True)
class MappedSource:
    """One mapper, a topic of its own, and good payloads."""

    mapper: Mapper
    topic: str
    seeds: list[bytes]


def mapper_configs() -> tuple[MapperConfig, ...]:
    """All tables."""
    return parse_mappers(TABLES, "hostile_mapped.py")


def mapped_sources() -> list[MappedSource]:
    """One for each table, in their order; new mappers that know of no device."""
    mappers = [Mapper(each) for each in mapper_configs()]
    return [
        MappedSource(each, each.config.topic.replace("+", "a1"), _seeds()[each.config.topic])
        for each in mappers
    ]


def _seeds() -> dict[str, list[bytes]]:
    sampled = {
        "origin": {"value": 0, "unit": "mV", "code": "mV"},
        "period": 2.0,
        "factor": 0.005,
        "lowerLimit": -3300,
        "upperLimit": 3300,
        "dimensions": 1,
        "data": "12 E -3 U L 40 1.5 -2e1",
    }
    observation = {
        "resourceType": "Observation",
        "code": {"coding": [{"system": MDC, "code": "131329"}]},
        "subject": {"reference": "Patient/1"},
        "effectivePeriod": {"start": "2026-09-22T10:13:20+02:00"},
        "component": [{"code": {"coding": []}, "valueSampledData": sampled}],
    }
    interval = {name: value for name, value in sampled.items() if name != "period"}
    r5 = observation | {"valueSampledData": interval | {"interval": 2, "intervalUnit": "ms"}, "component": []}
    bundle = {"resourceType": "Bundle", "entry": [{"resource": observation}, {"resource": r5}]}
    fhir = [_bytes(each) for each in (sampled, observation, r5, bundle)]
    ecg = {
        "start": "2026-09-21 16:13:20 +0200",
        "samplingFrequency": 512,
        "source": "watch",
        "voltageMeasurements": [
            {"date": START_S + k / 512, "voltage": k / 1e6, "units": "mcV"} for k in range(6)
        ],
    }
    first = {"TIMESTAMP": START_S * 1000, "SEQUENCE": 7, "LEAD_OFF": 0}
    points = [{"ECG_MV": 0.1, "MAX_THRESHOLD_MV": 5.0, "MIN_THRESHOLD_MV": -5.0, **first}, {"ECG_MV": 0.2}]
    raw = {"timestamp": START_S * 1000, "patient_id": "bed 3", "ecg": [0.5, -0.25], "fs": 250, "units": "mV"}
    polar = {"timestamp": 838_432_586_543_515_816, "samples": [-166, 4, None, 20]}
    return {
        "text": [b"2048\r\n", b"1 2 3 4095", b"-7.5"],
        "valores": [_bytes({"valores_ecg": list(range(100))})],
        "ecg": [_bytes({"ecg": [1, 2, None, 5], "hr": 70})],
        "raw": [_bytes(raw), _bytes(raw | {"units": "uV", "fs": 125.5})],
        "w/+/ecg": [_bytes({"points": points * n}) for n in (1, 5)],
        "h10": [_bytes(polar)],
        "fhir": fhir,
        "fhir_live": fhir,
        "hae": [_bytes({"data": {"ecg": [ecg, ecg | {"start": START_S}]}}), _bytes({"data": {"ecg": [ecg]}})],
    }


def _bytes(document: Any) -> bytes:
    return json.dumps(document).encode()
