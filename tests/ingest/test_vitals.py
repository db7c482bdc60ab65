from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from ingest.chunk import NO_FLAGS, ChunkFlag, Lead
from ingest.sequence import Ordered
from ingest.vitals import SignalState, Vitals, VitalsMonitor, heart_rate_bpm

FS = 360.0
START_US = 1_790_000_000_000_000


def ecg(beats_s: NDArray[np.float64], seconds: float, noise_mv: float = 0.01) -> NDArray[np.float32]:
    t = np.arange(round(seconds * FS)) / FS
    x = np.random.default_rng(0).normal(0, noise_mv, len(t)) + 0.1 * np.sin(2 * np.pi * 0.2 * t)
    for r_s in beats_s:
        x += np.exp(-0.5 * ((t - r_s) / 0.012) ** 2) + 0.2 * np.exp(-0.5 * ((t - r_s - 0.26) / 0.05) ** 2)
    return x.astype(np.float32)


def steady(rate_bpm: float, seconds: float, start_s: float = 0.5) -> NDArray[np.float64]:
    return np.arange(start_s, seconds, 60.0 / rate_bpm)


def ordered_at(
    samples_mv: NDArray[np.float32], first: int, flags: ChunkFlag = NO_FLAGS, missing: int = 0
) -> Ordered:
    end_s = (first + len(samples_mv)) / FS
    leads = (Lead.I,)
    return Ordered("s/d", 7, first, samples_mv[:, None], leads, FS, 0, flags, missing, first == 0, end_s)


