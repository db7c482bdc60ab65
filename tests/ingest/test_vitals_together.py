"""Whatever a device is grouped with, its vitals are those it has alone."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.beats import BeatDetector, find_together
from ingest.chunk import NO_FLAGS, ChunkFlag, Lead
from ingest.sequence import Ordered
from ingest.vitals import Vitals, VitalsMonitor
from ingest.vitals_together import advance_together

START_US = 1_790_000_000_000_000
SECONDS = 24
RATES_HZ = (512.0, 512.0, 512.0, 250.0, 250.0, 300.0, 125.0, 50.0)
Together = Callable[[list[VitalsMonitor]], None]


def ecg(fs: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Beats of some rate and size, with wander, and seconds of noise, of a constant and of saturation."""
    t = np.arange(round(SECONDS * fs)) / fs
    x = rng.normal(0, 0.02, len(t)) + 0.1 * np.sin(2 * np.pi * 0.2 * t)
    for r_s in np.cumsum(rng.uniform(0.4, 1.2, 60)):
        x += rng.uniform(0.3, 2.0) * np.exp(-0.5 * ((t - r_s) / 0.012) ** 2)
        x += 0.25 * np.exp(-0.5 * ((t - r_s - 0.26) / 0.05) ** 2)
    noise = rng.normal(0, 1.0, len(t))
    for made in (x + noise, np.zeros_like(x), np.sign(noise))[: rng.integers(0, 4)]:
        low = int(rng.integers(0, len(t) // 2))
        x[low : low + 5 * round(fs)] = made[low : low + 5 * round(fs)]
    return x.astype(np.float32)


def chunks(fs: float, rng: np.random.Generator) -> list[Ordered]:
    """The same in chunks of a second, or of any length, some lost and some flagged."""
    x, first, missing = ecg(fs, rng), 0, 0
    ordered: list[Ordered] = []
    is_regular = rng.random() < 0.7
    while first < len(x):
        n = round(fs) if is_regular else int(rng.integers(1, round(1.5 * fs)))
        part = x[first : first + n, None]
        flags = rng.choice([NO_FLAGS, ChunkFlag.LEAD_OFF, ChunkFlag.CLIPPED], p=[0.9, 0.07, 0.03])
        if rng.random() < 0.08 and ordered:
            missing += len(part)
        else:
            end_s = (first + len(part)) / fs
            fields = ("s/d", 7, first, part, (Lead.I,), fs, 0, ChunkFlag(flags), missing, not ordered, end_s)
            ordered.append(Ordered(*fields))
            missing = 0
        first += len(part)
    return ordered


def watch(streams: list[list[Ordered]], together: Together) -> list[list[Vitals]]:
    """Vitals of each stream after each second of time."""
    monitors = [VitalsMonitor(f"s/{k}", 7, stream[0].fs) for k, stream in enumerate(streams)]
    seen: list[list[Vitals]] = [[] for _ in streams]
    for second in range(1, SECONDS + 1):
        for monitor, stream in zip(monitors, streams, strict=True):
            for ordered in (each for each in stream if second - 1 < each.received_s <= second):
                monitor.push(ordered)
        together(monitors)
        for monitor, vitals in zip(monitors, seen, strict=True):
            vitals.append(monitor.snapshot(START_US, float(second)))
    return seen


def alone(_monitors: list[VitalsMonitor]) -> None:
    return None


@pytest.mark.parametrize("seed", range(6))
def test_no_grouping_changes_one_bit_of_any_vitals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    streams = [chunks(fs, rng) for fs in RATES_HZ]
    expected = watch(streams, alone)
    assert sum(v.heart_rate_bpm is not None for each in expected for v in each) > SECONDS

    def in_random_groups(monitors: list[VitalsMonitor]) -> None:
        order = [monitors[k] for k in rng.permutation(len(monitors))]
        cut = int(rng.integers(0, len(order) + 1))
        advance_together(order[:cut])
        advance_together(order[cut:])

    assert watch(streams, advance_together) == expected
    assert watch(streams, in_random_groups) == expected


def test_a_push_leaves_a_second_of_samples_to_be_taken_with_those_of_others() -> None:
    stream = [each for each in chunks(512.0, np.random.default_rng(3)) if not each.missing_before]
    monitor = VitalsMonitor("s/d", 7, 512.0)
    for ordered in stream:
        monitor.push(ordered)
        assert monitor.has_pending
        advance_together([monitor])
        assert not monitor.has_pending


@pytest.mark.parametrize("seed", range(3))
def test_no_company_changes_how_readable_a_lead_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows_mv = np.array([ecg(512.0, rng) for _ in range(9)])
    several, lonely = ([BeatDetector(512.0) for _ in rows_mv] for _ in range(2))
    for first in range(0, rows_mv.shape[1], 512):
        find_together(several, rows_mv[:, first : first + 512])
        for detector, row_mv in zip(lonely, rows_mv, strict=True):
            detector.push(row_mv[first : first + 512])
        assert [each.unreadable for each in several] == [each.unreadable for each in lonely]
    assert all(each.unreadable is not None for each in several)


@pytest.mark.parametrize("part", ["beats", "rhythm", "quality"])
def test_a_fault_of_one_is_raised_by_its_own_snapshot_and_changes_no_other(part: str) -> None:
    rng = np.random.default_rng(1)
    streams = [chunks(fs, rng) for fs in (250.0, 512.0, 512.0, 250.0, 512.0)]
    expected = watch(streams, alone)
    faults: list[Exception] = []

    def break_the_third(monitors: list[VitalsMonitor]) -> None:
        beats = monitors[2].beats
        if part == "beats" and beats is not None:
            beats.memory = np.zeros(7, np.float32)
        elif part == "rhythm":
            monitors[2].add_beats = lambda r_peaks: 1 / 0  # type: ignore[method-assign,assignment]  # noqa: ARG005
        else:
            monitors[2].quality.push(np.zeros((2, 2), np.float32), lead_off=False, clipped=False)
        advance_together(monitors)
        try:
            monitors[2].snapshot(START_US, 1.0)
        except (ValueError, ZeroDivisionError) as error:
            faults.append(error)
            monitors[2] = VitalsMonitor("s/2", 7, 512.0)

    seen = watch(streams, break_the_third)
    assert faults
    assert [seen[k] for k in (0, 1, 3, 4)] == [expected[k] for k in (0, 1, 3, 4)]
