"""The buffer on disk and what is sent of it: in order, nothing lost, the past never as the present."""

from pathlib import Path

import numpy as np
import pytest

from ingest.gateways.polar.buffer import Buffer, StorageError
from ingest.gateways.polar.outbox import MAX_INFLIGHT, Outbox, Send

SECOND = 1_000_000


class Bench:
    """A buffer, an outbox, and what a broker got of it."""

    def __init__(self, path: Path, max_chunks: int = 10_000) -> None:
        self.buffer = Buffer(path, max_chunks)
        self.outbox = Outbox(self.buffer)
        self.now_us = 1_790_000_000 * SECOND
        self.made = 0
        self.got: list[tuple[int, bool]] = []  # (number, late) as acknowledged

    def make(self, n: int = 1) -> None:
        for _ in range(n):
            self.now_us += SECOND // 2
            for kept in self.buffer.add([str(self.made).encode()], self.now_us, b"state"):
                self.outbox.add(kept)
            self.made += 1

    def deliver(self, sends: list[Send]) -> None:
        for send in sends:
            self.got.append((int(send.payload), send.is_late))
            self.outbox.acknowledge(send.message_id, self.now_us)

    def deliver_all(self) -> None:
        while sends := self.outbox.take():
            self.deliver(sends)


def test_what_is_new_goes_live_at_once_and_what_waited_goes_late_in_order(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "b.sqlite")
    bench.make(100)
    bench.outbox.connected(bench.now_us)
    bench.make(2)
    bench.deliver_all()
    live = [number for number, is_late in bench.got if not is_late]
    late = [number for number, is_late in bench.got if is_late]
    assert live == list(range(93, 102))  # the last 3 s, and what came since
    assert late == list(range(93))
    assert bench.got[:9] == [(number, False) for number in live]
    assert bench.outbox.is_done


def test_at_most_so_many_are_on_their_way_and_live_goes_first(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "b.sqlite")
    bench.make(100)
    bench.outbox.connected(bench.now_us)
    first = bench.outbox.take()
    assert len(first) == MAX_INFLIGHT
    assert bench.outbox.take() == []
    bench.make()
    bench.deliver(first[-2:])
    assert [(int(each.payload), each.is_late) for each in bench.outbox.take()] == [(100, False), (13, True)]


def test_what_was_acknowledged_shortly_before_a_loss_is_sent_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "b.sqlite")
    bench.outbox.connected(bench.now_us)
    for _ in range(20):
        bench.make()
        bench.deliver_all()
        bench.outbox.forget_old(bench.now_us)
    bench.outbox.lost()
    bench.got.clear()
    bench.now_us += 60 * SECOND
    bench.outbox.connected(bench.now_us)
    bench.deliver_all()
    assert bench.got == [(number, True) for number in range(12, 20)]


def test_a_clock_that_was_set_back_leaves_nothing_behind(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "b.sqlite")
    bench.make(50)
    bench.now_us -= 3600 * SECOND
    bench.outbox.connected(bench.now_us)
    bench.deliver_all()
    assert sorted(number for number, _ in bench.got) == list(range(50))


@pytest.mark.parametrize("seed", range(20))
def test_whatever_breaks_everything_arrives_and_is_then_forgotten(seed: int, tmp_path: Path) -> None:
    """Connections and processes end at random; acknowledgements come late or never."""
    rng = np.random.default_rng(seed)
    bench, under_way, is_up = Bench(tmp_path / "b.sqlite"), list[Send](), False
    for _ in range(300):
        match rng.choice(
            ["make", "take", "deliver", "up", "down", "kill"], p=[0.4, 0.2, 0.25, 0.08, 0.05, 0.02]
        ):
            case "make":
                bench.make()
            case "take":
                under_way += bench.outbox.take()
            case "deliver":
                n = int(rng.integers(0, len(under_way) + 1))
                bench.deliver(under_way[:n])
                under_way = under_way[n:]
                bench.outbox.forget_old(bench.now_us)
            case "up" if not is_up:
                is_up = True
                bench.outbox.connected(bench.now_us)
            case "down" if is_up:
                is_up, under_way = False, []
                bench.outbox.lost()
            case "kill":
                is_up, under_way = False, []
                bench.buffer.close()
                bench.buffer = Buffer(tmp_path / "b.sqlite", 10_000)
                bench.outbox = Outbox(bench.buffer)
    bench.outbox.lost()
    bench.outbox.connected(bench.now_us)
    bench.deliver_all()
    assert {number for number, _ in bench.got} == set(range(bench.made))
    bench.outbox.forget_acknowledged()
    assert bench.buffer.n_chunks == 0


def test_a_full_buffer_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "b.sqlite", max_chunks=30)
    bench.make(100)
    assert (bench.buffer.n_chunks, bench.buffer.dropped) == (30, 70)
    bench.outbox.connected(bench.now_us)
    bench.deliver_all()
    assert sorted(number for number, _ in bench.got) == list(range(70, 100))


def test_state_and_chunks_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path / "b.sqlite")
    assert buffer.state() is None
    buffer.add([b"1"], 1, b"one")
    buffer._file.execute("CREATE TRIGGER full BEFORE INSERT ON state BEGIN SELECT raise(ABORT, 'full'); END")
    with pytest.raises(StorageError, match="full"):
        buffer.add([b"2"], 2, b"two")
    buffer._file.execute("DROP TRIGGER full")
    buffer.add([b"3"], 3, b"three")
    assert [each.payload for each in buffer.after(0, 99, 99)] == [b"1", b"3"]
    assert buffer.state() == b"three"


def test_a_second_gateway_and_a_damaged_file_are_refused_in_one_sentence(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path / "b.sqlite")
    with pytest.raises(StorageError, match=r"b\.sqlite .*locked.*: end the other gateway"):
        Buffer(tmp_path / "b.sqlite")
    buffer.close()
    (tmp_path / "c.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match=r"c\.sqlite .*move the file away"):
        Buffer(tmp_path / "c.sqlite")
