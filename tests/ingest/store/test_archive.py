import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine, create_mock_engine, event, func, select, update

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.pipeline import DevicePipeline
from ingest.store import insertion
from ingest.store.archive import Archive, StoreError
from ingest.store.rows import MAX_REFUSED_BYTES, ReceivedChunk, Refused
from ingest.store.schema import chunk_table, metadata, open_store, vitals_table, window_table
from ingest.vitals import SignalState, Vitals
from ingest.window import Window
from ingest.wire import decode, encode_binary

FS = 500.0
N = 125  # samples in a chunk
RNG = np.random.default_rng(7)
ECG_MV = RNG.integers(-900, 900, 40_000).astype(np.float32) * np.float32(0.001)  # as int16 microvolts decode


def received(
    first: int, n: int = N, *, device: str = "a/b", session: int = 9, at_us: int = 0
) -> ReceivedChunk:
    chunk = Chunk(
        device=device,
        session=session,
        seq=first // N,
        first_sample=first,
        wall_time_us=1_000_000 + round(first / FS * 1e6),
        device_ns=0,
        fs=FS,
        leads=(Lead.I,),
        samples_mv=ECG_MV[first : first + n, None],
    )
    payload = encode_binary(chunk)
    return ReceivedChunk(decode(payload, device), payload, at_us or 5_000_000 + round(first / FS * 1e6))


def windows_of(chunks: list[ReceivedChunk]) -> list[Window]:
    pipeline = DevicePipeline("a/b")
    return [
        replace(window, closed_us=each.received_us)
        for each in chunks
        for window in pipeline.push(each.chunk, each.received_us)
    ]


def vitals(at_us: int) -> Vitals:
    return Vitals(
        device="a/b", session=9, at_us=at_us, last_sample=3, heart_rate_bpm=None, since_beat_s=None,
        signal=SignalState.LEAD_OFF,
    )  # fmt: skip


def assert_same_window(found: Window | None, wanted: Window) -> None:
    assert found is not None
    np.testing.assert_array_equal(found.samples_mv, wanted.samples_mv)
    for name in Window.__slots__:
        if name != "samples_mv":
            assert getattr(found, name) == getattr(wanted, name), name


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}", busy_wait_ms=20)
    yield engine
    engine.dispose()


@pytest.fixture
def archive(engine: Engine) -> Archive:
    return Archive(engine)


def count(engine: Engine, table: object = chunk_table) -> int:
    with engine.connect() as connection:
        return int(connection.scalars(select(func.count()).select_from(table)).one())  # type: ignore[arg-type]  # any table


def test_a_chunk_is_stored_once_however_often_it_comes(archive: Archive, engine: Engine) -> None:
    chunks = [received(0), received(N), received(0)]
    first = archive.commit(chunks)
    assert first.new_chunks == {("a/b", 9, 0), ("a/b", 9, N)}
    again = archive.commit([*chunks, received(2 * N)])
    assert again.new_chunks == {("a/b", 9, 2 * N)}
    assert count(engine) == 3


def test_a_chunk_cut_anew_with_more_samples_replaces_the_shorter(archive: Archive) -> None:
    archive.commit([received(0, 50)])
    archive.commit([received(0, 80), received(0, 60)])
    archive.commit([received(0, 70)])
    found = archive.samples("a/b", 9, 0, 100)
    np.testing.assert_array_equal(found[:80], ECG_MV[:80])
    assert np.isnan(found[80:]).all()


@pytest.mark.parametrize("seed", range(10))
def test_samples_come_back_as_they_came_and_what_is_missing_is_nan(archive: Archive, seed: int) -> None:
    rng = np.random.default_rng(seed)
    came = [first for first in range(0, 40 * N, N) if rng.random() < 0.7]
    archive.commit([received(first) for first in rng.permutation(came).tolist()])
    wanted: NDArray[np.float32] = np.full(40 * N, np.nan, np.float32)
    for first in came:
        wanted[first : first + N] = ECG_MV[first : first + N]
    start, end = sorted(rng.choice(40 * N, 2, replace=False).tolist())
    np.testing.assert_array_equal(archive.samples("a/b", 9, start, end - start), wanted[start:end])


