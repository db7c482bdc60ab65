"""Counters and clocks of foreign devices: losses exact to the sample or a new session, never a guess."""

from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunk import Chunk, ChunkFlag
from ingest.mappers.mapper import Mapper
from tests.ingest.mappers.payloads import NOW_US
from tests.ingest.mappers.test_mapper import GALAXY, POLAR, galaxy, mapper, push

BATCH_US = 20_000  # 10 points at 500 Hz
COUNTER = (
    'topic = "c"\nformat = "json"\ndevice = "one"\narray = "y"\nfs = 500\nunit = "uV"\n'
    'sequence_key = "n"\nsequence_modulus = 256'
)
CLOCK = 'topic = "c"\nformat = "json"\ndevice = "one"\narray = "y"\nfs = 100\nunit = "uV"\ntime_key = "t"'
EPOCHS_S = {"unix": 0, "2000": 946_684_800, "2001": 978_307_200}
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def galaxy_at(one: Mapper, k: int, **first: Any) -> Chunk:
    return push(one, galaxy(k, **first), NOW_US + k * BATCH_US)[0]


@given(st.lists(st.integers(0, 255) | st.integers(256, 3000), min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_a_counter_and_a_clock_tell_losses_below_a_round_exactly_and_longer_ones_end_the_session(
    lost: list[int],
) -> None:
    one, k = mapper(GALAXY), 0
    before = galaxy_at(one, 0)
    for n in lost:
        k += 1 + n
        chunk = galaxy_at(one, k)
        if n < 256:
            assert (chunk.session, chunk.first_sample) == (before.session, before.first_sample + 10 + 10 * n)
        else:
            assert chunk.session != before.session
            assert chunk.first_sample == 0
        before = chunk


def counted(one: Mapper, k: int, late_us: int = 0) -> Chunk:
    message = {"n": k % 256, "y": [(k * 10 + i) % 991 for i in range(10)]}
    return push(one, message, NOW_US + k * BATCH_US + late_us)[0]


@pytest.mark.parametrize("n", [*range(20), 100, 126, 127, 128, 200, 254, 255, 256, 257, 511, 512, 700])
def test_a_counter_alone_tells_losses_below_half_its_round_exactly_and_none_beyond(n: int) -> None:
    one = mapper(COUNTER)
    before, after = counted(one, 3), counted(one, 4 + n)
    if n < 127:
        assert (after.session, after.first_sample) == (before.session, before.first_sample + 10 + 10 * n)
    elif n >= 128:
        assert after.session != before.session
        assert after.first_sample == 0
    else:  # on the edge: exact or a new session
        told = (after.session == before.session, after.first_sample)
        assert told in {(True, before.first_sample + 10 + 10 * n), (False, 0)}


@given(st.lists(st.integers(-200_000, 200_000), min_size=40, max_size=40))
@settings(max_examples=40, deadline=None)
def test_jitter_of_arrival_moves_no_sample_of_a_counted_stream(late_us: list[int]) -> None:
    one = mapper(COUNTER)
    chunks = [counted(one, k, us) for k, us in enumerate(late_us)]
    assert [(c.session, c.first_sample) for c in chunks] == [(chunks[0].session, 10 * k) for k in range(40)]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80))
@settings(max_examples=60, deadline=None)
def test_what_comes_again_in_any_order_gets_the_same_place_again(order: list[int]) -> None:
    one, places = mapper(GALAXY), dict[int, tuple[int, int]]()
    for k in [*range(61), *order]:
        chunk = push(one, galaxy(k), NOW_US + max(k, 61) * BATCH_US)[0]
        assert places.setdefault(k, (chunk.session, chunk.first_sample)) == (
            chunk.session,
            chunk.first_sample,
        )


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40))
@settings(max_examples=30, deadline=None)
def test_a_frame_of_a_strap_that_comes_again_gets_its_place_again_and_moves_no_later_one(
    order: list[int],
) -> None:
    one = mapper(POLAR)
    first = [strap(one, k, 843_000_000.0) for k in range(31)]
    again = [strap(one, k, 843_000_000.0) for k in order]
    assert [(c.session, c.first_sample) for c in again] == [(first[k].session, 73 * k) for k in order]
    after = strap(one, 31, 843_000_000.0)
    assert (after.session, after.first_sample) == (first[0].session, 73 * 31)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("epoch", EPOCHS_S)
def test_unit_and_epoch_of_a_clock_that_is_right_are_found(unit: str, epoch: str) -> None:
    one = mapper(CLOCK)
    for k in range(5):
        now_s = NOW_US // 1_000_000 + k
        stamp = (now_s - EPOCHS_S[epoch]) * UNITS[unit]
        (chunk,) = push(one, {"t": stamp, "y": list(range(k, k + 100))}, now_s * 1_000_000)
        assert (chunk.wall_time_us, chunk.first_sample) == (now_s * 1_000_000, 100 * k)
        assert ChunkFlag.CLOCK_UNSYNCED not in chunk.flags


def strap(one: Mapper, k: int, since_2000_s: float, n: int = 73, fs: float = 130.0) -> Chunk:
    stamp = round((since_2000_s + ((k + 1) * n - 1) / fs) * 1e9)
    message = {"timestamp": stamp, "samples": [(k * n + i) % 883 for i in range(n)]}
    return push(one, message, NOW_US + round(k * n / fs * 1e6))[0]


@pytest.mark.parametrize("since_2000_s", [599_616_000, 0.0], ids=["2019-01-01", "2000-01-01"])
def test_a_strap_whose_clock_was_never_set_streams_in_order_and_says_that_its_time_is_wrong(
    since_2000_s: float,
) -> None:
    one = mapper(POLAR)
    chunks = [strap(one, k, since_2000_s) for k in range(30)]
    assert [(c.session, c.first_sample) for c in chunks] == [(chunks[0].session, 73 * k) for k in range(30)]
    assert all(ChunkFlag.CLOCK_UNSYNCED in c.flags for c in chunks)


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_a_clock_that_jumps_never_puts_samples_before_earlier_ones(jumps_s: list[int]) -> None:
    one, right_s, chunks = mapper(POLAR), NOW_US / 1e6 - EPOCHS_S["2000"], list[Chunk]()
    for part, jump_s in enumerate([0, *jumps_s]):
        chunks += [strap(one, 8 * part + k, max(0.0, right_s + jump_s)) for k in range(8)]
    for _, of_session in groupby(chunks, key=lambda c: c.session):
        several = list(of_session)
        ends = [c.first_sample + c.n_samples for c in several]
        assert [c.first_sample for c in several][1:] >= ends[:-1]
        assert all(c.first_sample >= end for c, end in zip(several[1:], ends[:-1], strict=True))


@given(st.sampled_from([128.0, 129.3, 130.0, 131.0]), st.integers(20, 60))
@settings(max_examples=20, deadline=None)
def test_a_strap_that_samples_off_its_claim_loses_and_gains_no_sample(fs: float, n: int) -> None:
    one = mapper(POLAR)
    chunks = [strap(one, k, 843_000_000.0, n=n, fs=fs) for k in range(60)]
    assert all(c.n_samples == n for c in chunks)
    for session, several in groupby(chunks, key=lambda c: c.session):
        firsts = [c.first_sample for c in several]
        assert firsts == [n * k for k in range(len(firsts))], session
    assert len({c.session for c in chunks}) <= 2  # one more once the true rate is known
