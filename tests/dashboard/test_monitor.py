"""The state behind the pages: newest of everything, nothing invented, nothing unbounded."""

import json
from typing import Any

import numpy as np
import pytest

from dashboard import monitor as monitor_module
from dashboard.monitor import HISTORY_S, MAX_EXPLAINING, Monitor, Revisions
from ingest.chunk import NO_FLAGS, Chunk, ChunkFlag, Lead
from ingest.wire import encode_binary

S = 1_000_000
FS = 500.0
BED = "ward/bed-2"


def chunk_payload(first_sample: int, n: int = 125, session: int = 7, flags: ChunkFlag = NO_FLAGS) -> bytes:
    samples = np.linspace(-1, 1, n, dtype=np.float32).reshape(-1, 1)
    chunk = Chunk(BED, session, first_sample // n, first_sample, 0, 0, FS, (Lead.II,), samples, flags)
    return encode_binary(chunk)


def vitals(device: str = BED, rate: float | None = 71.5) -> dict[str, Any]:
    return {
        "device": device,
        "session": 7,
        "at_us": 1,
        "last_sample": 500,
        "heart_rate_bpm": rate,
        "since_beat_s": 0.4,
        "signal": "good",
        "battery": 55,
    }


def alarm(kind: str, priority: str, state: str = "on", since_us: int = 1, peak: float | None = None) -> bytes:
    return json.dumps(
        {
            "device": BED,
            "kind": kind,
            "queue": "physiological",
            "priority": priority,
            "state": state,
            "text": "HR 134 > 120",
            "since_us": since_us,
            "at_us": since_us,
            "peak": peak,
        }
    ).encode()


def filled(payload: bytes = b"", topic: str = f"ecg/v1/{BED}/chunk", at_us: int = S) -> Monitor:
    monitor = Monitor(0)
    monitor.push(topic, payload or chunk_payload(0), at_us)
    return monitor


def test_a_chunk_becomes_a_segment_of_its_first_lead_as_it_came() -> None:
    segment = Monitor(0).push(f"ecg/v1/{BED}/chunk", chunk_payload(250, flags=ChunkFlag.LEAD_OFF), 5 * S)
    assert segment is not None
    assert (segment.device, segment.session, segment.first_sample, segment.fs) == (BED, 7, 250, FS)
    assert segment.flags == ChunkFlag.LEAD_OFF
    assert segment.received_us == 5 * S
    np.testing.assert_allclose(segment.samples_mv, np.linspace(-1, 1, 125), atol=0.0006)


def test_a_historic_chunk_on_the_live_topic_moves_no_picture() -> None:
    monitor = filled(at_us=100 * S)
    (before,) = monitor.patients()
    late = chunk_payload(0, session=6, flags=ChunkFlag.HISTORIC)
    assert monitor.push(f"ecg/v1/{BED}/chunk", late, 200 * S) is None
    (after,) = monitor.patients()
    assert (after.data_at_us, after.lead) == (before.data_at_us, before.lead)
    assert [segment.session for segment in monitor.history(BED, 60.0)] == [7]


def test_what_was_never_said_is_unknown() -> None:
    (patient,) = filled().patients()
    assert patient.name == "bed-2"
    assert patient.lead == "II"
    assert (patient.source, patient.online, patient.battery, patient.vitals, patient.verdict) == (None,) * 5
    assert patient.alarms == ()


def test_meta_status_vitals_and_verdict_reach_the_patient() -> None:
    monitor = filled()
    monitor.push(f"ecg/v1/{BED}/meta", b'{"name": "Bed 2", "source": "replay", "firmware": "9"}', S)
    monitor.push(f"ecg/v1/{BED}/status", b'{"online": true, "battery": 81}', S)
    (patient,) = monitor.patients()
    assert (patient.name, patient.source, patient.online, patient.battery) == ("Bed 2", "replay", True, 81)
    monitor.push("wl/v1/vitals/ward", json.dumps([vitals()]).encode(), 3 * S)
    (patient,) = monitor.patients()
    assert patient.vitals is not None
    assert (patient.vitals.heart_rate_bpm, patient.vitals_at_us) == (71.5, 3 * S)
    assert patient.battery == 55  # what ingest read last wins over the retained status


def test_an_annotation_tells_the_page_to_read_the_list_again_and_makes_nobody_a_patient() -> None:
    monitor, known = filled(), Revisions()
    (before,) = monitor.patients(known)
    monitor.push(f"wl/v1/annotation/{BED}", b"{}", 2 * S)
    (after,) = monitor.patients(known)
    assert (before.annotations, after.annotations) == (0, 1)
    monitor.push(f"wl/v1/refusal/annotate/{BED}", b'{"reason":"r","request":"{}","at_us":5}', 3 * S)
    (refused,) = monitor.patients(known)
    assert refused.refusals["annotate"].reason == "r"
    monitor.push("wl/v1/annotation/ward/gone", b"{}", 4 * S)
    assert monitor.devices() == (BED,)


VERDICT = {
    "device": BED,
    "session": 7,
    "first_sample": 0,
    "wall_time_us": 1,
    "model": "m",
    "decided_us": 2,
    "historic": False,
    "indeterminate": "noisy",
}


def test_a_late_verdict_of_a_backfill_never_replaces_the_live_one() -> None:
    monitor = filled()
    monitor.push(f"wl/v1/verdict/{BED}", json.dumps(VERDICT).encode(), S)
    monitor.push(f"wl/v1/verdict/{BED}", json.dumps(VERDICT | {"historic": True}).encode(), S)
    (patient,) = monitor.patients()
    assert patient.verdict is not None
    assert not patient.verdict.historic


def test_of_several_findings_the_most_probable_stands_first() -> None:
    monitor = filled()
    for kind, peak in (("finding_mi", 0.31), ("finding_sttc", 0.57), ("finding_cd", 0.4)):
        monitor.push(f"wl/v1/alarm/{BED}/{kind}", alarm(kind, "advisory", peak=peak), S)
    (patient,) = monitor.patients()
    assert [a.kind for a in patient.alarms] == ["finding_sttc", "finding_cd", "finding_mi"]


def test_alarms_stand_worst_first_and_leave_when_off() -> None:
    monitor = filled()
    for kind, priority, state in (
        ("battery", "low", "on"),
        ("asystole", "high", "ack"),
        ("extreme_rate", "high", "on"),
        ("finding_mi", "advisory", "on"),
    ):
        monitor.push(f"wl/v1/alarm/{BED}/{kind}", alarm(kind, priority, state), S)
    (patient,) = monitor.patients()
    assert [a.kind for a in patient.alarms] == ["extreme_rate", "asystole", "battery", "finding_mi"]
    assert monitor.alarm(BED, "asystole")
    monitor.push(f"wl/v1/alarm/{BED}/asystole", b"", S)
    monitor.push(f"wl/v1/alarm/{BED}/extreme_rate", alarm("extreme_rate", "high", "off"), S)
    (patient,) = monitor.patients()
    assert [a.kind for a in patient.alarms] == ["battery", "finding_mi"]
    assert not monitor.alarm(BED, "asystole")


def test_only_what_changed_is_told_again() -> None:
    monitor, known = filled(), Revisions()
    assert len(monitor.patients(known)) == 1
    assert monitor.patients(known) == ()
    monitor.push(f"ecg/v1/{BED}/chunk", chunk_payload(125), 2 * S)
    assert monitor.patients(known) == ()  # samples travel on their own
    monitor.push("wl/v1/vitals/ward", json.dumps([vitals()]).encode(), 2 * S)
    assert [p.device for p in monitor.patients(known)] == [BED]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (f"ecg/v1/{BED}/chunk", b"\xec\x47 not a chunk"),
        (f"ecg/v1/{BED}/meta", b"[1"),
        (f"ecg/v1/{BED}/status", b'{"battery": "full"}'),
        ("wl/v1/vitals/ward", b'[{"device": "ward"}]'),
        ("wl/v1/vitals/ward", json.dumps([vitals("no-site")]).encode()),
        (f"wl/v1/verdict/{BED}", b"{}"),
        (f"wl/v1/alarm/{BED}/asystole", b'{"kind": "boredom"}'),
        ("wl/v1/service/ingest", b"\xff"),
        ("ecg/v1/a b/c/chunk", chunk_payload(0)),
    ],
)
def test_what_cannot_be_understood_is_counted_and_changes_nothing(topic: str, payload: bytes) -> None:
    monitor, known = filled(), Revisions()
    before = monitor.patients(known)
    assert monitor.push(topic, payload, S) is None
    assert monitor.refused == 1
    assert monitor.patients(known) == ()
    assert monitor.patients() == before


