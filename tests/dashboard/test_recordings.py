"""Uploads are bounded and leave nothing, a dead worker is told, and descriptions are checked; no browser."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from dashboard import upload
from dashboard.data_routes import AskedWronglyError
from dashboard.known_recordings import MAX_RECORDINGS, KnownRecordings
from dashboard.recording_routes import for_page, hints_asked, main_file
from dashboard.recording_worker import RecordingWorker, WorkerError
from dashboard.texts.recordings import DEMO_KINDS
from dashboard.upload import new_folder, parts_of, plain_name, remove_left_folders, write_parts
from inference.recordings.command import Options
from simulators.patients import patient_names

Result = TypeVar("Result")


def in_a_loop(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run it on a thread of its own: a browser's test before may have left a loop on this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


async def blocks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def written(folder: Path, body: tuple[bytes, ...], parts: list[tuple[str, int]]) -> list[bytes]:
    return [path.read_bytes() for path in in_a_loop(write_parts(blocks(*body), parts, folder))]


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_parts_do_not_depend_on_how_the_body_came(tmp_path: Path, size: int) -> None:
    whole = bytes(range(200))
    body = tuple(whole[at : at + size] for at in range(0, 200, size))
    assert written(tmp_path, body, [("a.hea", 7), ("a.dat", 193), ("none", 0)]) == [whole[:7], whole[7:], b""]


@pytest.mark.parametrize(
    ("body", "reason"), [((b"12345",), "5 bytes early"), ((b"1" * 10, b"2"), "longer than it said")]
)
def test_a_body_of_another_length_is_refused(tmp_path: Path, body: tuple[bytes, ...], reason: str) -> None:
    with pytest.raises(AskedWronglyError, match=reason):
        written(tmp_path, body, [("a", 10)])


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (None, "parts is missing"),
        ("[]", "0 parts, want 1 to 16"),
        ('[["a", -1]]', "parts"),
        ('[["a", 1073741825]]', "1074 MB, want at most 1074 MB"),
        ("[" + ",".join(['["a", 1]'] * 17) + "]", "17 parts"),
        ('{"a": 1}', "parts is missing"),
    ],
)
def test_what_no_upload_can_be_is_refused(told: str | None, reason: str) -> None:
    with pytest.raises(AskedWronglyError, match=reason):
        parts_of(told)


def test_two_parts_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AskedWronglyError, match="one name"):
        written(tmp_path, (b"ab",), [("a", 1), ("a", 1)])


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\e.csv", "e.csv"),
        ("..", "file"),
        (".hidden", "hidden"),
        ("ä b.csv", "_b.csv"),
    ],
)
def test_a_name_is_no_path(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_folders_of_killed_servers_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = tmp_path / f"{upload.PREFIX}999999999-x"
    dead.mkdir()
    with new_folder() as own:
        remove_left_folders()
        assert Path(own).is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_wfdb_record_is_read_by_its_header() -> None:
    assert main_file([Path("a.dat"), Path("a.hea")]) == Path("a.hea")
    assert main_file([Path("ecg.csv")]) == Path("ecg.csv")


def test_hints_of_the_page_are_options_of_the_command() -> None:
    asked = {"fs": "511,4", "unit": " uV ", "format": "csv", "lead": "", "zone": "Europe/Berlin", "who": "A"}
    assert hints_asked(asked) == {"fs": 511.4, "unit": "uV", "format_name": "csv", "zone": "Europe/Berlin"}
    Options(files=(), **hints_asked(asked))
    with pytest.raises(AskedWronglyError, match="Rate is 'fast'"):
        hints_asked({"fs": "fast"})


def test_reasons_name_the_fields_of_the_page() -> None:
    told = "the sampling rate is not told and no time column gives it: say it with --fs"
    assert for_page(told).endswith("say it under Rate")
    assert for_page("--zone is 'x'") == "Time zone is 'x'"


def test_every_demo_is_one_that_the_simulators_know() -> None:
    assert set(DEMO_KINDS) <= set(patient_names())


ECHO = "import sys\nfor line in sys.stdin:\n  print(line.strip()); print('{\"end\":true}', flush=True)"
DIES = "import sys\nsys.stdin.readline(); print('{\"done\":1}', flush=True)"


async def said(worker: RecordingWorker, job: dict[str, Any]) -> list[dict[str, Any]]:
    return [told async for told in worker.ask(job)]


def test_a_worker_that_dies_is_told_and_the_next_job_has_a_new_one() -> None:
    async def both() -> None:
        worker = RecordingWorker({}, (sys.executable, "-c", DIES))
        for _ in range(2):
            with pytest.raises(WorkerError, match="died"):
                await said(worker, {"job": 1})
        await worker.close()

    in_a_loop(both())


def test_jobs_go_one_after_the_other_and_who_leaves_ends_theirs() -> None:
    async def all_of_it() -> None:
        worker = RecordingWorker({}, (sys.executable, "-c", ECHO))
        answers = await asyncio.gather(*(said(worker, {"job": k}) for k in range(5)))
        assert answers == [[{"job": k}] for k in range(5)]
        before = worker.pid
        leaving = worker.ask({"job": "left"})
        await anext(leaving)
        await leaving.aclose()
        assert await said(worker, {"job": "next"}) == [{"job": "next"}]
        assert worker.pid != before
        await worker.close()

    in_a_loop(all_of_it())


def test_a_description_must_be_one_and_of_its_topic() -> None:
    known = KnownRecordings()
    before = known.revision
    with pytest.raises((ValueError, msgspec.DecodeError)):
        known.push("wl/v1/recording/a", b'{"id":"b"}', 1)
    assert known.all() == []
    assert known.push("wl/v1/recording/a", b"", 1)
    assert known.revision != before
    assert not known.push("wl/v1/verdict/a/b", b"", 1)
    assert MAX_RECORDINGS >= 1000
