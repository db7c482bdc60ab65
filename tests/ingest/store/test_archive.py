import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray
from sqlalchemy import Engine, Table, create_engine, event, func, insert, inspect, select

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.pipeline import DevicePipeline
from ingest.store import waveforms
from ingest.store.archive import Archive, Committed, StoreError
from ingest.store.retention import DAY_US, Retention
from ingest.store.rows import MAX_REFUSED_BYTES, ReceivedChunk, Refused, RefusedCount
from ingest.store.schema import metadata, open_store, verdict_table, window_table
from ingest.vitals import SignalState, Vitals
from ingest.window import Window
from ingest.wire import decode, encode_binary

FS = 500.0
N = 125  # samples in a chunk
RNG = np.random.default_rng(7)
ECG_MV = RNG.integers(-900, 900, 40_000).astype(np.float32) * np.float32(0.001)  # as int16 microvolts decode
HOUR_US = 3_600_000_000


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
        structs.replace(window, closed_us=each.received_us)
        for each in chunks
        for window in pipeline.push(each.chunk, each.received_us)
    ]


def vitals(at_us: int) -> Vitals:
    return Vitals(
        device="a/b", session=9, at_us=at_us, last_sample=3, heart_rate_bpm=None, since_beat_s=None,
        signal=SignalState.LEAD_OFF,
    )  # fmt: skip


def vitals_with_rhythm(at_us: int) -> Vitals:
    return structs.replace(
        vitals(at_us), heart_rate_bpm=71.25, rmssd_ms=31.4, sdnn_ms=52.0, ectopic_per_min=3, irregular=False
    )


def assert_same_window(found: Window | None, wanted: Window) -> None:
    assert found is not None
    np.testing.assert_array_equal(found.samples_mv, wanted.samples_mv)
    for name in Window.__struct_fields__:
        if name != "samples_mv":
            assert getattr(found, name) == getattr(wanted, name), name


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url, busy_wait_ms=20)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}", busy_wait_ms=20)
    yield engine
    engine.dispose()


@pytest.fixture
def archive(engine: Engine) -> Archive:
    return Archive(engine)