def test_history_is_ordered_by_index_whatever_the_order_of_arrival() -> None:
    monitor = Monitor(0)
    for first in (0, 250, 125, 375):
        monitor.push(f"ecg/v1/{BED}/chunk", chunk_payload(first), S)
    assert [s.first_sample for s in monitor.history(BED, 10.0)] == [0, 125, 250, 375]
    assert [s.first_sample for s in monitor.history(BED, 0.25)] == [250, 375]


def test_history_ends_at_a_restart_of_the_device() -> None:
    monitor = filled()
    monitor.push(f"ecg/v1/{BED}/chunk", chunk_payload(0, session=8), S)
    assert [s.session for s in monitor.history(BED, 60.0)] == [8]


@pytest.mark.parametrize("topic", ["ecg/v1/ward/bed/status", "ecg/v1/ward/bed/meta", "wl/v1/vitals/ward"])
def test_what_is_nested_too_deep_is_refused_like_anything_else(topic: str) -> None:
    monitor = Monitor(0)
    monitor.push(topic, b'{"nested":' + b"[" * 5_000, S)
    monitor.push(topic, b"[" * 5_000, S)
    assert monitor.refused == 2


def test_memory_is_bounded_in_time_and_in_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = Monitor(0)
    for k in range(400):
        monitor.push(f"ecg/v1/{BED}/chunk", chunk_payload(k * 125), k * S // 4)
    assert len(monitor.history(BED, 1e6)) == int(HISTORY_S * 4) + 1
    monkeypatch.setattr(monitor_module, "MAX_DEVICES", 1)
    monitor.push("ecg/v1/ward/stranger/chunk", chunk_payload(0), S)
    assert monitor.devices() == (BED,)
    assert monitor.refused == 1
    monitor.push("wl/v1/vitals/ward", json.dumps([vitals("ward/stranger"), vitals()]).encode(), S)
    assert monitor.patients()[0].vitals is not None  # one too many costs the others nothing
    for name in ("a", "b"):
        monitor.push(f"ecg/v1/ward/{name}/status", b'{"battery": 5}', S)
    assert monitor.refused == 3


def test_beds_are_ordered_as_people_count() -> None:
    monitor = Monitor(0)
    for device in ("b/bed-1", "a/bed-10", "a/bed-9", "a/2"):
        monitor.push(f"ecg/v1/{device}/chunk", chunk_payload(0), S)
    assert monitor.devices() == ("a/2", "a/bed-9", "a/bed-10", "b/bed-1")


def missing(monitor: Monitor, now_us: int) -> set[str]:
    return {service.name for service in monitor.house.services(now_us) if service.is_missing}


def beat(at_us: int) -> bytes:
    return json.dumps({"online": True, "at_us": at_us, "counters": {"chunks": 1}}).encode()


def test_a_service_that_falls_silent_is_missing_within_three_seconds() -> None:
    monitor = Monitor(0)
    for name in ("ingest", "inference", "alarms"):
        monitor.push(f"wl/v1/service/{name}", beat(10 * S), 10 * S)
    assert missing(monitor, 12 * S) == set()
    monitor.push("wl/v1/service/ingest", beat(12 * S), 12 * S)
    assert missing(monitor, 13 * S) == {"inference", "alarms"}


def test_a_service_that_says_goodbye_is_missing_at_once() -> None:
    monitor = Monitor(0)
    monitor.push("wl/v1/service/ingest", beat(S), S)
    monitor.push("wl/v1/service/ingest", b'{"online":false}', S + 1)
    assert "ingest" in missing(monitor, S + 2)
    monitor.push("wl/v1/service/ingest", beat(2 * S), 2 * S)
    assert "ingest" not in missing(monitor, 2 * S)


def test_a_retained_heartbeat_is_only_as_fresh_as_it_says() -> None:
    monitor = Monitor(90 * S)
    monitor.push("wl/v1/service/ingest", beat(10 * S), 90 * S, retained=True)
    (ingest, *_) = monitor.house.services(90 * S)
    assert (ingest.is_missing, ingest.is_unseen, ingest.since_us) == (True, False, 10 * S)


def test_a_store_that_stays_in_trouble_is_told_and_one_that_was_locked_for_a_moment_is_not() -> None:
    monitor = Monitor(0)

    def trouble(second: int, store: str) -> str | None:
        payload = json.dumps({"online": True, "at_us": second * S, "counters": {"store": store}}).encode()
        monitor.push("wl/v1/service/ingest", payload, second * S)
        return monitor.house.services(second * S)[0].trouble

    assert [trouble(second, "disk is full") for second in range(1, 6)] == [None] * 3 + ["disk is full"] * 2
    assert [trouble(6, "ok"), trouble(7, "locked"), trouble(8, "ok")] == [None] * 3


def test_a_service_never_heard_gets_its_time_to_start() -> None:
    monitor = Monitor(0)
    assert missing(monitor, 2 * S) == set()
    assert missing(monitor, 3 * S) == {"ingest", "inference", "alarms"}
    assert all(service.is_unseen for service in monitor.house.services(3 * S))


CHANNEL = {
    "ok": True,
    "level": 1,
    "min_priority": "medium",
    "sent": 3,
    "failed": 0,
    "last_sent_us": 5,
    "at_us": 6,
}


def test_an_alarm_of_wristlead_itself_is_nobodys_panel() -> None:
    monitor = filled()
    topic = "wl/v1/alarm/wristlead/phone/notifier"
    own = {**json.loads(alarm("notifier", "medium")), "device": "wristlead/phone"}
    monitor.push(topic, json.dumps(own).encode(), S)
    assert monitor.devices() == (BED,)
    (patient,) = monitor.patients()
    assert patient.alarms == ()
    (told,) = monitor.house.alarms()
    assert told.device == "wristlead/phone"
    assert monitor.alarm("wristlead/phone", "notifier") == told
    monitor.push(topic, b"", S)
    assert monitor.house.alarms() == ()
    assert monitor.alarm("wristlead/phone", "notifier") is None


def test_no_device_passes_for_a_part_of_wristlead() -> None:
    monitor = Monitor(0)
    monitor.push("ecg/v1/wristlead/notify/chunk", chunk_payload(0), S)
    monitor.push("wl/v1/vitals/wristlead", json.dumps([vitals("wristlead/notify")]).encode(), S)
    assert monitor.devices() == ()


def test_a_channel_is_known_by_its_topic_until_it_is_taken_away() -> None:
    monitor = Monitor(0)
    monitor.push("wl/v1/channel/phone", json.dumps(CHANNEL).encode(), S)
    monitor.push("wl/v1/channel/mail", json.dumps(CHANNEL | {"ok": False, "reason": "refused"}).encode(), S)
    mail, phone = monitor.house.channels()
    assert (mail.name, mail.ok, mail.reason) == ("mail", False, "refused")
    assert (phone.name, phone.sent, phone.last_sent_us) == ("phone", 3, 5)
    monitor.push("wl/v1/channel/mail", b"", S)
    assert monitor.house.channels() == (phone,)
    monitor.push("wl/v1/channel/phone", b"[]", S)
    assert monitor.house.channels() == (phone,)
    assert monitor.refused == 1


def test_invented_channels_services_and_alarms_do_not_fill_the_memory() -> None:
    monitor = filled()
    for k in range(200):
        monitor.push(f"wl/v1/channel/c{k}", json.dumps(CHANNEL).encode(), S)
        monitor.push(f"wl/v1/service/s{k}", beat(S), S)
        monitor.push(f"wl/v1/alarm/{BED}/k{k}", alarm("battery", "low"), S)
    assert len(monitor.house.channels()) == len(monitor.house._heard_us) == 64
    assert len(monitor.patients()[0].alarms) == 64
    assert monitor.refused == 3 * 136
    monitor.push("wl/v1/service/alarms", beat(S), S)  # strangers leave room for ours
    assert "alarms" not in missing(monitor, S)


def test_a_device_that_floods_keeps_no_more_samples_than_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_module, "MAX_SAMPLES", 1000)
    monitor = Monitor(0)
    for k in range(100):
        monitor.push(f"ecg/v1/{BED}/chunk", chunk_payload(k * 125), S)
    kept = monitor.history(BED, 1e6)
    assert [segment.first_sample for segment in kept] == [k * 125 for k in range(92, 100)]


