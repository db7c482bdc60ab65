from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest import quality as qualities
from ingest.beats import BeatDetector
from ingest.quality import FLAT_UV, Noise, SignalQuality, SignalState, is_noisy, judge_together, noise_of

RECORDINGS = Path("../shared/data/cinc2017_300hz_part.npz")
RATES_HZ = [100.0, 129.97, 360.0, 512.0, 1000.0]


def beats(fs: float, seconds: float = 6.0, r_mv: float = 1.0) -> NDArray[np.float32]:
    t = np.arange(round(seconds * fs)) / fs
    phase = (t % 0.8) - 0.4
    qrs = np.exp(-0.5 * (phase / 0.015) ** 2) - 0.25 * np.exp(-0.5 * ((phase - 0.04) / 0.012) ** 2)
    return (r_mv * (qrs + 0.2 * np.exp(-0.5 * ((phase - 0.26) / 0.05) ** 2))).astype(np.float32)


def state_of(samples_mv: NDArray[np.float32], fs: float, step_s: float = 0.25) -> SignalState:
    """As vitals ask for it: the detector's answer, then the gate's."""
    quality, detector = SignalQuality(fs), BeatDetector(fs)
    step = round(step_s * fs)
    for k in range(0, len(samples_mv), step):
        quality.push(samples_mv[k : k + step], lead_off=False, clipped=False)
        detector.push(samples_mv[k : k + step])
    quality.read(detector.unreadable)
    return quality.state()


