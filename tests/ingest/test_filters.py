import numpy as np
import pytest
from scipy.signal import sosfilt

from ingest.filters import StreamFilter, butterworth

FS = 250.0
BAND_HZ = (0.5, 40.0)


@pytest.mark.parametrize("seed", range(10))
def test_chunking_never_changes_one_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, 2000) + 0.8
    whole = StreamFilter(butterworth(2, BAND_HZ, "bandpass", FS)).push(x)
    stream = StreamFilter(butterworth(2, BAND_HZ, "bandpass", FS))
    parts = [stream.push(part) for part in np.split(x, np.sort(rng.integers(0, 2000, 60)))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_an_electrode_offset_does_not_ring_at_the_start_nor_after_settling() -> None:
    stream = StreamFilter(butterworth(2, BAND_HZ, "bandpass", FS))
    assert np.abs(stream.push(np.full(500, 0.8))).max() < 1e-9
    stream.settle()
    assert np.abs(stream.push(np.full(500, -300.0))).max() < 1e-6
    sections, _ = butterworth(2, BAND_HZ, "bandpass", FS)
    assert np.abs(sosfilt(sections, np.full(500, 0.8))).max() > 0.5  # what it would be from rest


def test_a_design_is_made_once_and_its_settled_state_cannot_be_changed() -> None:
    first = butterworth(2, BAND_HZ, "bandpass", FS)
    assert butterworth(2, BAND_HZ, "bandpass", FS) is first
    with pytest.raises(ValueError, match="read-only"):
        first[1][0, 0] = 1.0


def test_two_streams_of_one_design_do_not_touch_each_other() -> None:
    x = np.random.default_rng(0).normal(0, 1, 500)
    alone = StreamFilter(butterworth(2, BAND_HZ, "bandpass", FS)).push(x)
    one, other = (StreamFilter(butterworth(2, BAND_HZ, "bandpass", FS)) for _ in range(2))
    got = []
    for k in range(0, 500, 50):
        got.append(one.push(x[k : k + 50]))
        other.push(-3 * x[k : k + 50])
    np.testing.assert_array_equal(np.concatenate(got), alone)
