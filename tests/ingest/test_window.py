import itertools
import tracemalloc

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from ingest.chunk import NO_FLAGS, ChunkFlag, Lead
from ingest.sequence import Ordered
from ingest.window import MIN_COVERAGE, NextWindow, Window, WindowAssembler, decode_window, encode_window

FS = 100.0


def ordered_at(
    first: int,
    n: int,
    session: int = 1,
    flags: ChunkFlag = NO_FLAGS,
    *,
    is_first: bool = False,
    missing: int = 0,
) -> Ordered:
    samples_mv = np.arange(first, first + n, dtype=np.float32)[:, None]
    wall_us = round(first * 1e6 / FS)
    return Ordered("s/d", session, first, samples_mv, (Lead.I,), FS, wall_us, flags, missing, is_first, 0.0)


def windows_of(stretches: list[tuple[int, int]], assembler: WindowAssembler | None = None) -> list[Window]:
    assembler = assembler or WindowAssembler()
    return [
        w
        for k, (first, n) in enumerate(stretches)
        for w in assembler.push(ordered_at(first, n, is_first=k == 0))
    ]


def assert_equal(a: Window, b: Window) -> None:
    np.testing.assert_array_equal(a.samples_mv, b.samples_mv)
    for name in Window.__struct_fields__:
        if name != "samples_mv":
            assert getattr(a, name) == getattr(b, name), name


def cut(total: int, seed: int, first: int = 0) -> list[tuple[int, int]]:
    rng = np.random.default_rng(seed)
    at: NDArray[np.int64] = np.unique(np.concatenate([[0, total], rng.integers(1, total, 30)]))
    return [(first + int(a), int(b - a)) for a, b in itertools.pairwise(at)]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("hop_s", [10.0, 3.0, 1.0])
def test_windows_do_not_depend_on_how_the_stream_was_chunked(seed: int, hop_s: float) -> None:
    whole = windows_of([(7, 5000)], WindowAssembler(hop_s=hop_s))
    parts = windows_of(cut(5000, seed, first=7), WindowAssembler(hop_s=hop_s))
    assert len(whole) == (5007 - 1000) // round(hop_s * FS) + 1
    for a, b in zip(whole, parts, strict=True):
        assert_equal(a, b)
    assert [w.first_sample for w in whole] == [k * round(hop_s * FS) for k in range(len(whole))]


def test_missing_samples_are_nan_and_the_shares_are_exact() -> None:
    assembler = WindowAssembler()
    assembler.push(ordered_at(0, 300, is_first=True))
    assembler.push(ordered_at(400, 200, flags=ChunkFlag.LEAD_OFF, missing=100))
    (window,) = assembler.push(ordered_at(600, 500, flags=ChunkFlag.CLIPPED))
    assert np.isnan(window.samples_mv[300:400]).all()
    assert np.isfinite(np.delete(window.samples_mv, slice(300, 400))).all()
    assert (window.coverage, window.lead_off, window.clipped) == (0.9, 0.2, 0.4)
    assert not window.is_eligible
    assert MIN_COVERAGE == 0.95


def test_a_window_whose_start_is_missing_still_knows_its_wall_time() -> None:
    (window,) = windows_of([(0, 500), (1200, 800)])[1:]
    assert (window.first_sample, window.wall_time_us, window.coverage) == (1000, 10_000_000, 0.8)


