"""`wristlead classify`: what it prints, what a script can use, and that processes change nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.recording_files import PERSON, apple_csv, ecg_uv, samsung_csv, table_csv, write_export_zip
from inference.recordings import command
from inference.recordings.command import FEW
from inference.recordings.many import ALONE
from inference.report import pdf_lines
from wristlead import main

N_MANY = max(ALONE, FEW) + 2
UV = ecg_uv(12, 512.414)


@pytest.fixture
def apple(tmp_path: Path) -> Path:
    path = tmp_path / "ecg.csv"
    path.write_bytes(apple_csv(UV))
    return path


def classify(*arguments: object) -> int:
    return main(["classify", *map(str, arguments)])


def test_a_table_says_what_was_found_beside_the_vendors_verdict(
    apple: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify(apple) == 0
    head, row, *_ = capsys.readouterr().out.splitlines()
    assert head.split() == "RECORDING LENGTH READABLE HEART RATE FOUND THE DEVICE SAYS".split()  # noqa: SIM905
    assert row.startswith("ecg.csv    12.0 s  100 %     72 bpm")
    assert "normal rhythm ." in row
    assert row.endswith("Sinus Rhythm")


def test_json_holds_everything_and_nobodys_name(apple: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samsung = apple.with_name("samsung.csv")
    samsung.write_bytes(samsung_csv(ecg_uv(12, 500)))
    assert classify(apple, samsung, "--json", "--zone", "Europe/Berlin") == 0
    out = capsys.readouterr().out
    one, other = json.loads(out)["recordings"]
    assert (one["start"], other["start"]) == ("2026-07-26T21:56:26+02:00", "2026-07-26T21:56:26+02:00")
    assert [f["superclass"] for f in one["findings"]] == ["NORM", "MI", "STTC", "CD", "HYP"]
    assert (one["fs"], one["lead"], one["windows"], one["windows_voting"]) == (512.414, "I", 2, 2)
    assert other["vendor_rate_bpm"] == 72
    assert "72" in " ".join(one["plain_words"].values())
    assert not any(word in out for word in PERSON)


def test_exit_codes_tell_judged_from_indeterminate_and_refused(
    apple: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat, bad = tmp_path / "flat.csv", tmp_path / "bad.csv"
    flat.write_bytes(apple_csv(0 * UV))
    bad.write_bytes(apple_csv(UV) + b"oops\n")
    assert classify(apple, flat) == 1
    assert classify(apple, flat, bad, tmp_path / "absent.csv") == 65
    told = capsys.readouterr()
    assert "refused: absent.csv: cannot be read: No such file" in told.err
    assert "refused: bad.csv" in told.err
    assert "cannot tell: flat" in told.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--lead", "IX"], "lead 'IX', want one of I, II"),
        (["--unit", "furlong"], "unit 'furlong', want mV"),
        (["--fs", "0"], "--fs is 0 Hz, want 1 to 10000"),
        (["--zone", "Mars"], "--zone is 'Mars', want such as Europe/Berlin"),
        (["--jobs", "0"], "--jobs is 0, want at least 1"),
        (["--report", "x.doc"], "want a name that ends in .html or .pdf"),
        (["--report", "/absent/x.html"], "there is no folder /absent"),
    ],
)
def test_options_that_cannot_be_are_refused_before_any_work(
    apple: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify(apple, *arguments) == 78
    assert sentence in capsys.readouterr().err


def test_a_pdf_without_its_library_says_what_to_install(
    apple: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pdf_lines, "is_installed", lambda: False)
    assert classify(apple, "--report", apple.with_suffix(".pdf")) == 78
    assert "pip install 'wristlead[report]'" in capsys.readouterr().err


def test_guesses_are_shown_and_can_be_corrected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(table_csv(ecg_uv(12, 500)))
    classify(path)
    told = capsys.readouterr().out
    assert "    guess: 500 Hz, by the column 'elapsed_time(s)' (--fs)" in told
    assert "    note: the file does not tell the lead (--lead)" in told
    assert classify(path, "--lead", "I", "--fs", "500") == 0
    assert "(--lead)" not in capsys.readouterr().out


def test_the_same_recording_in_two_files_is_told_once(
    apple: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again, report = tmp_path / "again.csv", tmp_path / "out.html"
    again.write_bytes(apple.read_bytes())
    assert classify(apple, again, "--report", report) == 0
    assert "the same as ecg.csv" in capsys.readouterr().out
    assert "again.csv: the same as ecg.csv" in report.read_text()
    assert report.read_text().count("<section") == 2


def test_several_processes_answer_as_one_does_in_the_order_of_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "export.zip"
    write_export_zip(path, N_MANY, seconds=10)
    answers = []
    for jobs in ("1", "2"):
        assert classify(path, "--json", "--jobs", jobs) == 0
        told = capsys.readouterr()
        answers.append(told.out)
        assert f"{N_MANY} of {N_MANY} files" in told.err
    assert answers[0] == answers[1]
    assert len(json.loads(answers[0])["recordings"]) == N_MANY


def test_who_is_interrupted_did_not_succeed(apple: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "classify_files", interrupted)
    assert classify(apple, "--report", apple.with_suffix(".html")) == 130
    assert not apple.with_suffix(".html").exists()


def test_a_reader_who_has_seen_enough_ends_it_quietly(apple: Path) -> None:
    line = f"{sys.executable} -m wristlead classify {apple} | head -0"
    root = Path(__file__).parents[3]
    done = subprocess.run(["bash", "-c", line], cwd=root, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
