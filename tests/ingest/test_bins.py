import itertools

import numpy as np
import pytest

from ingest.bins import BIN_HZ, LARGEST_MV, STEPS_PER_MV, Binner, bin_together

RATES_HZ = [100.0, 127.3, 129.97, 250.0, 360.0, 511.422, 512.0, 1000.0]


def means_of(binners: list[Binner], samples_mv: np.ndarray) -> np.ndarray:
    means_mv, states = bin_together(binners, samples_mv)
    for binner, state in zip(binners, states, strict=True):
        binner.go_on(*state)
    return means_mv


@pytest.mark.parametrize("fs", RATES_HZ)
@pytest.mark.parametrize("seed", range(3))
def test_no_cut_and_no_company_changes_one_bit(fs: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = (rng.normal(0, 1, (3, round(7.3 * fs))) + rng.normal(0, 200, (3, 1))).astype(np.float32)
    whole = means_of([Binner(fs) for _ in rows], rows)
    together = [Binner(fs) for _ in rows]
    cuts = np.sort(rng.integers(1, rows.shape[1], 60))
    parts = [means_of(together, part) for part in np.split(rows, cuts, axis=1) if part.shape[1]]
    assert whole.shape[1] in {729, 730}
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    for k, row in enumerate(rows):
        np.testing.assert_array_equal(means_of([Binner(fs)], row[None])[0], whole[k])


@pytest.mark.parametrize("fs", RATES_HZ)
def test_a_mean_is_that_of_the_samples_held_in_its_10_ms(fs: float) -> None:
    rng = np.random.default_rng(0)
    samples_mv = rng.normal(0, 1, round(2 * fs)).astype(np.float32)
    held = np.repeat(samples_mv, 1000)  # each sample holds until the next
    edges = np.round(np.arange(150) * 1000 * fs / BIN_HZ).astype(int)
    expected = [held[low:high].mean() for low, high in itertools.pairwise(edges)]
    means_mv = means_of([Binner(fs)], samples_mv[None])[0]
    np.testing.assert_allclose(means_mv[:149], expected, atol=0.005)


def test_at_100_hz_a_bin_is_its_sample() -> None:
    samples_mv = np.random.default_rng(0).normal(0, 1, (1, 500)).astype(np.float32)
    np.testing.assert_allclose(means_of([Binner(100.0)], samples_mv), samples_mv, atol=0.5 / STEPS_PER_MV)


def test_absurd_sizes_stay_finite() -> None:
    samples_mv = np.full((1, 3000), 1e30, np.float32)
    means_mv = means_of([Binner(1000.0)], samples_mv)
    np.testing.assert_array_equal(means_mv, np.full((1, 300), LARGEST_MV, np.float32))


def test_a_rate_below_a_sample_a_bin_is_refused_with_both_figures() -> None:
    with pytest.raises(ValueError, match=r"fs is 99\.0 Hz.*100\.0 Hz"):
        Binner(99.0)