def test_a_giant_gap_gives_only_windows_with_a_sample_and_takes_no_memory() -> None:
    far = 10**15 + 123
    tracemalloc.start()
    windows = windows_of([(0, 1500), (far, 2500)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [w.first_sample for w in windows] == [0, 1000, far - far % 1000, far - far % 1000 + 1000]
    assert [w.coverage for w in windows] == [1.0, 0.5, 1.0 - 123 / 1000, 1.0]
    assert peak < 1_000_000


def test_a_restart_drops_the_unfinished_window() -> None:
    assembler = WindowAssembler()
    assembler.push(ordered_at(0, 900, is_first=True))
    assert assembler.push(ordered_at(0, 999, session=2, is_first=True)) == []
    (window,) = assembler.push(ordered_at(999, 1, session=2))
    assert (window.session, window.first_sample, window.coverage) == (2, 0, 1.0)


@pytest.mark.parametrize("hop_s", [10.0, 3.0])
@pytest.mark.parametrize("first", [0, 1, 50, 999, 1000, 4321])
def test_whichever_sample_comes_first_the_grid_is_the_session_s_own(first: int, hop_s: float) -> None:
    whole = windows_of([(0, 9000)], WindowAssembler(hop_s))
    joined = windows_of([(first, 9000 - first)], WindowAssembler(hop_s))
    holding = [w for w in whole if w.first_sample + 1000 > first]
    assert [w.first_sample for w in joined] == [w.first_sample for w in holding]
    for a, b in zip(joined, holding, strict=True):
        lost = max(0, first - a.first_sample)
        assert np.isnan(a.samples_mv[:lost]).all()
        np.testing.assert_array_equal(a.samples_mv[lost:], b.samples_mv[lost:])
        assert a.coverage == (1000 - lost) / 1000


def test_a_rate_that_wavers_between_two_runs_of_ours_moves_no_window() -> None:
    resumed = WindowAssembler()
    resumed.resume(NextWindow(1, 10_000_000, 100.0))
    ordered = replace(ordered_at(9_999_500, 2600, is_first=True), fs=100.4)
    assert [(w.first_sample, len(w.samples_mv), w.fs) for w in resumed.push(ordered)] == [
        (10_000_000, 1000, 100.0),
        (10_001_000, 1000, 100.0),
    ]


@pytest.mark.parametrize("hop_s", [10.0, 2.0])
@pytest.mark.parametrize("next_first", [1000, 2000])
def test_a_resumed_grid_gives_the_same_remaining_windows(hop_s: float, next_first: int) -> None:
    whole = windows_of([(7, 5000)], WindowAssembler(hop_s=hop_s))
    resumed = WindowAssembler(hop_s=hop_s)
    resumed.resume(NextWindow(1, next_first))
    rest = windows_of([(507, 1000), (1507, 3500)], resumed)
    remaining = [w for w in whole if w.first_sample >= next_first]
    assert remaining
    for a, b in zip(remaining, rest, strict=True):
        assert_equal(a, b)


@pytest.mark.parametrize(
    ("leads", "column"),
    [((Lead.V1, Lead.II, Lead.I), 2), ((Lead.V1, Lead.II), 1), ((Lead.CHEST,), 0), ((Lead.V5, Lead.V6), 0)],
)
def test_lead_one_is_taken_else_two_else_the_first(leads: tuple[Lead, ...], column: int) -> None:
    samples_mv = np.tile(np.arange(len(leads), dtype=np.float32), (1000, 1))
    ordered = replace(ordered_at(0, 1000, is_first=True), samples_mv=samples_mv, leads=leads)
    (window,) = WindowAssembler().push(ordered)
    assert window.lead == leads[column]
    assert (window.samples_mv == column).all()


def test_a_fractional_rate_keeps_its_grid() -> None:
    ordered = replace(ordered_at(0, 4000, is_first=True), fs=129.97)
    assert [(w.first_sample, len(w.samples_mv)) for w in WindowAssembler().push(ordered)] == [
        (0, 1300),
        (1300, 1300),
        (2600, 1300),
    ]


def test_decode_of_encode_is_the_window() -> None:
    for window in windows_of([(0, 500), (700, 1500)]):
        again = decode_window(encode_window(window))
        assert_equal(window, again)
        assert not again.samples_mv.flags.writeable


def test_the_bytes_of_a_window_stay() -> None:
    """They are those of earlier versions: a window that waits at the broker is read by the next one."""
    samples_mv = np.array([0.5, np.nan], np.float32)
    wall_us = 1_790_000_000_000_000
    window = Window(
        "s/d", 7, 1000, wall_us, 100.0, Lead.II, samples_mv, 0.5, 0.0, 0.25, historic=False, closed_us=3
    )
    assert encode_window(window).hex() == (
        "8ca6646576696365a3732f64a773657373696f6e07ac66697273745f73616d706c65cd03e8"
        "ac77616c6c5f74696d655f7573cf00065bfeda25e000a26673cb4059000000000000a46c65616402"
        "aa73616d706c65735f6d76c4080000003f0000c07fa8636f766572616765cb3fe0000000000000"
        "a86c6561645f6f6666cb0000000000000000a7636c6970706564cb3fd0000000000000"
        "a8686973746f726963c2a9636c6f7365645f757303"
    )


@pytest.mark.parametrize("payload", [b"", b"\x80", b"{}", b"\xff" * 20])
def test_other_bytes_are_refused(payload: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_window(payload)


def test_a_hop_longer_than_the_window_is_refused_with_both_lengths() -> None:
    with pytest.raises(ValueError, match=r"hop_s is 11\.0.*at most 10"):
        WindowAssembler(hop_s=11.0)
