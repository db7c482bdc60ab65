"""A wrong unit and a wrong rate are noticed and said; no true one is doubted, whatever the signal is like."""

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.chunk import Chunk, Lead
from ingest.clock import ClockFit
from ingest.intake import Intake
from ingest.pipeline import DevicePipeline
from ingest.plausibility import Plausibility
from ingest.quality import SignalQuality
from ingest.topics import device_topic
from ingest.wire import Encoding, encode_binary
from tests.ingest.test_quality import RATES_HZ, asystole, beats

DATA = Path("../shared/data")
NOW_US = 1_790_000_000_000_000
WITHIN_S = 21


def doubts_of(
    samples_mv: NDArray[np.floating], fs: float, *, lead_off: bool = False
) -> list[tuple[str, ...]]:
    """What is doubted after each second."""
    quality, watch, n = SignalQuality(fs), Plausibility(fs), round(fs)
    found = []
    for k in range(len(samples_mv) // n):
        quality.push(samples_mv[k * n : k * n + n].astype(np.float32), lead_off=lead_off, clipped=False)
        quality.state()
        found.append(watch.doubts(quality, ClockFit()))
    return found


@pytest.mark.parametrize("fs", RATES_HZ[1:])
@pytest.mark.parametrize("r_mv", [0.3, -1.0, 3.0])
def test_a_unit_wrong_by_a_thousand_is_doubted_within_seconds_and_a_right_one_never(
    fs: float, r_mv: float
) -> None:
    noise = np.random.default_rng(1).normal(0, 0.005, round(30 * fs) + 9)
    signal = beats(fs, 30.0, r_mv) + noise[: len(beats(fs, 30.0))]
    assert not any(doubts_of(signal, fs))
    large, small = doubts_of(signal * 1000, fs)[WITHIN_S], doubts_of(signal / 1000, fs)[WITHIN_S]
    assert [each.partition(" mV")[0].split(":")[0] for each in large] == ["unit in doubt"]
    assert "1000 times too large" in large[0]
    assert "1000 times too small" in small[0]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_what_is_no_ecg_says_nothing_of_its_unit(scale: float) -> None:
    fs, n = 512.0, 40 * 512
    rng, t = np.random.default_rng(2), np.arange(n) / fs
    signals = {
        "flat": np.full(n, 0.3),
        "idle converter": rng.integers(0, 2, n) * 0.001,
        "white noise": rng.normal(0, 0.3, n),
        "mains": np.sin(2 * np.pi * 50 * t),
        "wander": np.sin(2 * np.pi * 0.2 * t),
        "steps": np.cumsum(rng.random(n) < 0.002) * 0.5,
        "a drifting electrode": t * 0.05 + rng.normal(0, 1e-4, n),
    }
    for name, signal in signals.items():
        assert not any(doubts_of(signal * scale, fs)), name


def test_an_ecg_that_the_device_calls_off_says_nothing_of_its_unit() -> None:
    assert not any(doubts_of(1000 * beats(512.0, 40.0), 512.0, lead_off=True))


@pytest.mark.parametrize("seed", range(5))
def test_asystole_is_no_unit_too_small(seed: int) -> None:
    assert not any(doubts_of(np.tile(asystole(512.0, seed), 6), 512.0))


def test_a_unit_that_is_put_right_is_doubted_no_longer() -> None:
    signal = np.concatenate([1000 * beats(512.0, 30.0), beats(512.0, 40.0)])
    found = doubts_of(signal, 512.0)
    assert found[29]
    assert not found[-1]


@pytest.mark.skipif(not (DATA / "nstdb_electrode_motion_360hz.npz").exists(), reason="needs recorded noise")
@pytest.mark.parametrize("size_mv", [0.001, 0.1, 1.0, 10.0, 300.0])
def test_recorded_electrode_motion_is_no_wrong_unit(size_mv: float) -> None:
    with np.load(DATA / "nstdb_electrode_motion_360hz.npz") as stored:
        noise = stored["x"][0].astype(np.float64)[: 360 * 300]
    assert not any(doubts_of((noise - noise.mean()) / noise.std() * size_mv, 360.0))


@pytest.mark.skipif(not (DATA / "cinc2017_300hz_part.npz").exists(), reason="needs recordings")
def test_recorded_rhythms_are_judged_as_synthetic_beats_are() -> None:
    with np.load(DATA / "cinc2017_300hz_part.npz") as stored:
        offset, dx, label = stored["offset"], stored["dx"], stored["label"]
    long = [i for i in range(len(label)) if offset[i + 1] - offset[i] >= 29 * 300]
    caught = {"N": 0, "A": 0, "O": 0, "~": 0}
    for name in caught:
        for i in [i for i in long if label[i] == name][:15]:
            signal = np.cumsum(dx[offset[i] : offset[i + 1]], dtype=np.int16)[: 29 * 300] / 1000.0
            assert not any(doubts_of(signal, 300.0))
            caught[name] += bool(doubts_of(signal * 1000, 300.0)[-1])
    assert min(caught["N"], caught["A"], caught["O"]) >= 13  # of 15; what is too noisy is not judged


def rate_doubts(true_hz: float, claimed_hz: float, jitter_s: list[float]) -> list[tuple[str, ...]]:
    """One chunk a second by the device's own count, each so late; what is doubted after each."""
    clock, watch, quality = ClockFit(), Plausibility(claimed_hz), SignalQuality(claimed_hz)
    n, found = round(claimed_hz), []
    for k, late_s in enumerate(jitter_s):
        end = (k + 1) * n
        clock.push(end, round(1e6 * end / claimed_hz), 1e6 + end / true_hz + late_s, claimed_hz)
        found.append(watch.doubts(quality, clock))
    return found


JITTER = st.lists(st.floats(0.0, 0.24), min_size=150, max_size=150)  # of 25 s, the shortest pair: below 1 %


@given(JITTER, st.floats(0.99, 1.01))
@settings(max_examples=40, deadline=None)
def test_a_rate_within_a_percent_is_never_doubted_whatever_the_jitter(
    late_s: list[float], ratio: float
) -> None:
    assert not any(rate_doubts(512.0 * ratio, 512.0, late_s))


@given(JITTER, st.sampled_from([0.25, 0.5, 0.9, 1.1, 2.0, 4.0]))
@settings(max_examples=40, deadline=None)
def test_a_rate_off_by_a_tenth_is_doubted_in_two_minutes_and_what_is_certain_is_true(
    late_s: list[float], ratio: float
) -> None:
    (told,) = rate_doubts(512.0 * ratio, 512.0, [*late_s, *late_s, *late_s, *late_s])[-1]
    assert told.startswith("rate in doubt: claims 512 Hz, its samples arrive at ")
    certain = float(told.partition("at least ")[2].partition(" %")[0]) / 100
    assert (
        0.02 <= certain <= abs(ratio - 1) + 0.02
    )  # rounded to per cent, after a jitter of at most half a bin


@pytest.mark.parametrize("seed", range(20))
def test_what_jitter_of_seconds_leaves_uncertain_is_not_said(seed: int) -> None:
    late_s = np.random.default_rng(seed).uniform(0.0, 5.0, 150).tolist()
    assert not any(rate_doubts(512.0, 512.0, late_s))


def test_an_outage_and_the_rush_after_it_are_no_wrong_rate() -> None:
    late_s = [0.05] * 120 + [90.0 - 0.999 * k for k in range(90)] + [0.05] * 120
    assert not any(rate_doubts(512.0, 512.0, late_s))


def test_a_doubt_is_logged_once_told_in_vitals_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    one, fs = Intake(DevicePipeline), 250.0
    signal = 1000 * beats(fs, 30.0)
    with caplog.at_level(logging.WARNING):
        for k in range(30):
            part = signal[k * 250 : k * 250 + 250, None]
            chunk = Chunk("a/one", 1, k, k * 250, NOW_US + k * 1_000_000, 0, fs, (Lead.I,), part)
            now_us = NOW_US + (k + 1) * 1_000_000
            one.receive(device_topic("a/one", "chunk"), encode_binary(chunk, Encoding.FLOAT32), now_us)
            (vitals,) = one.vitals(now_us)
    assert len(vitals.doubts) == 1
    assert [r.getMessage() for r in caplog.records if "in doubt" in r.getMessage()] == [
        f"a/one: {vitals.doubts[0]}"
    ]
    assert one.n_doubted == 1
