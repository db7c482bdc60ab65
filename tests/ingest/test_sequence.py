import itertools

import numpy as np
import pytest

from ingest.chunk import NO_FLAGS, Chunk, Lead
from ingest.sequence import FAR_S, MAX_WAITING, Ordered, Sequencer

FS = 100.0
WAIT_S = 2.5
N = 25


def chunk_at(
    first: int, n: int = N, session: int = 1, fs: float = FS, leads: tuple[Lead, ...] = (Lead.I,)
) -> Chunk:
    ramp = np.arange(first, first + n, dtype=np.float32)[:, None]  # a sample's value is its own index
    samples_mv = np.repeat(ramp, len(leads), axis=1)
    return Chunk(
        "s/d", session, first // N, first, round(first * 1e6 / fs), 0, fs, leads, samples_mv, NO_FLAGS
    )


def indices(ordered: list[Ordered]) -> list[int]:
    return [int(v) for o in ordered for v in o.samples_mv[:, 0]]


def push_all(sequencer: Sequencer, chunks: list[Chunk], step_s: float = 0.25) -> list[Ordered]:
    return [o for k, c in enumerate(chunks) for o in sequencer.push(c, k * step_s)]


@pytest.mark.parametrize("seed", range(30))
def test_any_order_within_the_wait_and_any_duplicates_give_every_sample_once_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cuts = np.unique(np.concatenate([[0, 2000], rng.integers(1, 2000, 40)]))
    chunks = [chunk_at(int(a), int(b - a)) for a, b in itertools.pairwise(cuts)]
    chunks += [chunk_at(int(a), int(rng.integers(1, 60))) for a in rng.integers(0, 1900, 10)]  # overlaps
    chunks += [chunks[k] for k in rng.integers(0, len(chunks), 10)]
    sequencer = Sequencer(WAIT_S)
    arrival = np.sort(rng.uniform(0, WAIT_S * 0.99, len(chunks)))
    ordered = [
        o
        for k, at_s in zip(rng.permutation(len(chunks)), arrival, strict=True)
        for o in sequencer.push(chunks[k], float(at_s))
    ]
    ordered += sequencer.flush(100.0)
    got = indices(ordered)
    assert got == list(range(2000))
    assert sequencer.lost_samples == sequencer.late == 0
    assert sequencer.duplicates >= 10


def test_a_hole_is_a_gap_after_the_wait_and_its_chunk_is_late_then() -> None:
    sequencer = Sequencer(WAIT_S)
    assert indices(sequencer.push(chunk_at(0), 0.0)) == list(range(25))
    assert sequencer.push(chunk_at(50), 1.0) == []
    assert sequencer.flush(1.0 + WAIT_S - 0.01) == []
    (after,) = sequencer.flush(1.0 + WAIT_S)
    assert (after.first_sample, after.missing_before, after.break_before) == (50, 25, False)
    assert sequencer.push(chunk_at(25), 4.0) == []
    assert (sequencer.lost_samples, sequencer.late, sequencer.duplicates) == (25, 1, 0)


def test_a_reordered_chunk_within_the_wait_is_counted_and_loses_nothing() -> None:
    sequencer = Sequencer(WAIT_S)
    got = push_all(sequencer, [chunk_at(0), chunk_at(50), chunk_at(25), chunk_at(75)])
    assert indices(got) == list(range(100))
    assert (sequencer.reordered, sequencer.lost_samples) == (1, 0)


def test_overlaps_are_trimmed_and_the_clock_moves_with_the_cut() -> None:
    sequencer = Sequencer(WAIT_S)
    got = push_all(sequencer, [chunk_at(0), chunk_at(10, 40)])
    assert indices(got) == list(range(50))
    assert got[1].wall_time_us == 250_000


def test_a_session_that_starts_midway_waits_for_its_first_sample() -> None:
    sequencer = Sequencer(WAIT_S)
    assert push_all(sequencer, [chunk_at(525), chunk_at(500)]) == []
    got = sequencer.flush(WAIT_S)
    assert indices(got) == list(range(500, 550))
    assert [o.break_before for o in got] == [True, False]
    assert sequencer.lost_samples == 0


