import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.limits import (
    BACKLOG_S,
    OWED_S,
    SAMPLE_BURST,
    SOURCE_BYTES,
    SOURCE_MESSAGES,
    SOURCE_SIGNAL_S,
    WITHIN_AGAIN_US,
    Allowance,
    DeviceLimits,
    Episode,
    in_words,
)

START_US = 1_800_000_000_000_000
DAY_S = 86_400


def send(
    limits: DeviceLimits, n: int, at_us: int, over_s: float, *, n_bytes: int = 100, signal_s: float = 0.01
) -> int:
    """Messages evenly over a while; returns how many were refused."""
    refused = 0
    for k in range(n):
        if limits.admits_chunk(n_bytes, at_us + round(k * over_s * 1e6 / n)):
            limits.charge_signal(signal_s, n_bytes)
        else:
            refused += 1
    return refused


@settings(max_examples=60, deadline=None)
@given(
    per_s=st.integers(1, SOURCE_MESSAGES),
    bytes_per_s=st.integers(50, SOURCE_BYTES),
    claimed=st.floats(0.2, SOURCE_SIGNAL_S),
    spans=st.lists(
        st.tuples(st.sampled_from(["live", "offline"]), st.integers(1, DAY_S), st.floats(0.0, 600.0)),
        min_size=1,
        max_size=8,
    ),
)
def test_a_source_within_the_envelope_is_never_refused_after_up_to_a_day_offline_either(
    per_s: int, bytes_per_s: int, claimed: float, spans: list[tuple[str, int, float]]
) -> None:
    """Spends by the second instead of by the message, which is at least as strict: the sum is the same."""
    limits, now_us = DeviceLimits(), START_US
    cost = max(per_s / SOURCE_MESSAGES, bytes_per_s / SOURCE_BYTES, claimed / SOURCE_SIGNAL_S)
    for kind, length_s, delivery_s in spans:
        steps = (length_s, 1) if kind == "offline" else (1, length_s)
        for _ in range(min(steps[1], 300)):
            now_us += steps[0] * 1_000_000
            assert limits.admits_chunk(0, now_us)
            limits._source.spend(steps[0] * cost - 1 / SOURCE_MESSAGES)
        assert not limits._source.is_spent(now_us)
        now_us += round(delivery_s * 1e6)


def test_a_real_watch_at_100_messages_a_second_delivers_hours_of_backlog_at_once() -> None:
    limits = DeviceLimits()
    assert send(limits, 100 * 7200, START_US, 1.0) == 0
    assert send(limits, 100 * 60, START_US + 1_000_000, 60.0) == 0


@pytest.mark.parametrize(
    ("per_s", "n_bytes", "signal_s", "within_s"),
    [(10_000, 1_072, 1.0, 40), (1_000, 1 << 20, 0.01, 30), (10_000, 100, 60.0, 2)],
)
def test_a_flood_is_refused_within_its_time(per_s: int, n_bytes: int, signal_s: float, within_s: int) -> None:
    limits = DeviceLimits()
    for second in range(within_s):
        step_us = START_US + second * 1_000_000
        limits.admits_chunk(n_bytes, step_us)
        limits._source.spend(per_s * max(n_bytes / SOURCE_BYTES, signal_s / SOURCE_SIGNAL_S))
    assert send(limits, 1_000, START_US + within_s * 1_000_000, 0.1) == 1_000


def test_after_a_flood_the_device_is_heard_again_and_the_episode_told_once() -> None:
    limits = DeviceLimits()
    assert limits.admits_chunk(100, START_US)
    limits._source.spend(BACKLOG_S)
    assert send(limits, 500, START_US, 0.0) == 500
    assert limits.ended(START_US + WITHIN_AGAIN_US - 1) is None
    later_us = START_US + WITHIN_AGAIN_US
    episode = limits.ended(later_us)
    assert episode is not None
    assert (episode.since_us, episode.refused) == (START_US, 500)
    assert limits.ended(later_us) is None
    assert limits.admits_chunk(100, later_us)


def test_one_absurd_chunk_costs_no_more_than_a_minute_of_silence() -> None:
    limits = DeviceLimits()
    limits.admits_chunk(100, START_US)
    limits.charge_signal(1e12, 100)
    assert not limits.admits_chunk(100, START_US)
    assert limits.admits_chunk(100, START_US + 60_000_000)


@pytest.mark.parametrize("seed", range(5))
def test_a_clock_that_jumps_earns_at_most_the_capacity_and_never_fails(seed: int) -> None:
    rng = np.random.default_rng(seed)
    allowance = Allowance(10.0, 1.0)
    for _ in range(1_000):
        allowance.take(int(rng.integers(0, 1 << 62)), float(rng.exponential(5.0)))
        assert -OWED_S <= allowance.left <= 10.0


def test_samples_of_refused_payloads_and_statuses_have_limits_of_their_own() -> None:
    limits = DeviceLimits()
    assert sum(limits.keeps_sample(START_US) for _ in range(1_000)) == SAMPLE_BURST
    assert sum(limits.admits_status(START_US) for _ in range(10_000)) == 600
    assert limits.admits_chunk(100, START_US)
    assert limits.keeps_sample(START_US + 1_000_000)
    assert limits.admits_status(START_US + 1_000_000)


def test_the_heartbeat_names_the_worst_three() -> None:
    assert in_words({}) == "ok"
    episodes = {f"a/{k}": Episode(0, 0, refused=k) for k in range(5)}
    assert in_words(episodes).endswith("a/4 (4 messages), a/3 (3 messages), a/2 (2 messages) and 2 more")
