"""Whoever is taken with whom, in which order, after which gap or new beginning: each is as if alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.beats import BeatDetector, find_together

DEVICES = 5
SECONDS = 40
Act = tuple[str, int]

USUAL: st.SearchStrategy[Act] = st.just(("takes", 100))
ACT: st.SearchStrategy[Act] = st.one_of(
    USUAL,
    USUAL,
    USUAL,
    st.tuples(st.just("takes"), st.integers(1, 250)),  # hundredths of a second
    st.tuples(st.just("loses"), st.integers(0, 250)),
    st.tuples(st.sampled_from(["is silent", "begins anew"]), st.just(0)),
)
ROUND = st.tuples(st.lists(ACT, min_size=DEVICES, max_size=DEVICES), st.permutations(range(DEVICES)))


def signal(fs: float, seed: int) -> NDArray[np.float32]:
    """Beats of some rate and size, noise, wander, an offset, and spikes of a pacemaker."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(SECONDS * fs)) / fs
    x: NDArray[np.float64] = rng.normal(rng.choice([0.0, 150.0]), rng.choice([0.0, 0.02, 0.3]), len(t))
    for r_s in np.cumsum(rng.uniform(0.3, 1.2, 60)):
        x += rng.uniform(-0.5, 2.0) * np.exp(-0.5 * ((t - r_s) / 0.012) ** 2)
    x[rng.integers(0, len(t), 20)] += 20.0
    return x.astype(np.float32)


def state_of(detector: BeatDetector) -> tuple[object, ...]:
    """All that its future depends on, besides what its R peaks show."""
    return detector.memory.tobytes(), detector.phase, detector.unreadable, detector.binner.begun


class Ward:
    """The same devices twice: taken together, and each alone."""

    def __init__(self, rates_hz: tuple[float, ...]) -> None:
        self.rates_hz = rates_hz
        self.signals = [signal(fs, k) for k, fs in enumerate(rates_hz)]
        self.ends = [0] * DEVICES
        self.together = [BeatDetector(fs) for fs in rates_hz]
        self.alone = [BeatDetector(fs) for fs in rates_hz]

    def live(self, acts: list[Act], order: list[int]) -> None:
        groups: dict[tuple[float, ...], list[tuple[int, NDArray[np.float32]]]] = {}
        for k in order:
            (what, hundredths), fs = acts[k], self.rates_hz[k]
            n = round(hundredths * fs / 100)
            if what == "begins anew":
                self.together[k], self.alone[k] = BeatDetector(fs), BeatDetector(fs)
            elif what == "loses":
                self.together[k].gap(n)
                self.alone[k].gap(n)
            elif what == "takes" and n:
                samples_mv = self.signals[k].take(np.arange(n) + self.ends[k], mode="wrap")
                groups.setdefault((*self.together[k].phase, n), []).append((k, samples_mv))
            self.ends[k] += n
        for group in groups.values():
            several = [self.together[k] for k, _ in group]
            found = find_together(several, np.array([samples_mv for _, samples_mv in group]))
            expected = [self.alone[k].push(samples_mv).tolist() for k, samples_mv in group]
            assert found == expected
        assert [state_of(each) for each in self.together] == [state_of(each) for each in self.alone]


@pytest.mark.parametrize(
    "rates_hz",
    [(100.0,) * DEVICES, (129.97,) * DEVICES, (512.0,) * DEVICES, (500.0, 499.9999, 500.0, 513.0, 513.0001)],
)
@given(rounds=st.lists(ROUND, min_size=4, max_size=14), quick_rows=st.sampled_from([60, 130, 3900]))
@settings(max_examples=25, deadline=None)
def test_no_company_changes_one_bit(
    rates_hz: tuple[float, ...], rounds: list[tuple[list[Act], list[int]]], quick_rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest.beats.QUICK_ROWS", quick_rows)
        ward = Ward(rates_hz)
        for acts, order in rounds:
            ward.live(acts, order)


def test_beats_are_found_in_what_the_law_looks_at() -> None:
    for k in range(DEVICES):
        assert len(BeatDetector(512.0).push(signal(512.0, k))) > 15


def test_a_silent_device_holds_nothing_of_those_it_was_taken_with() -> None:
    detectors = [BeatDetector(512.0) for _ in range(64)]
    find_together(detectors, np.zeros((64, 512), np.float32))
    assert all(each.memory.base is None for each in detectors)


@pytest.mark.parametrize("damaged", [np.zeros(7, np.float32), np.zeros((2, 2), np.float32)])
def test_a_damaged_row_is_refused_and_leaves_all_as_they_were(damaged: NDArray[np.float32]) -> None:
    detectors = [BeatDetector(512.0) for _ in range(3)]
    samples_mv = np.array([signal(512.0, k)[:512] for k in range(3)])
    find_together(detectors, samples_mv)
    detectors[1].memory = damaged
    before = [state_of(each) for each in detectors]
    with pytest.raises(ValueError, match=r"reshape|dimensions"):
        find_together(detectors, samples_mv)
    assert [state_of(each) for each in detectors] == before