def count(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return connection.scalars(select(func.count()).select_from(table)).one()


def n_chunks(archive: Archive) -> int:
    return sum(len(each.sessions) for each in archive.waveforms.arrivals())


def test_a_chunk_is_stored_once_however_often_it_comes(archive: Archive) -> None:
    chunks = [received(0), received(N), received(0)]
    first = archive.commit(chunks)
    assert first.new_chunks == {("a/b", 9, 0), ("a/b", 9, N)}
    again = archive.commit([*chunks, received(2 * N)])
    assert again.new_chunks == {("a/b", 9, 2 * N)}
    assert n_chunks(archive) == 3


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
    historic = structs.replace(historic, chunk=structs.replace(historic.chunk, flags=ChunkFlag.HISTORIC))
    archive.commit([received(3 * N, at_us=10), received(N, at_us=20), historic, received(0, at_us=5)])
    found = archive.chunks_since("a/b", 10)
    assert [each.chunk.first_sample for each in found] == [3 * N, N, 9 * N]
    assert [ChunkFlag.HISTORIC in each.chunk.flags for each in found] == [False, False, True]
    assert found[0].payload == received(3 * N).payload
    assert archive.first_arrival_us("a/b", 9, 2 * N + 1) == 10
    assert archive.first_arrival_us("a/b", 9, 99 * N) is None


def test_vitals_come_back_for_a_span_of_time(archive: Archive) -> None:
    archive.commit(vitals=[vitals(at_us) for at_us in (10, 20, 30)])
    archive.commit(vitals=[vitals(30)])
    assert archive.vitals_between("a/b", 20, 31) == [vitals(20), vitals(30)]
    assert archive.vitals_between("a/b", 0, 99) == [vitals(10), vitals(20), vitals(30)]
    archive.commit(vitals=[vitals_with_rhythm(40)])
    assert archive.vitals_between("a/b", 40, 41) == [vitals_with_rhythm(40)]


def test_of_refused_payloads_the_newest_are_kept_cut_to_their_first_bytes(archive: Archive) -> None:
    flood = [Refused("a/b", k, f"reason {k}", bytes([k % 256]) * 9000) for k in range(100)]
    archive.commit(refused=flood[:50])
    archive.commit(refused=[*flood[50:], Refused("a/c", 1, "other", b"x")])
    kept = archive.refused("a/b")
    assert [each.received_us for each in kept] == list(range(80, 100))
    assert {len(each.payload) for each in kept} == {MAX_REFUSED_BYTES}
    assert [each.reason for each in archive.refused("a/c")] == ["other"]
    assert archive.refused_counts() == [RefusedCount("a/b", 20, 80, 99), RefusedCount("a/c", 1, 1, 1)]


def test_no_reason_however_odd_its_characters_keeps_what_came_with_it_from_being_stored(
    archive: Archive,
) -> None:
    for reason in ("a \0 key", "half a \ud800 pair", "long" * 10_000):
        archive.commit(refused=[Refused("a/b", 1, reason, b"\0")])
    found = [each.reason for each in archive.refused("a/b")]
    assert found == ["a \\0 key", "half a \\ud800 pair", "long" * 250]


def limited(engine: Engine, pragma: str) -> Callable[[], None]:
    """Every connection begins with this; what is returned ends it."""

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(pragma)

    def stop() -> None:
        event.remove(engine, "connect", limit)
        engine.dispose()

    event.listen(engine, "connect", limit)
    engine.dispose()
    return stop


@pytest.mark.parametrize(
    ("pragma", "sentence"),
    [
        ("PRAGMA max_page_count=1", "is full: free some space"),  # not one page more
        ("PRAGMA query_only=1", "cannot be written: make the file"),
    ],
)
def test_a_database_that_takes_nothing_says_why_and_is_told_all_again(
    sqlite: Engine, pragma: str, sentence: str
) -> None:
    archive = Archive(sqlite)
    chunks = [received(first) for first in range(0, 300 * N, N)]
    refused = [Refused(f"a/{k}", k, "why", bytes(4000)) for k in range(20)]  # more than the pages at hand
    stop_limiting = limited(sqlite, pragma)
    for _ in range(2):
        with pytest.raises(StoreError, match=sentence):
            archive.commit(chunks, windows_of(chunks), [vitals(10)], refused)
    assert count(sqlite, window_table) == 0
    stop_limiting()
    told = archive.commit(chunks, windows_of(chunks), [vitals(10)], refused)
    assert len(told.new_chunks) == n_chunks(archive) == 300  # stored before, and once
    assert len(told.new_windows) == 7
    assert archive.commit(chunks, windows_of(chunks)) == Committed(frozenset(), frozenset())


def test_after_a_crash_chunks_that_the_database_may_not_know_are_told_as_new(sqlite: Engine) -> None:
    archive = Archive(sqlite)
    archive.commit([received(0)])
    with sqlite.begin() as connection:  # the crash comes before its end
        archive.waveforms.append([received(N)], [], connection)
    restarted = Archive(sqlite)
    again = restarted.commit([received(0), received(N)])
    assert again.new_chunks >= {("a/b", 9, N)}
    assert n_chunks(restarted) == 2
    assert restarted.commit([received(N)]).new_chunks == frozenset()


def test_a_locked_store_says_so_and_works_when_let_go(sqlite: Engine, tmp_path: Path) -> None:
    archive = Archive(sqlite)
    chunks = [received(first) for first in range(0, 50 * N, N)]
    other = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="is locked by another program"):
        archive.commit(chunks, windows_of(chunks))
    other.execute("ROLLBACK")
    other.close()
    told = archive.commit(chunks, windows_of(chunks))
    assert (len(told.new_chunks), len(told.new_windows)) == (50, 1)


