"""The gateway on a SIMULATED strap, a real broker, the real ingest: what the strap sent is what is stored."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.gateways.polar import command, extra
from ingest.gateways.polar.buffer import Buffer
from ingest.gateways.polar.gateway import Gateway
from ingest.link import Message, MqttLink
from ingest.publisher import Address
from ingest.settings import load_settings
from ingest.store.archive import Archive
from tests.ingest.gateways.polar.simulated_strap import ROUND, Happening, N, SimulatedStrap, value_uv
from tests.ingest.test_service import House, await_that

DEVICE = "home/strap"
ROOT = Path(__file__).parents[4]


def build(strap: SimulatedStrap, port: int, folder: Path, wanted: str | None = None) -> Gateway:
    sessions = iter(range(1, 1000))
    return Gateway(
        DEVICE,
        Address.of("127.0.0.1", port),
        Buffer(folder / "buffer.sqlite"),
        strap,
        wanted=wanted,
        new_session=lambda: next(sessions),
        wall_us=lambda: strap.now_us,
        first_retry_s=0.002,
    )


async def run_until(gateway: Gateway, strap: SimulatedStrap, is_over: Callable[[int], bool]) -> None:
    """Run the gateway until `is_over` says of a frame that was sent that it was the last."""
    stop, before = asyncio.Event(), strap.on_frame

    def look(frame: int) -> None:
        before(frame)
        if is_over(frame):
            stop.set()

    strap.on_frame = look
    await asyncio.wait_for(gateway.run(stop), 60)


def run_apart(work: Coroutine[Any, Any, None]) -> None:
    """In this thread, in which an earlier browser test has left the loop of its driver: that one waits."""
    of_browsers = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        asyncio.run(work)
    finally:
        asyncio._set_running_loop(of_browsers)


def run(gateway: Gateway, strap: SimulatedStrap, end: int) -> None:
    run_apart(run_until(gateway, strap, lambda frame: frame >= end - 1))


@pytest.fixture
def house(tmp_path: Path, free_port: int) -> Iterator[House]:
    house = House(load_settings(data_dir=tmp_path, broker_port=free_port, commit_every_s=0.05))
    house.start_broker()
    house.start_ingest()
    house.await_ingest()
    yield house
    house.close()


def stored(house: House) -> list[Chunk]:
    return [each.chunk for each in Archive(house.engine).chunks_since(DEVICE, 0)]


def samples_of(chunks: list[Chunk]) -> list[int]:
    """Which frames' samples are there, by what the samples say; each exactly whole."""
    frames = []
    for chunk in chunks:
        units = np.rint(chunk.samples_mv[:, 0] * 1000).astype(int)
        first = int(units[0]) + ROUND // 2
        assert units.tolist() == [value_uv(first + k) for k in range(len(units))]
        assert (len(units), first % N) == (N, 0)
        frames.append(first // N)
    return frames


def assert_gaps_are_exact(chunks: list[Chunk], frames: list[int]) -> None:
    """Within a session index and sample differ by a constant."""
    shifts = {(c.session, c.first_sample - frame * N) for c, frame in zip(chunks, frames, strict=True)}
    assert len(shifts) == len({session for session, _ in shifts})


@pytest.mark.broker
def test_everything_that_the_strap_sent_is_stored_with_exact_gaps(house: House, tmp_path: Path) -> None:
    """Losses, a repetition, nonsense, a strap out of range, a clock that is set, electrodes that fall off."""
    strap = SimulatedStrap(
        happenings=[
            Happening("lost", 20), Happening("lost", 21), Happening("twice", 40), Happening("garbage", 50),
            Happening("range", 60, 30), Happening("clock", 120, 86_400.0), Happening("contact", 150, 0),
            Happening("contact", 160, 1),
        ],
        end=200,
    )  # fmt: skip
    gateway = build(strap, house.settings.broker_port, tmp_path)
    run(gateway, strap, 200)
    assert strap.commands[-1] == b"\x03\x00"
    assert not strap.is_running
    await_that(lambda: len(stored(house)) >= len(strap.heard))
    chunks = stored(house)
    frames = samples_of(chunks)
    assert sorted(frames) == strap.heard
    assert_gaps_are_exact(chunks, frames)
    assert {c.session for c in chunks} == {1, 2}
    assert {c.leads for c in chunks} == {(Lead.CHEST,)}
    assert {f for c, f in zip(chunks, frames, strict=True) if ChunkFlag.GAP_BEFORE in c.flags} == {22, 90}
    off = {f for c, f in zip(chunks, frames, strict=True) if ChunkFlag.LEAD_OFF in c.flags}
    assert off == set(range(150, 160))
    assert {round(c.fs, 1) for c in chunks} == {129.4}
    found = gateway.counters()
    assert (found["duplicates"], found["gaps"], found["lost_samples"]) == (1, 2, 32 * N)
    assert (found["waiting"], found["dropped"]) == (0, 0)


@pytest.mark.broker
def test_what_a_broker_that_was_away_missed_is_backfilled_once_and_the_present_goes_first(
    house: House, tmp_path: Path
) -> None:
    """60 frames; the broker is killed, comes back after 100 more, and hears 50 again."""
    strap, ups = SimulatedStrap(end=2000, pace_s=0.01), list[int]()

    def is_over(frame: int) -> bool:
        if frame == 60:
            house.processes[0].kill()
            house.processes[0].wait()
        elif frame == 160:
            house.start_broker()
        elif frame > 160 and gateway._uplink.is_up:
            ups.append(frame)
        return len(ups) >= 50

    await_that(house.broker_has_saved_session)
    gateway = build(strap, house.settings.broker_port, tmp_path)
    run_apart(run_until(gateway, strap, is_over))
    await_that(lambda: len(stored(house)) >= ups[-1] + 1)
    chunks = stored(house)
    frames = samples_of(chunks)
    assert sorted(frames) == list(range(ups[-1] + 1))
    assert_gaps_are_exact(chunks, frames)
    late = [f for f, c in zip(frames, chunks, strict=True) if ChunkFlag.HISTORIC in c.flags]
    assert set(range(70, ups[0] - 10)) <= set(late)
    assert not {f for f in late if f < 40 or f > ups[0]}
    assert late == sorted(late)


@pytest.mark.broker
def test_a_gateway_that_is_killed_again_and_again_loses_and_repeats_nothing(
    house: House, tmp_path: Path
) -> None:
    """SIGKILL; the broker is away at the second one. A last one is ended by SIGTERM."""
    log = tmp_path / "frames.log"
    arguments = [str(tmp_path), str(house.settings.broker_port), str(log), str(time.time()), "20"]
    module = "tests.ingest.gateways.polar.killed_gateway"

    def heard() -> int:
        return log.read_bytes().count(b"heard") if log.exists() else 0

    await_that(house.broker_has_saved_session)
    for life in range(3):
        gateway = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", module, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
        )
        house.processes.append(gateway)
        before = heard()
        await_that(lambda before=before: heard() >= before + 40)  # type: ignore[misc]
        if life == 1:
            house.processes[0].kill()
            await_that(lambda before=before: heard() >= before + 60)  # type: ignore[misc]
        gateway.send_signal(signal.SIGTERM if life == 2 else signal.SIGKILL)
        gateway.wait(20)
        if life == 1:
            house.start_broker()
    assert gateway.returncode == 0
    told = [int(line.split()[1]) for line in log.read_text().splitlines() if line.startswith("heard")]
    await_that(lambda: set(told) <= set(samples_of(stored(house))))
    chunks = stored(house)
    frames = samples_of(chunks)
    assert len(frames) == len(set(frames))
    assert len(set(frames) - set(told)) <= 3  # kept, and killed before the log was written
    assert_gaps_are_exact(chunks, frames)