def test_samples_of_other_devices_sessions_and_leads_stay_out(archive: Archive) -> None:
    archive.commit([received(0, device="a/c"), received(0, session=8), received(N)])
    assert np.isnan(archive.samples("a/b", 9, 0, N)).all()
    assert np.isnan(archive.samples("a/b", 9, N, N, lead=Lead.II)).all()
    assert not np.isnan(archive.samples("a/b", 9, N, N, lead=Lead.I)).any()


def test_a_window_comes_back_as_it_was_closed(archive: Archive) -> None:
    chunks = [received(first) for first in range(0, 90 * N, N) if first != 20 * N]
    late = received(20 * N, at_us=chunks[-1].received_us + 1)
    windows = windows_of([*chunks, late])
    assert [w.coverage for w in windows] == [1 - N / 5000, 1.0]
    archive.commit([*chunks, late], windows)
    for window in windows:
        assert_same_window(archive.window("a/b", 9, window.first_sample), window)
    assert archive.window("a/b", 9, 17) is None


def test_a_window_found_twice_is_new_once(archive: Archive, engine: Engine) -> None:
    windows = windows_of([received(first) for first in range(0, 90 * N, N)])
    assert len(archive.commit(windows=windows).new_windows) == 2
    assert archive.commit(windows=windows).new_windows == frozenset()
    assert count(engine, window_table) == 2


def test_windows_without_verdict_are_work_to_do_oldest_first(archive: Archive, engine: Engine) -> None:
    chunks = [received(first) for first in range(0, 170 * N, N)]
    windows = windows_of(chunks)
    archive.commit(chunks, windows)
    assert len(windows) == 4
    with engine.begin() as connection:
        connection.execute(
            metadata.tables["verdict"].insert().values(
                device="a/b", session=9, first_sample=windows[1].first_sample, wall_time_us=0, model="m",
                decided_us=0, historic=False, findings="[]",
            )
        )  # fmt: skip
    found = archive.windows_without_verdict(windows[3].closed_us - 1, limit=10)
    assert [w.first_sample for w in found] == [windows[0].first_sample, windows[2].first_sample]
    assert len(archive.windows_without_verdict(windows[3].closed_us, limit=1)) == 1
    after = archive.windows_without_verdict(windows[3].closed_us, 10, closed_after_us=windows[2].closed_us)
    assert [w.first_sample for w in after] == [windows[3].first_sample]


def test_newest_windows_come_oldest_first(archive: Archive) -> None:
    chunks = [received(first) for first in range(0, 170 * N, N)]
    windows = windows_of(chunks)
    archive.commit(chunks, windows)
    assert [w.first_sample for w in archive.latest_windows("a/b", 2)] == [10_000, 15_000]
    newest = archive.newest_window("a/b", historic=False)
    assert_same_window(newest, windows[-1])
    assert archive.newest_window("a/b", historic=True) is None


def test_devices_are_named_with_when_they_were_heard(archive: Archive) -> None:
    assert archive.devices() == {}
    archive.commit([received(0, device="s/z", at_us=5), received(0, device="a/b", at_us=7)])
    archive.commit([received(N, device="s/z", at_us=11)])
    assert archive.devices() == {"a/b": 7, "s/z": 11}


def test_chunks_come_back_in_order_of_arrival(archive: Archive) -> None:
    historic = received(9 * N, at_us=30)
    historic = replace(historic, chunk=replace(historic.chunk, flags=ChunkFlag.HISTORIC))
    archive.commit([received(3 * N, at_us=10), received(N, at_us=20), historic, received(0, at_us=5)])
    found = archive.chunks_since("a/b", 10)
    assert [each.chunk.first_sample for each in found] == [3 * N, N, 9 * N]
    assert [ChunkFlag.HISTORIC in each.chunk.flags for each in found] == [False, False, True]
    assert found[0].payload == received(3 * N).payload
    assert archive.first_arrival_us("a/b", 9, 2 * N + 1) == 10
    assert archive.first_arrival_us("a/b", 9, 99 * N) is None


