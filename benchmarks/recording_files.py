"""Synthetic files of finished recordings, as devices write them: nobody's data, for benchmarks and tests."""

import json
import zipfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.noise import Noise, NoiseLevels
from simulators.rhythms import RHYTHMS
from simulators.waveform import SyntheticPatient

APPLE_FS = 512.414
START = "2026-07-26 21:56:26 +0200"
PERSON = ("Erika Mustermann", "1. Jan. 1961")  # invented; must be nowhere in what is read
HEALTH_AUTO_EXPORT_START_S = 1_785_095_786
Whole = NDArray[np.int64]
Numbers = Sequence[float] | NDArray[Any]


def ecg_uv(
    seconds: float = 30.0, fs: float = 512.0, seed: int = 1, rhythm: str = "sinus", of: str = "NORM"
) -> Whole:
    """A synthetic lead I in whole microvolts, (n,)."""
    rng = np.random.default_rng(seed)
    noise = Noise(NoiseLevels(), rng.spawn(1)[0], fs)
    patient = SyntheticPatient(RHYTHMS[rhythm](rng), noise, rng, fs, of)
    return np.rint(patient.next_samples(round(seconds * fs)) * 1000).astype(np.int64)


def apple_csv(  # noqa: PLR0913 - what exports differ in
    values_uv: Numbers,
    *,
    header: str | None = None,
    decimal: str = ".",
    rate: str = "512.414 hertz",
    verdict: str = "Sinus Rhythm",
    start: str = START,
) -> bytes:
    """Apple Health's `ecg_*.csv`, English unless a header is given."""
    english = (
        f'Name,{PERSON[0]}\nDate of Birth,"{PERSON[1]}"\nRecorded Date,{start}\nClassification,{verdict}\n'
        f'Symptoms,\nSoftware Version,2.0\nDevice,"Watch5,4"\nSample Rate,{rate}\n\n\n'
        "Lead,Lead I\nUnit,µV\n\n"
    )
    body = "\n".join(f"{value:.3f}".replace(".", decimal) for value in values_uv)
    return f"{english if header is None else header}{body}\n".encode()


def samsung_csv(values_uv: Numbers) -> bytes:
    """Samsung Health Monitor's CSV: with a byte order mark, no time zone, a lone comma at the end."""
    header = (
        f"Name,{PERSON[0]}\nDate of Birth,{PERSON[1]}\nCreated time,2026-07-26 21:56:26\n"
        "Average heart rate,72\n"
        "Classification,Sinus Rhythm\nSymptoms,None\nSoftware version,1.1.0\nDevice,SM-R890\n"
        "Sampling rate,500.000 Hz\nLead,Lead I\nUnit,mV\n\n"
    )
    body = "\n".join(f"{value / 1000:.3f}" for value in values_uv)
    return b"\xef\xbb\xbf" + f"{header}{body}\n,".encode()


def health_auto_export(*ecgs: Numbers, fs: float = 512.0, **other: Any) -> bytes:
    """Health Auto Export's JSON with an hour between the ECGs."""
    start_s = HEALTH_AUTO_EXPORT_START_S
    return json.dumps(
        {
            "data": {
                "ecg": [
                    {
                        "start": start_s + 3600 * k,
                        "samplingFrequency": fs,
                        "source": f"Apple Watch von {PERSON[0]}",
                        "classification": "Sinusrhythmus",
                        "averageHeartRate": 71.0,
                        "voltageMeasurements": [
                            {"date": start_s + 3600 * k + i / fs, "voltage": float(value), "units": "mcV"}
                            for i, value in enumerate(values_uv)
                        ],
                        **other,
                    }
                    for k, values_uv in enumerate(ecgs)
                ]
            }
        }
    ).encode()


def polar_csv(values_uv: Numbers, fs: float = 130.0, first_ns: int = 838432586543515816) -> bytes:
    """Polar Sensor Logger's text for an H10."""
    begin = datetime.fromisoformat("2026-07-26T21:56:26.765")
    rows = [
        f"{(begin + timedelta(seconds=i / fs)).isoformat(timespec='milliseconds')};"
        f"{first_ns + round(i * 1e9 / fs)};{i * 1e3 / fs:.1f};{round(value)}"
        for i, value in enumerate(values_uv)
    ]
    return "\n".join(["Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV]", *rows, ""]).encode()