@pytest.mark.broker
def test_the_broker_is_told_who_the_strap_is_and_that_it_left(house: House, tmp_path: Path) -> None:
    listener, heard = MqttLink(house.settings.broker_address, "listener"), list[Message]()
    listener.connect()
    listener.subscribe(f"ecg/v1/{DEVICE}/+")
    strap = SimulatedStrap(end=60, pace_s=0.01, happenings=[Happening("range", 40, 5)], refusals=[6])
    run(build(strap, house.settings.broker_port, tmp_path, "AA:BB"), strap, 60)
    assert strap.commands[:4] == [b"\x01\x00", *strap.commands[1:2], b"\x03\x00", strap.commands[1]]

    def statuses() -> list[dict[str, object]]:
        heard.extend(listener.poll(0.05))
        return [msgspec.json.decode(m.payload) for m in heard if m.topic.endswith("status")]

    await_that(lambda: statuses()[-1:] == [{"online": False, "battery": 81}])
    assert {"online": True, "battery": 81} in statuses()
    meta = [msgspec.json.decode(m.payload) for m in heard if m.topic.endswith("meta")][-1]
    assert (meta["model"], meta["firmware"], meta["lead"]) == ("H10", "5.0.0", "chest")
    listener.close()


def test_without_a_strap_it_looks_for_ever_and_stops_when_told(tmp_path: Path, free_port: int) -> None:
    strap = SimulatedStrap()
    strap.back_at_frame = 1_000_000
    gateway = build(strap, free_port, tmp_path)

    async def look() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(gateway.run(stop))
        await strap.searched_often.wait()
        stop.set()
        await asyncio.wait_for(running, 10)

    run_apart(look())
    assert strap.commands == []