def asystole(fs: float, seed: int) -> NDArray[np.float32]:
    """Wander, mains and tens of microvolts of noise: a heart at rest, leads on."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(6 * fs)) / fs
    wander = rng.uniform(0, 0.5) * np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * t)
    mains = 0.03 * np.sin(2 * np.pi * 50 * t)
    return (wander + mains + rng.normal(0, rng.uniform(0.005, 0.03), len(t))).astype(np.float32)


@pytest.mark.parametrize("fs", RATES_HZ)
@pytest.mark.parametrize("r_mv", [0.3, -1.0, 3.0])
def test_clear_beats_are_good_at_any_rate_size_and_polarity(fs: float, r_mv: float) -> None:
    assert state_of(beats(fs, r_mv=r_mv), fs) is SignalState.GOOD


@pytest.mark.parametrize("fs", RATES_HZ)
@pytest.mark.parametrize("seed", range(10))
def test_asystole_is_neither_flat_nor_noisy(fs: float, seed: int) -> None:
    assert state_of(asystole(fs, seed), fs) is SignalState.GOOD


@pytest.mark.parametrize("fs", RATES_HZ)
def test_strong_noise_over_beats_is_noisy(fs: float) -> None:
    rng = np.random.default_rng(1)
    muscle = rng.normal(0, 0.9 * (fs / 360) ** 0.5, round(6 * fs)).astype(np.float32)
    assert state_of(beats(fs) + muscle, fs) is SignalState.NOISY
    motion = np.cumsum(rng.normal(0, 0.25 * (360 / fs) ** 0.5, round(6 * fs))).astype(np.float32)
    assert state_of(beats(fs) + motion, fs) is SignalState.NOISY


@pytest.mark.parametrize(
    ("range_uv", "expected"), [(FLAT_UV, SignalState.FLAT), (FLAT_UV + 1, SignalState.GOOD)]
)
def test_a_constant_value_is_flat(range_uv: float, expected: SignalState) -> None:
    x = np.zeros(1080, np.float32)
    x[::7] = range_uv / 1000
    assert state_of(x, 360.0) is expected
    assert state_of(x[:1000], 360.0) is SignalState.GOOD


def test_beats_that_end_in_a_constant_are_flat_after_two_seconds() -> None:
    x = beats(360.0, seconds=12.0)
    x[6 * 360 :] = 0.0
    assert state_of(x[: round(7.8 * 360)], 360.0) is SignalState.GOOD
    assert state_of(x[: round(8.05 * 360)], 360.0) is SignalState.FLAT


@pytest.mark.parametrize("fs", RATES_HZ)
def test_an_input_that_recovers_from_a_blow_is_noisy_only_where_no_beat_shows(fs: float) -> None:
    t = np.arange(round(6 * fs)) / fs
    quiet_mv = np.random.default_rng(0).normal(0, 0.01, len(t))
    decay_mv = (quiet_mv + np.where(t > 2, 4.0 * np.exp(-(t - 2) / 1.5), 0.0)).astype(np.float32)
    for since_beat_s, expected in (
        (None, SignalState.GOOD),
        (0.4, SignalState.GOOD),
        (2.5, SignalState.NOISY),
    ):
        quality = SignalQuality(fs)
        quality.push(decay_mv[: round(4.5 * fs)], lead_off=False, clipped=False)
        quality.read(-3.0, since_beat_s)
        assert quality.state() is expected


@pytest.mark.parametrize("noise", Noise)
@pytest.mark.parametrize("fs", [250.0, 512.0])
@pytest.mark.parametrize("seed", range(5))
def test_noise_is_called_by_its_name(noise: Noise, fs: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    t = np.arange(round(3 * fs)) / fs
    white = rng.normal(0, 1, len(t))
    size_mv = {
        Noise.WANDER: 4.0 * np.sin(2 * np.pi * rng.uniform(0.2, 0.4) * t + rng.uniform(0, 6)),
        Noise.MAINS: np.sin(2 * np.pi * rng.choice([50.0, 60.0]) * t),
        Noise.MUSCLE: 0.5 * white,
        Noise.MOTION: np.convolve(white, np.hanning(round(0.15 * fs)), "same") / np.sqrt(0.05 * fs),
    }[noise]
    assert noise_of(beats(fs, 3.0) + size_mv, fs) is noise


def test_lead_off_follows_the_device_at_once_in_both_directions() -> None:
    quality = SignalQuality(360.0)
    x = beats(360.0)
    quality.push(x, lead_off=True, clipped=False)
    assert quality.state() is SignalState.LEAD_OFF
    quality.push(x[:90], lead_off=False, clipped=False)
    assert quality.state() is SignalState.GOOD


def test_a_clipped_chunk_is_saturated_for_three_seconds() -> None:
    quality = SignalQuality(360.0)
    x = beats(360.0)
    quality.push(x[:90], lead_off=False, clipped=True)
    assert quality.state() is SignalState.SATURATED
    quality.push(x[:1079], lead_off=False, clipped=False)
    assert quality.state() is SignalState.SATURATED
    quality.push(x[:1], lead_off=False, clipped=False)
    assert quality.state() is SignalState.GOOD


def test_a_signal_stuck_at_its_rail_is_saturated_without_any_flag() -> None:
    swing = 3.0 * np.sin(2 * np.pi * 0.4 * np.arange(2160) / 360)
    assert state_of(np.clip(swing, -5.0, 2.4).astype(np.float32), 360.0) is SignalState.SATURATED


def test_what_lay_before_a_gap_is_not_judged() -> None:
    quality = SignalQuality(360.0)
    quality.push(np.zeros(2000, np.float32), lead_off=False, clipped=False)
    assert quality.state() is SignalState.FLAT
    quality.gap()
    quality.push(beats(360.0)[:700], lead_off=False, clipped=False)
    assert quality.state() is SignalState.GOOD


@pytest.mark.parametrize("step_s", [0.1, 0.5, 1.0, 6.0])
def test_the_state_does_not_depend_on_how_the_stream_was_chunked(step_s: float) -> None:
    rng = np.random.default_rng(3)
    for sigma in (0.1, 0.2, 0.3, 0.4):
        x = beats(360.0) + rng.normal(0, sigma, 2160).astype(np.float32)
        assert state_of(x, 360.0, step_s) is state_of(x, 360.0, 0.25)


@pytest.mark.skipif(not RECORDINGS.exists(), reason="needs the recordings beside the project")
def test_few_good_and_many_bad_recorded_stretches_are_refused() -> None:
    with np.load(RECORDINGS) as recordings:
        label, offset, dx = recordings["label"], recordings["offset"], recordings["dx"]
    refused = {}
    for name in "N~":
        stretches = []
        for record in np.flatnonzero(label == name)[:200]:
            units = np.cumsum(dx[offset[record] : offset[record + 1]], dtype=np.int16)
            stretches += [units[k : k + 900] / 1000 for k in range(0, len(units) - 900, 900)]
        refused[name] = np.mean([is_noisy(x, 300.0) for x in stretches])
    assert refused["N"] <= 0.035
    assert refused["~"] >= 0.3


@pytest.mark.parametrize("fs", [1.0, 2.0, 7.3, 50.0])
def test_any_lower_rate_has_a_state_too(fs: float) -> None:
    quality = SignalQuality(fs)
    quality.push(np.arange(40, dtype=np.float32) % 7, lead_off=False, clipped=False)
    quality.read(None, 5.0)
    assert quality.state() in {SignalState.GOOD, SignalState.SATURATED}


@pytest.mark.parametrize("size_mv", [1e3, 1e10, 1e18, 1e25, 1e37])
def test_noise_of_absurd_size_is_noisy_however_large(size_mv: float) -> None:
    samples_mv = (np.random.default_rng(0).normal(0.0, 1.0, 1500) * size_mv).astype(np.float32)
    assert is_noisy(samples_mv, 500.0)


Judged = tuple[SignalState, float | None, float, int]
PUSHES = st.lists(
    st.fixed_dictionaries(
        {"seconds": st.sampled_from([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.25, 0.5, 1.5, 3.0, 4.2])},
        optional={
            "kind": st.integers(0, 4),
            "lead_off": st.just(value=True),
            "clipped": st.just(value=True),
            "gap": st.just(value=True),
            "is_asked": st.just(value=False),
        },
    ),
    min_size=4,
    max_size=40,
)


def judged_by(pushes: list[dict[str, float]], fs: float, seed: int) -> list[list[Judged]]:
    """What three leads are found to be after each push; gaps, flags and other lengths are the first one's."""
    rng, found = np.random.default_rng(seed), list[list[Judged]]()
    several = [SignalQuality(fs) for _ in range(3)]
    for push in pushes:
        for k, quality in enumerate(several):
            n = round(push["seconds"] * fs) if k == 0 else round(fs)
            noise = rng.normal(0, 1, n) + rng.normal()
            kinds = (noise, np.clip(noise, -0.8, 0.9), np.full(n, 0.4), 1e-3 * np.round(noise), 900 * noise)
            if k == 0 and "gap" in push:
                quality.gap()
            samples_mv = kinds[int(push.get("kind", 0))].astype(np.float32)
            is_off, is_clipped = k == 0 and "lead_off" in push, k == 0 and "clipped" in push
            quality.push(samples_mv, lead_off=is_off, clipped=is_clipped)
        if push.get("is_asked", True):
            judge_together(several)
            found.append([(q.state(), q.range_mv, q._swing_mv, q.judged) for q in several])
    return found


