"""Whatever comes on a topic the alarm service hears, it goes on, stores what it knows and reads it again."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from inference.alarms.messages import Decoded, decode_message
from inference.verdict import Presence, Rhythm, Superclass
from ingest.store.schema import STORE_OK
from ingest.topics import alarm_topic, device_topic, verdict_topic, vitals_topic
from tests.inference.alarms.bench import DEVICE, GOOD, START_US, Bench

NUMBERS = (0, -1, 1, 5e-324, 0.5, 16, 120.5, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, 10**400)
FLOATS = (1e15, 1e18, 1e300, 1e308, -1e308, START_US, START_US - 3_600_000_000)
IDS = (
    "a/+",
    "a/#",
    "+/#",
    "a",
    "a/b/c",
    "",
    "/",
    "wristlead/x",
    "a/\x00",
    "é/b",
    "a/" + "b" * 66_000,
    DEVICE,
)
HOSTILE: tuple[object, ...] = (
    *NUMBERS,
    *FLOATS,
    *IDS,
    None,
    True,
    [],
    {},
    [[]],
    ["a"],
    [2**63],
    "lead off",
    "noisy",
    "good",
)
FINDINGS = [
    {"superclass": s, "probability": 0.9, "threshold": 0.5, "presence": Presence.PRESENT} for s in Superclass
]
RHYTHM = [{"rhythm": r, "probability": 0.25, "threshold": 0.2} for r in Rhythm]
VITALS = {
    "device": DEVICE,
    "session": 7,
    "at_us": START_US,
    "last_sample": 500,
    "heart_rate_bpm": 134.0,
    "since_beat_s": 0.4,
    "signal": "good",
    "data_age_s": 0.2,
    "battery": 80,
}
VERDICT = {
    "device": DEVICE,
    "session": 7,
    "first_sample": 0,
    "wall_time_us": START_US,
    "model": "m1",
    "decided_us": START_US,
    "historic": False,
    "findings": FINDINGS,
    "rhythm": RHYTHM,
}
LIMITS = {"who": "Ada", "rate_low_bpm": 60.0, "rate_high_bpm": 90.0, "rate_extreme_low_bpm": 45.0}
PLACES = (DEVICE, "ward", "ward/bed-2", "wristlead/notify", "x" * 65_500, "", "a/b/c", "a/\x7f", "é/b")


def mutated(valid: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A valid record but for one or two fields, which anybody could have written."""
    fields = [st.tuples(st.just(name), hostile(value)) for name, value in valid.items()]
    return st.lists(st.one_of(*fields), max_size=2).map(lambda changes: {**valid, **dict(changes)})


def hostile(valid: object) -> st.SearchStrategy[Any]:
    """Mostly a value of the kind that is wanted there."""
    likely: tuple[object, ...] = HOSTILE
    if isinstance(valid, str):
        likely = IDS
    elif isinstance(valid, int | float) and not isinstance(valid, bool):
        likely = (*NUMBERS, *FLOATS)
    return st.sampled_from(likely) | st.sampled_from(HOSTILE)


def verdicts() -> st.SearchStrategy[dict[str, Any]]:
    """With hostile fields in their findings too."""
    findings = st.lists(mutated(FINDINGS[1]), max_size=6)
    return st.one_of(mutated(VERDICT), findings.map(lambda found: {**VERDICT, "findings": found}))


def messages() -> st.SearchStrategy[tuple[str, bytes]]:
    """Topic and payload, of everything that the service hears."""
    places = st.sampled_from(PLACES)
    kinds = st.sampled_from(("rate_limit", "asystole", "", "x" * 65_000))
    pairs = st.one_of(
        st.tuples(st.just(vitals_topic("ward")), st.lists(mutated(VITALS), min_size=1, max_size=6)),
        st.tuples(st.just(verdict_topic(DEVICE)), verdicts()),
        st.tuples(places.map(lambda d: device_topic(d, "status")), mutated({"online": True, "battery": 4})),
        st.tuples(places.map(lambda d: f"wl/v1/limits/{d}"), mutated(LIMITS)),
        st.tuples(places.map(lambda d: f"wl/v1/discharge/{d}"), mutated({"who": "Ada"})),
        st.tuples(places.map(lambda d: f"wl/v1/channel/{d}"), mutated({"ok": False, "reason": "gone"})),
        st.tuples(places.map(lambda d: f"wl/v1/service/{d}"), mutated({"online": True})),
        st.tuples(st.just("wl/v1/pause"), mutated({"who": "Ada", "on": True})),
        st.tuples(
            st.builds(lambda d, kind: f"wl/v1/acknowledge/{d}/{kind}", places, kinds),
            mutated({"who": "Ada", "since_us": START_US}),
        ),
    )
    return pairs.map(lambda pair: (pair[0], msgspec.json.encode(_as_text(pair[1]))))


