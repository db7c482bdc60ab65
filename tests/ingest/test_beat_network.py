import numpy as np
import pytest

from ingest.beat_network import (
    FRAME_HZ,
    LARGEST,
    OUTPUTS,
    PAST_BINS,
    PAST_FRAMES,
    STRIDE,
    WEIGHTS,
    WIDTH,
    BeatNetwork,
    beginning,
    released,
    turned,
)

FRAMES = 400


def streams(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.1, (n, STRIDE * FRAMES)).cumsum(axis=1)
    return np.concatenate([np.repeat(x[:, :1], PAST_BINS, axis=1), x], axis=1).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_neither_cuts_nor_company_change_one_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bins_mv = streams(seed, 7)
    whole, last = released().logits(bins_mv, beginning(7))
    order = rng.permutation(7)
    shuffled, _ = released().logits(bins_mv[order], beginning(7))
    np.testing.assert_array_equal(shuffled, whole[:, order])
    past, parts, at = beginning(7), [], 0
    while at < FRAMES:
        n = min(FRAMES - at, int(rng.integers(1, 60)))
        part = bins_mv[:, STRIDE * at : STRIDE * (at + n) + PAST_BINS]
        logits, past = released().logits(part, past)
        parts.append(logits)
        at += n
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(past, last)


def test_turning_the_past_of_streams_twice_gives_it_back() -> None:
    past = np.random.default_rng(0).integers(0, 256, (PAST_FRAMES, 5, WIDTH)).astype(np.uint8)
    each = turned(past)
    np.testing.assert_array_equal(each, past.swapaxes(0, 1))
    np.testing.assert_array_equal(turned(each), past)


def test_every_sum_is_exact_in_single_precision() -> None:
    """The largest sum that a layer can reach, in its smallest unit, is a whole number below 2^24."""
    network = released()
    for (matrix, bias), unit in ((network.stem, 128), *((block, 64) for block in network.blocks)):
        whole = matrix * unit
        np.testing.assert_array_equal(whole, np.rint(whole))
        np.testing.assert_array_equal(bias * unit, np.rint(bias * unit))
        largest = np.abs(whole).sum(axis=0).max() * LARGEST + np.abs(bias * unit).max()
        assert largest < 2**24


def test_a_constant_or_an_offset_says_nothing_new() -> None:
    bins_mv = streams(0, 2)
    logits, _ = released().logits(bins_mv, beginning(2))
    shifted, _ = released().logits(bins_mv + np.float32(64.0), beginning(2))
    np.testing.assert_allclose(shifted, logits, atol=0.5)  # 64 mV cost single precision 4 nV a sample
    flat = np.full((1, PAST_BINS + STRIDE * FRAMES), 1.7, np.float32)
    silent, _ = released().logits(flat, beginning(1))
    assert silent[50:, 0, 0].max() < 0.0


def test_the_shipped_file_is_small_and_whole() -> None:
    network = BeatNetwork.load(WEIGHTS)
    assert WEIGHTS.stat().st_size < 20_000
    assert network.head[0].shape == (WIDTH, OUTPUTS)
    assert FRAME_HZ == 50
    assert beginning(3).shape == (PAST_FRAMES, 3, WIDTH)
