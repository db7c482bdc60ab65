"""Files of waveforms: what was acknowledged comes back exactly, be it sent twice, torn or compressed."""

import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.quality import SignalState
from ingest.store import appending, sealed
from ingest.store.blocks import chunk_block
from ingest.store.errors import StoreError, explain
from ingest.store.growing import GrowingSegment
from ingest.store.rows import ReceivedChunk
from ingest.store.sealed import SealedSegment, seal
from ingest.store.segments import SegmentStore
from ingest.store.vitals_rows import SIGNALS
from ingest.vitals import Vitals
from ingest.wire import encode_binary, encode_json

HOUR_US = 3_600_000_000
START_US = 1_790_000_000_000_000 // HOUR_US * HOUR_US


class Clock:
    def __init__(self) -> None:
        self.us = START_US

    def __call__(self) -> int:
        return self.us


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[SegmentStore]:
    store = SegmentStore(tmp_path / "waveforms", clock)
    yield store
    store.wait_until_tidy()
    store.close()


def received(  # noqa: PLR0917 - a chunk in a line
    first: int,
    n: int = 50,
    device: str = "a/b",
    at_us: int = START_US,
    session: int = 1,
    spelling: str = "i2",
) -> ReceivedChunk:
    rng = np.random.default_rng([first, n, session])
    samples = rng.integers(-900, 900, (n, 1)).astype(np.float32) * np.float32(0.001)
    flags = ChunkFlag.HISTORIC if first % 7 == 0 else ChunkFlag(0)
    chunk = Chunk(device, session, first, first, START_US, 0, 500.0, (Lead.I,), samples, flags)
    payload = encode_json(chunk) if spelling == "json" else encode_binary(chunk)
    return ReceivedChunk(chunk, payload, at_us)


def vitals(device: str, at_us: int, rate_bpm: float | None) -> Vitals:
    return Vitals(device, 1, at_us, 3, rate_bpm, None, SignalState.GOOD)


def everything(store: SegmentStore, devices: tuple[str, ...] = ("a/b", "a/c")) -> object:
    return {
        device: (
            [
                (
                    each.session,
                    each.first_sample,
                    each.n_samples,
                    each.received_us,
                    each.historic,
                    each.payload,
                )
                for each in store.between_arrivals(device, 0, 1 << 62)
            ],
            store.vitals(device, 0, 1 << 62),
            store.extent(device),
            store.first_arrival_us(device, 1, 60),
            [each.payload for each in store.between_samples(device, 1, 30, 120)],
        )
        for device in devices
    } | {"devices": store.devices()}


def files(store: SegmentStore) -> list[str]:
    return sorted(path.suffix for path in store.folder.iterdir())


Sent = tuple[str, int, int, int]  # (device, session, first sample, samples)
sent = st.tuples(
    st.sampled_from(["a/b", "a/c"]), st.integers(1, 2), st.sampled_from(range(0, 600, 50)),
    st.integers(20, 60),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.lists(sent, min_size=1, max_size=6), st.sampled_from(["restart", "seal", "hour"])))
)
def test_of_every_place_the_longest_chunk_is_kept_once_through_restarts_and_sealing(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[Sent] | str]
) -> None:
    folder, clock = tmp_path_factory.mktemp("store") / "waveforms", Clock()
    store = SegmentStore(folder, clock)
    longest: dict[tuple[str, int, int], ReceivedChunk] = {}
    came_us: dict[tuple[str, int, int], int] = {}
    for step in steps:
        clock.us += 1000
        if step == "hour":
            clock.us += 3 * HOUR_US
        elif step == "restart":
            store.close()
            store = SegmentStore(folder, clock)
        elif step == "seal":
            store.tidy()
            store.wait_until_tidy()
        elif isinstance(step, list):
            chunks = [
                received(first, n, device, clock.us + k, session)
                for k, (device, session, first, n) in enumerate(step)
            ]
            new = store.append(chunks)
            store.confirm()
            for each in chunks:
                place = (each.chunk.device, each.chunk.session, each.chunk.first_sample)
                if place not in longest or longest[place].chunk.n_samples < each.chunk.n_samples:
                    longest[place] = each
                    assert place in new
            for place, each in longest.items():
                came_us.setdefault(place, each.received_us)
    found = {
        (device, each.session, each.first_sample): each
        for device in ("a/b", "a/c")
        for each in store.between_arrivals(device, 0, 1 << 62)
    }
    assert found.keys() == longest.keys()
    for place, stored in found.items():
        assert (stored.payload, stored.received_us) == (longest[place].payload, came_us[place])
        in_span = store.between_samples(*place, place[2] + 1)
        assert stored.payload in [one.payload for one in in_span]
    store.close()


