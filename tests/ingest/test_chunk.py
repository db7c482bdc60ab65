import numpy as np
import pytest

from ingest.chunk import NO_FLAGS, Chunk, Lead


def chunk_of(samples_mv: np.typing.NDArray[np.float32], leads: tuple[Lead, ...]) -> Chunk:
    return Chunk("s/d", 1, 0, 40, 0, 0, 100.0, leads, samples_mv, NO_FLAGS)


@pytest.mark.parametrize("shape", [(5,), (5, 1), (2, 5), (5, 2, 1)])
def test_samples_that_do_not_match_the_leads_are_refused_with_both(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape \(.*want \(n_samples, 2\) for leads I, II"):
        chunk_of(np.zeros(shape, np.float32), (Lead.I, Lead.II))


def test_samples_cannot_be_changed_after_arrival() -> None:
    chunk = chunk_of(np.zeros((5, 1), np.float32), (Lead.I,))
    with pytest.raises(ValueError, match="read-only"):
        chunk.samples_mv[0, 0] = 1.0


@pytest.mark.parametrize("n", [0, 1, 250])
def test_the_end_is_one_past_the_last_sample(n: int) -> None:
    chunk = chunk_of(np.zeros((n, 1), np.float32), (Lead.I,))
    assert (chunk.n_samples, chunk.end_sample) == (n, 40 + n)
