"""Finished recordings, Health Auto Export's and FHIR's, become the samples, rate, lead and time they say."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.mappers.mapper import MappingError
from tests.ingest.mappers.payloads import NOW_US, export, export_ecg
from tests.ingest.mappers.test_mapper import FHIR, HAE, LIVE_FHIR, mapper, push, uv

START_S = 1_780_000_000
EPOCH_2001_S = 978_307_200
R4, R5 = {"period": 1.953125}, {"interval": 1.953125, "intervalUnit": "ms"}
SYSTEMS = ("urn:oid:2.16.840.1.113883.6.24", "urn:iso:std:iso:11073:10101")


def ecg(values: list[float], fs: float = 512.0, epoch_s: int = 0, **other: Any) -> dict[str, Any]:
    made = export_ecg(START_S, len(values), fs)
    for one, value in zip(made["voltageMeasurements"], values, strict=True):
        one |= {"voltage": value, "date": one["date"] - epoch_s}
    return made | other


@given(
    st.lists(st.integers(-32_000, 32_000), min_size=2, max_size=600),
    st.sampled_from([511.422, 511.562, 512.617, 512.844, 300.0]),
)
@settings(max_examples=40, deadline=None)
def test_an_export_keeps_each_microvolt_and_the_rate_it_claims(values: list[int], fs: float) -> None:
    chunks = push(mapper(HAE), export(ecg([float(v) for v in values], fs)))
    assert uv(chunks) == values
    assert {(c.fs, c.leads, c.wall_time_us) for c in chunks} == {(fs, (Lead.I,), START_S * 1_000_000)}
    assert all(ChunkFlag.HISTORIC in c.flags and ChunkFlag.CLOCK_UNSYNCED not in c.flags for c in chunks)


@pytest.mark.parametrize("zone", ["+0000", "+02:00", "-0930"])
@pytest.mark.parametrize("epoch_s", [0, EPOCH_2001_S])
def test_dates_since_1970_or_2001_are_told_by_the_start(epoch_s: int, zone: str) -> None:
    ahead_s = datetime.strptime(zone, "%z").utcoffset()
    assert ahead_s is not None
    local = datetime.fromtimestamp(START_S, UTC) + ahead_s
    one = ecg([1.0] * 600, epoch_s=epoch_s, start=f"{local:%Y-%m-%d %H:%M:%S} {zone}")
    (chunk,) = push(mapper(HAE), export(one))
    assert chunk.wall_time_us == START_S * 1_000_000


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"start": START_S + 86_400}, "neither since 1970 nor since 2001"),
        ({"start": "2026-05-28 20:26:40"}, "with its time zone"),
        ({"start": "2026-05-28 08:26:40 PM +0200"}, "want such as"),
        ({"start": None}, "no start"),
        ({"samplingFrequency": 256}, "samples are missing or samplingFrequency is wrong"),
        ({"samplingFrequency": 1e9}, "want 1 to 10000"),
        ({"voltageMeasurements": []}, "no voltageMeasurements"),
        ({"voltageMeasurements": [{"voltage": 1, "units": "mV"}, {"voltage": 1, "units": "uV"}]}, "2 units"),
        ({"voltageMeasurements": [{"voltage": 1, "units": "volts"}]}, "unit 'volts'"),
        ({"voltageMeasurements": [{"voltage": 1}]}, "unit 'None'"),
    ],
)
def test_an_export_that_contradicts_itself_or_says_too_little_is_refused(
    other: dict[str, Any], expected: str
) -> None:
    with pytest.raises(MappingError, match=expected):
        push(mapper(HAE), export(ecg([1.0] * 600) | other))


def test_two_recordings_are_two_sessions_and_each_is_known_again() -> None:
    one, other = ecg([1.0] * 600), ecg([2.0] * 600)
    first = push(mapper(HAE), export(one, other))
    again = push(mapper(HAE), export(other, one), NOW_US + 86_400_000_000)
    assert first[0].session != first[1].session
    assert [c.session for c in again] == [first[1].session, first[0].session]


def sampled(data: str, **other: Any) -> dict[str, Any]:
    base = {"origin": {"value": 0, "unit": "uV", "code": "uV"}, "dimensions": 1, "data": data}
    return {**base, **(other or R4)}


def observation(*components: tuple[str, str, dict[str, Any]], **other: Any) -> dict[str, Any]:
    made = [
        {"code": {"coding": [{"system": system, "code": code}]}, "valueSampledData": data}
        for system, code, data in components
    ]
    return {
        "resourceType": "Observation",
        "effectiveDateTime": "2026-05-28T20:26:40Z",
        "component": made,
        **other,
    }


@pytest.mark.parametrize("rate", [R4, R5, {"interval": 0.001953125, "intervalUnit": "s"}])
@pytest.mark.parametrize("system", SYSTEMS)
def test_both_releases_and_both_code_systems_say_the_same(system: str, rate: dict[str, Any]) -> None:
    (chunk,) = push(mapper(FHIR), observation((system, "131330", sampled("1 -2 3", **rate))))
    assert (uv([chunk]), chunk.fs, chunk.leads) == ([1, -2, 3], 512.0, (Lead.II,))
    assert chunk.wall_time_us == 1_780_000_000_000_000
    assert ChunkFlag.HISTORIC in chunk.flags


@given(
    st.lists(st.integers(-4000, 4000), min_size=1, max_size=300),
    st.sampled_from([0.5, 1.0, 1.5, 4.88]),
    st.sampled_from([-2048.0, 0.0, 512.0]),
)
@settings(max_examples=60, deadline=None)
def test_origin_and_factor_give_the_voltage(values: list[int], factor: float, origin: float) -> None:
    data = sampled(" ".join(map(str, values)), period=2, factor=factor)
    data["origin"] = {"value": origin, "unit": "uV"}
    chunks = push(mapper(FHIR), data)
    wanted_mv = (origin + factor * np.array(values)) / 1000
    np.testing.assert_allclose(np.concatenate([c.samples_mv[:, 0] for c in chunks]), wanted_mv, atol=1e-6)


def stretches(chunks: list[Chunk]) -> list[tuple[int, list[int], bool]]:
    return [(c.first_sample, uv([c]), ChunkFlag.CLIPPED in c.flags) for c in chunks]


def test_errors_are_missing_and_what_is_beyond_the_limits_is_clipped_there() -> None:
    data = sampled("1 E 2 U U 3 L", period=2, factor=10, lowerLimit=-500, upperLimit=500)
    assert stretches(push(mapper(FHIR), data)) == [
        (0, [10], False),
        (2, [20], False),
        (3, [5000, 5000], True),
        (5, [30], False),
        (6, [-5000], True),
    ]


def test_beyond_a_limit_that_is_not_told_nothing_is_known() -> None:
    assert stretches(push(mapper(FHIR), sampled("1 U 3 L", period=2))) == [(0, [1], False), (2, [3], False)]


def test_stretches_of_one_lead_follow_each_other_and_another_lead_is_left_out() -> None:
    parts = [
        (SYSTEMS[0], code, sampled(data))
        for code, data in (("131330", "9"), ("131329", "1 2"), ("131329", "3"))
    ]
    chunks = push(mapper(FHIR), observation(*parts))
    assert (uv(chunks), {c.leads for c in chunks}) == ([1, 2, 3], {(Lead.I,)})


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (sampled("1", period=2, interval=2, intervalUnit="ms"), "one of period .* and interval"),
        (sampled("1", interval=2, intervalUnit="min"), "intervalUnit 'min'"),
        (sampled("1", period=0), "is not 1 to 10000 Hz"),
        (sampled("1 x", period=2), "data holds 'x'"),
        (sampled("1 nan", period=2), "a finite number"),
        (sampled("1_0", period=2), "holds '_'"),
        (sampled("1", period=2, dimensions=2), "2 dimensions"),
        ({"resourceType": "Patient"}, "resource is 'Patient'"),
        ({"resourceType": "Bundle", "entry": []}, "no Observation"),
        (observation(), "no valueSampledData"),
        (observation((SYSTEMS[0], "131329", sampled("1")), effectiveDateTime="2026-05-28"), "time zone"),
    ],
)  # fmt: skip
def test_a_resource_that_cannot_be_read_is_refused_with_the_reason(
    message: dict[str, Any], expected: str
) -> None:
    with pytest.raises(MappingError, match=expected):
        push(mapper(FHIR), message)


def test_the_good_observations_of_a_bundle_are_kept() -> None:
    good, bad = observation((SYSTEMS[0], "131329", sampled("1 2"))), observation()
    bundle = {
        "resourceType": "Bundle",
        "entry": [
            {"resource": each} for each in (good, bad, good | {"effectiveDateTime": "2026-05-28T20:27:40Z"})
        ],
    }
    with pytest.raises(MappingError, match="1 of 3 refused: part 2") as caught:
        push(mapper(FHIR), bundle)
    assert [uv([c]) for c in caught.value.chunks] == [[1, 2], [1, 2]]
    assert len({c.session for c in caught.value.chunks}) == 2


def test_a_live_source_of_resources_is_one_stream() -> None:
    one = mapper(LIVE_FHIR)
    chunks = [
        push(one, json.dumps(sampled("1 2 3 4", period=2)).encode(), NOW_US + k * 8_000)[0] for k in range(5)
    ]
    assert [(c.session, c.first_sample) for c in chunks] == [(chunks[0].session, 4 * k) for k in range(5)]
    assert not any(ChunkFlag.HISTORIC in c.flags for c in chunks)