def fhir_observation(
    values_uv: Whole, fs: float = 512.0, *, r5: bool = False, part_s: float = 10.0
) -> dict[str, Any]:
    """An Observation as Apple's voltages are commonly split: components of 10 s."""
    every = {"interval": 1000 / fs, "intervalUnit": "ms"} if r5 else {"period": 1000 / fs}
    length = round(part_s * fs)
    parts = [values_uv[i : i + length] for i in range(0, len(values_uv), length)]
    code = {"coding": [{"system": "urn:oid:2.16.840.1.113883.6.24", "code": "131329"}]}
    return {
        "resourceType": "Observation",
        "subject": {"display": PERSON[0]},
        "effectiveDateTime": "2026-07-26T21:56:26+02:00",
        "code": {"coding": [{"system": "urn:iso:std:iso:11073:10101", "code": "131328"}]},
        "component": [
            {
                "code": code,
                "valueSampledData": {
                    "origin": {"value": 0, "unit": "uV", "code": "uV"},
                    "dimensions": 1,
                    "data": " ".join(map(str, part.tolist())),
                    **every,
                },
            }
            for part in parts
        ],
    }


def table_csv(values_uv: Whole, fs: float = 500.0) -> bytes:
    """`elapsed_time(s),voltage_mV`, as many tools write it."""
    rows = [f"{i / fs:.4f},{value / 1000:.3f}" for i, value in enumerate(values_uv)]
    return "\n".join(["elapsed_time(s),voltage_mV", *rows, ""]).encode()


def edf(leads_uv: dict[str, Whole], fs: float = 256.0, *, bdf: bool = False) -> bytes:
    """EDF+C or BDF+C with a patient's name in its header, one data record a second."""
    n_records = min(len(one) for one in leads_uv.values()) // round(fs)
    low, high = (-8388608, 8388607) if bdf else (-32768, 32767)
    n = len(leads_uv)
    head = b"\xffBIOSEMI" if bdf else b"0       "
    who = f"X F 01-JAN-1961 {PERSON[0].replace(' ', '_')}"
    recording = "Startdate 26-JUL-2026 X X Wrist_Recorder"
    head += f"{who:80.80}{recording:80.80}26.07.2621.56.26{256 * (n + 1):<8}{'':44}".encode()
    head += f"{n_records:<8}{1:<8}{n:<4}".encode()
    fields: list[tuple[int, list[str]]] = [
        (16, [f"ECG {name}" for name in leads_uv]),
        (80, [""] * n),
        (8, ["uV"] * n),
        (8, [str(low)] * n),
        (8, [str(high)] * n),
        (8, [str(low)] * n),
        (8, [str(high)] * n),
        (80, [""] * n),
        (8, [str(round(fs))] * n),
        (32, [""] * n),
    ]
    head += b"".join(f"{text:{width}.{width}}".encode() for width, texts in fields for text in texts)
    body = []
    for record in range(n_records):
        for one in leads_uv.values():
            part = one[record * round(fs) : (record + 1) * round(fs)]
            raw = part.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3]
            body.append(raw.tobytes() if bdf else part.astype("<i2").tobytes())
    return head + b"".join(body)


def write_wfdb(folder: Path, name: str, leads_uv: dict[str, Whole], fs: float = 360.0) -> Path:
    """A WFDB record of format 16 with a patient's age in a comment; the path of its header."""
    n = len(next(iter(leads_uv.values())))
    lines = [f"{name} {len(leads_uv)} {fs:g} {n} 21:56:26 26/07/2026"]
    lines += [f"{name}.dat 16 1000(0)/mV 16 0 {one[0]} 0 0 {lead}" for lead, one in leads_uv.items()]
    (folder / f"{name}.hea").write_text("\n".join([*lines, f"# 65 M {PERSON[0]}", ""]))
    (folder / f"{name}.dat").write_bytes(np.stack(list(leads_uv.values()), axis=1).astype("<i2").tobytes())
    return folder / f"{name}.hea"


def write_export_zip(path: Path, n: int, seconds: float = 30.0) -> None:
    """Apple's export.zip with n ECGs of five kinds, and an export.xml that nobody may open."""
    kinds = [("sinus", "NORM"), ("af", "NORM"), ("sinus", "CD"), ("sinus", "HYP"), ("sinus", "MI")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("apple_health_export/export.xml", "<HealthData>" + "<Record/>" * 200_000)
        for k in range(n):
            rhythm, superclass = kinds[k % len(kinds)]
            values = ecg_uv(seconds, APPLE_FS, seed=k, rhythm=rhythm, of=superclass) + 0.125
            day = f"2026-{1 + k // 28 % 12:02}-{1 + k % 28:02}"
            content = apple_csv(values, start=f"{day} {k // 336 % 24:02}:00:00 +0200")
            archive.writestr(f"apple_health_export/electrocardiograms/ecg_{day}_{k}.csv", content)
