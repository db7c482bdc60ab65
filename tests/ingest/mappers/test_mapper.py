"""Each payload that was seen in the field reaches the same chunk, exactly; nothing else does any harm."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.encoding import WireError
from ingest.mappers.configuration import parse_mappers
from ingest.mappers.exact import encode_exactly
from ingest.mappers.identity import id_of, name_of
from ingest.mappers.mapper import Mapper, MappingError
from ingest.mappers.unit import UNITS_NV
from ingest.topics import ID_PATTERN
from ingest.wire import decode

NOW_US = 1_790_000_000_000_000
TEXT = 'topic = "ECG"\npreset = "adc_text"\nfs = 50\ngain_uv_per_step = 4.0\noffset = 2048.0\ndevice = "one"'
VALORES = (
    'topic = "v"\npreset = "esp32_valores"\nfs = 100\ngain_uv_per_step = 1.5\noffset = 512.0\ndevice = "one"'
)
ECG = 'topic = "ecg/data"\npreset = "esp32_ecg"\nfs = 250\ngain_uv_per_step = 1.0\ndevice = "one"'
RAW = 'topic = "ecg/raw"\npreset = "ecg_raw"'
GALAXY = 'topic = "w/+/ecg"\npreset = "galaxy_watch"\nsite = "ward"\ndevice = { level = 1 }'
POLAR = 'topic = "h10"\npreset = "polar"\ndevice = "strap"'
FHIR = 'topic = "fhir"\npreset = "fhir"\ndevice = "one"'
LIVE_FHIR = FHIR + "\nrecording = false"
HAE = 'topic = "hae"\npreset = "health_auto_export"\ndevice = "phone"'
ALL = (TEXT, VALORES, ECG, RAW, GALAXY, POLAR, FHIR, LIVE_FHIR, HAE)
TOPICS = {GALAXY: "w/a1/ecg"}


def mapper(table: str) -> Mapper:
    return Mapper(parse_mappers(f"[[mapper]]\n{table}", "test")[0])


def push(one: Mapper, message: Any, received_us: int = NOW_US, topic: str | None = None) -> list[Chunk]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return one.push(topic or one.config.topic.replace("+", "a1"), payload, received_us)


def uv(chunks: Iterable[Chunk]) -> list[int]:
    return [round(float(y) * 1000) for chunk in chunks for y in chunk.samples_mv[:, 0]]


def test_single_converter_values_are_counted_into_one_stream() -> None:
    one = mapper(TEXT)
    chunks = [c for k in range(100) for c in push(one, b"%d\r\n" % (2048 + k), NOW_US + k * 20_000)]
    assert [c.first_sample for c in chunks] == list(range(100))
    assert uv(chunks) == [4 * k for k in range(100)]
    assert len({c.session for c in chunks}) == 1
    assert all(ChunkFlag.CLOCK_UNSYNCED in c.flags and c.fs == 50.0 for c in chunks)
    assert chunks[50].wall_time_us - chunks[0].wall_time_us == 1_000_000


def test_silence_without_a_clock_begins_a_new_session_because_nobody_knows_what_is_missing() -> None:
    one = mapper(VALORES)
    a, b, c = (push(one, {"valores_ecg": [512] * 100}, NOW_US + t)[0] for t in (0, 3_000_000, 6_100_000))
    assert a.session == b.session != c.session
    assert (a.first_sample, b.first_sample, c.first_sample) == (0, 100, 0)


def test_a_restart_without_clock_or_counter_is_a_new_session() -> None:
    first = push(mapper(ECG), {"ecg": [1, 2], "hr": 70})[0]
    again = push(mapper(ECG), {"ecg": [1, 2], "hr": 70}, NOW_US + 1)[0]
    assert first.session != again.session


def test_converter_steps_are_scaled_about_their_offset() -> None:
    assert uv(push(mapper(VALORES), {"valores_ecg": [512, 514, 502]})) == [0, 3, -15]


def test_rate_unit_clock_and_device_come_from_the_payload() -> None:
    message = {
        "timestamp": 1_789_999_999_500,
        "patient_id": "bed 3",
        "window": 7,
        "ecg": [0.5, -0.25],
        "fs": 250,
        "units": "mV",
    }
    (chunk,) = push(mapper(RAW), message)
    assert (chunk.device, chunk.fs, uv([chunk])) == ("home/x--bed_203", 250.0, [500, -250])
    assert (chunk.wall_time_us, chunk.device_ns) == (1_789_999_999_500_000, 1_789_999_999_500_000_000)
    assert ChunkFlag.CLOCK_UNSYNCED not in chunk.flags


@pytest.mark.parametrize(("unit", "nv"), UNITS_NV.items())
def test_every_spelling_of_a_unit_means_its_voltage(unit: str, nv: float) -> None:
    message = {"timestamp": 0, "patient_id": 7, "ecg": [1, -2], "fs": 250, "units": unit}
    (chunk,) = push(mapper(RAW), message)
    np.testing.assert_allclose(chunk.samples_mv[:, 0], np.array([1, -2]) * nv / 1e6, rtol=1e-6)


@pytest.mark.parametrize("unit", ["", "volts", "Mv", "adc", None, 3])
def test_a_unit_that_is_not_known_is_refused_never_guessed(unit: object) -> None:
    message = {"timestamp": 0, "patient_id": 7, "ecg": [1], "fs": 250, "units": unit}
    with pytest.raises(MappingError, match=r"unit .* want one of nV, uV"):
        push(mapper(RAW), message)


def galaxy(k: int, n: int = 10, **first: Any) -> dict[str, Any]:
    """Batch k of a watch: what is said of a batch stands on its first point alone."""
    points: list[dict[str, Any]] = [{"ECG_MV": ((k * n + i) % 997) / 1000} for i in range(n)]
    points[0] |= {
        "TIMESTAMP": NOW_US // 1000 + k * n * 2,
        "SEQUENCE": k % 256,
        "LEAD_OFF": 0,
        "MAX_THRESHOLD_MV": 5.0,
        "MIN_THRESHOLD_MV": -5.0,
        **first,
    }
    return {"points": points}


def test_a_watch_batch_is_lead_one_at_500_hz() -> None:
    (chunk,) = push(mapper(GALAXY), galaxy(0))
    assert (chunk.device, chunk.leads, chunk.fs) == ("ward/a1", (Lead.I,), 500.0)
    assert uv([chunk]) == list(range(10))


@pytest.mark.parametrize(("lead_off", "is_off"), [(0, False), (5, True), (True, True), (False, False)])
def test_lead_off_on_the_first_point_holds_for_the_batch(lead_off: object, is_off: object) -> None:
    (chunk,) = push(mapper(GALAXY), galaxy(0, LEAD_OFF=lead_off))
    assert (ChunkFlag.LEAD_OFF in chunk.flags) == is_off


def test_values_at_or_beyond_a_threshold_are_clipped_and_no_others() -> None:
    chunks = push(mapper(GALAXY), galaxy(0, MAX_THRESHOLD_MV=0.007, MIN_THRESHOLD_MV=0.0))
    found = [(c.first_sample, c.n_samples, ChunkFlag.CLIPPED in c.flags) for c in chunks]
    assert found == [(0, 1, True), (1, 6, False), (7, 3, True)]


def test_nanoseconds_and_milliseconds_are_told_apart() -> None:
    ns, ms = mapper(GALAXY), mapper(GALAXY)
    for k in range(5):
        (a,) = push(ns, galaxy(k, TIMESTAMP=NOW_US * 1000 + k * 20_000_000), NOW_US + k * 20_000)
        (b,) = push(ms, galaxy(k), NOW_US + k * 20_000)
        assert a.wall_time_us == b.wall_time_us == NOW_US + k * 20_000
        assert a.first_sample == b.first_sample == 10 * k


def test_what_is_missing_or_wrong_is_named() -> None:
    one = mapper(GALAXY)
    with pytest.raises(
        MappingError, match=r"no 'points.0.SEQUENCE' .*'SEQUENCE' is not in a table"
    ) as caught:
        push(one, {"points": [{"ECG_MV": 1.0, "TIMESTAMP": 1, "LEAD_OFF": 0}]})
    assert caught.value.device == "ward/a1"
    with pytest.raises(MappingError, match="SEQUENCE is 256, want a whole number of 0 to 255"):
        push(one, galaxy(0, SEQUENCE=256))
    with pytest.raises(MappingError, match="holds 'x', want only numbers"):
        push(mapper(ECG), {"ecg": [1, "x"]})


def test_a_null_is_a_missing_sample_and_the_gap_is_exact() -> None:
    chunks = push(mapper(ECG), {"ecg": [1, 2, None, None, 5]})
    assert [(c.first_sample, c.n_samples) for c in chunks] == [(0, 2), (4, 1)]


def test_long_arrays_become_several_chunks_without_a_gap() -> None:
    values = np.arange(70_000) % 2000
    chunks = push(mapper(ECG), {"ecg": values.tolist()})
    assert [(c.first_sample, c.n_samples) for c in chunks] == [(0, 65_535), (65_535, 4_465)]
    assert uv(chunks) == values.tolist()


@pytest.mark.parametrize("value", [0.123456789, -3.0000001, 98765.4321])
def test_samples_that_are_no_whole_nanovolts_travel_as_floats(value: float) -> None:
    message = {"timestamp": 0, "patient_id": 7, "ecg": [value], "fs": 250, "units": "mV"}
    (chunk,) = push(mapper(RAW), message)
    assert decode(encode_exactly(chunk), chunk.device).samples_mv[0, 0] == np.float32(value)


@given(
    st.lists(st.integers(-(2**31) + 1, 2**31 - 1), min_size=1, max_size=50),
    st.sampled_from(["nV", "uV", "mV"]),
)
@settings(max_examples=200)
def test_mapped_stored_and_exported_whole_numbers_are_those_that_were_sent(ys: list[int], unit: str) -> None:
    message = {"timestamp": 0, "patient_id": 7, "ecg": ys, "fs": 250, "units": unit}
    (chunk,) = push(mapper(RAW), message)
    stored = decode(encode_exactly(chunk), chunk.device)
    np.testing.assert_array_equal(stored.samples_mv, chunk.samples_mv)
    back = stored.samples_mv[:, 0].astype(np.float64) * 1e6 / UNITS_NV[unit]
    near = np.abs(back - ys) <= np.abs(ys) * 2.0**-22 + 1e-9  # float32 holds 24 bits
    assert near.all()
    assert [round(b) for b, y in zip(back, ys, strict=True) if abs(y) < 2**21] == [
        y for y in ys if abs(y) < 2**21
    ]
    for field in ("device", "session", "first_sample", "wall_time_us", "device_ns", "fs", "leads", "flags"):
        assert getattr(stored, field) == getattr(chunk, field)


@given(st.lists(st.decimals(-20, 20, places=3), min_size=1, max_size=50))
def test_decimals_of_millivolts_are_stored_as_whole_microvolts(ys: list[Any]) -> None:
    message = {"timestamp": 0, "patient_id": 7, "ecg": [float(y) for y in ys], "fs": 250, "units": "mV"}
    (chunk,) = push(mapper(RAW), message)
    payload = encode_exactly(chunk)
    assert len(payload) == 48 + 2 * len(ys)
    np.testing.assert_array_equal(np.frombuffer(payload, "<i2", offset=48), [int(y * 1000) for y in ys])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TEXT, b"1e308"),
        (ECG, b'{"ecg":[1e308]}'),
        (FHIR, b'{"origin":{"value":0,"code":"mV"},"period":2,"factor":1e308,"dimensions":1,"data":"12"}'),
        (FHIR, b'{"origin":{"value":0,"code":"V"},"period":2,"dimensions":1,"data":"1e306"}'),
        (
            FHIR,
            b'{"origin":{"value":0,"code":"V"},"period":2,"dimensions":1,"data":"U","upperLimit":1e308,"factor":9}',
        ),
    ],
)
def test_a_number_beyond_any_voltage_is_refused_without_a_warning(table: str, message: bytes) -> None:
    with pytest.raises(MappingError, match=r"beyond any voltage|not a finite number"):
        push(mapper(table), message)


@given(st.text(min_size=1, max_size=90))
def test_every_name_makes_an_id_of_its_own_or_is_refused(name: str) -> None:
    try:
        made = id_of(name)
    except WireError as error:
        assert "want 1 to 64" in str(error)  # noqa: PT017 - either way is right
        return
    assert ID_PATTERN.fullmatch(made)
    assert name_of(made) == name
    assert made == name or not ID_PATTERN.fullmatch(name) or name.startswith("x--")


@pytest.mark.parametrize("name", ["", "x" * 65, "\u00fc" * 22])
def test_a_name_that_fits_no_id_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(WireError, match="want 1 to 64 of A-Z"):
        id_of(name)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["points", "ecg", "fs", "units", "data", "timestamp", "patient_id", "component",
                         "resourceType", "valueSampledData", "origin", "period", "voltageMeasurements",
                         "samplingFrequency", "samples", "SEQUENCE", "TIMESTAMP", "ECG_MV", "value"]),
        inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize("table", ALL)
@given(message=JSON, raw=st.binary(max_size=60))
@settings(max_examples=60)
def test_whatever_comes_nothing_but_a_wire_error_is_raised(table: str, message: Any, raw: bytes) -> None:
    one = mapper(table)
    for payload in (json.dumps(message).encode(), raw):
        try:
            for chunk in push(one, payload):
                decode(encode_exactly(chunk), chunk.device)
        except WireError as error:
            assert str(error)  # noqa: PT017 - a chunk is right too