def _as_text(value: Any) -> Any:
    """Integers that the encoder does not know, as the digits they are."""
    if isinstance(value, dict):
        return {name: _as_text(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_text(each) for each in value]
    is_large = isinstance(value, int) and not -(2**63) <= value < 2**64
    return msgspec.Raw(str(value).encode()) if is_large else value


@given(records=st.lists(mutated(VITALS) | st.just(VITALS), max_size=6))
def test_a_list_of_records_says_what_each_says_alone(records: list[dict[str, Any]]) -> None:
    def decoded(several: list[dict[str, Any]]) -> Decoded:
        payload = msgspec.json.encode(_as_text(several))
        return decode_message(vitals_topic("ward"), payload, START_US)

    together, alone = decoded(records), [decoded([each]) for each in records]
    assert together.events == [event for each in alone for event in each.events]
    assert together.refused == [reason for each in alone for reason in each.refused]


@settings(max_examples=40, deadline=None)
@given(rounds=st.lists(st.lists(messages(), min_size=1, max_size=8), min_size=1, max_size=6))
def test_nothing_that_comes_ends_the_service_or_its_store(rounds: list[list[tuple[str, bytes]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for each in rounds:
            for topic, payload in each:
                bench.link.bring(topic, payload)
            bench.service.step()
            bench.second += 4.0
        bench.service.step()
        assert bench.service.counters()["store"] == STORE_OK
        bench.service.stop()
        shown = bench.shown()
        bench.start()
        assert bench.shown() == shown
        bench.second += 20.0
        bench.watch(replace(GOOD, device="ward/new"))
        assert bench.link.retained["wl/v1/limits_in_force/ward/new"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("device", "a/+"),
        ("device", "wristlead/notify"),
        ("session", 2**63),
        ("session", -1),
        ("last_sample", 2**64),
        ("at_us", 2**63),
        ("at_us", -1),
        ("data_age_s", 1e308),
        ("since_beat_s", -1.0),
        ("heart_rate_bpm", 1e300),
        ("battery", 10**30),
    ],
)
def test_vitals_that_cannot_be_are_refused_and_cost_nobody_else_theirs(
    tmp_path: Path, field: str, value: object
) -> None:
    bench = Bench(tmp_path)
    payload = msgspec.json.encode([_as_text({**VITALS, field: value}), VITALS])
    (refused,) = decode_message(vitals_topic("ward"), payload, START_US).refused
    assert "want" in refused
    bench.link.bring(vitals_topic("ward"), payload)
    bench.service.step()
    assert bench.service.counters()["refused"] == 1
    assert set(bench.link.retained) & {alarm_topic(DEVICE, "rate_limit")}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("device", "a/#"),
        ("device", "wristlead/notify"),
        ("session", 2**63),
        ("first_sample", -5),
        ("decided_us", 10**18),
        ("model", "m\x00"),
        ("model", "m" * 65),
        ("findings", [{**FINDINGS[1], "probability": 1e308}]),
        ("findings", [FINDINGS[1]] * 2),
    ],
)
def test_verdicts_that_cannot_be_are_refused(field: str, value: object) -> None:
    decoded = decode_message(verdict_topic(DEVICE), msgspec.json.encode({**VERDICT, field: value}), START_US)
    assert (len(decoded.events), len(decoded.refused)) == (0, 1)


def test_a_request_on_a_topic_too_long_to_answer_is_refused_in_silence(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.link.bring("wl/v1/limits/" + "x" * 65_520, b'{"who":"Ada"}')
    bench.service.step()
    assert bench.service.counters()["refused"] == 1
    assert bench.link.said == []
