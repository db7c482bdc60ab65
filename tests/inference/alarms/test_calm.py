"""Who is calm is not looked at further, and nothing that anybody sees or stores is another for it."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.alarms.calm import RATES, is_calm, is_heard
from inference.alarms.engine import AlarmEngine, Event
from inference.alarms.limits import LimitsError
from inference.alarms.observed import Observed
from inference.alarms.rules import Limits, Present, read_asystole, read_rate
from inference.alarms.technical import read_battery, read_lead_off, read_no_data, read_service, read_signal
from inference.verdict import Verdict
from ingest.vitals import SignalState, Vitals
from tests.inference.alarms.random_ward import BEDS, RandomWard
from tests.inference.alarms.ward import START_US

STEPS = 2_000
MOMENTS_US = st.integers(START_US - 120_000_000, START_US) | st.sampled_from(
    [START_US - round(s * 1e6) for s in (4.0, 5.0, 9.999999, 10.0, 10.000001, 60.0)]
)
SECONDS = st.floats(0, 30) | st.sampled_from((4.0, 5.0, 10.0))
SEEN = st.builds(
    Observed,
    signal=st.sampled_from((SignalState.GOOD, *SignalState)),
    signal_since_us=MOMENTS_US,
    watched_since_us=MOMENTS_US,
    lead_off_us=st.none() | MOMENTS_US,
    poor_us=st.none() | MOMENTS_US,
    data_us=st.none() | MOMENTS_US,
    data_age_s=SECONDS,
    heart_rate_bpm=st.none() | st.floats(15, 300) | st.sampled_from((40.0, 50.0, 120.0, 150.0)),
    since_beat_s=st.none() | SECONDS,
    battery=st.none() | st.integers(0, 100),
    service_us=st.none() | MOMENTS_US,
)


@given(SEEN)
def test_of_who_is_calm_no_rule_sees_a_condition(seen: Observed) -> None:
    limits, at_us = Limits(), START_US
    of_time = (read_no_data(seen, at_us), read_service(seen, "part", at_us))
    of_vitals = (
        *(read(seen, at_us) for read in (read_lead_off, read_signal, read_battery, read_asystole)),
        *(read_rate(seen, kind, limits, at_us) for kind in RATES),
    )
    assert is_heard(seen, at_us) is not any(isinstance(each, Present) for each in of_time)
    if is_calm(seen, limits, at_us):
        assert not any(isinstance(each, Present) for each in (*of_time, *of_vitals))


@pytest.mark.parametrize("seed", range(3))
def test_an_engine_that_looks_at_everybody_says_and_remembers_the_same(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_calm = 0
    engine, thorough = AlarmEngine(Limits()), AlarmEngine(Limits())

    def counting(seen: Observed, limits: Limits, at_us: int) -> bool:
        nonlocal n_calm
        n_calm += is_calm(seen, limits, at_us)
        return is_calm(seen, limits, at_us)

    def tell(label: str, event: Event) -> None:
        answers, snapshots = list[object](), list[dict[str, bytes]]()
        for each, calm, heard in (
            (engine, counting, is_heard),
            (thorough, lambda *_: False, lambda *_: False),
        ):
            monkeypatch.setattr("inference.alarms.engine.is_calm", calm)
            monkeypatch.setattr("inference.alarms.engine.is_heard", heard)
            try:
                answers.append(each.push(event))
            except LimitsError as error:
                answers.append(str(error))
            snapshots.append(each.snapshot())
        assert answers[0] == answers[1], label
        assert snapshots[0] == snapshots[1], label

    for label, event in islice(RandomWard(seed).events(), STEPS):
        if event is not None:
            tell(label, event)
    assert n_calm > STEPS / 20


@pytest.mark.parametrize("seed", range(3))
def test_whoever_becomes_known_by_what_is_heard_is_an_arrival(seed: int) -> None:
    engine, n_changes = AlarmEngine(Limits()), 0
    for _, event in islice(RandomWard(seed).events(), STEPS):
        if event is None:
            continue
        devices, arrivals = set(engine.devices), engine.arrivals
        try:
            engine.push(event)
        except LimitsError:
            continue
        if isinstance(event, Vitals | Verdict) and set(engine.devices) != devices:
            n_changes += 1
            assert engine.arrivals > arrivals
    assert n_changes > len(BEDS)  # and somebody who came back
