"""Whole exports: of a zip or a folder only ECGs are opened, and what is refused hides nothing else."""

import zipfile
from pathlib import Path

import pytest

from benchmarks.recording_files import apple_csv, ecg_uv, table_csv, write_export_zip
from ingest.recordings import Format, Recording, RecordingError, read, read_each

UV = ecg_uv(2)


def test_an_apple_export_gives_its_ecgs_with_progress_and_opens_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    write_export_zip(path, 6, seconds=2)
    told: list[tuple[int, int]] = []
    found = read(path, progress=lambda done, of: told.append((done, of)))
    assert [each.format for each in found] == [Format.APPLE] * 6
    assert told == [(n, 6) for n in range(1, 7)]
    assert found[0].file.startswith("export.zip: apple_health_export/electrocardiograms/ecg_2026-01-01_0")
    assert len({each.identity for each in found}) == 6


def test_an_unpacked_export_is_the_same(tmp_path: Path) -> None:
    write_export_zip(tmp_path / "export.zip", 3, seconds=2)
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    packed, unpacked = read(tmp_path / "export.zip"), read(tmp_path / "unpacked")
    assert [each.identity for each in unpacked] == [each.identity for each in packed]


def test_one_damaged_member_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/electrocardiograms/1.csv", apple_csv(UV))
        archive.writestr("a/electrocardiograms/2.csv", b"Name,x\nUnit,\n")
        archive.writestr("a/electrocardiograms/3.csv", apple_csv(UV))
        archive.writestr("__MACOSX/a/electrocardiograms/._1.csv", b"\0\0")
    one, refused, other = read_each(path)
    assert isinstance(one, Recording)
    assert isinstance(other, Recording)
    assert isinstance(refused, RecordingError)
    assert refused.file == "export.zip: a/electrocardiograms/2.csv"
    with pytest.raises(RecordingError, match=r"2\.csv"):
        read(path)


def test_any_other_zip_gives_what_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "files.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("table.csv", table_csv(UV))
        archive.writestr("picture.png", b"no")
    assert [each.format for each in read(path)] == [Format.CSV]


def test_what_is_absent_empty_or_damaged_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and then nothing")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("readme.md", "nothing")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 20)
    for name, expected in {
        "absent.csv": "No such file",
        "empty.csv": "the file is empty",
        "cut.zip": "a damaged archive",
        "none.zip": "no ECGs among its 1 files",
        "binary.csv": "neither text nor a format",
    }.items():
        (refused,) = read_each(tmp_path / name)
        assert isinstance(refused, RecordingError)
        assert expected in str(refused)
        assert name in str(refused)
