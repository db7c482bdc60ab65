"""WFDB, EDF, BDF and FHIR, by their libraries: the chosen lead, and nothing of who was recorded."""

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from benchmarks.recording_files import PERSON, ecg_uv, edf, fhir_observation, write_wfdb
from ingest.chunk import Lead
from ingest.recordings import Format, Hints, Recording, RecordingError, read, read_each
from tests.ingest.recordings.reading import in_uv, read_all, read_one

I_UV, II_UV = ecg_uv(12, 256), ecg_uv(12, 256, seed=2)
LEADS = {"V1": II_UV // 2, "II": II_UV, "I": I_UV}


@pytest.mark.parametrize("bdf", [False, True])
def test_edf_and_bdf_give_lead_i_or_the_one_asked_for(*, bdf: bool) -> None:
    content = edf(LEADS, bdf=bdf)
    found = read_one(content)
    assert (found.format, found.fs, found.lead, in_uv(found)) == (Format.EDF, 256, Lead.I, I_UV.tolist())
    assert found.other_leads == ("ECG V1", "ECG II")
    assert (found.start, str(found.local_start)) == (None, "2026-07-26 21:56:26")
    assert found.device == "Wrist Recorder"
    assert PERSON[0].split()[0] not in repr(found)
    assert in_uv(read_one(content, Hints(lead=Lead.II))) == II_UV.tolist()
    assert in_uv(read_one(content, Hints(column="ECG V1"))) == (II_UV // 2).tolist()
    with pytest.raises(RecordingError, match="is named lead aVF"):
        read_one(content, Hints(lead=Lead.aVF))


def test_edf_in_parts_or_damaged_is_refused() -> None:
    content = edf(LEADS)
    with pytest.raises(RecordingError, match=r"EDF\+D"):
        read_one(content[:192] + b"EDF+D" + content[197:])
    with pytest.raises(RecordingError, match="edfio cannot read it"):
        read_one(content[:252] + b"xx  " + content[256:])


def test_a_wfdb_record_gives_lead_i_and_its_time_without_a_zone(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, "100", {"MLII": II_UV, "I": I_UV})
    (found,) = read(header)
    assert (found.format, found.fs, found.lead, in_uv(found)) == (Format.WFDB, 360, Lead.I, I_UV.tolist())
    assert (str(found.local_start), found.other_leads) == ("2026-07-26 21:56:26", ("MLII",))
    assert "65" not in repr(found.notes)
    assert PERSON[0] not in repr(found)
    (told,) = read(header.with_suffix(".dat"), Hints(lead=Lead.II, zone=ZoneInfo("Europe/Berlin")))
    assert (in_uv(told), told.start) == (II_UV.tolist(), datetime(2026, 7, 26, 19, 56, 26, tzinfo=UTC))
    assert "modified lead II" in told.notes[0].text


def test_samples_that_wfdb_marks_as_none_are_missing(tmp_path: Path) -> None:
    with_hole = I_UV.copy()
    with_hole[100:200] = -32768
    (found,) = read(write_wfdb(tmp_path, "h", {"I": with_hole}))
    assert np.flatnonzero(np.isnan(found.samples_mv)).tolist() == list(range(100, 200))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("100.dat", "../100.dat"), "wfdb cannot read it"),
        (("100.dat", "/etc/passwd"), "wfdb cannot read it"),
        (("100.dat", "absent.dat"), "no absent.dat beside the header"),
        ((" 3072 ", " 999999999999 "), "frames are promised"),
        (("100 2 ", "100 0 "), "0 signals"),
    ],
)
def test_a_header_that_points_elsewhere_or_promises_too_much_is_refused(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    header = write_wfdb(tmp_path, "100", {"II": II_UV, "I": I_UV})
    header.write_text(header.read_text().replace(*change))
    (refused,) = read_each(header)
    assert isinstance(refused, RecordingError)
    assert expected in str(refused)


@pytest.mark.parametrize("r5", [False, True])
def test_an_observation_in_components_of_10_seconds_is_one_recording(*, r5: bool) -> None:
    observation = fhir_observation(ecg_uv(30), r5=r5)
    observation["interpretation"] = [{"text": "Sinus rhythm"}]
    rate = {"code": {"coding": [{"code": "8867-4"}]}, "valueQuantity": {"value": 71}}
    observation["component"].append(rate)
    found = read_one(json.dumps(observation).encode())
    assert (found.format, found.fs, found.lead, in_uv(found)) == (
        Format.FHIR,
        512,
        Lead.I,
        ecg_uv(30).tolist(),
    )
    assert found.start == datetime(2026, 7, 26, 19, 56, 26, tzinfo=UTC)
    assert (found.vendor_verdict, found.vendor_rate_bpm) == ("Sinus rhythm", 71)
    assert PERSON[0] not in repr(found)


def test_a_bundle_gives_each_observation_and_refuses_what_is_none() -> None:
    good = fhir_observation(ecg_uv(11))
    bad = fhir_observation(ecg_uv(11)) | {"component": []}
    bundle = {"resourceType": "Bundle", "entry": [{"resource": each} for each in (good, bad, good)]}
    one, refused, other = read_all(json.dumps(bundle).encode())
    assert isinstance(one, Recording)
    assert isinstance(other, Recording)
    assert isinstance(refused, RecordingError)
    assert "Observation 2" in str(refused)
    assert other.file == "file, Observation 3"


def test_values_beyond_a_limit_are_clipped_and_errors_are_missing() -> None:
    observation = fhir_observation(ecg_uv(11))
    sampled = observation["component"][0]["valueSampledData"]
    words = sampled["data"].split()
    sampled["data"] = " ".join(["E", "U", "L", *words[3:]])
    sampled |= {"upperLimit": 5000, "lowerLimit": -5000}
    found = read_one(json.dumps(observation).encode())
    assert np.isnan(found.samples_mv[0])
    assert found.samples_mv[1:3].tolist() == [5.0, -5.0]
    assert np.flatnonzero(found.clipped).tolist() == [1, 2]
