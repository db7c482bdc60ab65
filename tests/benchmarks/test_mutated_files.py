import random
from pathlib import Path

import pytest

from benchmarks import mutated_files
from benchmarks.mutated_files import run, seeds
from ingest.recordings import Format, Hints, Recording, RecordingError, read_each

FILES = 150


def test_damaged_files_are_read_or_refused_and_nothing_else() -> None:
    found = run(FILES, seed=7)
    assert found.faults == []
    assert found.files == FILES
    assert found.refused > 30
    assert len(found.by_format) >= 5


@pytest.mark.slow
def test_ten_thousand_damaged_files_crash_nothing() -> None:
    found = run(10_000, seed=1)
    assert found.faults == []


def test_every_format_is_among_the_seeds_and_is_read_unchanged(tmp_path: Path) -> None:
    for name, content in seeds().items():
        (tmp_path / name).write_bytes(content)
    hints = Hints(unit="uV")  # which Samsung's personal data do not tell
    found = [one for name in seeds() for one in read_each(tmp_path / name, hints)]
    assert not [one for one in found if isinstance(one, RecordingError)]
    assert {one.format for one in found if isinstance(one, Recording)} == set(Format)


def test_a_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fragile(*_: object) -> object:
        raise KeyError("y")

    monkeypatch.setattr(mutated_files, "judge", fragile)
    assert "KeyError" in run(30, seed=1).faults[0]


def test_mutations_repeat_with_their_seed() -> None:
    one, other = (random.Random(5) for _ in range(2))
    content = seeds()["apple.csv"]
    assert [mutated_files.mutated(content, one) for _ in range(50)] == [
        mutated_files.mutated(content, other) for _ in range(50)
    ]