def test_a_kill_at_any_byte_of_the_last_commit_leaves_all_commits_before_it(
    tmp_path: Path, clock: Clock
) -> None:
    whole = SegmentStore(tmp_path / "whole", clock)
    whole.append([received(0), received(50, device="a/c")], [vitals("a/b", START_US, 60.0)])
    [path] = whole.folder.iterdir()
    before = path.stat().st_size
    wanted = everything(whole)
    whole.append([received(100), received(150)])
    data = path.read_bytes()
    torn = tmp_path / "torn"
    torn.mkdir()
    for n_bytes in range(before, len(data)):
        (torn / path.name).write_bytes(data[:n_bytes])
        store = SegmentStore(torn, clock)
        assert everything(store) == wanted
        store.close()
    store = SegmentStore(torn, clock)  # after the last of these kills
    assert store.append([received(100), received(0)]) == {
        ("a/b", 1, 100),
        ("a/b", 1, 0),
    }  # not confirmed: again
    store.confirm()
    assert store.append([received(100), received(0)]) == frozenset()
    assert len(store.between_arrivals("a/b", 0, 1 << 62)) == 2
    store.close()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_costs_at_most_its_own_commit_and_never_changes_a_sample(
    tmp_path_factory: pytest.TempPathFactory, at: int, flip: int
) -> None:
    folder, clock = tmp_path_factory.mktemp("store") / "waveforms", Clock()
    store = SegmentStore(folder, clock)
    chunks = [received(50 * k) for k in range(9)]
    for k in range(0, 9, 3):
        store.append(chunks[k : k + 3])
    store.close()
    [path] = folder.iterdir()
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= flip
    path.write_bytes(data)
    payloads = {each.payload for each in chunks}
    found = [each.payload for each in SegmentStore(folder, clock).between_arrivals("a/b", 0, 1 << 62)]
    assert set(found) <= payloads
    assert len(found) >= 6


def test_a_reader_in_another_process_follows_what_is_appended(store: SegmentStore, clock: Clock) -> None:
    reader = SegmentStore(store.folder, clock)
    assert reader.devices() == {}
    for k in range(5):
        store.append([received(50 * k, at_us=START_US + k)])
        assert reader.devices() == {"a/b": START_US + k}
    reader.close()


def test_two_writers_in_one_folder_keep_what_both_took(store: SegmentStore, clock: Clock) -> None:
    other = SegmentStore(store.folder, clock)
    store.append([received(0)])
    other.append([received(50)])
    store.append([received(100)])
    assert (
        len(store.between_arrivals("a/b", 0, 1 << 62)) == len(other.between_arrivals("a/b", 0, 1 << 62)) == 3
    )
    other.close()


@pytest.mark.parametrize("spelling", ["i2", "json"])
def test_sealing_changes_nothing_that_can_be_read(store: SegmentStore, clock: Clock, spelling: str) -> None:
    rng = np.random.default_rng(1)
    for k in range(60):
        places = rng.integers(0, 40, 5) * 50
        store.append(
            [
                received(int(p), int(rng.integers(20, 60)), "a/b", clock.us + k, 1 + k % 2, spelling)
                for p in places
            ]
            + [received(50 * k, 50, "a/c", clock.us + k)],
            [vitals("a/b", clock.us + k, None if k % 9 == 0 else 60.0 + k / 7)],
        )
    wanted, arrivals = everything(store), sum(len(each.sessions) for each in store.arrivals())
    reader = SegmentStore(store.folder, clock)
    assert everything(reader) == wanted
    clock.us += 3 * HOUR_US
    store.tidy()
    store.wait_until_tidy()
    assert files(store) == [".sealed"]
    assert everything(store) == wanted
    assert everything(reader) == wanted  # it held the file open that is gone
    assert sum(len(each.sessions) for each in store.arrivals()) == arrivals
    reader.close()


