"""The window behind a verdict: from the store, else from what was just seen; holes stay holes."""

from pathlib import Path

import numpy as np
import pytest

from dashboard import app, texts
from dashboard.hub import Hub
from dashboard.past import Past
from dashboard.patient_state import Segment
from dashboard.window_source import WindowSource, joined
from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.wire import encode_binary

FS = 100.0


def segment(first_sample: int, session: int = 1) -> Segment:
    samples = np.arange(first_sample, first_sample + 100, dtype=np.float32)
    return Segment("a/b", 0, session, first_sample, FS, ChunkFlag(0), samples, 0)


def test_segments_are_joined_by_index_and_cut_to_the_window() -> None:
    stretch = joined([segment(first) for first in (1000, 0, 100, 300)], 1, 50)
    assert stretch is not None
    expected = np.full(1000, np.nan, np.float32)
    for low, high in ((50, 200), (300, 400), (1000, 1050)):
        expected[low - 50 : high - 50] = np.arange(low, high)
    np.testing.assert_array_equal(stretch.samples_mv, expected)
    assert not stretch.is_stored


def test_another_session_is_another_signal() -> None:
    assert joined([segment(0, session=2)], 1, 0) is None
    assert joined([], 1, 0) is None


@pytest.mark.parametrize("n_missing", [0, 1])
def test_a_plot_is_drawn_only_of_a_whole_window(n_missing: int, tmp_path: Path) -> None:
    hub = Hub(("127.0.0.1", 1), clock_us=lambda: 1)
    for first in range(0, 1000 - 100 * n_missing, 100):
        samples = np.zeros((100, 1), np.float32)
        chunk = Chunk("a/b", 1, 0, first, 1, 0, FS, (Lead.I,), samples)
        hub._monitor.push("ecg/v1/a/b/chunk", encode_binary(chunk), 1)
    source = WindowSource(Past(f"sqlite:///{tmp_path}/absent/x.sqlite"), hub)
    figure, note = app.recurrence_of(source, {"device": "a/b", "session": 1, "first_sample": 0})
    assert bool(figure.data) == (n_missing == 0)
    assert note == (texts.RECURRENCE_LIVE if n_missing == 0 else texts.RECURRENCE_INCOMPLETE)
    assert app.recurrence_of(source, None)[1] == texts.RECURRENCE_WAITING
