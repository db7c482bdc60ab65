from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.training.labels import DatasetError
from inference.training.unlabelled import (
    CACHE_NAME,
    NOISE_NAME,
    load_handheld,
    load_motion_noise,
    load_unlabelled,
    windows_of,
)

SHARED = Path(__file__).parents[3] / "shared" / "data"


def wave_uv(seconds: float, fs: float) -> NDArray[np.float64]:
    """Waves of 1.3 and 7 Hz, 1 mV."""
    time_s = np.arange(round(seconds * fs)) / fs
    return np.asarray(500 * np.sin(2 * np.pi * 1.3 * time_s) + 500 * np.cos(2 * np.pi * 7 * time_s))


@pytest.mark.parametrize("fs", [300.0, 360.0])
def test_windows_are_the_same_signal_at_100_hz(fs: float) -> None:
    windows = windows_of(wave_uv(20, fs), fs)
    wanted = wave_uv(20, 100).reshape(2, 1000)
    np.testing.assert_allclose(windows[:, 50:-50], wanted[:, 50:-50], atol=3)


@pytest.mark.parametrize(("seconds", "count"), [(9.9, 0), (10, 1), (10.1, 2), (30, 3), (61, 7)])
def test_every_second_is_covered_by_as_few_windows_as_can(seconds: float, count: int) -> None:
    ramp = np.arange(round(seconds * 300)) / 10.0
    windows = windows_of(ramp, 300.0)
    assert windows.shape == (count, 1000)
    if count:
        assert windows[0, 0] == pytest.approx(0, abs=2)
        assert windows[-1, -1] == pytest.approx(ramp[-1], abs=5)
        assert (windows[1:, 0] <= windows[:-1, -1] + 5).all()  # no gap


def write_handheld(directory: Path, signals: list[NDArray[np.int16]]) -> None:
    np.savez(
        directory / "cinc2017_300hz_part.npz",
        dx=np.concatenate([np.diff(signal, prepend=np.int16(0)) for signal in signals]),
        offset=np.cumsum([0, *(len(signal) for signal in signals)]),
        label=["N"] * len(signals),
        record=[f"A{number}" for number in range(len(signals))],
    )


def test_both_sources_are_read_in_uv_once_and_then_from_the_run(tmp_path: Path) -> None:
    handheld = [wave_uv(20, 300).astype(np.int16), wave_uv(5, 300).astype(np.int16)]
    write_handheld(tmp_path, handheld)
    units = np.stack([wave_uv(10, 360) / 5 + 1024] * 2).astype(np.int16)
    np.savez(
        tmp_path / "mitdb_360hz_part.npz", dx_1=np.diff(units, axis=-1, prepend=np.int16(0)), ann_s_1=[1]
    )
    windows = load_unlabelled(tmp_path, tmp_path / "run")
    assert windows.shape == (4, 1000)
    np.testing.assert_allclose(windows[0, 50:-50], windows[2, 50:-50], atol=12)  # 5 uV a unit, 1024 units off
    (tmp_path / "cinc2017_300hz_part.npz").unlink()
    np.testing.assert_array_equal(load_unlabelled(tmp_path, tmp_path / "run"), windows)
    assert (tmp_path / "run" / CACHE_NAME).is_file()


def test_handheld_recordings_come_as_they_were_taken(tmp_path: Path) -> None:
    assert load_handheld(tmp_path) is None
    signals = [wave_uv(9, 300).astype(np.int16), wave_uv(12, 300).astype(np.int16)]
    write_handheld(tmp_path, signals)
    handheld = load_handheld(tmp_path)
    assert handheld is not None
    for got, wanted in zip(handheld.ecg_uv, signals, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert handheld.label.tolist() == ["N", "N"]


def test_noise_has_unit_variance_and_its_slow_waves_stay(tmp_path: Path) -> None:
    x = np.stack([wave_uv(60, 360), 3 * wave_uv(60, 360) + 900]).astype(np.int16)
    np.savez(tmp_path / NOISE_NAME, x=x, std=x.std(axis=1))
    noise = load_motion_noise(tmp_path)
    assert noise.shape == (2, 6000)
    np.testing.assert_allclose(noise.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(noise.std(axis=1), 1, atol=1e-4)
    wanted = wave_uv(60, 100) / wave_uv(60, 100).std()
    np.testing.assert_allclose(noise[0, 20:-20], wanted[20:-20], atol=0.1)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds neither cinc2017"):
        load_unlabelled(tmp_path, tmp_path)
    with pytest.raises(DatasetError, match=f"{NOISE_NAME} is missing"):
        load_motion_noise(tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the recorded ECGs")
def test_recorded_motion_is_read() -> None:
    noise = load_motion_noise(SHARED)
    assert noise.shape == (2, 78556)
    assert np.isfinite(noise).all()
