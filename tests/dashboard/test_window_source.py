"""The window behind a verdict: from the store, else from what was just seen; holes stay holes, told."""

from pathlib import Path

import numpy as np
import pytest

from dashboard.hub import Hub
from dashboard.past import Past
from dashboard.patient_route import window_picture
from dashboard.patient_state import Segment
from dashboard.texts import patient as words
from dashboard.window_picture import picture_of
from dashboard.window_source import Stretch, WindowSource, joined
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
    picture = window_picture(source, "a/b", 1, 0)
    assert (picture.plots is not None) == (n_missing == 0)
    assert picture.note.startswith("The store cannot be read")
    nobody = window_picture(source, "a/b", 2, 0)
    assert nobody.plots is None
    assert nobody.note.startswith("The store cannot be read")


def test_a_stored_window_is_drawn_with_its_holes_as_the_networks_see_it() -> None:
    samples_mv = np.sin(np.arange(5000) / 80).astype(np.float32)
    samples_mv[1000:1250] = np.nan
    picture = picture_of(Stretch(samples_mv, 500.0, is_stored=True))
    assert picture.note == ""
    assert picture.missing_s == ((2.0, 2.5),)
    assert picture.plots is not None
    seen_mv = picture.plots.ecg.values()[0]
    assert not seen_mv[200:250].any()
    lag = picture.plots.lag
    assert (lag.values.rows, lag.values.columns) == (len(lag.lags_s), 1000)
    row = lag.values.values()[lag.lags_s.index(0.4)]
    np.testing.assert_allclose(row[40:], seen_mv[40:] - seen_mv[:-40], atol=1e-3)
    rhythm = picture.plots.rhythm
    assert (rhythm.values.rows, rhythm.values.columns) == (len(rhythm.lags_s), 250)
    assert rhythm.lags_s[0] == 0.08


@pytest.mark.parametrize(
    ("stretch", "note"),
    [
        (None, words.WINDOW_GONE),
        (Stretch(np.zeros(5000, np.float32), 600.0, is_stored=True), words.WINDOW_UNSUPPORTED),
        (Stretch(np.full(5000, np.nan, np.float32), 500.0, is_stored=False), words.WINDOW_INCOMPLETE),
    ],
)
def test_a_window_that_cannot_be_drawn_says_why(stretch: Stretch | None, note: str) -> None:
    picture = picture_of(stretch)
    assert picture.plots is None
    assert picture.note == note
