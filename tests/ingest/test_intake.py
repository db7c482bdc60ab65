import logging
from typing import cast

import numpy as np
import pytest
from msgspec.structs import replace

from ingest import limits
from ingest import roster as limited
from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.intake import Intake
from ingest.limits import SAMPLE_BURST, SILENT_US, STRANGER_BURST, WITHIN_AGAIN_US
from ingest.pipeline import DevicePipeline
from ingest.roster import IDLE_US, OVER_LIMIT
from ingest.sender import _remembered
from ingest.store.rows import ReceivedChunk
from ingest.topics import UNKNOWN_DEVICE
from ingest.vitals import Vitals
from ingest.window import NextWindow, Window
from ingest.wire import decode, encode_binary

START_US = 1_800_000_000_000_000
FS = 500.0
N = 250
ECG_MV = np.random.default_rng(5).normal(0, 0.2, 30_000).astype(np.float32)


def payload(k: int, session: int = 3) -> bytes:
    samples = ECG_MV[k * N : (k + 1) * N, None]
    return encode_binary(Chunk("x/y", session, k, k * N, START_US, 0, FS, (Lead.I,), samples.copy()))


def at_us(k: int) -> int:
    return START_US + k * 500_000


def give(intake: Intake, k: int, device: str = "a/b", kind: str = "chunk") -> None:
    intake.receive(f"ecg/v1/{device}/{kind}", payload(k), at_us(k))


