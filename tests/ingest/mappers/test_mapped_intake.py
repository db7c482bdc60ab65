"""What a mapper reads is stored, cut into windows and limited as if its device spoke wire v1 itself."""

import numpy as np
import pytest

from ingest import limits
from ingest.chunk import Chunk, ChunkFlag
from ingest.intake import Intake
from ingest.mappers.configuration import parse_mappers
from ingest.mappers.switch import Mappers
from ingest.pipeline import DevicePipeline
from ingest.store.errors import StoreError
from ingest.topics import UNKNOWN_DEVICE
from ingest.wire import decode
from tests.ingest.mappers.payloads import NOW_US, batch, export, export_ecg

TABLES = """
[[mapper]]
topic = "hobby/+/ecg"
format = "json"
device = { level = 1 }
array = "ecg"
fs = 100
unit = "uV"
time_key = "t"

[[mapper]]
topic = "phone/ecg"
preset = "health_auto_export"
device = { key = "source" }
"""
HOBBY, PHONE = "hobby/one/ecg", "phone/ecg"


def intake(stored: dict[str, list[Chunk]] | None = None) -> Intake:
    past = stored or {}
    configs = parse_mappers(TABLES, "test")
    return Intake(DevicePipeline, Mappers(configs, lambda device: past.get(device, ())))


def test_a_refused_payload_that_names_no_device_tells_its_topic() -> None:
    one = intake()
    one.receive(PHONE, b"garbage", NOW_US)
    (refused,) = one.batch.refused
    assert refused.device == UNKNOWN_DEVICE
    assert refused.reason.startswith(f"on '{PHONE}': ")


def test_a_mapper_makes_no_device_of_the_site_that_is_wristlead_s_own() -> None:
    configs = parse_mappers(
        TABLES.replace("device = { level = 1 }", 'site = "wristlead"\n device = { level = 1 }'), "test"
    )
    one = Intake(DevicePipeline, Mappers(configs, lambda _device: ()))
    one.receive(HOBBY, batch(0), NOW_US)
    (refused,) = one.batch.refused
    assert (refused.device, one.batch.chunks) == (UNKNOWN_DEVICE, [])
    assert "device is wristlead/one, want another site" in refused.reason


def places(one: Intake) -> list[tuple[int, int, int]]:
    return [(c.chunk.session, c.chunk.first_sample, c.chunk.n_samples) for c in one.batch.chunks]


def test_a_mapped_chunk_is_kept_as_wire_v1_bytes_that_hold_its_values_and_makes_windows() -> None:
    one, shown = intake(), list[tuple[str, bytes]]()
    one.on_mapped = lambda device, payload: shown.append((device, payload))
    for k in range(11):
        one.receive(HOBBY, batch(k), NOW_US + k * 1_000_000)
    kept = one.batch.chunks
    assert [(c.chunk.device, c.chunk.first_sample) for c in kept] == [
        ("home/one", 100 * k) for k in range(11)
    ]
    for k, each in enumerate(kept):
        stored = decode(each.payload, "home/one")
        wanted = np.arange(100 * k, 100 * k + 100) % 997
        np.testing.assert_array_equal(np.rint(stored.samples_mv[:, 0] * 1000), wanted)
        np.testing.assert_array_equal(stored.samples_mv, each.chunk.samples_mv)
    assert [w.first_sample for w in one.batch.windows] == [0]
    assert shown == [("home/one", each.payload) for each in kept]
    assert (one.counters.chunks, one.counters.mapped) == (11, 11)


def test_a_partly_bad_body_keeps_its_good_recordings_and_counts_one_refusal() -> None:
    one = intake()
    good, bad = export_ecg(1_780_000_000, 600), export_ecg(1_780_000_100, 600, samplingFrequency=0)
    one.receive(PHONE, export(good, bad, export_ecg(1_780_000_200, 700)), NOW_US)
    assert [n for _, _, n in places(one)] == [600, 700]
    assert all(ChunkFlag.HISTORIC in c.chunk.flags for c in one.batch.chunks)
    (refused,) = one.batch.refused
    assert refused.device == "home/Watch"
    assert refused.reason.startswith("1 of 3 refused: part 2: samplingFrequency is 0")
    assert one.counters.refused == 1


