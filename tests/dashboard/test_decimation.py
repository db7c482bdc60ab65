"""Pictures: no R peak disappears, whatever the zoom; raw samples where they fit; gaps stay open."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dashboard.decimation import RAW_PER_COLUMN, Picture, Run, picture_of
from dashboard.monitor_filter import filtered
from dashboard.placing import Placement, placed_by_clock
from dashboard.strip import r_peaks

S = 1_000_000
START_US = 1_790_000_000_000_000
FS = 360.0
RECORDINGS = Path(__file__).parents[2] / "simulators" / "recordings" / "mitdb.npz"


def ecg_mv() -> NDArray[np.float32]:
    """A minute and more of a recorded lead."""
    with np.load(RECORDINGS) as file:
        arrays = [file[name] for name in file.files if file[name].dtype.kind in "if"]
    samples = max(arrays, key=lambda array: array.size)
    samples = samples.reshape(-1) if samples.ndim == 1 else samples.reshape(-1, samples.shape[-1])[0]
    samples = samples[: round(80 * FS)].astype(np.float64)
    samples -= np.median(samples)
    ecg: NDArray[np.float32] = (samples / np.abs(samples).max()).astype(np.float32)
    return ecg


ECG_MV = ecg_mv()
PLACEMENT = replace(placed_by_clock(7, FS, "II", np.array([0]), np.array([START_US])), is_late=False)


def run_of(samples_mv: NDArray[np.float32], placement: Placement = PLACEMENT, first: int = 0) -> Run:
    return Run(placement, first, samples_mv, np.zeros(len(samples_mv), np.bool_))


def column_of(picture: Picture, at_us: float) -> int:
    return int((at_us - picture.from_us) * len(picture.low_uv) / (picture.to_us - picture.from_us))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("is_filtered", [False, True])
def test_every_r_peak_lies_between_least_and_most_of_its_column(seed: int, is_filtered: bool) -> None:  # noqa: FBT001 - a case
    rng = np.random.default_rng(seed)
    samples_mv = filtered(ECG_MV, FS) if is_filtered else ECG_MV
    from_us = START_US + int(rng.integers(0, 20 * S))
    to_us = from_us + int(rng.integers(20 * S, 55 * S))
    picture = picture_of([run_of(samples_mv)], from_us, to_us, int(rng.integers(30, 1500)))
    peaks = np.array(r_peaks(ECG_MV, FS))
    times = PLACEMENT.times_us(peaks)
    seen = [(p, t) for p, t in zip(peaks.tolist(), times.tolist(), strict=True) if from_us <= t < to_us]
    assert len(seen) > 15
    for peak, at_us in seen:
        low, high = (side[column_of(picture, at_us)] for side in (picture.low_uv, picture.high_uv))
        assert low is not None
        assert high is not None
        assert low - 1 <= samples_mv[peak] * 1000 <= high + 1


@pytest.mark.parametrize("seed", range(10))
def test_columns_are_those_of_looking_at_each_sample(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples_mv = rng.normal(0, 1, 5000).astype(np.float32)
    samples_mv[rng.random(5000) < 0.3] = np.nan
    samples_mv[1000:2500] = np.nan
    from_us = START_US + int(rng.integers(-2 * S, 2 * S))
    to_us = from_us + int(rng.integers(6 * S, 16 * S))
    columns = int(rng.integers(5, 400))
    picture = picture_of([run_of(samples_mv)], from_us, to_us, columns)
    edges = PLACEMENT.samples_at(np.linspace(from_us, to_us, columns + 1)).clip(0, 5000)
    for k in range(columns):
        part = samples_mv[edges[k] : edges[k + 1]]
        known = part[~np.isnan(part)]
        wanted = (None, None) if not len(known) else (float(known.min()), float(known.max()))
        for told, value in zip((picture.low_uv[k], picture.high_uv[k]), wanted, strict=True):
            assert told == (None if value is None else round(value * 1000))


def test_samples_that_fit_are_sent_as_they_are_each_in_its_place() -> None:
    samples_mv = ECG_MV[:600].copy()
    samples_mv[100:150] = np.nan
    to_us = START_US + S
    picture = picture_of([run_of(samples_mv)], START_US, to_us, round(FS / RAW_PER_COLUMN))
    [piece] = picture.pieces
    assert (picture.low_uv, picture.leads) == ([], ["II"])
    assert len(piece.uv) == 360
    assert piece.at_us == START_US
    assert piece.step_us == pytest.approx(S / FS)
    assert piece.uv[100:150] == [None] * 50
    assert piece.uv[0] == round(float(samples_mv[0]) * 1000)
    assert picture_of([run_of(samples_mv)], START_US, to_us, round(FS / RAW_PER_COLUMN) - 1).pieces == []


def test_two_sessions_and_what_came_late_are_told() -> None:
    other = placed_by_clock(8, FS, "I", np.array([0]), np.array([START_US + 2 * S]))
    run = run_of(ECG_MV[:360])
    run.is_late[90:180] = True
    picture = picture_of([run, run_of(ECG_MV[:360], other)], START_US, START_US + 4 * S, 64)
    assert picture.leads == ["II", "I"]
    assert [(round(a - START_US), round(b - START_US)) for a, b in picture.late] == [
        (250_000, 500_000), (2 * S, 3 * S),
    ]  # fmt: skip
    assert [value is None for value in picture.low_uv] == [k // 16 in {1, 3} for k in range(64)]


def test_nothing_in_the_span_is_an_empty_picture() -> None:
    picture = picture_of([run_of(ECG_MV[:360])], START_US + 9 * S, START_US + 10 * S, 10)
    assert (picture.pieces, picture.low_uv, picture.leads) == ([], [], [])
