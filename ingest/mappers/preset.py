"""Settings for payloads that were seen in the field; each can be overridden key by key."""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # One converter value as text in each message, as AD8232 sketches print it.
    "adc_text": {"format": "text", "unit": "adc"},
    # Keys: valores_ecg, 100 integers.
    "esp32_valores": {"format": "json", "array": "valores_ecg", "unit": "adc"},
    # Keys: ecg, and hr beside it.
    "esp32_ecg": {"format": "json", "array": "ecg", "unit": "adc"},
    # Keys: timestamp in ms, patient_id, window, ecg, fs, units.
    "ecg_raw": {
        "format": "json",
        "array": "ecg",
        "fs": "fs",
        "unit_key": "units",
        "time_key": "timestamp",
        "time_unit": "ms",
        "time_epoch": "unix",
        "device": {"key": "patient_id"},
    },
    # Samsung Health Sensor SDK, ECG_ON_DEMAND: 5 or 10 points a batch, all but ECG_MV only on the first.
    "galaxy_watch": {
        "format": "json",
        "array": "points",
        "value": "ECG_MV",
        "fs": 500.0,
        "unit": "mV",
        "lead": "I",
        "time_key": "points.0.TIMESTAMP",  # ms or ns, as phone and SDK please
        "time_epoch": "unix",
        "sequence_key": "points.0.SEQUENCE",
        "sequence_modulus": 256,
        "lead_off_key": "points.0.LEAD_OFF",
        "clip_low_key": "points.0.MIN_THRESHOLD_MV",
        "clip_high_key": "points.0.MAX_THRESHOLD_MV",
    },
    # Polar H10 frames written as JSON: {"timestamp": 838432586543515816, "samples": [-166, ...]}
    "polar": {
        "format": "json",
        "array": "samples",
        "fs": 130.0,
        "fs_from_stamps": True,
        "unit": "uV",
        "lead": "chest",
        "time_key": "timestamp",
        "time_unit": "ns",
        "time_epoch": "2000",
        "time_stamps": "last",
    },
    # The iOS app's REST body or MQTT topic: {"data": {"ecg": [...]}}; finished 30-s recordings.
    "health_auto_export": {"format": "health_auto_export", "lead": "I", "recording": True},
    # Observation, Bundle of them, or a bare SampledData, R4 and R5.
    "fhir": {"format": "fhir", "recording": True},
}