def test_a_mapped_message_waits_for_a_commit_unless_it_was_too_much_and_nothing_of_it_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "BACKLOG_S", 0.5)  # two chunks of a second each
    monkeypatch.setattr(limits, "EARNED_PER_S", 0.0)
    monkeypatch.setattr(limits, "SAMPLE_BURST", 1.0)
    monkeypatch.setattr(limits, "SAMPLE_PER_S", 0.0)
    one = intake()
    waits = [one.receive(HOBBY, batch(k), NOW_US + k * 1_000_000) for k in range(4)]
    assert (len(places(one)), len(one.batch.refused), one.counters.over_limit) == (2, 1, 2)
    assert waits == [True, True, True, False]  # the first that is too much is kept as a sample
    assert one.receive(PHONE, b"garbage", NOW_US)


def test_a_recording_is_never_shown_live() -> None:
    one, shown = intake(), list[str]()
    one.on_mapped = lambda device, _payload: shown.append(device)
    one.receive(PHONE, export(export_ecg(1_780_000_000, 600)), NOW_US)
    assert one.batch.chunks
    assert shown == []
    assert one.vitals(NOW_US) == []


def test_a_body_that_comes_again_has_the_same_places_also_in_another_process() -> None:
    body = export(*(export_ecg(1_780_000_000 + 100 * k, 600) for k in range(3)))
    first, second = intake(), intake()
    for one, n in ((first, 2), (second, 1)):
        for _ in range(n):
            one.receive(PHONE, body, NOW_US)
    assert places(first) == places(second) * 2


def test_a_stream_goes_on_where_it_was_stored_and_knows_again_what_comes_again() -> None:
    before = intake()
    for k in range(5):
        before.receive(HOBBY, batch(k), NOW_US + k * 1_000_000)
    after = intake({"home/one": [c.chunk for c in before.batch.chunks]})
    for k in (3, 4, 5):  # an hour later: the broker sends again what was not acknowledged
        after.receive(HOBBY, batch(k), NOW_US + 3_600_000_000)
    assert places(after)[:2] == places(before)[3:]
    assert places(after)[2] == (places(before)[0][0], 500, 100)


def test_a_past_that_cannot_be_read_is_told_to_the_caller_and_asked_for_again() -> None:
    is_locked = True

    def stored(_device: str) -> list[Chunk]:
        if is_locked:
            raise StoreError("locked")
        return []

    one = Intake(DevicePipeline, Mappers(parse_mappers(TABLES, "test"), stored))
    with pytest.raises(StoreError):
        one.receive(HOBBY, batch(0), NOW_US)
    assert places(one) == []
    is_locked = False
    one.receive(HOBBY, batch(0), NOW_US)
    assert len(places(one)) == 1


def test_what_the_broker_retained_is_no_live_signal_but_a_recording_is_a_recording() -> None:
    one = intake()
    one.receive(HOBBY, batch(0), NOW_US, retained=True)
    assert (places(one), one.counters.retained) == ([], 1)
    one.receive(PHONE, export(export_ecg(1_780_000_000, 600)), NOW_US, retained=True)
    assert len(places(one)) == 1


@pytest.mark.parametrize("topic", ["hobby/flood/ecg", PHONE])
def test_a_flood_is_limited_as_one_of_wire_v1_and_harms_no_other(topic: str) -> None:
    one = intake()
    state = one.roster.welcome("home/flood" if topic != PHONE else "home/Watch", NOW_US)
    assert state.limits.admits_chunk(0, NOW_US)
    state.limits.charge_signal(1e9, 1)  # all it may send in a day, and a minute more
    one.receive(topic, batch(0) if topic != PHONE else export(export_ecg(1_780_000_000, 600)), NOW_US)
    one.receive(HOBBY, batch(0), NOW_US)
    assert [c.chunk.device for c in one.batch.chunks] == ["home/one"]
    assert one.counters.over_limit == 1


def test_signal_is_charged_as_of_wire_v1() -> None:
    one = intake()
    one.receive(PHONE, export(export_ecg(1_780_000_000, 5120)), NOW_US)
    spent = 26 * 3600 - one.roster.welcome("home/Watch", NOW_US).limits._source.left
    assert spent > 10.0 / 4.0


@pytest.mark.parametrize(
    ("topic_filter", "topic", "fits"),
    [
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "ab", False),
        ("a/+/c", "a//c", True),
        ("a/+/c", "a/b/d", False),
        ("a/+", "a/b/c", False),
        ("a.b", "axb", False),
    ],
)
def test_topics_are_matched_as_mqtt_does(topic_filter: str, topic: str, fits: object) -> None:
    table = f'[[mapper]]\ntopic = "{topic_filter}"\npreset = "polar"\ndevice = "d"'
    assert (Mappers(parse_mappers(table, "t")).of(topic) is not None) == fits


def test_wire_v1_topics_are_nobody_elses() -> None:
    assert intake().mappers.of("ecg/v1/a/b/chunk") is None
