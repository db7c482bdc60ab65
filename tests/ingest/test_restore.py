from functools import partial

import numpy as np
import pytest
from msgspec.structs import replace

from ingest.chunk import Chunk, Lead
from ingest.intake import Intake
from ingest.pipeline import DevicePipeline
from ingest.restore import restore_devices
from ingest.roster import IDLE_US
from ingest.store.archive import Archive
from ingest.topics import device_topic
from ingest.wire import encode_binary

START_US = 1_800_000_000_000_000
N = 250  # half a second at 500 Hz
ECG_MV = np.random.default_rng(11).normal(0, 0.2, 60_000).astype(np.float32)

Event = tuple[int, str, int]  # (when it came, "chunk" or "backfill", number of the chunk)


def live(first: int, end: int, pause_us: int = 0) -> list[Event]:
    return [(START_US + pause_us + k * 500_000, "chunk", k) for k in range(first, end)]


def backfill(first: int, end: int, at_us: int) -> list[Event]:
    return [(at_us + k, "backfill", k) for k in range(first, end)]


def give(intake: Intake, events: list[Event]) -> None:
    for at_us, kind, k in events:
        samples = ECG_MV[k * N : (k + 1) * N, None].copy()
        session = 7 if kind == "chunk" else 6
        chunk = Chunk("x/y", session, k, k * N, START_US, 0, 500.0, (Lead.I,), samples)
        intake.receive(device_topic("a/b", kind), encode_binary(chunk), at_us)


def store(archive: Archive, intake: Intake, *, with_windows: bool = True) -> None:
    batch = intake.take()
    archive.commit(batch.chunks, batch.windows if with_windows else ())


def in_memory() -> Archive:
    return Archive.open("sqlite://")


def stored_windows(archive: Archive) -> list[tuple[int, int, float, bool]]:
    return sorted(
        (w.session, w.first_sample, w.coverage, w.historic) for w in archive.latest_windows("a/b", 100)
    )


MINUTES_US = 60_000_000
PAUSED = live(0, 30) + live(30, 33, pause_us=5 * MINUTES_US) + live(33, 70, pause_us=5 * MINUTES_US)
STREAMS = {
    "plain": live(0, 70),
    "paused for five minutes in the middle of a window": PAUSED,
    "with a hole": live(0, 25) + live(27, 70),
    "with backfill of an earlier session": live(0, 20) + backfill(0, 50, START_US + 9_600_000) + live(20, 70),
    "many minutes long": live(0, 200),
}


@pytest.mark.parametrize("hop_s", [10.0, 2.0])
@pytest.mark.parametrize("lost_windows", ["no", "those of the last commit"])
@pytest.mark.parametrize("n_before", [5, 34, 45, 62])
@pytest.mark.parametrize("stream", STREAMS, ids=str)
def test_a_restart_finds_the_windows_it_would_have_found(
    stream: str, n_before: int, lost_windows: str, hop_s: float
) -> None:
    def new_intake() -> Intake:
        return Intake(partial(DevicePipeline, hop_s=hop_s))

    events = STREAMS[stream]
    unbroken, broken = in_memory(), in_memory()
    intake, before, after = new_intake(), new_intake(), new_intake()
    give(intake, events)
    store(unbroken, intake)

    give(before, events[: n_before - 4])
    store(broken, before)
    give(before, events[n_before - 4 : n_before])
    store(broken, before, with_windows=lost_windows == "no")
    restore_devices(broken, after, hop_s, events[n_before - 1][0])
    give(after, events[n_before:])
    store(broken, after)
    assert stored_windows(broken) == stored_windows(unbroken)
    assert len(stored_windows(broken)) >= 3


def test_a_device_silent_for_ten_minutes_is_left_alone() -> None:
    archive, intake = in_memory(), Intake(DevicePipeline)
    give(intake, live(0, 10))
    store(archive, intake)
    heard_us = live(9, 10)[0][0]
    for now_us, n_devices in ((heard_us + IDLE_US, 1), (heard_us + IDLE_US + 1, 0)):
        after = Intake(DevicePipeline)
        restore_devices(archive, after, 10.0, now_us)
        assert after.n_devices == n_devices


def test_a_window_closed_minutes_after_the_last_chunk_keeps_no_service_down() -> None:
    archive, intake = in_memory(), Intake(DevicePipeline)
    give(intake, live(0, 20) + live(20, 40))
    batch = intake.take()
    late_us = START_US + 3 * MINUTES_US  # found by a restart, or the clock was set forward
    archive.commit(batch.chunks, [replace(window, closed_us=late_us) for window in batch.windows])
    restored = Intake(DevicePipeline)
    restore_devices(archive, restored, 10.0, late_us + MINUTES_US)
    give(restored, live(40, 60, pause_us=4 * MINUTES_US))
    assert [window.first_sample for window in restored.take().windows] == [40 * N]
