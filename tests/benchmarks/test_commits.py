from pathlib import Path

from benchmarks.commits import measure
from ingest.store.archive import Archive


def test_commits_of_a_fleet_are_stored_and_their_cost_is_told(tmp_path: Path) -> None:
    archive = Archive.open(f"sqlite:///{tmp_path / 'store.sqlite'}")
    figures = measure(archive, 100, seconds=2)
    assert 0 < figures["least_us"] <= figures["median_us"]
    assert sum(len(each.received_us) for each in archive.waveforms.arrivals()) == 200
    assert len(archive.windows_without_verdict(1 << 62, 100)) == 20
