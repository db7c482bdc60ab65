"""Files of key,value lines and then numbers, in any language, become what their device recorded."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from benchmarks.recording_files import PERSON, apple_csv, ecg_uv, samsung_csv
from ingest.chunk import Lead
from ingest.recordings import About, Format, Hints, Recording, RecordingError
from ingest.recordings.reader import read_source
from ingest.recordings.recording import Source

UV = np.array([-265.868, -180.596, 12.5, 0.0, 431.25])
START = datetime(2026, 7, 26, 21, 56, 26, tzinfo=timezone(timedelta(hours=2)))
GERMAN = (
    "Name,Erika Mustermann\nGeburtstag,1. Jan. 1961\nAufzeichnungsdatum,2026-07-26 21:56:26 +0200\n"
    'Klassifizierung,Sinusrhythmus\nSymptome,\nSoftwareversion,2.0\nGerät,"Watch5,4"\n'
    'Messrate,"511,422 Hertz"\n\nAbleitung,Ableitung I\nEinheit,µV\n\n'
)
JAPANESE = (
    "名前,Erika Mustermann\n生年月日,1961年1月1日\n記録日時,2026-07-26 21:56:26 +0200\n分類,洞調律\n症状,\n"
    'ソフトウェアバージョン,1.9\nデバイス,"Watch6,1"\nサンプルレート,513.406ヘルツ\n\nリード,リードI\n単位,µV\n\n'
)
CHINESE = (
    "姓名,Erika Mustermann\n出生日期,1961年1月1日\n记录日期,2026-07-26 21:56:26 +0200\n分类,窦性心律\n症状,\n"
    '软件版本,2.0\n设备,"Watch5,4"\n采样速率,512赫兹\n平均心率,72 BPM\n导联,导联I\n单位,µV\n\n'
)
DANISH = (  # of no list: the structure tells
    "Navn,Erika Mustermann\nFødselsdato,1. jan. 1961\nOptaget den,2026-07-26 21:56:26 +0200\n"
    "Kategori,Sinusrytme\nPrøvehastighed,512.617 hertz\n\nAfledning,Afledning I\nEnhed,µV\n\n"
)


def read(content: bytes, hints: Hints | None = None, name: str = "ecg.csv") -> Recording:
    (found,) = read_source(Source(name, content), hints or Hints())
    if isinstance(found, RecordingError):
        raise found
    return found


@pytest.mark.parametrize(
    ("header", "fs", "verdict"),
    [
        (None, 512.414, "Sinus Rhythm"),
        (GERMAN, 511.422, "Sinusrhythmus"),
        (JAPANESE, 513.406, "洞調律"),
        (CHINESE, 512.0, "窦性心律"),
        (DANISH, 512.617, None),
    ],
)
@pytest.mark.parametrize("decimal", [".", ","])
def test_an_apple_export_in_any_language_and_region_is_read(
    header: str | None, fs: float, verdict: str | None, decimal: str
) -> None:
    found = read(apple_csv(UV, header=header, decimal=decimal))
    assert found.samples_mv.tolist() == (UV / 1000).astype(np.float32).tolist()
    assert (found.format, found.fs, found.lead, found.start) == (Format.APPLE, fs, Lead.I, START)
    assert found.vendor_verdict == verdict


@pytest.mark.parametrize(
    "change",
    [
        ("Unit,µV", "Unit,\u03bcV"),  # the Greek letter
        ("Unit,µV", "Unit,mcV"),
        ("512.414 hertz", "512.414\u00a0hertz"),  # no-break space
        ("512.414 hertz", "512.414\u202fHz"),
        ("512.414 hertz", "512.414 Hertz"),
        ("Name,", "\ufeffName,"),
        ("Symptoms,\n", "Symptoms,\n\n\n"),  # blank lines mid-header
        ("\n", "\r\n"),
        ("Lead,Lead I\nUnit,µV\n\n", "Unit,µV\nLead,Lead I\n\n"),
        ("Unit,µV\n\n", "Unit,µV\n"),
        ('Device,"Watch5,4"', "Device,Watch5,4"),
    ],
)
def test_small_differences_of_exports_change_nothing(change: tuple[str, str]) -> None:
    plain = read(apple_csv(UV))
    other = read(apple_csv(UV).decode().replace(*change).encode())
    assert other.samples_mv.tolist() == plain.samples_mv.tolist()
    assert (other.fs, other.lead, other.start, other.device) == (512.414, Lead.I, START, "Watch5,4")


def test_utf_16_and_windows_bytes_are_read_too() -> None:
    text = apple_csv(UV).decode()
    for content in (text.encode("utf-16"), text.encode("latin-1")):
        assert read(content).fs == 512.414


@pytest.mark.parametrize("header", [None, GERMAN, JAPANESE, CHINESE, DANISH])
def test_names_and_birth_dates_are_dropped(header: str | None) -> None:
    everything = repr(read(apple_csv(UV, header=header)))
    assert not any(word in everything for word in (*PERSON, "1961", "Erika"))


def test_what_was_not_understood_is_named_by_its_key_alone() -> None:
    (note,) = read(apple_csv(UV, header=DANISH)).notes
    assert note.about is About.FILE
    assert "line 1 ('Navn'), line 2 ('Fødselsdato'), line 4 ('Kategori')" in note.text


def test_a_samsung_file_has_its_verdict_and_rate_and_says_that_its_zone_is_missing() -> None:
    found = read(samsung_csv(UV))
    assert (found.format, found.fs, found.lead, found.device) == (Format.SAMSUNG, 500.0, Lead.I, "SM-R890")
    assert (found.vendor_verdict, found.vendor_rate_bpm) == ("Sinus Rhythm", 72.0)
    assert found.n_samples == len(UV)  # the lone comma is no sample
    assert (found.start, found.local_start) == (None, datetime(2026, 7, 26, 21, 56, 26))  # noqa: DTZ001
    assert [note.about for note in found.notes] == [About.ZONE]
    told = read(samsung_csv(UV), Hints(zone=ZoneInfo("Europe/Berlin")))
    assert told.start == datetime(2026, 7, 26, 19, 56, 26, tzinfo=UTC)
    assert not told.notes


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("431.250", "431.2.50"), r"ecg.csv, line 18: '431.2.50' is not one finite number"),
        (("431.250", ""), None),
        (("-265.868", "oops"), r"line 14: 'oops' is not one"),
        (("12.500\n", "\n"), r"line 16: '' is not one"),
        (("12.500", "nan"), r"line 16: 'nan' is not one"),
        (("12.500", "1_2.5"), r"line 16: '1_2.5' is not one"),
        (("Unit,µV", "Unit,volt-ish"), "no line of the first 60 gives a voltage unit"),
        (("512.414 hertz", "hertz"), "sampling rate is not told"),
        (("512.414 hertz", "99999 hertz"), "sampling rate 99999 Hz, want 1 to 10000"),
    ],
)
def test_what_is_damaged_is_refused_with_its_line(change: tuple[str, str], expected: str | None) -> None:
    damaged = apple_csv(UV).decode().replace(*change).encode()
    if expected is None:
        assert read(damaged).n_samples == len(UV) - 1
        return
    with pytest.raises(RecordingError, match=expected):
        read(damaged, Hints(format=Format.APPLE))


def test_hints_go_before_what_the_file_says_and_say_so() -> None:
    found = read(apple_csv(UV), Hints(fs=500, unit="mV", lead=Lead.II))
    assert (found.fs, found.lead) == (500, Lead.II)
    np.testing.assert_allclose(found.samples_mv, UV, rtol=1e-6)
    assert [note.about for note in found.notes] == [About.RATE, About.UNIT, About.LEAD]


def test_the_same_recording_is_known_again_in_another_file() -> None:
    uv = ecg_uv(2)
    one, again = read(apple_csv(uv)), read(apple_csv(uv, decimal=","), name="other.csv")
    other = read(apple_csv(uv, start="2026-07-26 21:56:27 +0200"))
    assert one.identity == again.identity
    assert one.identity != other.identity