def test_a_store_in_a_missing_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened: check that its folder exists"):
        Archive.open(f"sqlite:///{tmp_path / 'nowhere' / 'store.sqlite'}")


def test_a_file_that_is_no_store_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"no database at all" * 99)
    with pytest.raises(StoreError, match="is not a database"):
        Archive.open(f"sqlite:///{tmp_path / 'notes.txt'}")


def test_a_returned_commit_is_on_the_disk(sqlite: Engine) -> None:
    with sqlite.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_commit_that_fails_counts_for_nothing_and_leaves_nothing_locked(
    engine: Engine, archive: Archive
) -> None:
    chunks = [received(first) for first in range(0, 50 * N, N)]
    broken = structs.replace(windows_of(chunks)[0], lead_off=None)  # the column forbids it
    with pytest.raises(StoreError):
        archive.commit(chunks, [broken])
    assert count(engine, window_table) == 0
    told = archive.commit(chunks, windows_of(chunks))
    assert (len(told.new_chunks), n_chunks(archive), len(told.new_windows)) == (50, 50, 1)


def test_what_is_too_old_is_dropped_with_its_verdicts_and_nothing_younger(
    engine: Engine, archive: Archive
) -> None:
    chunks = [received(first) for first in range(0, 300 * N, N)]
    windows = windows_of(chunks)
    archive.commit(chunks, windows)
    rows = [
        {
            "device": "a/b", "session": 9, "first_sample": window.first_sample, "wall_time_us": 0,
            "model": "m", "decided_us": 0, "historic": False, "findings": "[]",
        }
        for window in windows
    ]  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(verdict_table), rows)
    clock_s = [0.0]
    retention = Retention(archive, keep_days=1.0, monotonic_s=lambda: clock_s[0])
    assert retention.is_due()
    now_us = windows[4].closed_us + DAY_US
    retention.drop(now_us - HOUR_US)
    assert retention.windows == 0  # not in the first hour
    clock_s[0] = 3600.0
    retention.drop(now_us)
    assert retention.windows == 4
    assert (count(engine, window_table), count(engine, verdict_table)) == (len(windows) - 4,) * 2
    assert_same_window(archive.latest_windows("a/b", 99)[0], windows[4])
    assert not retention.is_due()
    clock_s[0] = 3661.0
    assert retention.is_due()
    for_ever = Retention(archive, keep_days=None)
    for_ever.drop(1 << 62)
    assert for_ever.windows == 0


def test_a_clock_that_was_set_drops_nothing_for_an_hour(archive: Archive) -> None:
    chunks = [received(first) for first in range(0, 300 * N, N)]
    windows = windows_of(chunks)
    archive.commit(chunks, windows)
    clock_s = [0.0]
    retention = Retention(archive, keep_days=1.0, monotonic_s=lambda: clock_s[0])
    right_us, wrong_us = windows[-1].closed_us, windows[-1].closed_us + 400 * DAY_US
    for clock_s[0] in np.arange(0.0, 9000.0, 60.0):
        is_wrong = 4000.0 <= clock_s[0] < 7500.0
        retention.drop(round((wrong_us if is_wrong else right_us) + clock_s[0] * 1e6))
    assert (retention.windows, retention.partitions) == (0, 0)
    for clock_s[0] in np.arange(9000.0, 13_000.0, 60.0):
        retention.drop(round(wrong_us + clock_s[0] * 1e6))
    assert retention.windows == len(windows)