def test_a_page_remembers_nobody_who_has_left() -> None:
    monitor, known = filled(), Revisions()
    monitor.patients(known)
    discharged(monitor)
    monitor.patients(known)
    assert known == {}


def test_a_pause_stands_until_it_is_taken_away() -> None:
    monitor = Monitor(0)
    assert monitor.house.paused is None
    monitor.push("wl/v1/paused", b'{"until_us": 120000000, "who": "A. B.", "loudest": null}', S)
    assert monitor.house.paused is not None
    assert (monitor.house.paused.until_us, monitor.house.paused.who) == (120 * S, "A. B.")
    monitor.push("wl/v1/paused", b"", S)
    assert monitor.house.paused is None


LIMITS = {
    "device": BED,
    "rate_low_bpm": 45.0,
    "rate_high_bpm": 120.0,
    "rate_extreme_low_bpm": 40.0,
    "rate_extreme_high_bpm": 150.0,
    "sources": {"rate_low_bpm": "patient", "rate_high_bpm": "settings"},
    "who": "A. B.",
    "at_us": 3,
}


def test_limits_and_the_newest_refusal_stand_with_their_patient() -> None:
    monitor = filled()
    monitor.push(f"wl/v1/limits_in_force/{BED}", json.dumps(LIMITS).encode(), S)
    refusal = {"reason": "limits must rise", "request": "{}", "at_us": 9}
    monitor.push(f"wl/v1/refusal/limits/{BED}", json.dumps(refusal).encode(), S)
    monitor.push("wl/v1/refusal/limits/no/body", json.dumps(refusal).encode(), S)
    monitor.push("wl/v1/refusal/pause", json.dumps(refusal).encode(), S)
    (patient,) = monitor.patients()
    assert patient.limits is not None
    assert (patient.limits.rate_low_bpm, patient.limits.sources["rate_low_bpm"]) == (45, "patient")
    told = patient.refusals["limits"]
    assert (told.reason, told.at_us) == ("limits must rise", 9)
    monitor.push(f"wl/v1/refusal/discharge/{BED}", json.dumps(refusal | {"at_us": 10}).encode(), S)
    (patient,) = monitor.patients()
    assert [patient.refusals[what].at_us for what in ("limits", "discharge")] == [9, 10]