def watch(
    x: NDArray[np.float32], flags_at: dict[int, ChunkFlag] | None = None, lost_at: tuple[int, ...] = ()
) -> list[Vitals]:
    """Push second by second with a snapshot after each; flags and losses by second."""
    monitor = VitalsMonitor("s/d", 7, FS)
    n = round(FS)
    seen, missing = [], 0
    for second in range(len(x) // n):
        if second in lost_at:
            missing += n
        else:
            part = x[second * n : (second + 1) * n]
            monitor.push(ordered_at(part, second * n, (flags_at or {}).get(second, NO_FLAGS), missing))
            missing = 0
        seen.append(monitor.snapshot(START_US + second * 1_000_000, second + 1.0))
    return seen


@pytest.mark.parametrize("rate_bpm", [30, 45, 60, 80, 120, 180, 220])
def test_a_steady_rate_is_shown_within_one_beat_per_minute(rate_bpm: int) -> None:
    seen = watch(ecg(steady(rate_bpm, 40), 40))
    assert [v.heart_rate_bpm for v in seen[15:]] == [pytest.approx(rate_bpm, abs=1.0)] * 25
    assert {v.signal for v in seen} == {SignalState.GOOD}


@pytest.mark.parametrize(("before_bpm", "after_bpm"), [(80, 120), (80, 40), (60, 160), (120, 45)])
def test_a_step_of_the_rate_is_shown_within_ten_seconds(before_bpm: int, after_bpm: int) -> None:
    beats_s = np.concatenate([steady(before_bpm, 20), 20 + steady(after_bpm, 20, start_s=60 / after_bpm)])
    seen = watch(ecg(beats_s, 40))
    assert seen[18].heart_rate_bpm == pytest.approx(before_bpm, abs=1.0)
    assert [v.heart_rate_bpm for v in seen[30:]] == [pytest.approx(after_bpm, rel=0.1)] * 10


def test_the_rate_is_unknown_before_beats_and_four_seconds_after_the_last_one() -> None:
    seen = watch(ecg(steady(75, 20), 40))
    assert seen[0].heart_rate_bpm is None
    last_s = steady(75, 20)[-1]
    for v in seen[20:]:
        assert v.since_beat_s == pytest.approx(v.last_sample / FS - last_s, abs=0.05)
        assert (v.heart_rate_bpm is None) == (v.since_beat_s is not None and v.since_beat_s > 4.0)
    assert seen[-1].signal is SignalState.GOOD
    assert seen[-1].since_beat_s == pytest.approx(20.3, abs=0.1)


def test_a_device_that_never_showed_a_beat_has_no_time_since_it() -> None:
    seen = watch(ecg(np.array([]), 10))
    assert {(v.heart_rate_bpm, v.since_beat_s) for v in seen} == {(None, None)}


def test_lead_off_hides_the_rate_and_never_counts_as_time_without_a_beat() -> None:
    x = ecg(steady(75, 60), 60)
    x[20 * 360 : 30 * 360] = np.random.default_rng(1).normal(0, 0.02, 3600)
    seen = watch(x, dict.fromkeys(range(20, 30), ChunkFlag.LEAD_OFF))
    assert {(v.signal, v.heart_rate_bpm) for v in seen[20:30]} == {(SignalState.LEAD_OFF, None)}
    assert max(v.since_beat_s or 0.0 for v in seen) < 2.0
    assert seen[35].heart_rate_bpm == pytest.approx(75, abs=1.0)


def test_asystole_after_a_lead_was_put_back_is_seen_four_seconds_later() -> None:
    seen = watch(ecg(steady(75, 20), 50), dict.fromkeys(range(20, 30), ChunkFlag.LEAD_OFF))
    assert [v.since_beat_s for v in seen[30:36]] == [pytest.approx(k, abs=0.01) for k in range(1, 7)]


def test_lost_samples_give_neither_an_interval_nor_time_without_a_beat() -> None:
    seen = watch(ecg(steady(75, 40), 40), lost_at=(20, 21, 22, 23, 24, 25))
    assert all(0.7 < rr < 0.9 for v in seen for rr in v.rr_s)
    assert max(v.since_beat_s or 0.0 for v in seen) < 2.0
    assert seen[30].heart_rate_bpm == pytest.approx(75, abs=1.0)
    assert seen[-1].last_sample == 40 * 360


def test_noise_hides_the_rate_and_its_intervals_are_forgotten() -> None:
    x = ecg(steady(75, 60), 60)
    x[20 * 360 : 30 * 360] += np.random.default_rng(1).normal(0, 1.5, 3600).astype(np.float32)
    seen = watch(x)
    assert {(v.signal, v.heart_rate_bpm) for v in seen[22:30]} == {(SignalState.NOISY, None)}
    assert {v.signal for v in seen[33:]} == {SignalState.GOOD}
    assert [v.heart_rate_bpm for v in seen[37:]] == [pytest.approx(75, abs=1.0)] * 23


def test_old_data_are_no_data_and_no_rate() -> None:
    monitor = VitalsMonitor("s/d", 7, FS)
    monitor.push(ordered_at(ecg(steady(75, 20), 20), 0))
    fresh = monitor.snapshot(START_US, 21.0)
    assert (fresh.signal, fresh.data_age_s) == (SignalState.GOOD, 1.0)
    assert fresh.heart_rate_bpm == pytest.approx(75, abs=1.0)
    stale = monitor.snapshot(START_US, 23.5)
    assert (stale.signal, stale.heart_rate_bpm, stale.data_age_s) == (SignalState.NO_DATA, None, 3.5)


def test_a_device_that_is_heard_but_waits_for_order_is_not_without_data() -> None:
    monitor = VitalsMonitor("s/d", 7, FS)
    monitor.push(ordered_at(ecg(steady(75, 20), 20), 0))
    monitor.hear(23.4)
    assert monitor.snapshot(START_US, 23.5).signal is SignalState.GOOD
    monitor.hear(27.0)
    assert monitor.snapshot(START_US, 27.1).heart_rate_bpm is None


@pytest.mark.parametrize("seed", range(5))
def test_vitals_do_not_depend_on_chunks_nor_on_how_often_they_are_asked_for(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = ecg(np.cumsum(rng.uniform(0.5, 1.1, 30)), 24)
    whole = VitalsMonitor("s/d", 7, FS)
    whole.push(ordered_at(x, 0))
    parts = VitalsMonitor("s/d", 7, FS)
    for k in range(0, len(x), 90):
        parts.push(ordered_at(x[k : k + 90], k))
        if rng.random() < 0.2:
            parts.snapshot(START_US, (k + 90) / FS)
    a, b = whole.snapshot(START_US, 24.0), parts.snapshot(START_US, 24.0)
    assert len(a.rr_s) == 12
    assert a == b


def test_a_rate_too_low_for_beats_has_no_heart_rate_and_harms_nothing() -> None:
    monitor = VitalsMonitor("s/d", 1, 50.0)
    samples_mv = np.zeros((200, 1), np.float32)
    monitor.push(Ordered("s/d", 1, 0, samples_mv, (Lead.I,), 50.0, 0, NO_FLAGS, 0, True, 4.0))  # noqa: FBT003 - a record
    vitals = monitor.snapshot(START_US, 4.0)
    assert (vitals.heart_rate_bpm, vitals.since_beat_s, vitals.signal) == (None, None, SignalState.FLAT)


@pytest.mark.parametrize(
    ("rr_s", "expected_bpm"),
    [
        ((), None),
        ((0.8,), None),
        ((0.8, 0.8), 75.0),
        ((0.8,) * 12, 75.0),
        ((0.8,) * 10 + (0.3, 1.3), 75.0),  # one premature beat and its pause are dropped
        ((0.6,) * 9 + (1.5, 1.5, 1.5), 60 * 4 / 5.1),  # three slow ones: the last four
        ((0.19,) * 12, None),
        ((4.1, 4.1, 4.1, 4.1), None),
    ],
)
def test_the_displayed_rate_follows_the_averaging_rule(
    rr_s: tuple[float, ...], expected_bpm: float | None
) -> None:
    assert heart_rate_bpm(rr_s) == (None if expected_bpm is None else pytest.approx(expected_bpm))


def test_a_device_that_falls_silent_as_the_clock_is_set_back_has_no_data_in_time() -> None:
    monitor = VitalsMonitor("s/d", 7, FS)
    monitor.push(ordered_at(ecg(steady(72, 20), 20), 0))
    monitor.snapshot(START_US, -3600.0)
    silent = monitor.snapshot(START_US, -3594.0)
    assert (silent.signal, silent.heart_rate_bpm) == (SignalState.NO_DATA, None)
    assert silent.data_age_s == pytest.approx(6.0)


def test_each_field_that_others_tell_stands_under_its_name() -> None:
    told: dict[str, Any] = {
        "fs_measured": 359.5,
        "clock_offset_s": 2.5,
        "battery": 3,
        "lost_samples": 4,
        "duplicates": 5,
        "late": 6,
        "refused": 7,
        "doubts": ("unit in doubt",),
    }
    monitor = VitalsMonitor("s/d", 7, FS)
    beats_s = np.cumsum(0.8 + 0.03 * np.sin(np.arange(410) / 5))
    monitor.push(ordered_at(ecg(beats_s, 330), 0))
    plain = monitor.snapshot(START_US, 330.0)
    full = monitor.snapshot(START_US, 330.0, **told)
    assert full == replace(plain, **told)
    assert (full.device, full.session, full.at_us, full.last_sample) == ("s/d", 7, START_US, round(330 * FS))
    assert (full.data_age_s, len(full.rr_s), full.noise) == (0.0, 12, None)
    assert full.heart_rate_bpm == heart_rate_bpm(full.rr_s)
    assert rhythm_of(full) == monitor._rhythm.snapshot(full.last_sample)._asdict()
    assert full.rmssd_ms != full.sdnn_ms


def test_a_rate_too_low_to_find_beats_is_said_and_is_no_good_signal() -> None:
    x = ecg(steady(72, 20), 20)[::4]
    monitor = VitalsMonitor("s/d", 7, FS / 4)
    monitor.push(replace(ordered_at(x, 0), fs=FS / 4, received_s=20.0))
    seen = monitor.snapshot(START_US, 20.0)
    assert (seen.signal, seen.heart_rate_bpm, seen.since_beat_s) == (SignalState.SLOW_SAMPLING, None, None)
    assert monitor.snapshot(START_US, 30.0).signal is SignalState.NO_DATA


RHYTHM = ("rmssd_ms", "sdnn_ms", "ectopic_per_min", "newest_is_ectopic", "irregular", "irregular_for_s")


def rhythm_of(vitals: Vitals) -> dict[str, object]:
    return {name: getattr(vitals, name) for name in RHYTHM}


def test_the_rhythm_is_known_after_five_minutes_and_unknown_without_data() -> None:
    monitor = VitalsMonitor("s/d", 7, FS)
    monitor.push(ordered_at(ecg(steady(75, 330), 330), 0))
    known = monitor.snapshot(START_US, 330.0)
    assert known.rmssd_ms is not None
    assert known.rmssd_ms < 5.0
    assert (known.ectopic_per_min, known.newest_is_ectopic, known.irregular) == (0, False, False)
    assert known.irregular_for_s is None
    stale = monitor.snapshot(START_US, 336.0)
    assert set(rhythm_of(stale).values()) == {None}


@pytest.mark.parametrize("flag", [NO_FLAGS, ChunkFlag.LEAD_OFF])
def test_what_is_measured_in_a_bad_signal_touches_no_number_of_the_rhythm(flag: ChunkFlag) -> None:
    """Ten seconds of noise or of a loose lead among five minutes of a steady rhythm."""
    x = ecg(steady(75, 330), 330)
    x[200 * 360 : 210 * 360] += np.random.default_rng(1).normal(0, 1.5, 3600).astype(np.float32)
    seen = watch(x, dict.fromkeys(range(200, 210), flag))
    assert {v.signal for v in seen[203:210]} <= {SignalState.NOISY, SignalState.LEAD_OFF}
    assert {v.newest_is_ectopic for v in seen[203:210]} == {None}
    last = seen[-1]
    assert last.rmssd_ms is not None
    assert last.sdnn_ms is not None
    assert last.rmssd_ms < 10.0
    assert last.sdnn_ms < 10.0
    assert {v.ectopic_per_min for v in seen[75:]} <= {0, None}
    assert True not in {v.irregular for v in seen}