class Failing:
    """A pipeline that fails at one of its methods."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._inner = DevicePipeline("bad/one")

    def __getattr__(self, name: str) -> object:
        if name == self._method:
            raise ZeroDivisionError
        return getattr(self._inner, name)


def new_intake() -> Intake:
    return Intake(DevicePipeline)


def places(windows: list[Window]) -> list[tuple[str, int, float]]:
    return [(w.device, w.first_sample, w.coverage) for w in windows]


def test_a_chunk_and_the_windows_it_closes_go_into_the_same_batch() -> None:
    intake = new_intake()
    for k in range(20):
        give(intake, k)
    batch = intake.take()
    assert [each.chunk.first_sample for each in batch.chunks] == [k * N for k in range(20)]
    assert batch.chunks[4].payload == payload(4)
    assert places(batch.windows) == [("a/b", 0, 1.0)]
    assert batch.windows[0].closed_us == at_us(19)
    assert intake.batch.is_empty


@pytest.mark.parametrize(
    ("topic", "message", "device", "wrong"),
    [
        ("ecg/v1/a/b/chunk", b"garbage", "a/b", "payload"),
        ("ecg/v1/a/b/chunk", b"", "a/b", "payload"),
        ("ecg/v1/a/b/backfill", b"{}", "a/b", "payload"),
        ("ecg/v1/a/b/status", b'{"battery": 300}', "a/b", "status"),
        ("ecg/v1/a/b/status", b"\xff", "a/b", "status"),
        ("ecg/v1/a/b/status", b'{"nested":' + b"[" * 2_000, "a/b", "status"),
        ("ecg/v1/a b/c/chunk", payload(0), UNKNOWN_DEVICE, "topic"),
        (f"ecg/v1/a/{'b' * 65}/chunk", payload(0), UNKNOWN_DEVICE, "topic"),
        ("ecg/v1/wristlead/ingest/chunk", payload(0), UNKNOWN_DEVICE, "topic"),
        ("ecg/v1/wristlead/ingest/backfill", payload(0), UNKNOWN_DEVICE, "topic"),
        ("ecg/v1/wristlead/ingest/status", b'{"online":true,"battery":4}', UNKNOWN_DEVICE, "topic"),
        ("earlier/mapper/of/a/b", payload(0), UNKNOWN_DEVICE, "topic"),
    ],
)
def test_what_is_malformed_is_refused_with_its_reason_and_harms_no_other(
    topic: str, message: bytes, device: str, wrong: str
) -> None:
    intake = new_intake()
    for k in range(20):
        give(intake, k, "c/d")
        intake.receive(topic, message, at_us(k))
    batch = intake.take()
    assert intake.counters.refused == 20
    assert intake.counters.refused_by == {wrong: 20}
    assert {(each.device, each.payload) for each in batch.refused} == {(device, message)}
    assert all(each.reason for each in batch.refused)
    assert places(batch.windows) == [("c/d", 0, 1.0)]


def test_the_log_names_the_first_the_tenth_and_the_hundredth_refusal_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    intake = new_intake()
    with caplog.at_level(logging.WARNING):
        for k in range(500):
            intake.receive("ecg/v1/a/b/chunk", b"garbage", at_us(k))
    assert [record.args[1] for record in caplog.records if isinstance(record.args, tuple)] == [1, 10, 100]


def test_refusals_and_battery_appear_in_the_vitals_of_their_device_alone() -> None:
    intake = new_intake()
    for k in range(4):
        give(intake, k)
        give(intake, k, "c/d")
    intake.receive("ecg/v1/a/b/chunk", b"garbage", at_us(4))
    intake.receive("ecg/v1/a/b/status", b'{"online":true,"battery":71,"new":[1]}', at_us(4), retained=True)
    intake.receive("ecg/v1/c/d/status", b"", at_us(4))
    found = {each.device: each for each in intake.vitals(at_us(5))}
    assert (found["a/b"].battery, found["a/b"].refused) == (71, 1)
    assert (found["c/d"].battery, found["c/d"].refused) == (None, 0)


def test_what_no_device_may_use_as_topic_is_refused_each_time_and_never_remembered() -> None:
    intake = new_intake()
    give(intake, 0)
    remembered = _remembered.cache_info().currsize
    topics = (
        "ecg/v1/a/b c/chunk",
        "ecg/v1/a",
        "ecg/v1/wristlead/b/chunk",
        "other/topic",
        f"ecg/v1/a/b/{'x' * 300}",
    )
    for number, topic in enumerate(topics * 3):
        intake.receive(topic, b"garbage", at_us(number))
    assert intake.counters.refused == 15
    assert _remembered.cache_info().currsize == remembered
    assert intake.roster.devices["a/b"].refused == 3  # the long one names it, as before


def test_a_retained_chunk_is_ignored_and_counted() -> None:
    intake = new_intake()
    intake.receive("ecg/v1/a/b/chunk", payload(0), at_us(0), retained=True)
    assert intake.batch.is_empty
    assert intake.counters.retained == 1


def test_backfill_is_marked_historic() -> None:
    intake = new_intake()
    for k in range(20):
        give(intake, k, kind="backfill")
    batch = intake.take()
    assert all(ChunkFlag.HISTORIC in each.chunk.flags for each in batch.chunks)
    assert batch.windows == []
    assert {late.chunk for late in batch.rework.late} == {("a/b", 3, k * N) for k in range(20)}
    assert intake.vitals(at_us(21)) == []


@pytest.mark.parametrize("method", ["push", "tick", "vitals", "replay"])
def test_a_failing_pipeline_harms_no_other_device_and_starts_anew(method: str) -> None:
    made: list[str] = []

    def new_pipeline(device: str) -> DevicePipeline:
        made.append(device)
        if device == "bad/one" and made.count(device) == 1:
            return cast("DevicePipeline", Failing(method))
        return DevicePipeline(device)

    intake = Intake(new_pipeline)
    past = [ReceivedChunk(decode(payload(0), "bad/one"), payload(0), at_us(0))]
    intake.restore("bad/one", past, at_us(0), None)
    for k in range(1, 45):
        give(intake, k, "bad/one")
        give(intake, k - 1, "c/d")
        intake.tick(at_us(k))
        assert any(vitals.device == "c/d" for vitals in intake.vitals(at_us(k)))
    batch = intake.take()
    assert intake.counters.faults == 1
    assert made.count("bad/one") == 2
    assert len([each for each in batch.chunks if each.chunk.device == "bad/one"]) == 44
    assert {device for device, _, _ in places(batch.windows)} == {"bad/one", "c/d"}


def test_devices_silent_for_ten_minutes_are_forgotten() -> None:
    intake = new_intake()
    give(intake, 0)
    give(intake, 0, "c/d")
    give(intake, 1, "c/d")
    intake.tick(at_us(0) + IDLE_US)
    assert intake.n_devices == 2
    intake.tick(at_us(0) + IDLE_US + 1)
    assert intake.n_devices == 1
    intake.tick(at_us(1) + IDLE_US + 1)
    assert intake.n_devices == 0
    assert intake.vitals(at_us(1) + IDLE_US) == []


def unbroken(n_chunks: int) -> tuple[list[Window], list[Vitals]]:
    intake = new_intake()
    for k in range(n_chunks):
        give(intake, k)
    return intake.take().windows, intake.vitals(at_us(n_chunks))


@pytest.mark.parametrize("n_before", [1, 19, 20, 37, 59, 60, 90])
@pytest.mark.parametrize("n_windows_stored", [None, 0, -1])
def test_a_restart_continues_identically(n_before: int, n_windows_stored: int | None) -> None:
    """The stored windows may lag behind the stored chunks; those not stored are found again, others not."""
    before = new_intake()
    for k in range(n_before):
        give(before, k)
    batch = before.take()
    stored = batch.windows if n_windows_stored is None else batch.windows[:n_windows_stored]
    next_window = NextWindow(3, stored[-1].first_sample + 5000) if stored else None
    after = new_intake()
    after.restore("a/b", batch.chunks, at_us(n_before), next_window)
    for k in range(n_before, 110):
        give(after, k)
    windows, vitals = unbroken(110)
    found = stored + after.take().windows
    assert places(found) == places(windows)
    for one, other in zip(found, windows, strict=True):
        np.testing.assert_array_equal(one.samples_mv, other.samples_mv)
    assert [replace(each, data_age_s=0.0) for each in after.vitals(at_us(110))] == [
        replace(each, data_age_s=0.0) for each in vitals
    ]


def test_time_alone_closes_a_hole() -> None:
    intake = new_intake()
    for k in (*range(18), 19, 20, 21):
        give(intake, k)
    assert intake.take().windows == []
    intake.tick(at_us(23))
    assert intake.take().windows == []
    intake.tick(at_us(25))
    assert places(intake.take().windows) == [("a/b", 0, 0.95)]


def test_a_flooding_device_is_refused_counted_and_sampled_and_the_other_loses_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    intake, alone = new_intake(), new_intake()
    with caplog.at_level(logging.WARNING):
        for k in range(60):
            give(alone, k, "c/d")
            give(intake, k, "c/d")
            give(intake, k)
            if k >= 20:
                intake.roster.devices["a/b"].limits._source.left = 0.0
            for _ in range(50):
                intake.receive("ecg/v1/a/b/chunk", payload(0), at_us(k))
        calm_us = at_us(60) + WITHIN_AGAIN_US
        intake.tick(calm_us)
        intake.receive("ecg/v1/a/b/chunk", payload(0), calm_us)
    assert intake.counters.over_limit == 40 * 50
    batch, wanted = intake.take(), alone.take()
    of_other = [each for each in batch.chunks if each.chunk.device == "c/d"]
    assert [each.payload for each in of_other] == [each.payload for each in wanted.chunks]
    others = [window for window in batch.windows if window.device == "c/d"]
    for found, window in zip(others, wanted.windows, strict=True):
        np.testing.assert_array_equal(found.samples_mv, window.samples_mv)
    assert SAMPLE_BURST <= len(batch.refused) <= SAMPLE_BURST + 40
    assert {each.reason for each in batch.refused} == {OVER_LIMIT}
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "a/b is over its limit" in said[0]
    assert f"a/b is within its limit again: {intake.counters.over_limit} messages were refused" in said[1]
    assert intake.roster.flooding == {}
    assert batch.chunks[-1].chunk.device == "a/b"


def test_invented_names_fill_no_memory_and_displace_no_device(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limited, "MAX_STRANGERS", 50)
    monkeypatch.setattr(limited, "MAX_DEVICES", 10)
    intake = new_intake()
    for k in range(5):
        give(intake, k)
    for number in range(3_000):
        intake.receive(f"ecg/v1/x/{number}/chunk", b"garbage", at_us(5))
    for number in range(100):
        give(intake, 5, f"y/{number}")
    give(intake, 5)
    batch = intake.take()
    assert intake.n_devices <= 60
    assert len(batch.refused) <= STRANGER_BURST + 100
    assert {each.chunk.device for each in batch.chunks} == {"a/b"} | {f"y/{n}" for n in range(9)}
    assert intake.counters.over_limit == 91
    assert "y/9 is refused (1 times): 10 devices are known, want at most 10" in caplog.text
    assert len(caplog.records) < STRANGER_BURST + 100
    give(intake, 6)
    intake.tick(at_us(5) + SILENT_US + 1)  # the silent are forgotten sooner when there are so many
    intake.receive("ecg/v1/z/new/chunk", payload(0), at_us(130))
    assert [each.chunk.device for each in intake.take().chunks] == ["a/b", "z/new"]


@pytest.mark.parametrize("seed", range(5))
def test_a_message_waits_for_a_commit_unless_it_was_too_much_and_nothing_of_it_is_kept(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited, "MAX_DEVICES", 3)
    monkeypatch.setattr(limits, "SAMPLE_BURST", 5.0)
    rng, intake, answers = np.random.default_rng(seed), new_intake(), set()
    for k in range(400):
        device, kind = f"a/{rng.integers(5)}", str(rng.choice(["chunk", "chunk", "backfill", "status"]))
        if rng.random() < 0.05 and device in intake.roster.devices:
            intake.roster.devices[device].limits._source.left = -5.0
        over_limit, batch = intake.counters.over_limit, intake.batch
        n_kept = len(batch.chunks) + len(batch.refused)
        message = b"garbage" if rng.random() < 0.2 else payload(k % 100)
        now_us, retained = START_US + 1000 * k, rng.random() < 0.1
        waits = intake.receive(f"ecg/v1/{device}/{kind}", message, now_us, retained=retained)
        is_over = intake.counters.over_limit > over_limit
        assert waits == (not is_over or len(batch.chunks) + len(batch.refused) > n_kept)
        answers.add((is_over, waits))
    assert answers == {(False, True), (True, False), (True, True)}


def test_statuses_without_end_are_ignored_and_counted_and_the_chunks_still_come() -> None:
    intake = new_intake()
    for number in range(2_000):
        intake.receive("ecg/v1/a/b/status", b'{"online":true,"battery":%d}' % (number % 100), at_us(0))
    give(intake, 0)
    assert intake.counters.flapping == 1_400
    assert len(intake.take().chunks) == 1


def test_a_huge_payload_is_kept_as_its_first_bytes_and_its_size() -> None:
    intake = new_intake()
    intake.receive("ecg/v1/a/b/chunk", bytes(5_000_000), at_us(0))
    (kept,) = intake.take().refused
    assert len(kept.payload) == 4096
    assert "the first 4096 of 5000000 bytes are kept" in kept.reason