def test_chunks_and_vitals_of_a_store_of_an_earlier_version_are_moved(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "store.sqlite")
    connection.executescript(Path(__file__).with_name("store_of_the_first_version.sql").read_text())
    rows = [("a/b", 9, k * N, N, 5 + k, k == 1, received(k * N).payload) for k in range(3)]
    columns = "device, session, first_sample, n_samples, received_us, historic, payload"
    connection.executemany(f"INSERT INTO chunk ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute("INSERT INTO vitals VALUES ('a/b', 20, 9, 3, NULL, 'lead off')")
    connection.commit()
    connection.close()
    archive = Archive.open(f"sqlite:///{tmp_path / 'store.sqlite'}")
    found = archive.chunks_since("a/b", 0)
    assert [(each.payload, each.received_us) for each in found] == [(row[-1], row[4]) for row in rows]
    assert [ChunkFlag.HISTORIC in each.chunk.flags for each in found] == [False, True, False]
    assert archive.vitals_between("a/b", 0, 99) == [vitals(20)]
    again = Archive.open(f"sqlite:///{tmp_path / 'store.sqlite'}")
    assert n_chunks(again) == 3
    assert "chunk" not in inspect(create_engine(f"sqlite:///{tmp_path / 'store.sqlite'}")).get_table_names()


def test_a_device_that_begins_a_session_with_each_chunk_fills_no_memory_and_nothing_is_stored_twice(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waveforms, "MAX_SESSIONS", 10)
    archive = Archive(engine)
    for session in range(50):
        chunk = received(0, session=session)
        assert len(archive.commit([chunk]).new_chunks) == 1
        assert archive.commit([chunk, received(0, session=0)]).new_chunks == frozenset()
    assert len(vars(archive.waveforms)["_new"].newest) <= 12
    Archive(engine).commit([received(0, session=session) for session in range(50)])
    assert n_chunks(archive) == 50


def test_a_stored_chunk_that_is_refused_by_now_is_left_out_and_its_window_is_not_judged(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    chunks = [received(first) for first in range(0, 5_125, N)]
    [window] = windows_of(chunks)
    bad = [
        structs.replace(each, payload=b'{"v": 0}') if each.chunk.first_sample < 1_000 else each
        for each in chunks
    ]
    archive.commit(bad, [window])
    [found] = archive.windows_without_verdict(1 << 62, 10)
    assert np.isnan(found.samples_mv[:1_000]).all()
    np.testing.assert_array_equal(found.samples_mv[1_000:], window.samples_mv[1_000:])
    assert window.is_eligible
    assert not found.is_eligible
    assert len(archive.chunks_since("a/b", 0)) == len(chunks) - 8
    assert archive.commit(chunks).new_chunks <= {("a/b", 9, each.chunk.first_sample) for each in chunks}
    assert "the stored chunk a/b:9:0 is left out" in caplog.text


def test_when_one_device_was_heard_and_who_was_heard_of_late_need_no_look_at_all_others(
    archive: Archive,
) -> None:
    for k, device in enumerate(("a/b", "a/c", "a/b")):
        archive.commit([received(N * k, device=device, at_us=DAY_US * (k + 1))])
    heard = archive.devices()
    assert heard == {"a/b": 3 * DAY_US, "a/c": 2 * DAY_US}
    assert {device: archive.heard_us(device) for device in heard} == heard
    assert archive.heard_us("a/d") is None
    for us in (0, DAY_US, 2 * DAY_US, 3 * DAY_US, 3 * DAY_US + 1):
        late = {device: at_us for device, at_us in archive.devices(us).items() if at_us >= us}
        assert late == {device: at_us for device, at_us in heard.items() if at_us >= us}


def test_a_chunk_cut_anew_keeps_its_arrival_so_that_a_restart_takes_it_in_time(archive: Archive) -> None:
    archive.commit([received(0, at_us=10), received(N, at_us=20)])
    archive.commit([received(0, N + 25, at_us=9_000_000)])
    found = archive.chunks_since("a/b", 0)
    assert [(each.received_us, each.chunk.n_samples) for each in found] == [(10, N + 25), (20, N)]
    assert [each.received_us for each in archive.chunks_at("a/b", 9, 0, 10)] == [10]
    early = archive.samples("a/b", 9, 0, 2 * N, received_by_us=20)
    np.testing.assert_array_equal(early, ECG_MV[: 2 * N])
