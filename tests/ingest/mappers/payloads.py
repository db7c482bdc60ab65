"""Payloads as seen in the field, to be mapped by the tests."""

import json
from typing import Any

NOW_US = 1_790_000_000_000_000


def export_ecg(start_s: int, n: int, fs: float = 512.0, **other: Any) -> dict[str, Any]:
    """One ECG of a Health Auto Export: a ramp in whole microvolts that says where each sample belongs."""
    voltages = [
        {"date": start_s + i / fs, "voltage": (start_s + i) % 2000 - 1000, "units": "mcV"} for i in range(n)
    ]
    return {
        "start": start_s,
        "samplingFrequency": fs,
        "source": "Watch",
        "voltageMeasurements": voltages,
        "classification": "Sinusrhythmus",
        **other,
    }


def export(*ecgs: dict[str, Any]) -> bytes:
    """The body that the app posts."""
    return json.dumps({"data": {"ecg": list(ecgs)}}).encode()


def batch(k: int, n: int = 100, fs: float = 100.0) -> bytes:
    """Payload k of a hobby device that tells its clock in ms."""
    ecg = [(k * n + i) % 997 for i in range(n)]
    stamp_ms = NOW_US // 1000 + round(k * n * 1000 / fs)
    return json.dumps({"t": stamp_ms, "ecg": ecg}).encode()