def test_a_restart_breaks_the_stream_and_the_earlier_session_is_late_from_then_on() -> None:
    sequencer = Sequencer(WAIT_S)
    got = push_all(sequencer, [chunk_at(0), chunk_at(0, session=2), chunk_at(25), chunk_at(25, session=2)])
    assert [(o.session, o.first_sample, o.break_before) for o in got] == [
        (1, 0, True),
        (2, 0, True),
        (2, 25, False),
    ]
    assert (sequencer.restarts, sequencer.late) == (1, 1)


def test_what_waited_when_the_device_restarted_is_not_lost() -> None:
    sequencer = Sequencer(WAIT_S)
    got = push_all(sequencer, [chunk_at(0), chunk_at(50), chunk_at(0, session=2)])
    assert [(o.session, o.first_sample, o.missing_before) for o in got] == [(1, 0, 0), (1, 50, 25), (2, 0, 0)]


@pytest.mark.parametrize(
    "damaged", [chunk_at(1 << 60), chunk_at(4000), chunk_at(300, session=77), chunk_at(25, fs=400.0)]
)
def test_one_damaged_header_costs_no_other_sample(damaged: Chunk) -> None:
    sequencer = Sequencer(WAIT_S)
    got = push_all(sequencer, [chunk_at(0), damaged, *(chunk_at(k * N) for k in range(1, 80))])
    got += sequencer.flush(20.0)
    assert indices(got) == list(range(80 * N))
    assert sequencer.restarts == sequencer.lost_samples == 0


def test_a_long_absence_is_one_gap_once_two_chunks_agree() -> None:
    sequencer = Sequencer(WAIT_S)
    far = int(3600 * FS)
    assert far > FAR_S * FS
    push_all(sequencer, [chunk_at(0), chunk_at(far)])
    assert sequencer.flush(30.0) == []
    got = sequencer.push(chunk_at(far + N), 30.0) + sequencer.flush(33.0)
    assert [(o.first_sample, o.missing_before) for o in got] == [(far, far - N), (far + N, 0)]


def test_a_changed_rate_or_lead_set_is_a_break_once_two_chunks_agree() -> None:
    sequencer = Sequencer(WAIT_S)
    both = (Lead.I, Lead.II)
    got = push_all(sequencer, [chunk_at(0), chunk_at(25, leads=both), chunk_at(50, leads=both)])
    got += sequencer.flush(9.0)
    assert [(o.first_sample, o.leads, o.break_before) for o in got] == [
        (0, (Lead.I,), True),
        (25, both, True),
        (50, both, False),
    ]


def test_a_wavering_claim_of_the_rate_keeps_the_stream() -> None:
    sequencer = Sequencer(WAIT_S)
    got = push_all(sequencer, [chunk_at(0), chunk_at(25, fs=100.4), chunk_at(50, fs=99.7)])
    assert [(o.first_sample, o.fs, o.break_before) for o in got] == [
        (0, FS, True),
        (25, FS, False),
        (50, FS, False),
    ]


def test_no_more_than_a_fixed_number_of_chunks_wait() -> None:
    sequencer = Sequencer(WAIT_S)
    sequencer.push(chunk_at(0), 0.0)
    got = [o for k in range(2, MAX_WAITING + 3) for o in sequencer.push(chunk_at(k * N), 0.0)]
    assert len(got) == MAX_WAITING + 1
    assert got[0].missing_before == N


def test_a_clock_set_back_does_not_stretch_the_wait() -> None:
    sequencer = Sequencer(WAIT_S)
    sequencer.push(chunk_at(0), 1000.0)
    sequencer.push(chunk_at(50), 1000.0)
    assert sequencer.flush(10.0) == []
    assert len(sequencer.flush(10.0 + WAIT_S)) == 1