def discharged(monitor: Monitor) -> None:
    """As the alarm service says it: alarms are off, then no limits are in force."""
    for topic in (f"wl/v1/alarm/{BED}/asystole", f"wl/v1/limits_in_force/{BED}"):
        monitor.push(topic, b"", S)


def test_a_discharged_patient_is_gone_and_who_comes_after_is_another() -> None:
    monitor = filled()
    monitor.push(f"wl/v1/limits_in_force/{BED}", json.dumps(LIMITS).encode(), S)
    monitor.push(f"wl/v1/alarm/{BED}/asystole", alarm("asystole", "high"), S)
    known: Revisions = {}
    monitor.push(f"ecg/v1/{BED}/meta", b'{"name": "Bed two"}', S)
    (before,) = monitor.patients(known)
    discharged(monitor)
    assert monitor.devices() == ()
    assert monitor.alarm(BED, "asystole") is None
    monitor.push(f"ecg/v1/{BED}/chunk", chunk_payload(0), S)
    (after,) = monitor.patients(known)  # though a page knew the first one at the same revision
    assert after.alarms == ()
    assert after.index != before.index
    assert after.name == "Bed two"  # what a device says of itself, it says once


@pytest.mark.parametrize("request_", [b'{"who": "A. B."}', b"garbage"])
def test_a_request_to_discharge_moves_nobody_before_it_is_answered(request_: bytes) -> None:
    monitor = filled()
    monitor.push(f"wl/v1/alarm/{BED}/asystole", alarm("asystole", "high", "latched"), S)
    monitor.push(f"wl/v1/discharge/{BED}", request_, S, retained=True)
    refusal = {"reason": "the store cannot be read yet", "request": "{}", "at_us": 9}
    monitor.push(f"wl/v1/refusal/discharge/{BED}", json.dumps(refusal).encode(), S)
    (patient,) = monitor.patients()
    assert [each.kind for each in patient.alarms] == ["asystole"]
    assert patient.refusals["discharge"].reason == "the store cannot be read yet"


