"""The strip of an event: every sample at its second, late ones too, holes open, R peaks where they are."""

import json

import numpy as np
import pytest

from dashboard.strip import AFTER_S, BEFORE_S, RUN_IN_S, piece_of, r_peaks, stretches_around, strip_data
from ingest.chunk import Chunk, Lead
from ingest.store.rows import ReceivedChunk

S = 1_000_000
FS = 250.0
BORN_US = 1_700_000_000 * S  # when sample 0 was taken
N = 50  # samples a chunk


def ecg_mv(first: int, n: int) -> np.ndarray:
    t = (np.arange(first, first + n) / FS).astype(np.float64)
    return np.exp(-(((t % 0.8) - 0.4) ** 2) / 0.0004).astype(np.float32)  # R peaks at 0.4 s, 1.2 s, ...


def received(first: int, late_s: float = 0.1, session: int = 1) -> ReceivedChunk:
    chunk = Chunk("a/b", session, 0, first, 1, 0, FS, (Lead.II,), ecg_mv(first, N)[:, None])
    return ReceivedChunk(chunk, b"", BORN_US + round((first + N) / FS * S + late_s * S))


def test_samples_stand_at_the_second_they_were_taken_however_late_their_chunks_came() -> None:
    moment_us = BORN_US + 100 * S
    rng = np.random.default_rng(3)
    firsts = range(80 * 250, 130 * 250, N)
    arrived = [received(first, late_s=0.1 + rng.exponential(0.4)) for first in firsts]
    arrived.append(received(100 * 250, late_s=0.1))
    (stretch,) = stretches_around(moment_us, arrived)
    at_moment = stretch.first_sample - stretch.offset_s * FS
    assert at_moment == pytest.approx((100 - 0.1) * FS, abs=1)  # 0.1 s: what the quickest was under way
    assert stretch.n_samples == pytest.approx((BEFORE_S + RUN_IN_S + AFTER_S) * FS, abs=2)
    assert stretch.lead == "II"


def test_each_session_has_a_stretch_of_its_own_and_none_begins_before_its_first_sample() -> None:
    moment_us = BORN_US + 5 * S
    stretches = stretches_around(moment_us, [received(0), received(1000, session=2)])
    assert [each.session for each in stretches] == [1, 2]
    assert stretches[0].first_sample == 0
    assert stretches[0].offset_s == pytest.approx(-5, abs=0.11)


def test_a_strip_begins_10_s_before_and_its_r_peaks_are_those_of_the_signal() -> None:
    moment_us = BORN_US + round(100.2 * S)
    (stretch,) = stretches_around(moment_us, [received(100 * 250, late_s=0.0)])
    samples = ecg_mv(stretch.first_sample, stretch.n_samples)
    samples[stretch.n_samples - 500 :] = np.nan  # the last 2 s are still to come
    piece = piece_of(stretch, samples)
    assert piece is not None
    assert piece.offset_s == pytest.approx(-BEFORE_S, abs=0.01)
    assert piece.offset_s + len(piece.samples_mv) / FS == pytest.approx(AFTER_S - 2, abs=0.02)
    true_s = np.arange(-9.4, 17.9, 0.8)  # 90.8 s, 91.6 s, ...
    assert len(piece.r_peaks_s) == len(true_s)
    np.testing.assert_allclose(piece.r_peaks_s, true_s, atol=0.03)


def test_a_hole_stays_a_hole_and_nothing_is_found_in_it() -> None:
    moment_us = BORN_US + 100 * S
    (stretch,) = stretches_around(moment_us, [received(100 * 250, late_s=0.0)])
    samples = ecg_mv(stretch.first_sample, stretch.n_samples)
    hole = slice(20 * 250, 23 * 250)  # seconds 5 to 8 after the moment
    samples[hole] = np.nan
    piece = piece_of(stretch, samples)
    assert piece is not None
    data = json.loads(json.dumps(strip_data([piece])))
    uv = data["pieces"][0]["uv"]
    missing = [k for k, value in enumerate(uv) if value is None]
    assert len(missing) == 3 * 250
    seconds = [piece.offset_s + k / FS for k in (missing[0], missing[-1])]
    np.testing.assert_allclose(seconds, [5, 8], atol=0.02)
    assert not [r for r in piece.r_peaks_s if 5 < r < 8]
    assert [data["from_s"], data["to_s"]] == [-10, 20]


def test_nothing_that_came_is_nothing_to_draw() -> None:
    (stretch,) = stretches_around(BORN_US + 100 * S, [received(100 * 250)])
    samples = np.full(stretch.n_samples, np.nan, np.float32)
    assert piece_of(stretch, samples) is None
    samples[10] = 1.0  # in the run-in only
    assert piece_of(stretch, samples) is None
    assert stretches_around(BORN_US, []) == []


def test_a_rate_too_low_for_beats_has_no_r_peaks() -> None:
    assert r_peaks(np.zeros(900, np.float32), 50.0) == []