def test_vitals_come_back_for_a_span_of_time(archive: Archive, engine: Engine) -> None:
    archive.commit(vitals=[vitals(at_us) for at_us in (10, 20, 30)])
    archive.commit(vitals=[vitals(30)])
    assert archive.vitals_between("a/b", 20, 31) == [vitals(20), vitals(30)]
    assert count(engine, vitals_table) == 3


def test_of_refused_payloads_the_newest_are_kept_cut_to_their_first_bytes(archive: Archive) -> None:
    flood = [Refused("a/b", k, f"reason {k}", bytes([k % 256]) * 9000) for k in range(100)]
    archive.commit(refused=flood[:50])
    archive.commit(refused=[*flood[50:], Refused("a/c", 1, "other", b"x")])
    kept = archive.refused("a/b")
    assert [each.received_us for each in kept] == list(range(80, 100))
    assert {len(each.payload) for each in kept} == {MAX_REFUSED_BYTES}
    assert [each.reason for each in archive.refused("a/c")] == ["other"]


def limited(engine: Engine, pragma: str) -> None:
    @event.listens_for(engine, "connect")
    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(pragma)

    engine.dispose()


@pytest.mark.parametrize(
    ("pragma", "sentence"),
    [
        ("PRAGMA max_page_count=1", "is full: free some space"),  # not one page more
        ("PRAGMA query_only=1", "cannot be written: make the file"),
    ],
)
def test_a_store_that_takes_nothing_says_why_and_holds_nothing(
    engine: Engine, archive: Archive, pragma: str, sentence: str
) -> None:
    limited(engine, pragma)
    chunks = [received(first) for first in range(0, 300 * N, N)]
    with pytest.raises(StoreError, match=sentence):
        archive.commit(chunks)
    assert count(engine) == 0


def test_a_locked_store_says_so_and_works_when_let_go(
    engine: Engine, archive: Archive, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="is locked by another program"):
        archive.commit([received(0)])
    other.execute("ROLLBACK")
    other.close()
    archive.commit([received(0)])
    assert count(engine) == 1


def test_a_store_in_a_missing_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened: check that its folder exists"):
        Archive.open(f"sqlite:///{tmp_path / 'nowhere' / 'store.sqlite'}")


def test_a_file_that_is_no_store_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"no database at all" * 99)
    with pytest.raises(StoreError, match="is not a database"):
        Archive.open(f"sqlite:///{tmp_path / 'notes.txt'}")


def test_a_returned_commit_is_on_the_disk(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_postgresql_is_told_the_same() -> None:
    dialect = create_mock_engine("postgresql://", lambda *_: None).dialect
    told = str(insertion.insert_longer("postgresql", chunk_table).compile(dialect=dialect))
    assert "ON CONFLICT (device, session, first_sample) DO UPDATE SET" in told
    assert "excluded.n_samples > chunk.n_samples RETURNING" in told
    told = str(insertion.insert_unknown("postgresql", vitals_table).compile(dialect=dialect))
    assert "ON CONFLICT DO NOTHING" in told


def test_a_commit_is_all_or_nothing(engine: Engine, archive: Archive) -> None:
    chunks = [received(first) for first in range(0, 50 * N, N)]
    broken = replace(windows_of(chunks)[0], lead_off=None)  # type: ignore[arg-type]  # the column forbids it
    with pytest.raises(StoreError):
        archive.commit(chunks, [broken])
    assert count(engine) == 0
    with engine.begin() as connection:  # and the store is not left locked
        connection.execute(update(chunk_table).values(received_us=1))