@pytest.mark.parametrize("seed", range(20))
def test_in_whatever_order_a_discharge_is_told_nobody_empty_is_left(seed: int) -> None:
    monitor = filled()
    monitor.push("wl/v1/vitals/ward", json.dumps([vitals()]).encode(), S)
    monitor.push(f"wl/v1/alarm/{BED}/asystole", alarm("asystole", "high"), S)
    told = [
        (f"wl/v1/limits_in_force/{BED}", b""),
        (f"wl/v1/alarm/{BED}/asystole", b""),
        (f"wl/v1/alarm/{BED}/extreme_rate", alarm("extreme_rate", "high", "off")),
        (f"ecg/v1/{BED}/status", b'{"online": false}'),
        ("wl/v1/vitals/ward", json.dumps([vitals()]).encode()),  # of the silent device: what was known
        (f"wl/v1/verdict/{BED}", json.dumps(VERDICT).encode()),
        (f"ecg/v1/{BED}/chunk", b"\xec\x47 not a chunk"),
    ]
    for place in np.random.default_rng(seed).permutation(len(told)):
        topic, payload = told[place]
        monitor.push(topic, payload, S)
    assert monitor.devices() == ()
    monitor.push("wl/v1/vitals/ward", json.dumps([vitals() | {"last_sample": 501}]).encode(), S)
    assert monitor.devices() == (BED,)