@pytest.mark.parametrize("step", ["write", "fsync", "rename", "unlink"])
def test_a_crash_while_sealing_loses_nothing(
    store: SegmentStore, clock: Clock, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store.append([received(0), received(50)], [vitals("a/b", START_US, 61.5)])
    wanted = everything(store)
    [path] = store.folder.iterdir()

    def crash(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "crash")

    store.close()  # who writes a file holds its lock
    target = {"write": "pack", "fsync": "sync"}.get(step, f"Path.{step}")
    with monkeypatch.context() as patched:
        patched.setattr(f"ingest.store.sealed.{target}", crash)
        with pytest.raises(OSError, match="crash"):
            seal(path, rest=0.0)
    assert everything(store) == wanted
    clock.us += 3 * HOUR_US
    store.tidy()
    store.wait_until_tidy()
    assert files(store) == [".sealed"]
    assert everything(store) == wanted


def test_a_damaged_segment_is_never_sealed_over(store: SegmentStore) -> None:
    store.append([received(0), received(50)])
    store.append([received(100)])
    store.close()
    [path] = store.folder.iterdir()
    data = bytearray(path.read_bytes())
    data[len(chunk_block([received(0), received(50)])) - 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="1 chunks are damaged"):
        seal(path, rest=0.0)
    assert path.read_bytes() == data


def test_only_whole_partitions_are_dropped_and_nothing_younger(store: SegmentStore, clock: Clock) -> None:
    for hour in range(6):
        clock.us = START_US + hour * HOUR_US
        store.append([received(50 * hour, at_us=clock.us + 5)], [vitals("a/b", clock.us + 5, 60.0)])
    clock.us = START_US + 6 * HOUR_US
    store.tidy()
    store.wait_until_tidy()
    assert store.drop_before(START_US + 5) == 0
    assert store.drop_before(START_US + 2 * HOUR_US + 6) == 3
    left = [each.first_sample for each in store.between_arrivals("a/b", 0, 1 << 62)]
    assert left == [150, 200, 250]
    assert len(store.vitals("a/b", 0, 1 << 62)) == 3
    assert store.drop_before(1 << 62) == 3
    assert list(store.folder.iterdir()) == []


def test_what_is_written_now_is_never_dropped(store: SegmentStore) -> None:
    store.append([received(0, at_us=5)])
    assert store.drop_before(1 << 62) == 0
    assert store.devices() == {"a/b": 5}


def test_a_full_file_is_followed_by_another(store: SegmentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "ROTATE_BYTES", 1000)
    for k in range(10):
        store.append([received(50 * k)])
    assert len(files(store)) == 2
    assert len(store.between_arrivals("a/b", 0, 1 << 62)) == 10


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 4 kB: the system's stand-in for a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_said_and_the_next_commit_after_it_works(store: SegmentStore) -> None:
    store.append([received(0)])
    store.confirm()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    many = [received(50 * k) for k in range(1, 60)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    for _ in range(3):
        with pytest.raises(StoreError, match="is full: free some space"):
            store.append(many)
        assert len(store.between_arrivals("a/b", 0, 1 << 62)) == 1
    assert len(files(store)) == 1  # half-written files are gone
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(store.append(many)) == 59
    assert len(store.between_arrivals("a/b", 0, 1 << 62)) == 60


def test_a_disk_that_does_not_confirm_has_not_taken_it(
    store: SegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([received(0)])

    def fails(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(appending, "sync", fails)
        with pytest.raises(StoreError, match="the disk may be failing"):
            store.append([received(50)])
    assert len(store.between_arrivals("a/b", 0, 1 << 62)) == 1
    assert store.append([received(50)]) == {("a/b", 1, 50)}
    assert len(store.between_arrivals("a/b", 0, 1 << 62)) == 2


def test_an_unreadable_sealed_file_is_said_and_the_others_are_read(
    store: SegmentStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    store.append([received(0)])
    clock.us += 3 * HOUR_US
    store.append([received(50)])
    store.tidy()
    store.wait_until_tidy()
    [path] = store.folder.glob("*.sealed")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match="its directory is unreadable"):
        SealedSegment(path)
    reader = SegmentStore(store.folder, clock)
    assert len(reader.between_arrivals("a/b", 0, 1 << 62)) == 1
    assert "its directory is unreadable" in caplog.text
    reader.close()


def test_every_state_of_a_signal_has_its_number() -> None:
    assert set(SIGNALS) == set(SignalState)


def test_a_reader_forgets_the_chunks_of_a_block_that_the_writer_took_back_and_keeps_every_other(
    store: SegmentStore,
) -> None:
    store.append([received(first, device=device) for first in (0, 50) for device in ("a/b", "a/c")])
    [path] = store.folder.iterdir()
    follower = GrowingSegment(path)
    follower.follow()
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(chunk_block([received(100), received(100, device="a/d")]))
    follower.follow()
    assert [len(follower.entries(device)) for device in ("a/b", "a/c", "a/d")] == [3, 2, 1]
    os.truncate(path, whole)
    follower.follow()
    held = {device: follower.entries(device)["first_sample"].tolist() for device in follower.devices}
    assert held == {"a/b": [0, 50], "a/c": [0, 50], "a/d": []}
    assert follower.last_arrivals() == {"a/b": (START_US, START_US), "a/c": (START_US, START_US)}


def test_any_number_of_sealed_files_needs_no_open_file_and_eight_unpacked_blocks(
    store: SegmentStore, clock: Clock
) -> None:
    for hour in range(40):
        store.append([received(50 * hour, at_us=clock.us)], [vitals("a/b", clock.us, 60.0)])
        clock.us += HOUR_US
    store.tidy()
    store.wait_until_tidy()
    assert files(store) == [".sealed"] * 40
    n_before = len(list(Path("/dev/fd").iterdir()))
    reader = SegmentStore(store.folder, clock)
    assert len(reader.between_arrivals("a/b", 0, 1 << 62)) == len(reader.vitals("a/b", 0, 1 << 62)) == 40
    assert len(list(Path("/dev/fd").iterdir())) == n_before
    assert sealed._unpacked.cache_info().currsize <= 8
    reader.close()


def test_two_processes_never_compress_the_same_file(store: SegmentStore, clock: Clock) -> None:
    store.append([received(0), received(50)])
    wanted = everything(store)
    [path] = store.folder.iterdir()
    assert seal(path, rest=0.0) is None  # its writer has it
    store.close()
    with sealed._alone_on(path):  # another process is at it
        assert seal(path, rest=0.0) is None
        assert everything(store) == wanted
    assert seal(path, rest=0.0) == path.with_suffix(".sealed")
    assert seal(path, rest=0.0) is None
    reader = SegmentStore(store.folder, clock)
    assert everything(reader) == wanted
    reader.close()


def test_a_reader_that_looks_while_a_file_is_dropped_finds_nothing_and_goes_on(store: SegmentStore) -> None:
    store.append([received(0)])
    store.append([received(50)], [vitals("a/b", START_US, 60.0)])
    store.close()
    [path] = store.folder.iterdir()
    seal(path, rest=0.0)
    segment = SealedSegment(path.with_suffix(".sealed"))
    path.with_suffix(".sealed").unlink()
    assert segment.between_samples("a/b", 1, 0, 100) == []
    assert len(segment.vitals_rows("a/b", 0, 1 << 62)) == 0


def test_a_file_with_a_damaged_commit_is_kept_as_it_is_and_not_tried_again(
    store: SegmentStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for first in (0, 50, 100):
        store.append([received(first)])
    [path] = store.folder.iterdir()
    data = bytearray(path.read_bytes())
    data[len(data) // 3 + 60] ^= 1  # in the index of the second commit
    path.write_bytes(data)
    clock.us += 3 * HOUR_US
    for _ in range(2):
        store.tidy()
        store.wait_until_tidy()
    assert path.read_bytes() == data
    assert caplog.text.count("is not compressed") == 1
    assert len(SegmentStore(store.folder, clock).between_arrivals("a/b", 0, 1 << 62)) == 2


def test_a_folder_that_cannot_be_confirmed_has_not_taken_the_new_file(
    store: SegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(appending, "sync_folder", fails)
        for _ in range(2):
            with pytest.raises(StoreError, match="the disk may be failing"):
                store.append([received(0)])
    confirmed: list[Path] = []
    with monkeypatch.context() as patched:
        patched.setattr(appending, "sync_folder", confirmed.append)
        assert store.append([received(0)]) == {("a/b", 1, 0)}
    assert confirmed[-1] == store.folder
    assert len(store.between_arrivals("a/b", 0, 1 << 62)) == 1


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [
        ('FATAL:  database "ecg" does not exist', "create that database or role"),
        ('FATAL:  role "ecg" does not exist', "create that database or role"),
        ('FATAL:  password authentication failed for user "ecg"', "correct user and password"),
        ("fe_sendauth: no password supplied", "correct user and password"),
    ],
)
def test_a_database_that_cannot_be_used_tells_what_to_do(cause: str, remedy: str) -> None:
    assert remedy in explain("postgresql+psycopg://h/ecg", cause)