def test_a_strap_that_refuses_is_asked_again_and_left_stopped(tmp_path: Path, free_port: int) -> None:
    strap = SimulatedStrap(refusals=[13, 8], end=40)
    gateway = build(strap, free_port, tmp_path)
    run(gateway, strap, 40)
    assert strap.commands[-1] == b"\x03\x00"
    assert gateway.counters()["waiting"] == 40  # no broker: all of it is in the file


def test_a_fault_ends_the_gateway_and_the_strap_is_stopped(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    strap = SimulatedStrap(end=10_000)
    gateway = build(strap, free_port, tmp_path)

    def fail(_now_s: float) -> None:
        if strap.frame > 20:
            raise ZeroDivisionError

    monkeypatch.setattr(gateway._uplink, "tend", fail)
    with pytest.raises(ZeroDivisionError):
        run(gateway, strap, 10_000)
    assert strap.commands[-1] == b"\x03\x00"


@pytest.mark.broker
def test_a_buffer_that_fails_for_a_while_loses_nothing(house: House, tmp_path: Path) -> None:
    """Writing and reading fail for 40 frames; what came meanwhile was kept in memory."""
    strap = SimulatedStrap(end=2000, pace_s=0.01)
    gateway = build(strap, house.settings.broker_port, tmp_path)
    file, ups = gateway._buffer._file, list[int]()

    def is_over(frame: int) -> bool:
        if frame == 40:
            file.execute("ALTER TABLE chunk RENAME TO away")
        elif frame == 80:
            file.execute("ALTER TABLE away RENAME TO chunk")
        elif frame > 80 and gateway._uplink.is_up:
            ups.append(frame)
        return len(ups) >= 20

    run_apart(run_until(gateway, strap, is_over))
    await_that(lambda: len(stored(house)) >= ups[-1] + 1)
    assert sorted(samples_of(stored(house))) == list(range(ups[-1] + 1))


def test_what_cannot_start_says_so_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, strap = load_settings(data_dir=tmp_path), SimulatedStrap()
    for device in ("strap", "a/b/c", "a b/c", "wristlead/x"):
        with pytest.raises(SystemExit, match="--device"):
            command.serve(settings, strap, device=device, strap=None)
    buffer = Buffer(tmp_path / "gateway" / "home--strap.sqlite")
    with pytest.raises(SystemExit, match="end the other gateway"):
        command.serve(settings, strap, device=DEVICE, strap=None)
    buffer.close()
    monkeypatch.setattr(extra, "is_installed", lambda: False)
    with pytest.raises(SystemExit, match=r"wristlead\[ble\]"):
        command.run(settings, device=DEVICE, strap=None)