def test_what_a_device_says_of_itself_makes_nobody_a_patient_and_is_known_when_one_comes() -> None:
    monitor = Monitor(0)
    monitor.push(f"ecg/v1/{BED}/meta", b'{"name": "Bed 2"}', S, retained=True)
    monitor.push(f"ecg/v1/{BED}/status", b'{"battery": 81}', S, retained=True)
    assert (monitor.devices(), monitor.has_patient(BED), monitor.names()) == ((), False, {})
    monitor.push(f"wl/v1/limits_in_force/{BED}", json.dumps(LIMITS).encode(), S, retained=True)
    (patient,) = monitor.patients()
    assert (patient.name, patient.battery) == ("Bed 2", 81)


def test_how_far_an_explanation_is_stands_with_its_patient_the_newest_of_each_question() -> None:
    def progress(first_sample: int, state: str, share: float = 0.0) -> bytes:
        place = {"session": 7, "first_sample": first_sample, "superclass": "MI", "method": "gradient_shap"}
        return json.dumps({**place, "state": state, "share": share}).encode()

    monitor, topic = filled(), f"wl/v1/explain_progress/{BED}"
    known: Revisions = {}
    monitor.patients(known)
    for told in (progress(0, "queued"), progress(500, "queued"), progress(0, "running", 0.25)):
        monitor.push(topic, told, 2 * S)
    (patient,) = monitor.patients(known)
    assert [(each.progress.first_sample, each.progress.share) for each in patient.explaining] == [
        (500, 0.0),
        (0, 0.25),
    ]
    assert patient.explaining[1].at_us == 2 * S
    for number in range(100):
        monitor.push(topic, progress(number, "queued"), S)
    assert len(monitor.patients()[0].explaining) == MAX_EXPLAINING
    monitor.push("wl/v1/explain_progress/ward/nobody", progress(0, "queued"), S)
    assert monitor.devices() == (BED,)
    monitor.push(topic, b'{"session": 7}', S)
    assert monitor.refused == 1


def test_the_state_of_the_explain_service_is_told_though_it_need_not_be_there() -> None:
    monitor = Monitor(0)
    assert "explain" not in [each.name for each in monitor.house.services(10 * S)]
    assert monitor.house.service("explain", 10 * S).is_missing
    monitor.push("wl/v1/service/explain", json.dumps({"online": True, "at_us": 10 * S}).encode(), 10 * S)
    assert not monitor.house.service("explain", 11 * S).is_missing