@settings(max_examples=150, deadline=None)
@given(PUSHES, st.sampled_from([512.0, 250.0, 130.0, 128.2, 125.0, 500.0, 64.0]), st.integers(0, 2**32 - 1))
def test_whole_seconds_are_judged_as_their_samples_are(
    pushes: list[dict[str, float]], fs: float, seed: int
) -> None:
    found = judged_by(pushes, fs, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qualities, "_whole_second", lambda _fs: None)
        assert judged_by(pushes, fs, seed) == found


def test_the_usual_rates_have_whole_seconds() -> None:
    qualities_at = [SignalQuality(fs) for fs in (128.0, 130.0, 250.0, 256.0, 300.0, 500.0, 512.0, 1000.0)]
    for quality in qualities_at:
        for _ in range(4):
            quality.push(np.zeros(round(quality.fs), np.float32), lead_off=False, clipped=False)
            judge_together(qualities_at)
        assert quality.seconds is not None


def test_a_silent_lead_holds_nothing_of_those_it_was_judged_with() -> None:
    several = [SignalQuality(512.0) for _ in range(64)]
    for _ in range(4):
        for quality in several:
            quality.push(np.zeros(512, np.float32), lead_off=False, clipped=False)
        judge_together(several)
        assert all(each.seconds is None or each.seconds.base is None for each in several)
    assert all(each.seconds is not None for each in several)
