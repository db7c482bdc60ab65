"""Exports of phone apps: Health Auto Export, Polar Sensor Logger, Samsung Health, and JSON of two clouds."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from benchmarks.recording_files import (
    HEALTH_AUTO_EXPORT_START_S,
    PERSON,
    ecg_uv,
    health_auto_export,
    polar_csv,
)
from ingest.chunk import Lead
from ingest.recordings import Format, Hints, Recording, RecordingError
from tests.ingest.recordings.reading import in_uv, read_all, read_one

UV = ecg_uv(12, 512)
START = datetime.fromtimestamp(HEALTH_AUTO_EXPORT_START_S, UTC)


def test_each_ecg_of_a_health_auto_export_is_a_recording() -> None:
    one, other = read_all(health_auto_export(UV, UV[:600]))
    assert isinstance(one, Recording)
    assert isinstance(other, Recording)
    assert (one.format, one.fs, one.lead, one.start) == (Format.HEALTH_AUTO_EXPORT, 512.0, Lead.I, START)
    assert (one.vendor_verdict, one.vendor_rate_bpm) == ("Sinusrhythmus", 71.0)
    assert (in_uv(one), in_uv(other)) == (UV.tolist(), UV[:600].tolist())
    assert other.file == "file, ECG 2"
    assert PERSON[0] not in repr(one)  # its source is "Apple Watch von ..."


def test_one_bad_ecg_of_an_export_does_not_hide_the_others() -> None:
    body = json.loads(health_auto_export(UV[:600], UV[:600]))
    del body["data"]["ecg"][0]["samplingFrequency"]
    bad, good = read_all(json.dumps(body).encode())
    assert isinstance(bad, RecordingError)
    assert "ECG 1 of 2" in str(bad)
    assert "samplingFrequency" in str(bad)
    assert isinstance(good, Recording)


def test_an_export_of_43_megabytes_is_read() -> None:
    ecgs = [np.arange(15_360) % 700 + k for k in range(44)]
    content = health_auto_export(*ecgs)
    assert len(content) > 43_000_000
    assert [in_uv(one)[-1] for one in read_all(content) if isinstance(one, Recording)] == [
        int(one[-1]) for one in ecgs
    ]


def test_voltages_of_health_auto_exports_csv_are_read_below_or_beside_their_key() -> None:
    head = "Start,2026-07-26 21:56:26 +0200\nClassification,Sinus Rhythm\nAvg. Heart Rate (count/min),72.0\n"
    uv = UV.tolist()
    below = head + "Sampling Frequency (Hz),512\nVoltage Measurements,\n" + "\n".join(f"{v},mcV" for v in uv)
    beside = head + "Voltage Measurements (mcV)," + ",".join(map(str, uv)) + "\n"
    dated = (
        head
        + "Voltage Measurements,\nDate,Voltage,Units\n"
        + "\n".join(f"2026-07-26 21:56:26 +0200,{v},mcV" for v in uv)
    )
    for text, hints in ((below, Hints()), (beside, Hints(fs=512)), (dated, Hints(fs=512))):
        found = read_one(text.encode(), hints)
        assert (found.format, found.fs, found.lead) == (Format.HEALTH_AUTO_EXPORT_CSV, 512, Lead.I)
        assert (found.vendor_verdict, found.vendor_rate_bpm, found.start) == ("Sinus Rhythm", 72.0, START)
        assert in_uv(found) == uv
    with pytest.raises(RecordingError, match=r"rate is not told.*--fs"):
        read_one(beside.encode())


def test_a_strap_tells_its_true_rate_by_its_own_stamps() -> None:
    uv = ecg_uv(40, 130)
    found = read_one(polar_csv(uv, fs=129.2))
    assert (found.format, found.lead, in_uv(found)) == (Format.POLAR, Lead.CHEST, uv.tolist())
    assert found.fs == pytest.approx(129.2, abs=0.001)
    assert found.start is None
    assert str(found.local_start).startswith("2026-07-26 21:56:26")


def test_what_a_strap_lost_is_missing_and_not_joined() -> None:
    lines = polar_csv(ecg_uv(20, 130)).decode().split("\n")
    found = read_one("\n".join(lines[:1000] + lines[1073:]).encode())
    assert np.flatnonzero(np.isnan(found.samples_mv)).tolist() == list(range(999, 1072))
    assert found.fs == pytest.approx(130, abs=0.001)
    assert "0.6 s in all" in found.notes[0].text


def test_a_damaged_line_of_a_strap_is_named() -> None:
    lines = polar_csv(ecg_uv(2, 130)).decode().split("\n")
    lines[40] = lines[40].replace(";", ",")
    with pytest.raises(RecordingError, match="line 41"):
        read_one("\n".join(lines).encode())


def test_stamps_of_a_clock_that_was_never_set_are_enough() -> None:
    assert read_one(polar_csv(ecg_uv(2, 130), first_ns=599_616_000_000_000_000)).fs == pytest.approx(
        130, abs=0.01
    )


def samsung_health(chart: str, count: int = 6) -> bytes:
    return (
        "com.samsung.health.ecg.2,6512001,8\n"
        "datauuid,start_time,end_time,time_offset,mean_heart_rate,sample_frequency,sample_count,"
        "classification,chart_data,\n"
        f'a1,2026-07-26 21:56:26.000,2026-07-26 21:56:56.000,UTC+0200,72.0,500,{count},1,"{chart}",\n'
    ).encode()


def test_a_row_of_samsung_health_is_read_where_its_samples_are_numbers_and_its_unit_is_told() -> None:
    content = samsung_health("[1, 2, 3, 4, 5, 300]")
    with pytest.raises(RecordingError, match="line 3: this export tells no unit"):
        read_one(content)
    found = read_one(content, Hints(unit="uV"))
    assert (in_uv(found), found.fs, found.vendor_rate_bpm) == ([1, 2, 3, 4, 5, 300], 500.0, 72.0)
    assert (found.format, found.start) == (Format.SAMSUNG_EXPORT, None)
    for chart, count in (("a1.chart_data.json", 6), ("[1, 2, 3]", 6)):
        with pytest.raises(RecordingError, match=r"line 3.*Samsung Health Monitor"):
            read_one(samsung_health(chart, count), Hints(unit="uV"))


def test_google_and_withings_are_known_by_their_words() -> None:
    google = {
        "samplingFrequencyHertz": 250,
        "millivoltsScalingFactor": 10922,
        "waveformSamples": [round(v * 10.922) for v in UV.tolist()],
        "resultClassification": "NORMAL_SINUS_RHYTHM",
        "beatsPerMinuteAvg": 70,
        "leadNumber": 1,
        "startTime": "2026-07-26T19:56:26Z",
    }
    found = read_one(json.dumps({"ecgReadings": [google]}).encode())
    np.testing.assert_allclose(found.samples_mv, UV / 1000, atol=5e-5)
    assert (found.fs, found.vendor_verdict, found.vendor_rate_bpm) == (250, "NORMAL_SINUS_RHYTHM", 70)
    assert found.start == START
    withings = {
        "status": 0,
        "body": {"signal": UV.tolist(), "sampling_frequency": 300, "signalid": 7, "afib": 0},
    }
    assert in_uv(read_one(json.dumps(withings).encode())) == UV.tolist()
